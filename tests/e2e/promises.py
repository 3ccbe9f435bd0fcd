"""What a finished job must give, read off its input as a caller would read it.

Owns these rules. They are written from what the words of an input mean (`1080p`, `9:16`, `duration`, `upscale_factor`)
and from the figures in the model's `[output]` table, and share nothing with the code that plans drawings or computes
sizes: two accounts of the same promise, which have to agree.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.e2e.sample_media import Sample

from pixeldojo.catalog.schema import Model

_CONTENT_TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "glb": "model/gltf-binary",
}
_SOUND_SWITCHES = ("generate_audio", "keep_audio", "keep_original_sound", "merge_audio")
_WORKS_ON_A_CLIP = ("video-edit", "upscale", "video-to-video", "video-to-audio", "video-extend")
_NAMED_SHAPES = {
    "square": 1.0,
    "portrait_4_3": 3 / 4,
    "portrait_16_9": 9 / 16,
    "portrait_3_2": 2 / 3,
    "portrait": 1 / 2,
}
_WIDESCREEN = 16 / 9
_MEGA = 1 << 20
_FINE_STEP = 2

Given = Mapping[str, Any]
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """Width and height, or what is known of them.

    Attributes:
        exact: Width and height, where the input leaves no room.
        ratio: Width over height.
        short_side: Pixels of the shorter side.
        area: Pixels in all; either of this and `short_side` has to fit where both are named.
    """

    exact: tuple[int, int] | None = None
    ratio: float | None = None
    short_side: float | None = None
    area: float | None = None

    def fits(self, width: int, height: int) -> bool:
        """Say whether a file of that size keeps the promise, rounding of sides to sixteen pixels allowed."""
        if self.exact is not None:
            return (width, height) == self.exact
        slack = 18 / min(width, height)
        if self.ratio is not None and abs(width / height / self.ratio - 1) > max(0.04, slack):
            return False
        sizes = [abs(min(width, height) / self.short_side - 1) < max(0.03, slack)] if self.short_side else []
        sizes += [abs(width * height / self.area - 1) < max(0.12, slack)] if self.area else []
        return any(sizes) or not sizes


@dataclass(frozen=True)
class Promise:
    """What is promised of each file.

    Attributes:
        member: Under which name the job's `output` holds the addresses.
        count: How many files.
        content_type: What each is.
        shape: Of pictures and clips.
        seconds: Of clips and tracks.
        frames_per_second: Of clips.
        has_sound: Of clips.
    """

    member: str
    count: int
    content_type: str
    shape: Shape | None = None
    seconds: float | None = None
    frames_per_second: float | None = None
    has_sound: bool | None = None


def promise_of(model: Model, given: Given, sources: Mapping[str, Sample]) -> Promise:
    """Return what a job with this input (defaults filled in) promises; `sources` are its files by parameter."""
    table = _table(model)
    kind = str(table["kind"])
    member = {"image": "images", "video": "video", "audio": "audio", "model3d": "model"}[kind]
    count, content_type = int(given.get("num_outputs", 1)), _content_type(table, given)
    if kind == "model3d":
        return Promise(member, count, content_type)
    if kind == "audio":
        return Promise(member, count, content_type, seconds=_seconds(model, given, sources))
    shape = _shape(table["size"], given, sources)
    if kind == "image":
        return Promise(member, count, content_type, shape)
    return Promise(
        member,
        count,
        content_type,
        shape,
        seconds=_seconds(model, given, sources),
        frames_per_second=_frames_per_second(table, given, sources),
        has_sound=_has_sound(table, given, sources),
    )


def _table(model: Model) -> Table:
    return model.output_json


def _content_type(table: Table, given: Given) -> str:
    word = str(given.get("output_format", table["formats"][0]))
    return _CONTENT_TYPES[word.partition("_")[0]]


def _shape(size: Table, given: Given, sources: Mapping[str, Sample]) -> Shape:
    if "width" in given and "height" in given:
        return Shape(exact=(given["width"], given["height"]))
    source = next((sources[name] for name in size.get("follow", ()) if name in sources), None)
    if source is not None and (enlarged := _enlarged(given, source)) is not None:
        return enlarged
    shape_word = given.get("aspect_ratio", given.get("image_size"))
    fineness = given.get(size.get("resolution_parameter", ""))
    if source is not None and "follow" in size:
        is_named = "follow_aspects" in size and str(shape_word or "") not in size["follow_aspects"]
        if not is_named or str(fineness or "") in size.get("follow_resolutions", ()):
            return _after_source(size, given, fineness, source, _ratio(shape_word) if is_named else None)
    cell = _cell(size, given, shape_word)
    meant = Shape(ratio=_ratio(shape_word), short_side=_lines(fineness), area=_area(fineness))
    assert meant.fits(*cell), f"the table gives {cell} for {shape_word} {fineness}"
    return Shape(exact=(cell[0] - cell[0] % 2, cell[1] - cell[1] % 2) if _lines(fineness) else cell)


def _enlarged(given: Given, source: Sample) -> Shape | None:
    """The shape where the source is made larger: by a factor, or by pixels at its sides."""
    if "upscale_factor" in given:
        factor = given["upscale_factor"]
        return Shape(exact=(round(source.width * factor), round(source.height * factor)))
    if "expand_left" in given:
        across, down = given["expand_left"] + given["expand_right"], given["expand_top"] + given["expand_bottom"]
        return Shape(exact=(source.width + across, source.height + down))
    return None


def _after_source(size: Table, given: Given, fineness: object, source: Sample, ratio: float | None) -> Shape:
    """The shape of the source (or the ratio named), in the fineness asked for or, where none is, the source's."""
    own_area = source.width * source.height
    if size.get("fit") == "source" and size.get("multiple_of", 2) <= _FINE_STEP:
        return Shape(exact=(source.width, source.height))
    ratio = ratio or source.width / source.height
    if str(fineness or "") in size.get("follow_resolutions", ()):
        least, most = size.get("minimum_pixels", 1), size.get("maximum_pixels", own_area)
        return Shape(ratio=ratio, area=min(max(own_area, least), most))
    if size.get("fit") == "source":
        return Shape(ratio=ratio, area=own_area)
    lines, area = _lines(fineness), _area(fineness)
    if lines is None and area is None:
        width, height = _cell(size, given, None)
        return Shape(ratio=ratio, area=width * height)
    return Shape(ratio=ratio, short_side=lines, area=area)


def _cell(size: Table, given: Given, shape_word: object) -> tuple[int, int]:
    """Look the size up in the model's table: the row named by the fineness, the column by the shape."""
    rows = size["table"]
    row = rows.get(str(given.get(size.get("resolution_parameter", ""))), rows[size.get("default_resolution", "*")])
    width, height = row.get(str(shape_word), row[size.get("default_aspect", "*")])
    return int(width), int(height)


def _ratio(word: object) -> float | None:
    text = str(word)
    if match := re.fullmatch(r"([\d.]+)[:x]([\d.]+)", text):
        return float(match[1]) / float(match[2])
    name = text.removesuffix("_uhd").removesuffix("_hd")
    if name.startswith("landscape"):
        return 1 / _NAMED_SHAPES[name.replace("landscape", "portrait")] if name != "landscape" else None
    return _NAMED_SHAPES.get(name) if name != "portrait" else None


def _lines(fineness: object) -> float | None:
    """`720p` and `4k` of a clip are lines of a picture in widescreen."""
    text = str(fineness)
    if text == "4k":
        return 2160
    return float(text[:-1]) if re.fullmatch(r"\d+p", text) else None


def _area(fineness: object) -> float | None:
    text = str(fineness)
    if (lines := _lines(fineness)) is not None:
        return lines * lines * _WIDESCREEN
    if match := re.fullmatch(r"(\d+)[kK]", text):
        return float(match[1]) ** 2 * _MEGA
    if match := re.fullmatch(r"([\d.]+)(?: MP)?", text):
        return float(match[1]) * _MEGA
    return None


def _seconds(model: Model, given: Given, sources: Mapping[str, Sample]) -> float:
    if "num_frames" in given:
        return float(given["num_frames"] / given["fps"])
    length = _table(model)["length"]
    clip, track = sources.get("video_url"), sources.get("audio_url")
    asked = float(given.get("duration", 0))
    if model.task in {"avatar", "lip-sync"}:
        seconds = track.seconds if track else len(str(given["script"]).split()) / 2.5
    elif model.task in _WORKS_ON_A_CLIP:
        assert clip is not None
        seconds = clip.seconds + asked if model.task == "video-extend" else asked or clip.seconds
    else:
        seconds = track.seconds if track and "audio_url" in length.get("follow", ()) else asked
    return float(min(seconds, length.get("maximum_seconds", math.inf)))


def _frames_per_second(table: Table, given: Given, sources: Mapping[str, Sample]) -> float:
    if "fps" in given:
        return float(given["fps"])
    rate = table.get("frame_rate", {})
    followed = [sources[name].frames_per_second for name in rate.get("follow", ()) if name in sources]
    return float(followed[0] if followed else rate.get("value", 24))


def _has_sound(table: Table, given: Given, sources: Mapping[str, Sample]) -> bool:
    if any(given.get(switch) is False for switch in _SOUND_SWITCHES):
        return False
    sound = table.get("sound", {})
    is_wanted = bool(sound.get("default")) or any(given.get(switch) is True for switch in _SOUND_SWITCHES)
    # Every sample that has a length has sound too.
    return is_wanted or any(name in sources for name in sound.get("carry", ()))
