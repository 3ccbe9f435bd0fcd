"""How long a clip or a sound may be for the input it comes with."""

from dataclasses import dataclass

import pytest

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.lengths import length_breach
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.json_types import JsonObject


@dataclass(frozen=True)
class File:
    """A measured input."""

    parameter: str
    duration_seconds: float | None
    kind: str = "video"
    width: int | None = None
    height: int | None = None
    frames_per_second: float | None = None
    has_audio: bool = False


@pytest.mark.parametrize(
    ("model_id", "given", "name", "refused", "taken", "limits"),
    [
        ("kling-motion-control", {}, "video_url", (2.0, 31.0), (3.0, 2.95, 30.3), "3 to 30 seconds"),
        ("kling-motion-control-pro", {"character_orientation": "image"}, "video_url", (12.0,), (3.0, 10.2),
         'at most 10 seconds when character_orientation is "image"'),
        ("happyhorse-1.0-video-edit", {}, "video_url", (2.0, 61.0), (3.0, 45.0), "3 to 60 seconds"),
        ("xai-video-edit", {}, "video_url", (9.5,), (0.5, 8.7), "at most 8.7 seconds"),
        ("wan-2.7-i2v", {"audio_url": "https://e.com/a.mp3"}, "audio_url", (1.0, 31.0), (2.0,), "2 to 30 seconds"),
    ],
)  # fmt: skip
def test_a_file_outside_is_refused_with_the_limits(
    catalog: Catalog,
    model_id: str,
    given: JsonObject,
    name: str,
    refused: tuple[float, ...],
    taken: tuple[float, ...],
    limits: str,
) -> None:
    model = catalog.find(model_id)
    read = read_input(model, {**model.example, **given})
    for seconds in refused:
        said = f"{name}: it is {seconds:.1f} seconds long, and must be {limits}."
        assert length_breach(model, read, [File("image_url", None), File(name, seconds)]) == said
    for seconds in taken:
        assert length_breach(model, read, [File(name, seconds)]) is None


def test_of_several_files_the_one_outside_is_named(catalog: Catalog) -> None:
    model = catalog.find("seedance-2-reference")
    sounds = ["https://e.com/a.mp3", "https://e.com/b.mp3"]
    read = read_input(model, {**model.example, "image_urls": ["https://e.com/a.png"], "audio_urls": sounds})
    files = [File("image_urls", None), File("audio_urls", 9.0, "audio"), File("audio_urls", 16.0, "audio")]
    said = "audio_urls[1]: it is 16.0 seconds long, and must be at most 15 seconds."
    assert length_breach(model, read, files) == said
