"""Reading an order from JSON, as the sandbox wrote it and any worker may have kept it.

Owns checking types and finding the files behind positions. Leaves the words to `orders`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.media.orders import (
    AudioOperation,
    AudioOrder,
    ImageOperation,
    ImageOrder,
    MeshOrder,
    Order,
    Role,
    Sources,
    VideoOperation,
    VideoOrder,
)

_Word = TypeVar("_Word", bound=StrEnum)


def parse_order(data: JsonObject, input_paths: Sequence[Path]) -> Order:
    """Read an order from JSON: `kind` is `image`, `video`, `audio` or `model3d`, the rest are their fields.

    In JSON, `sources` maps a role to positions in `input_paths`.

    Raises:
        ValueError: if the kind is unknown, a field is missing or of the wrong type, or a position has no file.
    """
    reader = _Reader(data, input_paths)
    match data.get("kind"):
        case "image":
            return _image_order(reader)
        case "video":
            return _video_order(reader)
        case "audio":
            return _audio_order(reader)
        case "model3d":
            return _mesh_order(reader)
        case kind:
            raise ValueError(f"an order of kind {kind!r} cannot be drawn; known are image, video, audio, model3d")


def _image_order(reader: "_Reader") -> ImageOrder:
    return ImageOrder(
        model_id=reader.text("model_id"),
        prompt=reader.text("prompt"),
        seed=reader.integer("seed"),
        width=reader.integer("width"),
        height=reader.integer("height"),
        operation=reader.word("operation", ImageOperation),
        count=reader.integer("count"),
        file_format=reader.text("file_format"),
        quality=reader.integer("quality"),
        sources=reader.sources(),
        options=reader.options(),
    )


def _video_order(reader: "_Reader") -> VideoOrder:
    return VideoOrder(
        model_id=reader.text("model_id"),
        prompt=reader.text("prompt"),
        seed=reader.integer("seed"),
        width=reader.integer("width"),
        height=reader.integer("height"),
        seconds=reader.number("seconds"),
        frames_per_second=reader.number("frames_per_second"),
        with_audio=reader.flag("with_audio"),
        operation=reader.word("operation", VideoOperation),
        count=reader.integer("count"),
        file_format=reader.text("file_format"),
        sources=reader.sources(),
        options=reader.options(),
    )


def _audio_order(reader: "_Reader") -> AudioOrder:
    return AudioOrder(
        model_id=reader.text("model_id"),
        prompt=reader.text("prompt"),
        seed=reader.integer("seed"),
        seconds=reader.number("seconds"),
        operation=reader.word("operation", AudioOperation),
        file_format=reader.text("file_format"),
        sample_rate=reader.integer("sample_rate"),
        bit_rate=reader.integer("bit_rate"),
        sources=reader.sources(),
        options=reader.options(),
    )


def _mesh_order(reader: "_Reader") -> MeshOrder:
    return MeshOrder(
        model_id=reader.text("model_id"),
        prompt=reader.text("prompt"),
        seed=reader.integer("seed"),
        face_count=reader.integer("face_count"),
        textured=reader.flag("textured"),
        with_pbr=reader.flag("with_pbr"),
        sources=reader.sources(),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes typed fields out of an order's JSON."""

    data: JsonObject
    input_paths: Sequence[Path]

    def text(self, name: str) -> str:
        value = self.data.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def integer(self, name: str) -> int:
        value = self.data.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "an integer")
        return value

    def number(self, name: str) -> float:
        value = self.data.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._wrong(name, "a number")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.data.get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def word(self, name: str, words: type[_Word]) -> _Word:
        value = self.text(name)
        if value not in set(words):
            raise self._wrong(name, "one of " + ", ".join(words))
        return words(value)

    def options(self) -> JsonObject:
        return self._table("options")

    def sources(self) -> Sources:
        return {self._role(role): self._paths(role, value) for role, value in self._table("sources").items()}

    def _table(self, name: str) -> JsonObject:
        value = self.data.get(name, {})
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return value

    def _role(self, name: str) -> Role:
        if name not in set(Role):
            raise ValueError(f"the order gives a file the role {name!r}; known are {', '.join(Role)}")
        return Role(name)

    def _paths(self, role: str, positions: JsonValue) -> tuple[Path, ...]:
        if not isinstance(positions, Sequence) or isinstance(positions, str):
            raise self._wrong(f"sources.{role}", "a list of positions")
        return tuple(self._path(role, position) for position in positions)

    def _path(self, role: str, position: JsonValue) -> Path:
        if not isinstance(position, int) or not 0 <= position < len(self.input_paths):
            raise ValueError(f"{role} names input file {position!r} of {len(self.input_paths)}")
        return self.input_paths[position]

    def _wrong(self, name: str, wanted: str) -> ValueError:
        return ValueError(f"the order's {name} is {self.data.get(name)!r}, and has to be {wanted}")
