"""Promises of prices that hold for every model and every input it takes."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.catalog.strategies import MODELS, Request, requests, valid_inputs

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.price import Quote, credit_cost_json, quote_price, settle
from pixeldojo.catalog.price_lines import cost_lines
from pixeldojo.catalog.price_rules import ByResolutionAndDurationPrice, ByResolutionPrice, FixedPrice, PerSecondPrice
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject, JsonValue

SECONDS = st.decimals(0, 100, places=3)


def read_or_example(request: Request) -> Request:
    """Return the request read; the model's example where rules between inputs refuse it."""
    model, raw = request
    try:
        return model, read_input(model, raw)
    except ValidationError:
        return model, read_input(model, model.example)


READ = requests(valid_inputs).map(read_or_example)
QUOTES = READ.map(lambda request: quote_price(*request))


@settings(max_examples=100, deadline=None)
@given(QUOTES)
def test_a_quote_is_positive_and_in_integers(quote: Quote) -> None:
    assert quote.amount_millicredits > 0
    assert quote.amount_millicredits == quote.unit_millicredits * quote.outputs
    stored = quote.to_json()
    assert not any(isinstance(value, float) for value in stored.values())
    assert Quote.from_json(stored) == quote


@settings(max_examples=100, deadline=None)
@given(READ)
def test_the_lines_of_an_estimate_add_up_to_the_quote_as_the_api_shows_them(request_: Request) -> None:
    model, read = request_
    quote = quote_price(model, read)
    lines = cost_lines(model, read, quote)
    shown = json.loads(json.dumps([line.to_json() for line in lines]), parse_float=Decimal)
    assert sum(line["amount"] for line in shown) * 1000 == quote.amount_millicredits
    for line in shown:
        exact = line["quantity"] * line["unitPrice"]
        assert exact <= line["amount"] < exact + Decimal("0.001")
        assert line["isMaximum"] == (quote.measured or bool(quote.tiers))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_default_cost_is_that_of_a_request_with_only_required_inputs(model: Model) -> None:
    default = json.loads(json.dumps(credit_cost_json(model)), parse_float=Decimal)["default"]
    assert default * 1000 == quote_price(model, read_input(model, least_input(model))).amount_millicredits


def least_input(model: Model) -> JsonObject:
    """Return the model's example without whatever it can do without."""
    least: JsonObject = model.example
    for name in model.example:
        less = {given: value for given, value in least.items() if given != name}
        try:
            read_input(model, less)
        except ValidationError:
            continue
        least = less
    return least


@settings(max_examples=100, deadline=None)
@given(QUOTES, st.integers(-1, 20), SECONDS | st.none(), st.integers(1, 8_000_000) | st.none())
def test_a_settlement_is_never_more_than_the_quote(
    quote: Quote, delivered: int, seconds: Decimal | None, pixels: int | None
) -> None:
    settled = settle(quote, delivered, seconds, pixels)
    assert type(settled) is int
    assert 0 <= settled <= quote.amount_millicredits
    assert (settled > 0) == (delivered > 0)


@settings(max_examples=100, deadline=None)
@given(QUOTES, st.integers(0, 20), SECONDS)
def test_more_delivered_never_settles_for_less(quote: Quote, delivered: int, seconds: Decimal) -> None:
    assert settle(quote, delivered + 1, seconds) >= settle(quote, delivered, seconds)
    assert settle(quote, delivered, seconds + 1) >= settle(quote, delivered, seconds)


@pytest.mark.parametrize("model_id", ["flux-2-flex", "flux-2-pro", "flux-2-max"])
@given(pixels=st.integers(1, 8_000_000))
def test_a_size_that_follows_a_picture_costs_the_tier_of_the_result(model_id: str, pixels: int) -> None:
    (model,) = [model for model in MODELS if model.id == model_id]
    assert isinstance(model.price, ByResolutionPrice)
    picture: JsonObject = {"prompt": "x", "image_urls": ["https://example.com/a.png"]}
    content = read_input(model, {**picture, "resolution": "match_input_image"})
    quote = quote_price(model, content)
    assert quote.amount_millicredits == max(model.price.amounts.values()) == settle(quote, 1)
    assert [line.is_maximum for line in cost_lines(model, content, quote)] == [True]
    tier = next((tier for tier, most in model.price.pixels.items() if pixels <= most), "4 MP")
    assert settle(Quote.from_json(quote.to_json()), 1, measured_pixels=pixels) == model.price.amounts[tier]
    named = quote_price(model, read_input(model, {**picture, "resolution": "2 MP"}))
    assert settle(named, 1, measured_pixels=pixels) == named.amount_millicredits


@settings(max_examples=50, deadline=None)
@given(QUOTES)
def test_everything_delivered_at_full_length_costs_the_quote(quote: Quote) -> None:
    assert settle(quote, quote.outputs, quote.billed_seconds) == quote.amount_millicredits
    assert settle(quote, quote.outputs) == quote.amount_millicredits


@settings(max_examples=100, deadline=None)
@given(READ)
def test_more_outputs_more_seconds_or_a_higher_tier_never_cost_less(request_: Request) -> None:
    model, read = request_
    for name, steps in rising_inputs(model, read).items():
        amounts = [quote_price(model, {**read, name: step}).amount_millicredits for step in steps]
        assert all(less <= more for less, more in pairwise(amounts)), (name, amounts)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([model for model in MODELS if isinstance(model.price, ByResolutionPrice) and model.price.pixels])
)
def test_more_pixels_never_cost_less(model: Model) -> None:
    assert isinstance(model.price, ByResolutionPrice)
    read, (width, height) = read_input(model, model.example), model.price.sides
    amounts = [
        quote_price(model, {**read, width: side, height: side}).amount_millicredits for side in range(64, 4097, 64)
    ]
    assert amounts == sorted(amounts)
    assert set(amounts) == set(model.price.amounts.values())


def rising_inputs(model: Model, read: JsonObject) -> dict[str, list[JsonValue]]:
    """Return what the price depends on, each with values from small to large: tiers as the file lists them."""
    rule = model.price
    rising: dict[str, list[JsonValue]] = {}
    if model.output.count_parameter:
        rising[model.output.count_parameter] = [1, 2, 3]
    match rule:
        case PerSecondPrice():
            rising[rule.by] = list(rule.rates)
            rising |= {name: lengths(model, name) for name in (rule.seconds.parameter,) if name}
            rising |= {name: [0.5, 1, 7.25, 60] for name in (rule.seconds.estimate_parameter,) if name}
        case ByResolutionPrice():
            rising[rule.by] = list(rule.amounts)
        case ByResolutionAndDurationPrice():
            # Not every tier offers every length.
            tier, seconds = str(read[rule.by]), str(read[rule.seconds])
            rising[rule.by] = [tier for tier, amounts in rule.amounts.items() if seconds in amounts]
            rising[rule.seconds] = [int(length) for length in sorted(rule.amounts[tier], key=int)]
        case FixedPrice():
            pass
    return rising


def lengths(model: Model, name: str) -> list[JsonValue]:
    """Return the lengths a parameter offers."""
    parameter = model.parameter(name)
    assert parameter is not None
    offered: list[JsonValue] = [value for value in parameter.enum or () if isinstance(value, int)]
    return offered or [5, 10]
