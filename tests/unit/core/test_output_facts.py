"""What a finished file looks like, in pixels, seconds and formats worked out by hand."""

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.output_facts import Encoding, OutputFacts


@dataclass(frozen=True)
class File:
    """A fetched input."""

    parameter: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frames_per_second: float | None = None
    has_audio: bool = False
    kind: str = "video"


TABLE: JsonObject = {
    "720p": {"16:9": [1280, 720], "1:1": [960, 960]},
    "1080p": {"16:9": [1920, 1080], "1:1": [1440, 1440]},
}


def facts(size: JsonObject | None = None, **more: JsonValue) -> OutputFacts:
    table: JsonObject = {
        "table": TABLE,
        "default_resolution": "720p",
        "default_aspect": "16:9",
        "resolution_parameter": "resolution",
        "aspect_parameter": "aspect_ratio",
        "width_parameter": "width",
        "height_parameter": "height",
        **(size or {}),
    }
    return OutputFacts.from_json({"kind": "video", "formats": ["mp4"], "size": table, **more})


@pytest.mark.parametrize(
    ("given", "pixels"),
    [
        ({}, (1280, 720)),
        ({"resolution": "1080p", "aspect_ratio": "1:1"}, (1440, 1440)),
        ({"resolution": "8k", "aspect_ratio": "match"}, (1280, 720)),
        ({"resolution": "1080p", "width": 640, "height": 360}, (640, 360)),
        ({"width": 640}, (1280, 720)),
    ],
)
def test_sizes_come_from_the_table_or_are_given_outright(given: JsonObject, pixels: tuple[int, int]) -> None:
    assert facts().pixels(given, []) == pixels


@pytest.mark.parametrize(
    ("fit", "source", "pixels"),
    [
        ("area", (1000, 1000), (960, 960)),
        ("area", (1000, 500), (1358, 678)),
        ("area", (90, 160), (720, 1280)),
        ("short_side", (1000, 500), (1440, 720)),
        ("short_side", (500, 1000), (720, 1440)),
        ("source", (641, 359), (642, 360)),
    ],
)
def test_a_followed_source_lends_its_shape(fit: str, source: tuple[int, int], pixels: tuple[int, int]) -> None:
    followed = facts({"follow": ["image_url"], "fit": fit})
    assert followed.pixels({}, [File("image_url", *source)]) == pixels
    assert followed.pixels({}, [File("mask_url", *source)]) == (1280, 720)


def test_a_source_is_followed_only_where_the_shape_asks_for_it() -> None:
    followed = facts({"follow": ["image_url"], "follow_aspects": ["match"], "multiple_of": 16})
    source = File("image_url", 1000, 1000)
    assert followed.pixels({"aspect_ratio": "16:9"}, [source]) == (1280, 720)
    assert followed.pixels({"aspect_ratio": "match"}, [source]) == (960, 960)
    assert followed.pixels({"aspect_ratio": "match"}, []) == (1280, 720)


@pytest.mark.parametrize(
    ("aspect", "source", "pixels"),
    [
        ("match", (1000, 1000), (1000, 1000)),
        ("match", (10, 10), (100, 100)),
        ("match", (9000, 9000), (2000, 2000)),
        ("1:1", (2000, 500), (1000, 1000)),
    ],
)
def test_a_source_may_lend_its_area_within_bounds(
    aspect: str, source: tuple[int, int], pixels: tuple[int, int]
) -> None:
    followed = facts({
        "follow": ["image_url"],
        "follow_aspects": ["match"],
        "follow_resolutions": ["match"],
        "minimum_pixels": 10_000,
        "maximum_pixels": 4_000_000,
    })  # fmt: skip
    given: JsonObject = {"aspect_ratio": aspect, "resolution": "match"}
    assert followed.pixels(given, [File("image_url", *source)]) == pixels


def test_upscalers_multiply_and_outpainting_enlarges() -> None:
    source = [File("image_url", 100, 50)]
    assert facts({"follow": ["image_url"], "scale": 4}).pixels({}, source) == (400, 200)
    chosen = facts({"follow": ["image_url"], "scale": 4, "scale_parameter": "factor"})
    assert chosen.pixels({"factor": 1.5}, source) == (150, 76)
    canvas: JsonObject = {"left": "l", "right": "r", "top": "t", "bottom": "b", "zoom_out": "z"}
    outpaint = facts({"follow": ["image_url"], "canvas": canvas})
    assert outpaint.pixels({"l": 10, "r": 20, "b": 4, "z": 10}, source) == (130, 54)


@pytest.mark.parametrize(
    ("length", "given", "seconds"),
    [
        ({}, {}, 5),
        ({"seconds": 8}, {}, 8),
        ({"parameter": "duration"}, {"duration": 7}, 7),
        ({"parameter": "duration"}, {"duration": 0}, 5),
        ({"frames_parameter": "num_frames"}, {"num_frames": 96}, 4),
        ({"follow": ["video_url"]}, {}, 12.5),
        ({"follow": ["audio_url", "video_url"], "maximum_seconds": 10}, {}, 10),
        ({"follow": ["video_url"], "parameter": "duration"}, {"duration": 3}, 12.5),
        ({"follow": ["video_url"], "parameter": "duration", "parameter_wins": True}, {"duration": 3}, 3),
        ({"follow": ["video_url"], "parameter": "duration", "is_extension": True}, {"duration": 3}, 15.5),
        ({"script_parameter": "script"}, {"script": "one two three four five"}, 2),
    ],
)
def test_lengths(length: JsonObject, given: JsonObject, seconds: float) -> None:
    clip = File("video_url", duration_seconds=12.5)
    assert facts(length=length).seconds(given, [clip]) == seconds


def test_frame_rates() -> None:
    clip = File("video_url", frames_per_second=30)
    followed = facts(frame_rate={"value": 25, "parameter": "fps", "follow": ["video_url"]})
    assert facts().frames_per_second({}, [clip]) == 24
    assert followed.frames_per_second({}, []) == 25
    assert followed.frames_per_second({}, [clip]) == 30
    assert followed.frames_per_second({"fps": 60}, [clip]) == 60


@pytest.mark.parametrize(
    ("sound", "given", "files", "expected"),
    [
        ({}, {}, [], False),
        ({"default": True}, {}, [], True),
        ({"parameter": "audio", "default": True}, {}, [], True),
        ({"parameter": "audio", "default": True}, {"audio": False}, [], False),
        ({"carry": ["video_url"]}, {}, [File("video_url", has_audio=True)], True),
        ({"carry": ["video_url"], "default": True}, {}, [File("video_url")], False),
        ({"carry": ["audio_url"]}, {}, [File("audio_url", kind="audio")], True),
        ({"carry": ["video_url"], "parameter": "keep"}, {"keep": False}, [File("video_url", has_audio=True)], False),
    ],
)
def test_sound(sound: JsonObject, given: JsonObject, files: list[File], expected: bool) -> None:
    assert facts(sound=sound).has_sound(given, files) is expected


def test_formats_and_counts() -> None:
    music = OutputFacts.from_json({
        "kind": "audio",
        "formats": ["mp3", "wav"],
        "format_parameter": "output_format",
        "format_values": {"cd": {"format": "wav", "sample_rate": 44_100}},
        "length": {},
    })  # fmt: skip
    assert music.encoding({}) == Encoding(format="mp3")
    assert music.encoding({"output_format": "wav"}) == Encoding(format="wav")
    assert music.encoding({"output_format": "cd"}) == Encoding(format="wav", sample_rate=44_100)
    pictures = OutputFacts.from_json({
        "kind": "image", "formats": ["png", "jpeg"], "format_parameter": "f", "count_parameter": "n",
    })  # fmt: skip
    assert pictures.encoding({"f": "jpeg"}).format == "jpg"
    assert pictures.count({"n": 3}) == 3
    assert pictures.count({}) == 1


def test_a_kind_without_pixels_or_length_says_so() -> None:
    mesh = OutputFacts.from_json({"kind": "model3d", "formats": ["glb"]})
    with pytest.raises(ValueError, match="a model that makes model3d has no size"):
        mesh.pixels({}, [])
    with pytest.raises(ValueError, match="a model that makes model3d has no length"):
        mesh.seconds({}, [])


def test_a_table_reads_back_the_same_and_unknown_keys_are_refused() -> None:
    written = facts({"follow": ["image_url"]}, sound={"default": True}, roles={"image_url": "start_image"})
    assert OutputFacts.from_json(written.to_json()) == written
    with pytest.raises(ValidationError, match="has_sound"):
        facts(has_sound=True)
