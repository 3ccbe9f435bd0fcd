"""One order of each kind, from JSON to measured files, whole and cut short."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.probe import probe_media
from pixeldojo.media.render import render

COMMON: JsonObject = {"model_id": "m", "prompt": "a boat on the sea", "seed": 3}
IMAGE: JsonObject = {**COMMON, "kind": "image", "width": 96, "height": 64, "operation": "generate", "quality": 90}
VIDEO: JsonObject = {
    **COMMON,
    "kind": "video",
    "width": 64,
    "height": 48,
    "seconds": 1,
    "frames_per_second": 12,
    "with_audio": True,
    "operation": "generate",
    "count": 1,
}
AUDIO: JsonObject = {**COMMON, "kind": "audio", "seconds": 4, "operation": "music", "sample_rate": 16_000}
MESH: JsonObject = {**COMMON, "kind": "model3d", "face_count": 500, "textured": False, "with_pbr": False}
ORDERS: Mapping[str, JsonObject] = {
    "png": {**IMAGE, "file_format": "png", "count": 2},
    "jpg": {**IMAGE, "file_format": "jpg", "count": 1},
    "webp": {**IMAGE, "file_format": "webp", "count": 1},
    "mp4": {**VIDEO, "file_format": "mp4"},
    "mov": {**VIDEO, "file_format": "mov"},
    "webm": {**VIDEO, "file_format": "webm"},
    "mp3": {**AUDIO, "file_format": "mp3", "bit_rate": 64_000},
    "wav": {**AUDIO, "file_format": "wav", "bit_rate": 0},
    "glb": MESH,
}
TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "glb": "model/gltf-binary",
}


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_becomes_the_files_it_asks_for(tmp_path: Path, name: str) -> None:
    paths = [Path(path) for path in render(ORDERS[name], [], str(tmp_path))]
    assert len(paths) == ORDERS[name].get("count", 1)
    assert {path.parent for path in paths} == {tmp_path}
    facts = probe_media(paths[0])
    assert facts.content_type == TYPES[name]
    expected: dict[str, JsonValue] = {key: ORDERS[name].get(key) for key in ("width", "height")}
    assert {"width": facts.width, "height": facts.height} == expected


@pytest.mark.parametrize("name", ORDERS)
def test_a_file_cut_short_on_request_is_recognised_as_broken(tmp_path: Path, name: str) -> None:
    for path in render({**ORDERS[name], "cut_short": True}, [], str(tmp_path)):
        with pytest.raises(UnreadableMedia):
            probe_media(Path(path))


def test_two_renders_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    first, second = (render(ORDERS["png"], [], str(tmp_path)) for _ in range(2))
    assert not set(first) & set(second)
