"""From a call to an order: which operation, which file in which part, which size and length."""

from collections.abc import Mapping, Sequence

import pytest
from tests.unit.providers.sandbox_kit import (
    AUDIO_OUTPUT,
    IMAGE_OUTPUT,
    MODEL_OUTPUT,
    VIDEO_OUTPUT,
    audio_file,
    call,
    image_file,
    video_file,
)

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import InputFile
from pixeldojo.providers.sandbox.plan import CannotDraw, plan_order, seed_of

SOURCES = Mapping[str, Sequence[int]]


def sized(size: JsonObject) -> JsonObject:
    return {**IMAGE_OUTPUT, "size": {"table": {"*": {"*": [64, 64]}}, **size}}


def test_an_image_has_the_shape_count_format_and_quality_asked_for() -> None:
    given: dict[str, JsonValue] = {
        "aspect_ratio": "16:9",
        "num_outputs": 3,
        "output_format": "webp",
        "output_quality": 55,
        "seed": 4,
    }
    order = plan_order(call(given))
    assert order == {
        "kind": "image",
        "model_id": "flux-1.1-pro",
        "prompt": "a boat on the sea",
        "seed": 4,
        "width": 128,
        "height": 72,
        "operation": "generate",
        "count": 3,
        "file_format": "webp",
        "quality": 55,
        "sources": {},
        "options": {},
    }


def test_without_a_seed_the_input_decides() -> None:
    first, again = call({"x": 1}), call({"x": 1}, job_id="job_2", attempt_id="attempt_2")
    assert seed_of(first) == seed_of(again)
    assert seed_of(first) != seed_of(call({"x": 2}))
    assert seed_of(first) != seed_of(call({"x": 1}, model_id="flux-2-pro"))
    assert 0 <= seed_of(first) < 2**63


def test_instructions_for_the_sandbox_are_not_drawn() -> None:
    assert plan_order(call({"prompt": "a boat [sandbox: slow=1]"}))["prompt"] == "a boat"


@pytest.mark.parametrize(
    ("given", "task", "files", "operation", "sources"),
    [
        ({}, "text-to-image", ["image_urls"], "generate", {"reference_images": [0]}),
        ({}, "text-to-image", ["image_url"], "edit", {"source_image": [0]}),
        ({"strength": 0.4}, "text-to-image", ["image_url"], "restyle", {"source_image": [0]}),
        ({}, "image-edit", ["image_url", "mask_url"], "edit", {"source_image": [0], "mask": [1]}),
        ({"strength": 1}, "image-edit", ["image_url", "kept_url"], "edit", {"source_image": [0], "kept_mask": [1]}),
        ({"strength": 1}, "image-edit", ["image_url", "mask_url"], "edit", {"source_image": [0], "mask": [1]}),
        ({}, "image-edit", ["image_urls", "image_urls"], "edit", {"source_image": [0], "reference_images": [1]}),
        ({}, "image-edit", ["image_urls"], "edit", {"source_image": [0]}),
        ({}, "upscale", ["image_url"], "upscale", {"source_image": [0]}),
    ],
)
def test_what_an_image_model_does_with_its_files(
    given: dict[str, JsonValue], task: str, files: list[str], operation: str, sources: SOURCES
) -> None:
    order = plan_order(call(given, task=task, files=numbered(files)))
    assert (order["operation"], order["sources"]) == (operation, sources)


def numbered(parameters: list[str]) -> list[InputFile]:
    return [image_file(name, parameters[:at].count(name)) for at, name in enumerate(parameters)]


def test_relighting_is_told_where_the_light_comes_from() -> None:
    asked = call({"light_source": "Left Light"}, model_id="image-relighting", task="image-edit", files=[image_file()])
    order = plan_order(asked)
    assert order["operation"] == "relight"
    assert order["options"] == {"light_source": "Left Light"}


def test_an_upscale_multiplies_the_source() -> None:
    output = sized({"follow": ["image_url"], "scale_parameter": "upscale_factor"})
    order = plan_order(
        call({"upscale_factor": 3}, task="upscale", output=output, files=[image_file(width=50, height=30)])
    )
    assert (order["width"], order["height"]) == (150, 90)


def test_an_outpaint_keeps_the_source_where_it_belongs() -> None:
    canvas = {"left": "expand_left", "right": "expand_right", "top": "expand_top", "bottom": "expand_bottom"}
    output = sized({"follow": ["image_url"], "canvas": {**canvas, "zoom_out": "zoom_out_percentage"}})
    given: dict[str, JsonValue] = {
        "expand_left": 10,
        "expand_right": 20,
        "expand_top": 30,
        "expand_bottom": 40,
        "zoom_out_percentage": 20,
    }
    order = plan_order(call(given, task="image-edit", output=output, files=[image_file(width=100, height=50)]))
    assert (order["width"], order["height"]) == (130, 120), "zooming out leaves the canvas as it is"
    assert (order["operation"], order["options"]) == ("reframe", {"left": 20, "top": 35, "scale": 0.8})


def test_a_transparent_background_is_passed_on() -> None:
    assert plan_order(call({"background": "transparent"}))["options"] == {"is_transparent": True}
    assert plan_order(call({"background": "opaque"}))["options"] == {}


@pytest.mark.parametrize(
    ("given", "width", "says"),
    [
        ({"upscale_factor": 16}, 3_000, "at most 64 megapixels"),
        ({"upscale_factor": 2, "output_format": "webp"}, 9_000, "png or jpg"),
    ],
)
def test_a_picture_too_large_is_refused_before_it_is_drawn(given: dict[str, JsonValue], width: int, says: str) -> None:
    output = sized({"follow": ["image_url"], "scale_parameter": "upscale_factor"})
    with pytest.raises(CannotDraw, match=says):
        plan_order(call(given, task="upscale", output=output, files=[image_file(width=width, height=1_000)]))


IMAGE, VIDEO, AUDIO = image_file(), video_file(), audio_file()
END, LIST = image_file("end_image_url"), image_file("image_urls")
START: SOURCES = {"start_image": [0]}
FIRST_VIDEO: SOURCES = {"source_video": [0]}
VIDEO_CASES: list[tuple[str, str, list[InputFile], str, SOURCES]] = [
    ("wan", "text-to-video", [], "generate", {}),
    ("wan", "text-to-video", [AUDIO], "generate", {"audio": [0]}),
    ("wan", "text-to-video", [IMAGE], "from_image", START),
    ("wan", "image-to-video", [IMAGE, END], "from_image", {"start_image": [0], "end_image": [1]}),
    ("wan", "text-to-video", [END], "from_image", {"end_image": [0]}),
    ("wan", "image-to-video", [VIDEO], "extend", FIRST_VIDEO),
    ("wan", "image-to-video", [VIDEO, END], "extend", {"source_video": [0], "end_image": [1]}),
    ("veo", "text-to-video", [LIST], "reference", {"reference_images": [0]}),
    ("grok-r2v", "reference-to-video", [LIST], "reference", {"reference_images": [0]}),
    ("kling-reference-to-video", "reference-to-video", [VIDEO], "reference", {"reference_videos": [0]}),
    ("grok-video-extend", "video-extend", [VIDEO], "extend", FIRST_VIDEO),
    ("video-upscaler", "upscale", [VIDEO], "upscale", FIRST_VIDEO),
    ("lip-sync", "lip-sync", [VIDEO, AUDIO], "lip_sync", {"source_video": [0], "audio": [1]}),
    ("omnihuman", "avatar", [IMAGE, AUDIO], "avatar", {"start_image": [0], "audio": [1]}),
    ("p-video-avatar", "avatar", [LIST], "avatar", {"start_image": [0], "reference_images": [0]}),
    ("xai-video-edit", "video-edit", [VIDEO], "edit", FIRST_VIDEO),
    ("video-autocaption", "video-edit", [VIDEO], "caption", FIRST_VIDEO),
    ("video-reframe", "video-edit", [VIDEO], "reframe", FIRST_VIDEO),
    ("wan-2.2-replace", "video-edit", [VIDEO, IMAGE], "replace", {"source_video": [0], "reference_images": [1]}),
    ("a-character-swap", "video-edit", [IMAGE, VIDEO], "replace", {"source_video": [1], "reference_images": [0]}),
    ("motion-control", "video-edit", [IMAGE, VIDEO], "animate", {"source_video": [1], "reference_images": [0]}),
    ("wan-animate", "video-to-video", [VIDEO, IMAGE], "animate", {"source_video": [0], "reference_images": [1]}),
]


@pytest.mark.parametrize(("model_id", "task", "files", "operation", "sources"), VIDEO_CASES)
def test_what_a_video_model_does_with_its_files(
    model_id: str, task: str, files: list[InputFile], operation: str, sources: SOURCES
) -> None:
    order = plan_order(call(model_id=model_id, task=task, output=VIDEO_OUTPUT, files=files))
    assert (order["operation"], order["sources"]) == (operation, sources)


def test_a_video_has_the_length_rate_format_and_sound_asked_for() -> None:
    given: dict[str, JsonValue] = {"duration": 8, "output_format": "webm", "generate_audio": False}
    order = plan_order(call(given, task="text-to-video", output=VIDEO_OUTPUT))
    facts = ("width", "height", "seconds", "frames_per_second", "with_audio", "file_format", "count")
    assert [order[name] for name in facts] == [128, 72, 8, 24, False, "webm", 1]


def test_video_sides_are_even() -> None:
    output = {**VIDEO_OUTPUT, "size": {"table": {"*": {"*": [853, 481]}}}}
    order = plan_order(call(task="text-to-video", output=output))
    assert (order["width"], order["height"]) == (852, 480)


@pytest.mark.parametrize(
    ("given", "options"),
    [({}, {"extend_at": "end"}), ({"mode": "start"}, {"extend_at": "start"}), ({"mode": "end"}, {"extend_at": "end"})],
)
def test_an_extension_knows_its_end(given: dict[str, JsonValue], options: JsonObject) -> None:
    order = plan_order(call(given, task="video-extend", output=VIDEO_OUTPUT, files=[video_file()]))
    assert order["options"] == options


def test_settings_of_captions_and_frames_are_passed_on() -> None:
    given: dict[str, JsonValue] = {"color": "white", "font_size": 7, "position": "top", "kerning": -5}
    order = plan_order(
        call(given, model_id="video-autocaption", task="video-edit", output=VIDEO_OUTPUT, files=[video_file()])
    )
    assert order["options"] == {"color": "white", "font_size": 7, "position": "top", "text": "a boat on the sea"}


def test_a_script_stands_in_for_a_prompt() -> None:
    asked = call({"prompt": "", "script": "Good morning"}, task="avatar", output=VIDEO_OUTPUT, files=[image_file()])
    order = plan_order(asked)
    assert order["prompt"] == "Good morning"
    assert order["options"] == {"script": "Good morning"}


def test_music_and_sounds() -> None:
    music = plan_order(call({"duration": 30, "output_format": "wav_16khz"}, task="music", output=AUDIO_OUTPUT))
    assert [music[name] for name in ("operation", "seconds", "file_format", "sample_rate")] == [
        "music",
        30,
        "wav",
        16_000,
    ]
    sound = plan_order(call(task="video-to-audio", output=AUDIO_OUTPUT, files=[video_file()]))
    assert (sound["operation"], sound["sources"]) == ("sound", {"source_video": [0]})


def test_singing_is_on_request() -> None:
    def is_instrumental(given: dict[str, JsonValue]) -> JsonValue:
        return plan_order(call(given, task="music", output=AUDIO_OUTPUT))["options"]

    assert is_instrumental({}) == is_instrumental({"force_instrumental": True}) == {"instrumental": True}
    assert is_instrumental({"force_instrumental": False}) == {"instrumental": False}


def test_a_clip_too_long_is_refused() -> None:
    with pytest.raises(CannotDraw, match="at most 600"):
        plan_order(call({"duration": 601}, task="text-to-video", output=VIDEO_OUTPUT))


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ({}, [40_000, True, False]),
        ({"face_count": 90_000, "enable_pbr": True}, [90_000, True, True]),
        ({"generate_type": "Geometry"}, [40_000, False, False]),
    ],
)
def test_a_model(given: dict[str, JsonValue], facts: list[JsonValue]) -> None:
    order = plan_order(call(given, task="3d", output=MODEL_OUTPUT))
    assert [order[name] for name in ("face_count", "textured", "with_pbr")] == facts
    assert order["sources"] == {}


def test_a_model_of_a_picture() -> None:
    assert plan_order(call(task="3d", output=MODEL_OUTPUT, files=[image_file()]))["sources"] == {"source_image": [0]}
