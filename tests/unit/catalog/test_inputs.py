"""What callers may write, and what they are told when it is wrong."""

import json
import math

import pytest
from tests.unit.catalog.conftest import MakeModel

from pixeldojo.catalog.inputs import MediaValue, media_values, read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonValue

IMAGE = "https://example.com/a.png"
VIDEO = "https://example.com/a.mp4"
WIDE: dict[str, JsonValue] = {"script": "Hello", "video_url": VIDEO, "image_urls": [IMAGE]}


def breaches_of(model: Model, raw: dict[str, JsonValue]) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        read_input(model, raw)
    json.dumps([detail.message for detail in caught.value.details]).encode()
    caught.value.message.encode()
    return {detail.path: detail.message for detail in caught.value.details}


def test_defaults_are_filled_in_the_order_of_the_parameters(catalog: Catalog) -> None:
    read = read_input(catalog.find("flux-1.1-pro"), {"output_format": "png", "prompt": "A sunset"})
    assert list(read.items()) == [
        ("prompt", "A sunset"),
        ("aspect_ratio", "1:1"),
        ("safety_tolerance", 2),
        ("enhance_prompt", False),
        ("output_format", "png"),
        ("output_quality", 80),
    ]


def test_the_original_document_s_example_is_valid(catalog: Catalog) -> None:
    assert (
        read_input(catalog.find("flux-1.1-pro"), {"prompt": "A sunset", "aspect_ratio": "1:1"})["prompt"] == "A sunset"
    )


@pytest.mark.parametrize(
    ("model_id", "alias", "canonical", "value"),
    [
        ("flux-1.1-pro", "image", "image_url", IMAGE),
        ("flux-2-pro", "images", "image_urls", [IMAGE]),
        ("nano-banana-2", "reference_urls", "image_urls", [IMAGE]),
        ("nano-banana-2", "reference_images", "image_urls", [IMAGE]),
        ("veo-3.1-fast", "last_frame", "end_image_url", IMAGE),
        ("veo-3.1-fast", "last_image_url", "end_image_url", IMAGE),
        ("video-upscaler", "video", "video_url", VIDEO),
        ("flux-2-pro", "aspectRatio", "aspect_ratio", "16:9"),
    ],
)
def test_names_of_hosted_clients_are_read_under_the_canonical_name(
    catalog: Catalog, model_id: str, alias: str, canonical: str, value: JsonValue
) -> None:
    raw: dict[str, JsonValue] = {alias: value}
    if model_id != "video-upscaler":
        raw["prompt"] = "x"
    if canonical == "end_image_url":
        raw["image_url"] = IMAGE
    read = read_input(catalog.find(model_id), raw)
    assert read[canonical] == value
    assert alias not in read


def test_an_alias_needs_the_canonical_input(catalog: Catalog) -> None:
    assert "image" in breaches_of(catalog.find("text-to-music"), {"prompt": "x", "image": IMAGE})


def test_an_alias_beside_its_canonical_name_is_refused(catalog: Catalog) -> None:
    found = breaches_of(catalog.find("flux-1.1-pro"), {"prompt": "x", "image": IMAGE, "image_url": IMAGE})
    assert any("image and image_url are the same input; give one." in message for message in found.values())


def test_a_wrong_value_is_reported_under_the_name_the_caller_used(catalog: Catalog) -> None:
    found = breaches_of(catalog.find("flux-2-pro"), {"prompt": "x", "images": ["ftp://a"]})
    assert found["images[0]"] == (
        'An item of image_urls must be an https URL or a data: URI of an image, not "ftp://a".'
        " (images is read as image_urls.)"
    )


def test_a_model_s_own_alias_counts(wide: Model) -> None:
    raw: dict[str, JsonValue] = {"prompt": "Hello", "video_url": VIDEO, "image_urls": [IMAGE]}
    assert read_input(wide, raw)["script"] == "Hello"


def test_every_breach_is_listed_with_what_was_given_and_what_would_be_right(catalog: Catalog) -> None:
    raw: dict[str, JsonValue] = {
        "prompt": "",
        "aspect_ratio": "tall",
        "safety_tolerance": 9,
        "seed": "1",
        "output_format": "jpgg",
        "output_quality": None,
        "enhance_prompt": 1,
        "widht": 3,
    }
    assert breaches_of(catalog.find("flux-1.1-pro"), raw) == {
        "prompt": "prompt needs at least 1 character, not 0.",
        "aspect_ratio": 'aspect_ratio must be "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4" or '
        '"4:3", not "tall".',
        "safety_tolerance": "safety_tolerance must be 1 to 6, not 9.",
        "seed": 'seed must be an integer, not the string "1".',
        "output_format": 'output_format must be "webp", "jpg" or "png", not "jpgg"; did you mean "jpg"?',
        "output_quality": "output_quality must be an integer, not null (leave it out to get the default).",
        "enhance_prompt": "enhance_prompt must be a boolean, not the number 1.",
        "widht": '"widht" is not an input of this model; did you mean "width"?',
    }


def test_of_ratios_none_is_named_as_near(catalog: Catalog) -> None:
    assert (
        "mean"
        not in breaches_of(catalog.find("flux-1.1-pro"), {"prompt": "x", "aspect_ratio": "16:10"})["aspect_ratio"]
    )


def test_the_message_gives_the_first_breach_and_counts_the_others(catalog: Catalog) -> None:
    with pytest.raises(ValidationError) as caught:
        read_input(catalog.find("flux-1.1-pro"), {"seed": 0.5, "prompt": 3})
    assert caught.value.message == "prompt must be a string, not the number 3. (1 more in details)"


def test_a_missing_input_says_what_it_is_for(catalog: Catalog) -> None:
    assert breaches_of(catalog.find("video-upscaler"), {}) == {
        "video_url": "video_url is required: The clip to enlarge."
    }


def test_inputs_that_exist_only_sometimes(catalog: Catalog) -> None:
    flux = catalog.find("flux-2-pro")
    assert breaches_of(flux, {"prompt": "x", "width": 1024}) == {
        "width": 'width is only for inputs where aspect_ratio is "custom"; leave it out.'
    }
    assert breaches_of(flux, {"prompt": "x", "aspect_ratio": "custom", "width": 1024}) == {
        "height": 'height is required when aspect_ratio is "custom": Height in pixels.'
    }
    custom: dict[str, JsonValue] = {"prompt": "x", "aspect_ratio": "custom", "width": 1024, "height": 512}
    assert read_input(flux, custom)["height"] == 512


def test_a_default_is_filled_in_only_where_the_input_exists(wide: Model) -> None:
    assert "strength" not in read_input(wide, WIDE)
    assert read_input(wide, {**WIDE, "model": "pro"})["strength"] == 0.5


@pytest.mark.parametrize(
    ("model_id", "raw", "path", "message"),
    [
        ("hunyuan-3d", {}, "prompt", "Give exactly one of prompt or image_url; none was given."),
        (
            "hunyuan-3d",
            {"prompt": "a", "image_url": IMAGE},
            "image_url",
            "Give exactly one of prompt or image_url; prompt and image_url were given.",
        ),
        (
            "veo-3.1-fast",
            {"end_image_url": IMAGE},
            "image_url",
            "When end_image_url is given, image_url is needed too.",
        ),
        (
            "veo-3.1-fast",
            {"image_urls": [IMAGE], "duration": 6},
            "duration",
            "When image_urls is given, duration must be 8.",
        ),
        (
            "hailuo-standard",
            {"resolution": "1080p", "duration": 10},
            "duration",
            'When resolution is "1080p", duration must be 6: the model makes 10 seconds at 768p only.',
        ),
        (
            "flux-2-pro",
            {"aspect_ratio": "match_input_image"},
            "image_urls",
            'When aspect_ratio is "match_input_image", image_urls is needed too.',
        ),
    ],
)
def test_rules_between_inputs_are_said_in_words(
    catalog: Catalog, model_id: str, raw: dict[str, JsonValue], path: str, message: str
) -> None:
    prompt: dict[str, JsonValue] = {} if model_id == "hunyuan-3d" else {"prompt": "x"}
    assert breaches_of(catalog.find(model_id), {**prompt, **raw}) == {path: message}


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            {"image_urls": [IMAGE] * 4, "num_outputs": 3},
            "image_urls",
            "image_urls, elements and num_outputs may come to at most 6 together, not 7.",
        ),
        (
            {"loras": ["a", "b"], "lora_scales": [1]},
            "lora_scales",
            "loras and lora_scales must have as many items as one another; loras has 2 and lora_scales has 1.",
        ),
        (
            {"width": 4096, "height": 4096},
            "width",
            "width x height must be 1024 to 1000000 pixels in all, not 16777216.",
        ),
        ({"width": 1024, "height": 256}, "width", "The longer of width and height may be 3 times the other at most."),
        ({"width": 512}, "height", "When width is given, height is needed too."),
        (
            {"num_outputs": 2, "negative_prompt": "x"},
            "negative_prompt",
            "When num_outputs is at least 2, leave negative_prompt out.",
        ),
        (
            {"resolution": "480p", "keep_audio": False},
            "keep_audio",
            'When resolution is "480p" and num_outputs is at most 1, keep_audio must be true.',
        ),
        (
            {"image_urls": []},
            "image_urls",
            "Give at least one of image_urls or elements; none was given: the engine needs something to put in.",
        ),
        ({"elements": [{"scale": 9}]}, "elements[0].front_url", "front_url is required: From the front."),
        ({"elements": [{"front_url": IMAGE, "scale": 9}]}, "elements[0].scale", "scale must be 0 to 4, not 9."),
        (
            {"elements": [{"front_url": IMAGE, "scal": 1}]},
            "elements[0].scal",
            '"scal" is not an input of this model; did you mean "scale"?',
        ),
        ({"lora_scales": [1, "a"]}, "lora_scales[1]", 'An item of lora_scales must be a number, not the string "a".'),
        ({"lora_scales": [7]}, "lora_scales[0]", "An item of lora_scales must be -1 to 3, not 7."),
        ({"image_urls": IMAGE}, "image_urls", f'image_urls must be an array, not the string "{IMAGE}".'),
        ({"image_urls": [IMAGE] * 5}, "image_urls", "image_urls may have at most 4 items, not 5."),
        ({"script": "x" * 20_001}, "script", "script may have at most 20000 characters, not 20001."),
    ],
)
def test_every_kind_of_rule_and_limit(wide: Model, change: dict[str, JsonValue], path: str, message: str) -> None:
    assert breaches_of(wide, {**WIDE, **change})[path] == message


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("minimum = 1", "steps must be at least 1, not 0."),
        ("maximum = -1", "steps must be at most -1, not 0."),
    ],
)
def test_a_limit_on_one_side(make_model: MakeModel, limits: str, message: str) -> None:
    steps = f'[[parameters]]\nname="steps"\ntype="integer"\ndescription="Steps."\n{limits}\n'
    assert breaches_of(make_model(steps), {"prompt": "x", "steps": 0}) == {"steps": message}


def test_members_of_objects_get_their_defaults(wide: Model) -> None:
    read = read_input(wide, {**WIDE, "elements": [{"front_url": IMAGE}]})
    assert read["elements"] == [{"front_url": IMAGE, "scale": 1.0}]


def test_an_empty_optional_input_is_one_left_out(wide: Model) -> None:
    raw: dict[str, JsonValue] = {**WIDE, "negative_prompt": "", "elements": []}
    assert read_input(wide, raw) == read_input(wide, WIDE)


def test_whole_numbers_become_integers(catalog: Catalog) -> None:
    duration = read_input(catalog.find("text-to-music"), {"prompt": "x", "duration": 30.0})["duration"]
    assert (duration, type(duration)) == (30, int)


def nested(depth: int) -> JsonValue:
    value: JsonValue = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("a\0b", "holds a NUL character", id="nul"),
        pytest.param("a\ud800b", "holds half of a surrogate pair", id="surrogate"),
        pytest.param("x" * 33_500_001, "is longer than 33500000 characters", id="endless text"),
        pytest.param(math.nan, "is not a number", id="nan"),
        pytest.param(math.inf, "is not a number", id="infinity"),
        pytest.param(10**5000, "is beyond 9007199254740991", id="endless number"),
        pytest.param(nested(5_000), "is nested more than 6 levels deep", id="endless nesting"),
        pytest.param(["x"] * 5_000, "has 5000 items", id="endless list"),
        pytest.param({"\0": 1}, "holds a NUL character", id="nul in a key"),
        pytest.param([{"a": "\ud800"}], "holds half of a surrogate pair", id="surrogate inside"),
    ],
)
def test_hostile_values_are_refused_in_one_clean_sentence(catalog: Catalog, value: JsonValue, reason: str) -> None:
    found = breaches_of(catalog.find("flux-1.1-pro"), {"prompt": value})
    assert list(found) == ["prompt"]
    assert reason in found["prompt"]


def test_hostile_names_are_refused_and_can_be_printed(catalog: Catalog) -> None:
    raw: dict[str, JsonValue] = {"prompt": "x", "\ud800\0": 1, "x" * 100_000: 2, "a.b[0]": 3}
    found = breaches_of(catalog.find("flux-1.1-pro"), raw)
    assert len(found) == 3
    assert all(len(path) < 200 for path in found)


def test_at_most_a_hundred_breaches_are_listed(catalog: Catalog) -> None:
    assert len(breaches_of(catalog.find("flux-1.1-pro"), {f"x{n}": n for n in range(5_000)})) == 100


def test_a_data_uri_is_a_medium(catalog: Catalog) -> None:
    data = "data:video/mp4;base64," + "A" * 1_000_000
    assert read_input(catalog.find("video-upscaler"), {"video_url": data})["video_url"] == data


def test_media_values_are_every_address_in_order(wide: Model) -> None:
    raw: dict[str, JsonValue] = {
        **WIDE,
        "image_urls": [IMAGE, IMAGE],
        "elements": [{"front_url": "https://example.com/1"}, {"front_url": "https://example.com/2"}],
    }
    assert media_values(wide, read_input(wide, raw)) == (
        MediaValue("video_url", 0, "video", VIDEO),
        MediaValue("image_urls", 0, "image", IMAGE),
        MediaValue("image_urls", 1, "image", IMAGE),
        MediaValue("elements.front_url", 0, "image", "https://example.com/1"),
        MediaValue("elements.front_url", 1, "image", "https://example.com/2"),
    )


def test_an_empty_text_in_a_list_stays_a_text(catalog: Catalog) -> None:
    read = read_input(catalog.find("flux-2-klein-4b"), {"prompt": "x", "loras": ["", "https://a/b"]})
    assert read["loras"] == ["", "https://a/b"]
