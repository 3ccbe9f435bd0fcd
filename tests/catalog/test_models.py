"""Promises that every file of the packaged catalog keeps, and the facts of the first ten."""

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from jsonschema_rs import Draft202012Validator
from tests.catalog.strategies import MODELS, Request, requests, valid_inputs

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import cost_line, quote_price
from pixeldojo.catalog.request_schema import ITEMS_MAXIMUM, MEDIA_MAXIMUM, NUMBER_MAXIMUM, TEXT_MAXIMUM
from pixeldojo.catalog.schema import PROVIDERS, Model
from pixeldojo.catalog.texts import parameter_json
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.output_facts import OutputFacts

# What a schema says where a model sets no limit of its own; least lengths follow from being required.
UNLIMITED = {None, 0, 1, ITEMS_MAXIMUM, TEXT_MAXIMUM, MEDIA_MAXIMUM, NUMBER_MAXIMUM, -NUMBER_MAXIMUM}

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
PACKAGED = {model.id: model for model in MODELS}


@dataclass(frozen=True)
class Original:
    """What the original document says of a model."""

    name: str
    section: str
    cost: str
    features: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()


ORIGINALS = {
    "flux-2-pro": Original(
        "Flux 2 Pro",
        "image",
        "1.5 credit(s) (by resolution: 0.5 MP=1, 1 MP=1.5, 2 MP=2, 4 MP=2)",
        ("LoRA", "Editing"),
        ("photorealism", "cinematic"),
    ),
    "flux-1.1-pro": Original(
        "Flux 1.1 Pro", "image", "1 credit(s)", ("LoRA", "Editing"), ("photorealism", "character")
    ),
    "nano-banana-2": Original(
        "Google Nano Banana 2",
        "image",
        "3 credit(s) (by resolution: 1K=2, 2K=3, 4K=4)",
        ("Editing",),
        ("photorealism", "marketing"),
    ),
    "hunyuan-3d": Original("Hunyuan 3D", "image", "4 credit(s)"),
    "p-image-edit": Original("P-Image Edit", "image", "0.25 credit(s)", ("Editing",)),
    "hailuo-standard": Original(
        "Hailuo Standard",
        "video",
        "8 credit(s) (768p: 6s=8/10s=12; 1080p: 6s=12/10s=20)",
        (),
        ("video", "marketing"),
    ),
    "text-to-music": Original("Text to Music", "video", "2 credit(s)"),
    "veo-3.1-fast": Original("VEO 3.1 Fast", "video", "3 credits/sec", ("Audio",), ("video", "cinematic")),
    "video-upscaler": Original("Video Upscaler", "video", "10 credit(s)"),
    "wan-2.6-standard": Original(
        "WAN 2.6 Standard",
        "video",
        "2.5 credits/sec (by resolution: 720p=2.5, 1080p=3 /sec)",
        ("Audio",),
        ("video", "cinematic"),
    ),
}


@pytest.mark.parametrize("model_id", ORIGINALS)
def test_name_section_cost_features_and_use_cases_are_the_original_s(model_id: str) -> None:
    model = PACKAGED[model_id]
    assert Original(model.name, model.section, cost_line(model), model.features, model.use_cases) == ORIGINALS[model_id]


def test_every_upstream_has_an_adapter_and_every_adapter_an_upstream() -> None:
    packaged = [model for model in MODELS if model.id != "wide"]
    assert {upstream.provider for model in packaged for upstream in model.upstreams} == set(PROVIDERS)
    assert [model.id for model in packaged if model.sandbox_only] == ["qwen-image-edit-spicy", "z-image-spicy"]


def test_runway_s_three_ids_take_cost_send_and_promise_the_same() -> None:
    first, *others = (PACKAGED[name] for name in ("runway-gen4-video", "runway-video", "runway-gen4"))
    own = {key: getattr(first, key) for key in ("id", "name", "description", "order", "confidence", "use_cases")}
    assert [replace(other, **own) for other in others] == [first, first]
    assert len({(model.name, model.description, model.order) for model in (first, *others)}) == 3


def test_the_models_stand_in_the_original_s_order() -> None:
    assert [model_id for model_id in PACKAGED if model_id in ORIGINALS] == list(ORIGINALS)


@every_model
def test_the_example_is_read_priced_and_bound_for_an_upstream(model: Model) -> None:
    read = read_input(model, model.example)
    assert Draft202012Validator(model.request_schema).is_valid(model.example)
    assert quote_price(model, read).amount_millicredits > 0
    upstreams = choose_upstreams(model, read)
    assert bool(upstreams) == (model.sandbox_only is None)
    assert all(bind(upstream, model, read, {}) for upstream in upstreams)


@every_model
def test_every_two_inputs_that_upstreams_differ_over_are_refused_or_served(model: Model) -> None:
    """Each pair of values of what decides about upstreams: refused with a reason, or some upstream takes it."""
    if model.sandbox_only:
        return
    asked = {name for upstream in model.upstreams if upstream.when for name in upstream.when.names()}
    lacked = {name for upstream in model.upstreams for name in upstream.lacks}
    deciding = [parameter for parameter in model.parameters if parameter.name in asked | lacked]
    for first, second in combinations_with_replacement(deciding, 2):
        for one, other in product(telling_values(first), telling_values(second)):
            try:
                read = read_input(model, {**model.example, first.name: one, second.name: other})
            except ValidationError:
                continue
            assert choose_upstreams(model, read), (first.name, one, second.name, other)


def telling_values(parameter: Parameter) -> tuple[JsonValue, ...]:
    """Return the values a parameter lists, or an example and its limits."""
    if parameter.enum and not parameter.is_array:
        return parameter.enum
    if parameter.type == "boolean":
        return (True, False)
    limits = () if parameter.is_array else (parameter.minimum, parameter.maximum)
    return (example_value(parameter), *(limit for limit in limits if limit is not None))


@settings(max_examples=80, deadline=None)
@given(requests(valid_inputs))
def test_whatever_is_not_refused_can_be_served(request_: Request) -> None:
    model, raw = request_
    try:
        read = read_input(model, raw)
    except ValidationError:
        read = read_input(model, model.example)
    upstreams = choose_upstreams(model, read)
    assert upstreams or model.sandbox_only
    assert all(bind(upstream, model, read, {}) for upstream in upstreams)


@every_model
def test_no_clip_or_sound_passes_that_every_upstream_would_refuse_for_its_length(model: Model) -> None:
    """Otherwise it would work on the sandbox and fail in live mode."""
    for parameter in model.media_parameters:
        takers = [one for one in model.upstreams if not (one.when and parameter.name in one.when.absent)]
        limits = [one.limits.get(parameter.name) for one in takers if parameter.name not in one.lacks]
        most = [limit.maximum_seconds for limit in limits if limit and limit.maximum_seconds is not None]
        if takers and len(most) == len(limits):
            longest = [one.maximum for one in model.lengths if one.of == parameter.name and one.maximum is not None]
            assert longest, parameter.name
            assert min(longest) <= max(most), parameter.name


@every_model
def test_a_property_says_type_description_and_limits(model: Model) -> None:
    properties = model.request_schema["properties"]
    assert isinstance(properties, dict)
    limits = {"string": "maxLength", "integer": "maximum", "number": "maximum", "array": "maxItems"}
    for name, schema in properties.items():
        assert schema["description"].endswith("."), name
        assert schema["type"] == "boolean" or "enum" in schema or limits[schema["type"]] in schema, name
        parameter = model.parameter(name)
        assert parameter is not None
        assert schema.get("default") == parameter.default


@every_model
def test_a_parameter_as_json_says_what_its_schema_says(model: Model) -> None:
    properties = model.request_schema["properties"]
    assert isinstance(properties, dict)
    for parameter in model.parameters:
        shown, schema = parameter_json(parameter), properties[parameter.name]
        items = schema.get("items", schema)
        assert shown["type"] == (f"array<{items['type']}>" if "items" in schema else schema["type"])
        assert (shown.get("default"), shown.get("enum")) == (schema.get("default"), items.get("enum"))
        for name in ("minItems", "maxItems", "minimum", "maximum", "multipleOf", "minLength", "maxLength"):
            said = schema.get(name, items.get(name))
            assert shown.get(name, said) == said, (parameter.name, name)
            assert name in shown or said in UNLIMITED, (parameter.name, name)


@every_model
def test_media_are_marked_and_have_a_role(model: Model) -> None:
    for parameter in model.parameters:
        assert (parameter.media is not None) == parameter.name.endswith(("_url", "_urls"))
        assert (parameter.name in model.output.roles) == (parameter.media is not None)
    example = {p.name: example_value(p) for p in model.parameters if p.media}
    assert len(media_values(model, example)) >= len(model.media_parameters)


@every_model
def test_the_output_table_survives_the_journey_to_an_adapter(model: Model) -> None:
    assert OutputFacts.from_json(model.output_json) == model.output


@every_model
def test_every_shape_on_offer_has_its_size(model: Model) -> None:
    size = model.output.size
    if size is None:
        return
    rows = [p for p in model.parameters if p.name == size.resolution_parameter]
    columns = [p for p in model.parameters if p.name == size.aspect_parameter]
    for row, column in product((rows[0].enum or ()) if rows else ("",), (columns[0].enum or ()) if columns else ("",)):
        given = {"resolution": row, "aspect_ratio": column}
        width, height = model.output.pixels(given, ())
        assert min(width, height) > 0
        across, _, down = str(column).partition(":")
        if down:
            assert width / height == pytest.approx(float(across) / float(down), rel=0.04), given


def test_a_request_with_only_a_prompt_costs_what_the_list_opens_with() -> None:
    """Where the price depends on a tier, the default tier is the one the cost line's first figure buys."""
    for model in MODELS:
        quote = quote_price(model, read_input(model, model.example))
        unit = quote.rate_millicredits or quote.unit_millicredits
        assert Decimal(cost_line(model).split()[0]) * 1000 == unit
