"""The catalog as the API shows it."""

import json

import pytest
from jsonschema_rs import Draft202012Validator, meta

from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.texts import capabilities, list_models, model_detail, model_item
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject


def ids(listed: JsonObject) -> list[str]:
    models = listed["models"]
    assert isinstance(models, list)
    return [model["apiId"] for model in models]


def test_an_item_has_the_members_of_the_contract(catalog: Catalog) -> None:
    assert model_item(catalog.find("veo-3.1-fast")) == {
        "apiId": "veo-3.1-fast",
        "name": "VEO 3.1 Fast",
        "description": catalog.find("veo-3.1-fast").description,
        "modality": "video",
        "capabilities": ["text-to-video", "image-to-video", "reference-to-video", "audio"],
        "features": ["Audio"],
        "useCases": ["video", "cinematic"],
        "creditCost": {"type": "per_second", "default": 24, "amount": 3, "unit": "second"},
        "sandboxOnly": False,
    }


def test_a_detail_adds_parameters_schema_and_kind(catalog: Catalog) -> None:
    detail = model_detail(catalog.find("flux-2-pro"))
    assert detail["outputKind"] == "image"
    assert detail["requestSchema"] == catalog.find("flux-2-pro").request_schema
    parameters = detail["parameters"]
    assert isinstance(parameters, list)
    assert parameters[1] == {
        "name": "image_urls",
        "type": "array<string>",
        "required": False,
        "description": "Pictures to edit or to take as reference, the main one first.",
        "maxItems": 8,
        "media": "image",
    }
    assert parameters[4]["appliesWhen"] == 'aspect_ratio is "custom"'


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("flux-1.1-pro", ("text-to-image",)),
        ("flux-2-pro", ("text-to-image", "image-edit")),
        ("p-image-edit", ("image-edit",)),
        ("hailuo-standard", ("text-to-video", "image-to-video")),
        ("text-to-music", ("music",)),
    ],
)
def test_capabilities_are_what_the_inputs_allow(catalog: Catalog, model_id: str, expected: tuple[str, ...]) -> None:
    assert capabilities(catalog.find(model_id)) == expected


def test_loras_count_where_there_is_an_input_for_them(wide: Model) -> None:
    assert capabilities(wide) == ("video-edit", "lora", "audio")


def test_the_list_counts_what_it_returns(catalog: Catalog) -> None:
    everything = list_models(catalog)
    sections = [model.section for model in catalog.models]
    images, videos = sections.count("image"), sections.count("video")
    assert images
    assert videos
    assert (everything["total"], everything["imageCount"], everything["videoCount"]) == (len(sections), images, videos)
    only_videos = list_models(catalog, modality="video")
    assert (only_videos["total"], only_videos["imageCount"], only_videos["videoCount"]) == (videos, 0, videos)


def test_filters_narrow_the_list(catalog: Catalog) -> None:
    for filters, inside, outside in (
        ({"capability": "image-edit"}, {"flux-2-pro", "nano-banana-2", "p-image-edit"}, {"flux-1.1-pro"}),
        ({"use_case": "character"}, {"flux-1.1-pro"}, {"flux-2-pro"}),
        ({"q": "GOOGLE editing"}, {"nano-banana-2"}, {"flux-2-pro", "veo-3.1-fast"}),
        ({"modality": "image", "use_case": "cinematic"}, {"flux-2-pro"}, {"veo-3.1-fast", "flux-1.1-pro"}),
    ):
        found = set(ids(list_models(catalog, **filters)))  # type: ignore[arg-type]  # a wrong keyword would fail
        assert inside <= found, filters
        assert not outside & found, filters
    assert ids(list_models(catalog, q="no such thing")) == []


def test_detailed_items_carry_their_schema(catalog: Catalog) -> None:
    listed = list_models(catalog, q="flux", detailed=True)["models"]
    assert isinstance(listed, list)
    assert all("requestSchema" in model and "parameters" in model for model in listed)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"modality": "audio"}, "modality must be one of image or video."),
        ({"use_case": "cooking"}, "use_case must be one of .*character, cinematic"),
        ({"capability": "fly"}, "capability must be one of 3d, audio"),
    ],
)
def test_a_filter_that_nothing_can_match_is_refused(catalog: Catalog, filters: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        list_models(catalog, **filters)  # type: ignore[arg-type]  # a wrong keyword would fail the test
    assert [detail.path for detail in caught.value.details] == list(filters)


def test_everything_is_plain_json_and_schemas_are_schemas(catalog: Catalog, wide: Model) -> None:
    json.dumps(list_models(catalog, detailed=True), allow_nan=False)
    for model in (*catalog.models, wide):
        assert meta.is_valid(model.request_schema)
        Draft202012Validator(model.request_schema)
