"""What a finished file of a model looks like: the one meaning of the catalog's `[output]` table.

Owns the table's words and the arithmetic that turns a table, an input and the given media into a size, a length,
a frame rate, a file format. The catalog reads the table from a model's file and hands it on as `Call.output`;
whoever makes files by it (the sandbox) or needs its numbers (binding to an upstream) asks here. Leaves drawing,
decoding and prices to others.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from pixeldojo.core.json_types import JsonObject, JsonValue

OutputKind = Literal["image", "video", "audio", "model3d"]
FileFormat = Literal["jpg", "jpeg", "png", "webp", "mp4", "webm", "mov", "mp3", "wav", "glb", "json"]
MediaRole = Literal[
    "source_image",
    "mask",
    "kept_mask",
    "start_image",
    "end_image",
    "reference_images",
    "background",
    "source_video",
    "reference_videos",
    "audio",
    "transcript",
    "lora",
]


class Source(Protocol):
    """The facts of one given media file that an output may follow; a contract `InputFile` is one."""

    @property
    def parameter(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def duration_seconds(self) -> float | None: ...
    @property
    def frames_per_second(self) -> float | None: ...
    @property
    def has_audio(self) -> bool: ...


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Canvas(_Table):
    """Parameters (pixels, integers) that enlarge the source's canvas: its width is source width + left + right.

    `zoom_out` is a percentage by which the source shrinks in the middle of its own place; the canvas stays as it is.
    """

    left: str
    right: str
    top: str
    bottom: str
    zoom_out: str | None = None


class Size(_Table):
    """How many pixels, in this order of decision:

    1. `width_parameter` and `height_parameter` both given: exactly those.
    2. The first parameter of `follow` that the caller gave is the source. With a source:
       `canvas`: the enlarged canvas; `scale_parameter` or `scale`: source x factor.
    3. A cell of `table`: the row is the value of `resolution_parameter`, the column that of `aspect_parameter`.
       A value without a row or column (and a model without such a parameter) uses `default_resolution`,
       `default_aspect`.
    4. With a source, the shape is the source's instead of the column's when `follow_aspects` is absent or lists
       the aspect given; then `fit` says how large: `area` keeps the cell's area, `short_side` the cell's shorter
       side, `source` takes the source's own size. When `follow_resolutions` lists the resolution given, the area
       is the source's, held within `minimum_pixels`..`maximum_pixels`.

    Steps 2 and 4 round each side to the nearest `multiple_of`; 1 and 3 are exact. `custom_aspects` are the values of
    `aspect_parameter` that ask for step 1 and so need no column.
    """

    table: Mapping[str, Mapping[str, tuple[int, int]]]
    default_resolution: str = "*"
    default_aspect: str = "*"
    resolution_parameter: str | None = None
    aspect_parameter: str | None = None
    width_parameter: str | None = None
    height_parameter: str | None = None
    follow: tuple[str, ...] = ()
    follow_aspects: tuple[str, ...] | None = None
    follow_resolutions: tuple[str, ...] = ()
    custom_aspects: tuple[str, ...] = ()
    fit: Literal["area", "short_side", "source"] = "area"
    minimum_pixels: int = 1
    maximum_pixels: int = 64_000_000
    multiple_of: int = Field(default=2, ge=1)
    scale: float | None = Field(default=None, gt=0)
    scale_parameter: str | None = None
    canvas: Canvas | None = None


class Length(_Table):
    """How many seconds, in this order of decision:

    1. The first parameter of `follow` that the caller gave: its file's length, plus the value of `parameter` when
       `is_extension`. (`parameter_wins` puts step 2 first.)
    2. `parameter` (seconds) where it is above zero; `frames_parameter` / frames per second.
    3. `script_parameter`: its words at `words_per_second`.
    4. `seconds`.

    Never above `maximum_seconds` (for an extension: of the whole clip).
    """

    parameter: str | None = None
    frames_parameter: str | None = None
    follow: tuple[str, ...] = ()
    is_extension: bool = False
    parameter_wins: bool = False
    script_parameter: str | None = None
    words_per_second: float = Field(default=2.5, gt=0)
    seconds: float = Field(default=5, gt=0)
    maximum_seconds: float | None = Field(default=None, gt=0)


class FrameRate(_Table):
    """Frames per second: `parameter` where given, else that of the first given of `follow`, else `value`."""

    value: float = Field(default=24, gt=0)
    parameter: str | None = None
    follow: tuple[str, ...] = ()


class Sound(_Table):
    """Whether a video carries a sound track, and whose.

    `parameter` (a boolean) false: none. Else the first given of `carry` lends its track (none where it has none).
    Else the value of `parameter`, or `default` for a model without one.
    """

    default: bool = False
    parameter: str | None = None
    carry: tuple[str, ...] = ()


class Encoding(_Table):
    """A file format and, for sound, its figures: samples a second and (mp3) bits a second."""

    format: FileFormat
    sample_rate: int | None = None
    bit_rate: int | None = None


class OutputFacts(_Table):
    """The whole table.

    Attributes:
        kind: What comes out.
        formats: The file formats it can come in; the first is used unless `format_parameter` says otherwise.
        format_parameter: The parameter that chooses. Its values are formats, or names listed in `format_values`.
        format_values: What such a name means.
        quality_parameter: 0..100, for jpg and webp.
        count_parameter: How many outputs; one without it.
        size: For images and videos.
        length: For videos and audio.
        frame_rate: For videos.
        sound: For videos.
        faces_parameter: For 3D: the largest number of faces.
        roles: What each media parameter is for; written by the catalog from the parameters' own `role`. Where a list
            has the role `source_image` or `source_video`, its first file is the source and the others are references.
            A `mask` is white where the source may change, a `kept_mask` where it stays.
    """

    kind: OutputKind
    formats: tuple[FileFormat, ...] = Field(min_length=1)
    format_parameter: str | None = None
    format_values: Mapping[str, Encoding] = Field(default_factory=dict)
    quality_parameter: str | None = None
    count_parameter: str | None = None
    size: Size | None = None
    length: Length | None = None
    frame_rate: FrameRate | None = None
    sound: Sound | None = None
    faces_parameter: str | None = None
    roles: Mapping[str, MediaRole] = Field(default_factory=dict)

    @classmethod
    def from_json(cls, table: JsonObject) -> "OutputFacts":
        """Read a table as it stands in a catalog file or in `Call.output`.

        Raises:
            pydantic.ValidationError: naming each wrong key.
        """
        return cls.model_validate_json(json.dumps(table))

    def to_json(self) -> JsonObject:
        """Return what `from_json` reads; keys at their default are left out."""
        written: JsonObject = self.model_dump(mode="json", exclude_defaults=True)
        return written

    def count(self, given: JsonObject) -> int:
        """Return how many files to make."""
        return int(_number(given, self.count_parameter) or 1)

    def encoding(self, given: JsonObject) -> Encoding:
        """Return the file format asked for; `jpeg` and `jpg` are both `jpg`."""
        name = given.get(self.format_parameter) if self.format_parameter else None
        if isinstance(name, str) and name in self.format_values:
            return self.format_values[name]
        chosen: FileFormat = next((known for known in self.formats if known == name), self.formats[0])
        return Encoding(format="jpg" if chosen == "jpeg" else chosen)

    def pixels(self, given: JsonObject, sources: Sequence[Source]) -> tuple[int, int]:
        """Return width and height in pixels.

        Raises:
            ValueError: if the kind has no pixels.
        """
        if self.size is None:
            raise ValueError(f"a model that makes {self.kind} has no size")
        return _pixels(self.size, given, sources)

    def frames_per_second(self, given: JsonObject, sources: Sequence[Source]) -> float:
        """Return the frame rate of a video."""
        facts = self.frame_rate or FrameRate()
        asked = _number(given, facts.parameter)
        if asked:
            return asked
        source = _first(facts.follow, sources)
        return (source.frames_per_second if source else None) or facts.value

    def seconds(self, given: JsonObject, sources: Sequence[Source]) -> float:
        """Return the length of a video or a sound.

        Raises:
            ValueError: if the kind has no length.
        """
        if self.length is None:
            raise ValueError(f"a model that makes {self.kind} has no length")
        asked = self._seconds_asked(self.length, given, sources)
        followed = _seconds_followed(self.length, given, sources)
        first, second = (asked, followed) if self.length.parameter_wins else (followed, asked)
        seconds = first or second or _seconds_spoken(self.length, given) or self.length.seconds
        return min(seconds, self.length.maximum_seconds or seconds)

    def has_sound(self, given: JsonObject, sources: Sequence[Source]) -> bool:
        """Say whether a video carries a sound track."""
        facts = self.sound or Sound()
        asked = given.get(facts.parameter, facts.default) if facts.parameter else facts.default
        if facts.parameter and not asked:
            return False
        source = _first(facts.carry, sources)
        return bool(asked) if source is None else source.kind == "audio" or source.has_audio

    def _seconds_asked(self, facts: Length, given: JsonObject, sources: Sequence[Source]) -> float | None:
        frames = _number(given, facts.frames_parameter)
        if frames:
            return frames / self.frames_per_second(given, sources)
        return _number(given, facts.parameter)


def _seconds_followed(facts: Length, given: JsonObject, sources: Sequence[Source]) -> float | None:
    source = _first(facts.follow, sources)
    if source is None or source.duration_seconds is None:
        return None
    return source.duration_seconds + ((_number(given, facts.parameter) or 0) if facts.is_extension else 0)


def _seconds_spoken(facts: Length, given: JsonObject) -> float | None:
    script = given.get(facts.script_parameter) if facts.script_parameter else None
    return len(script.split()) / facts.words_per_second if isinstance(script, str) else None


def _pixels(facts: Size, given: JsonObject, sources: Sequence[Source]) -> tuple[int, int]:
    width, height = _number(given, facts.width_parameter), _number(given, facts.height_parameter)
    if width and height:
        return int(width), int(height)
    source = next((s for s in _given(facts.follow, sources) if s.width and s.height), None)
    if source is None or not source.width or not source.height:
        return _cell(facts, given)
    if facts.canvas is not None:
        return _on_canvas(facts, facts.canvas, given, source.width, source.height)
    factor = _number(given, facts.scale_parameter) or facts.scale
    if factor:
        return _rounded(facts, source.width * factor, source.height * factor)
    return _followed(facts, given, source.width, source.height)


def _followed(facts: Size, given: JsonObject, width: int, height: int) -> tuple[int, int]:
    cell = _cell(facts, given)
    shape_follows = facts.follow_aspects is None or _value(given, facts.aspect_parameter) in facts.follow_aspects
    area_follows = _value(given, facts.resolution_parameter) in facts.follow_resolutions
    if not shape_follows and not area_follows:
        return cell
    if shape_follows and facts.fit == "source":
        return _rounded(facts, width, height)
    ratio = width / height if shape_follows else cell[0] / cell[1]
    if facts.fit == "short_side" and not area_follows:
        short = min(cell)
        return _rounded(facts, short * max(ratio, 1), short * max(1 / ratio, 1))
    area = cell[0] * cell[1]
    if area_follows:
        area = min(max(width * height, facts.minimum_pixels), facts.maximum_pixels)
    return _rounded(facts, math.sqrt(area * ratio), math.sqrt(area / ratio))


def _on_canvas(facts: Size, canvas: Canvas, given: JsonObject, width: int, height: int) -> tuple[int, int]:
    across = (_number(given, canvas.left) or 0) + (_number(given, canvas.right) or 0)
    down = (_number(given, canvas.top) or 0) + (_number(given, canvas.bottom) or 0)
    return _rounded(facts, width + across, height + down)


def _cell(facts: Size, given: JsonObject) -> tuple[int, int]:
    row = facts.table.get(_value(given, facts.resolution_parameter), facts.table[facts.default_resolution])
    return row.get(_value(given, facts.aspect_parameter), row[facts.default_aspect])


def _rounded(facts: Size, width: float, height: float) -> tuple[int, int]:
    step = facts.multiple_of
    return max(step, math.floor(width / step + 0.5) * step), max(step, math.floor(height / step + 0.5) * step)


def _given(parameters: Sequence[str], sources: Sequence[Source]) -> list[Source]:
    return [source for name in parameters for source in sources if source.parameter == name]


def _first(parameters: Sequence[str], sources: Sequence[Source]) -> Source | None:
    return next(iter(_given(parameters, sources)), None)


def _value(given: JsonObject, parameter: str | None) -> str:
    value: JsonValue = given.get(parameter) if parameter else None
    return str(value) if value is not None else ""


def _number(given: JsonObject, parameter: str | None) -> float | None:
    value = given.get(parameter) if parameter else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
