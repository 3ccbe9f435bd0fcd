"""Orders are read from JSON exactly or refused by name."""

from pathlib import Path

import pytest

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.order_reader import parse_order
from pixeldojo.media.orders import (
    AudioOrder,
    ImageOperation,
    ImageOrder,
    MeshOrder,
    Role,
    VideoOperation,
    VideoOrder,
)

IMAGE: JsonObject = {
    "kind": "image",
    "model_id": "m",
    "prompt": "a boat",
    "seed": 1,
    "width": 64,
    "height": 32,
    "operation": "edit",
    "count": 2,
    "file_format": "png",
    "quality": 80,
    "sources": {"source_image": [1], "reference_images": [0, 2]},
    "options": {"strength": 0.5},
}
VIDEO: JsonObject = {
    "kind": "video",
    "model_id": "m",
    "prompt": "a boat",
    "seed": 1,
    "width": 64,
    "height": 32,
    "seconds": 5,
    "frames_per_second": 24,
    "with_audio": True,
    "operation": "generate",
    "count": 1,
    "file_format": "mp4",
}
FILES = [Path("a"), Path("b"), Path("c")]


def test_an_image_order_is_read_with_its_files() -> None:
    assert parse_order(IMAGE, FILES) == ImageOrder(
        model_id="m",
        prompt="a boat",
        seed=1,
        width=64,
        height=32,
        operation=ImageOperation.EDIT,
        count=2,
        file_format="png",
        quality=80,
        sources={Role.SOURCE_IMAGE: (Path("b"),), Role.REFERENCE_IMAGES: (Path("a"), Path("c"))},
        options={"strength": 0.5},
    )


def test_a_video_order_is_read() -> None:
    order = parse_order(VIDEO, [])
    assert isinstance(order, VideoOrder)
    assert (order.seconds, order.frames_per_second, order.with_audio) == (5.0, 24.0, True)
    assert order.operation is VideoOperation.GENERATE


def test_audio_and_mesh_orders_are_read() -> None:
    common: JsonObject = {"model_id": "m", "prompt": "", "seed": 0}
    audio = parse_order(
        {
            **common,
            "kind": "audio",
            "seconds": 3.5,
            "operation": "music",
            "file_format": "wav",
            "sample_rate": 16_000,
            "bit_rate": 0,
        },
        [],
    )
    mesh = parse_order({**common, "kind": "model3d", "face_count": 9, "textured": False, "with_pbr": True}, [])
    assert isinstance(audio, AudioOrder)
    assert audio.sample_rate == 16_000
    assert mesh == MeshOrder("m", "", 0, face_count=9, textured=False, with_pbr=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "poem"}, "image, video, audio, model3d"),
        ({"width": None}, "width is None, and has to be an integer"),
        ({"width": True}, "an integer"),
        ({"prompt": 5}, "a string"),
        ({"operation": "explode"}, "generate, edit"),
        ({"sources": {"sidekick": [0]}}, "source_image"),
        ({"sources": {"mask": [3]}}, "names input file 3 of 3"),
        ({"sources": {"mask": "0"}}, "a list of positions"),
        ({"options": []}, "an object"),
    ],
)
def test_a_wrong_order_is_named(change: JsonObject, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_order({**IMAGE, **change}, FILES)


@pytest.mark.parametrize(("change", "says"), [({"seconds": "5"}, "a number"), ({"with_audio": 1}, "true or false")])
def test_a_wrong_video_order_is_named(change: JsonObject, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_order({**VIDEO, **change}, [])


@pytest.mark.parametrize("name", ["model_id", "seed", "count", "file_format", "quality", "height"])
def test_no_field_is_guessed(name: str) -> None:
    without = {key: value for key, value in IMAGE.items() if key != name}
    with pytest.raises(ValueError, match=name):
        parse_order(without, FILES)
