"""An input in the words of each upstream."""

from dataclasses import dataclass

import pytest

from pixeldojo.catalog.bind import BindingError, bind, choose_upstreams, put
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue

IMAGE = "https://example.com/a.png"
VIDEO = "https://example.com/a.mp4"
WIDE: dict[str, JsonValue] = {"script": "Hi", "video_url": VIDEO, "image_urls": [IMAGE]}


@dataclass(frozen=True)
class File:
    """A fetched input, as the worker knows it."""

    parameter: str
    kind: str = "image"
    width: int | None = 800
    height: int | None = 600
    duration_seconds: float | None = None
    frames_per_second: float | None = None
    has_audio: bool = False
    size_bytes: int = 500


def bound(model: Model, raw: dict[str, JsonValue], *files: File) -> dict[str, dict[str, JsonValue]]:
    """Return the arguments by endpoint, for every upstream chosen."""
    read = read_input(model, raw)
    return {u.endpoint: bind(u, model, read, {}, files) for u in choose_upstreams(model, read, files)}


def test_names_values_and_constants_of_each_upstream_of_flux(catalog: Catalog) -> None:
    raw: dict[str, JsonValue] = {"prompt": "x", "image_urls": [IMAGE], "output_format": "jpg", "aspect_ratio": "16:9"}
    assert bound(catalog.find("flux-2-pro"), raw) == {
        "black-forest-labs/flux-2-pro": {
            "input_images": [IMAGE],
            "prompt": "x",
            "aspect_ratio": "16:9",
            "resolution": "1 MP",
            "safety_tolerance": 2,
            "output_format": "jpg",
            "output_quality": 80,
        },
        "fal-ai/flux-2-pro/edit": {
            "safety_tolerance": "2",
            "output_format": "jpeg",
            "prompt": "x",
            "image_urls": [IMAGE],
            "image_size": {"width": 1360, "height": 768},
            "enable_safety_checker": True,
        },
    }


def test_a_size_sent_in_pixels_follows_the_picture_where_the_caller_asked_for_that(catalog: Catalog) -> None:
    raw: dict[str, JsonValue] = {
        "prompt": "x",
        "image_urls": [IMAGE],
        "output_format": "png",
        "aspect_ratio": "match_input_image",
    }
    arguments = bound(catalog.find("flux-2-pro"), raw, File("image_urls", width=2000, height=1000))
    assert arguments["fal-ai/flux-2-pro/edit"]["image_size"] == {"width": 1456, "height": 720}


def test_an_upstream_is_left_out_where_its_words_cannot_say_the_input(catalog: Catalog) -> None:
    flux = catalog.find("flux-1.1-pro")
    assert list(bound(flux, {"prompt": "x", "output_format": "png"})) == [
        "black-forest-labs/flux-1.1-pro",
        "fal-ai/flux-pro/v1.1",
    ]
    assert list(bound(flux, {"prompt": "x"})) == ["black-forest-labs/flux-1.1-pro"]


def test_what_an_upstream_lacks_leaves_it_out_once_the_caller_cares(catalog: Catalog) -> None:
    veo = catalog.find("veo-3.1-fast")
    assert "google/veo-3.1-fast" in bound(veo, {"prompt": "x"})
    assert list(bound(veo, {"prompt": "x", "safety_tolerance": "2"})) == ["fal-ai/veo3.1/fast"]


def test_each_mode_goes_to_the_endpoint_made_for_it(catalog: Catalog) -> None:
    veo = catalog.find("veo-3.1-fast")
    both: dict[str, JsonValue] = {"prompt": "x", "image_url": IMAGE, "end_image_url": VIDEO}
    assert bound(veo, both)["fal-ai/veo3.1/fast/first-last-frame-to-video"]["last_frame_url"] == VIDEO
    assert bound(veo, both)["google:3@3"]["inputs"] == {
        "frameImages": [{"image": IMAGE, "frame": "first"}, {"image": VIDEO, "frame": "last"}]
    }
    assert list(bound(veo, {"prompt": "x", "image_urls": [IMAGE]})) == ["google:3@3"]
    words_alone = bound(veo, {"prompt": "x", "negative_prompt": "fog"})
    assert words_alone["models/veo-3.1-fast-generate-001:predictLongRunning"] == {
        "instances": [{"prompt": "x"}],
        "parameters": {
            "negativePrompt": "fog",
            "durationSeconds": 8,
            "aspectRatio": "16:9",
            "resolution": "1080p",
            "sampleCount": 1,
        },
    }
    assert not [name for name in bound(veo, {"prompt": "x", "seed": 3}) if name.startswith("models/veo")]


def test_units_and_spellings_are_converted(catalog: Catalog) -> None:
    music = bound(catalog.find("text-to-music"), {"prompt": "x", "duration": 30})
    assert music["elevenlabs/music"]["music_length_ms"] == 30_000
    assert music["fal-ai/elevenlabs/music"]["output_format"] == "mp3_44100_128"
    wan = bound(catalog.find("wan-2.6-standard"), {"prompt": "x", "image_url": IMAGE, "resolution": "1080p"})
    assert wan["wan2.6-i2v@services/aigc/video-generation/video-synthesis"]["parameters"] == {
        "duration": 5,
        "resolution": "1080P",
        "shot_type": "single",
        "prompt_extend": True,
        "watermark": False,
    }
    assert wan["wan/v2.6/image-to-video"]["duration"] == "5"
    assert bound(catalog.find("veo-3.1-fast"), {"prompt": "x"})["fal-ai/veo3.1/fast"]["duration"] == "8s"


def test_the_safe_constant_is_sent_wherever_there_is_a_switch(catalog: Catalog) -> None:
    edit = bound(catalog.find("p-image-edit"), {"prompt": "x", "image_urls": [IMAGE]})
    assert edit["prunaai/p-image-edit"]["disable_safety_checker"] is False
    assert bound(catalog.find("wan-2.6-standard"), {"prompt": "x"})["wan/v2.6/text-to-video"]["enable_safety_checker"]


def test_every_conversion_of_the_format(wide: Model) -> None:
    raw: dict[str, JsonValue] = {
        **WIDE,
        "elements": [{"front_url": IMAGE}, {"front_url": VIDEO, "scale": 2.5}],
        "loras": ["a", "b"],
        "lora_scales": [0.5, 1],
        "keep_audio": False,
    }
    assert bound(wide, raw, File("video_url", "video", 1000, 1000, 4.0))["second/std"] == {
        "messages": [
            {
                "content": [{"type": "image", "url": IMAGE}, {"type": "text", "text": ["Hi"]}],
                "role": "user",
            }
        ],
        "parameters": {"tier": "STANDARD", "size": "720*720", "safe": True},
        "videos": [VIDEO],
        "fronts": [IMAGE, VIDEO],
        "scales": ["x1.0", "x2.5"],
        "lora": "a,b",
        "lora_scale": 50,
        "mute": True,
    }


def test_values_that_mean_nothing_to_an_upstream_are_not_sent(wide: Model) -> None:
    raw: dict[str, JsonValue] = {**WIDE, "model": "pro", "loras": ["none"]}
    assert bound(wide, raw)["first/pro"].keys().isdisjoint({"tier", "resolution", "loras"})
    raw |= {"resolution": "480p", "loras": ["none", "a"]}
    assert (bound(wide, raw)["first/pro"]["tier"], bound(wide, raw)["first/pro"]["loras"]) == ("480p", ["a"])


def test_one_upstream_of_each_provider_is_chosen_in_the_order_of_the_file(wide: Model) -> None:
    assert list(bound(wide, {**WIDE, "model": "pro", "strength": 0.5})) == ["first/pro", "second/std"]
    assert list(bound(wide, WIDE)) == ["second/std"]
    assert list(bound(wide, {**WIDE, "num_outputs": 2})) == ["second/never-reached"]


@pytest.mark.parametrize(
    "file",
    [
        File("video_url", "video", duration_seconds=11),
        File("video_url", "video", size_bytes=1001),
        File("video_url", "video", width=99),
        File("video_url", "video", height=2001),
    ],
)
def test_a_file_beyond_an_upstream_s_limits_leaves_it_out(wide: Model, file: File) -> None:
    raw: dict[str, JsonValue] = {**WIDE, "model": "pro"}
    assert "first/pro" in bound(wide, raw, File("video_url", "video", duration_seconds=10, size_bytes=1000))
    assert "first/pro" in bound(wide, raw, File("image_urls", "image", size_bytes=10**9))
    assert "first/pro" not in bound(wide, raw, file)


def test_the_picture_limits_of_hunyuan_decide_who_makes_the_mesh(catalog: Catalog) -> None:
    hunyuan = catalog.find("hunyuan-3d")
    raw: dict[str, JsonValue] = {"image_url": IMAGE}
    assert list(bound(hunyuan, raw, File("image_url", size_bytes=7_000_000))) == [
        "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d"
    ]
    assert bound(hunyuan, raw, File("image_url", width=100)) == {}


def test_media_travel_under_the_addresses_handed_in(wide: Model) -> None:
    raw: dict[str, JsonValue] = {
        **WIDE,
        "image_urls": [IMAGE, IMAGE],
        "elements": [{"front_url": IMAGE}, {"front_url": IMAGE}],
    }
    read = read_input(wide, raw)
    urls = {("video_url", 0): "v", ("image_urls", 1): "i1", ("elements.front_url", 1): "f1"}
    first, second = wide.upstreams[0], wide.upstreams[1]
    assert bind(second, wide, read, urls)["fronts"] == [IMAGE, "f1"]
    assert bind(second, wide, read, urls)["videos"] == ["v"]
    assert bind(first, wide, read, urls)["image_urls"] == [IMAGE, "i1"]


def test_paths_build_what_they_say() -> None:
    arguments: dict[str, JsonValue] = {}
    put(arguments, "a.b", 1)
    put(arguments, "a.list[]", 2)
    put(arguments, "a.list[]", 3)
    put(arguments, "m[0].x", 4)
    put(arguments, "m[1].x", 5)
    put(arguments, "m[0].y", 6)
    assert arguments == {"a": {"b": 1, "list": [2, 3]}, "m": [{"x": 4, "y": 6}, {"x": 5}]}


@pytest.mark.parametrize(("path", "reason"), [("a", "written twice"), ("a[]", "not a list"), ("a.b", "already holds"),
                                              ("b[3].c", "leaves a gap"), ("", "not a path"), ("a[x]", "not a path"),
                                              ("c[].d", "leaves a gap")])  # fmt: skip
def test_paths_that_collide_are_refused(path: str, reason: str) -> None:
    with pytest.raises(BindingError, match=reason):
        put({"a": 1}, path, 2)
