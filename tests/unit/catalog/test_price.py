"""Quotes and settlements, in figures worked out by hand."""

from decimal import Decimal

import pytest
from tests.unit.catalog.conftest import MakeModel

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import Quote, StatedLength, credit_cost_json, quote_price, settle, stated_length
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.json_types import JsonValue

IMAGE = "https://example.com/a.png"
WIDE: dict[str, JsonValue] = {"script": "Hi", "video_url": "https://example.com/a.mp4", "image_urls": [IMAGE]}


def custom(width: int, height: int) -> dict[str, JsonValue]:
    return {"aspect_ratio": "custom", "width": width, "height": height}


def quoted(model: Model, raw: dict[str, JsonValue]) -> Quote:
    return quote_price(model, read_input(model, raw))


@pytest.mark.parametrize(
    ("model_id", "raw", "millicredits"),
    [
        ("flux-1.1-pro", {}, 1_000),
        ("p-image-edit", {"image_urls": [IMAGE]}, 250),
        ("flux-2-pro", {}, 1_500),
        ("flux-2-pro", {"resolution": "4 MP"}, 2_000),
        ("flux-2-pro", {"resolution": "match_input_image", "image_urls": [IMAGE]}, 2_000),
        ("flux-2-pro", custom(512, 512), 1_000),
        ("flux-2-pro", custom(1024, 1024), 1_500),
        ("flux-2-pro", custom(1040, 1024), 2_000),
        ("flux-2-pro", custom(2048, 2048), 2_000),
        ("nano-banana-2", {}, 3_000),
        ("nano-banana-2", {"resolution": "1K"}, 2_000),
        ("veo-3.1-fast", {}, 24_000),
        ("veo-3.1-fast", {"duration": 4, "resolution": "720p"}, 12_000),
        ("wan-2.6-standard", {}, 12_500),
        ("wan-2.6-standard", {"resolution": "1080p", "duration": 10}, 30_000),
        ("hailuo-standard", {}, 8_000),
        ("hailuo-standard", {"duration": 10}, 12_000),
        ("hailuo-standard", {"resolution": "1080p"}, 12_000),
        ("text-to-music", {"duration": 300}, 2_000),
    ],
)
def test_what_requests_cost(catalog: Catalog, model_id: str, raw: dict[str, JsonValue], millicredits: int) -> None:
    quote = quoted(catalog.find(model_id), {"prompt": "x", **raw})
    assert quote.amount_millicredits == millicredits
    assert not quote.measured


def test_a_measured_length_is_quoted_at_the_most_the_model_makes(wide: Model) -> None:
    quote = quoted(wide, WIDE)
    assert quote.amount_millicredits == 15 * 1_200
    assert quote.measured


@pytest.mark.parametrize(("said", "billed"), [(2, "2.0"), (7.25, "7.3"), (60, "15")])
def test_the_caller_may_lower_that_quote_by_saying_the_length(wide: Model, said: float, billed: str) -> None:
    quote = quoted(wide, {**WIDE, "video_duration": said})
    assert quote.billed_seconds == Decimal(billed)
    assert quote.amount_millicredits == 1_200 * Decimal(billed)


def test_outputs_multiply(wide: Model) -> None:
    quote = quoted(wide, {**WIDE, "num_outputs": 3})
    assert quote.amount_millicredits == 3 * 15 * 1_200


@pytest.mark.parametrize(
    ("measured", "seconds_billed"),
    [("0", "0.1"), ("0.04", "0.1"), ("5.04", "5.0"), ("5.05", "5.1"), ("14.96", "15.0"), ("99", "15")],
)
def test_a_measured_length_is_rounded_to_the_tenth_and_capped_by_the_quote(
    wide: Model, measured: str, seconds_billed: str
) -> None:
    settled = settle(quoted(wide, WIDE), 1, Decimal(measured))
    assert settled == 1_200 * Decimal(seconds_billed)


def test_a_fraction_of_a_thousandth_is_rounded_up(wide: Model) -> None:
    quote = quoted(wide, {**WIDE, "resolution": "480p"})
    assert settle(quote, 1, Decimal("1.1")) == 367  # 0.333 credits x 1.1 = 0.3663


def test_fewer_outputs_cost_less_and_none_cost_nothing(wide: Model) -> None:
    quote = quoted(wide, {**WIDE, "num_outputs": 4})
    assert settle(quote, 4) == quote.amount_millicredits
    assert settle(quote, 3) == quote.amount_millicredits * 3 // 4
    assert settle(quote, 5) == quote.amount_millicredits
    assert settle(quote, 0) == 0


def test_a_length_that_was_asked_for_is_not_measured(catalog: Catalog) -> None:
    quote = quoted(catalog.find("veo-3.1-fast"), {"prompt": "x"})
    assert settle(quote, 1, Decimal("3.2")) == quote.amount_millicredits


def test_of_several_outputs_each_costs_its_quoted_seconds_at_most() -> None:
    """Of two clips one came, longer than was quoted: the other one's hold does not pay for that."""
    quote = Quote(10_000, 2, 5_000, rate_millicredits=1_000, billed_seconds=Decimal(5), measured=True)
    assert settle(quote, 1, Decimal(9)) == 5_000


def test_a_stored_quote_reads_back_the_same(wide: Model) -> None:
    quote = quoted(wide, WIDE)
    assert Quote.from_json(quote.to_json()) == quote


def test_a_quote_stored_with_more_than_is_read_today_still_settles(wide: Model) -> None:
    quote = quoted(wide, WIDE)
    stored: dict[str, JsonValue] = {
        **quote.to_json(),
        "breakdown": [{"text": "up to 15 seconds", "millicredits": 18_000}],
    }
    assert settle(Quote.from_json(stored), 1, Decimal(2)) == 2_400


@pytest.mark.parametrize(
    ("said", "stated"),
    [
        ({}, None),
        ({"video_duration": 14.96}, None),
        ({"video_duration": 15}, None),
        ({"video_duration": 60}, None),
        ({"video_duration": 2}, StatedLength("video_duration", Decimal(2), 15, ("video_url",))),
        ({"video_duration": 7.25}, StatedLength("video_duration", Decimal("7.3"), 15, ("video_url",))),
    ],
)
def test_a_length_counts_as_stated_where_it_lowers_the_quote(
    wide: Model, said: dict[str, JsonValue], stated: StatedLength | None
) -> None:
    assert stated_length(wide, read_input(wide, {**WIDE, **said})) == stated


def test_a_length_can_only_be_stated_where_a_file_can_be_held_against_it(make_model: MakeModel) -> None:
    price = """
[price]
rule = "per_second"
rate = "1"
seconds = { is_measured = true, maximum = 30, estimate_parameter = "video_duration" }

[[parameters]]
name = "video_duration"
type = "number"
minimum = 1
description = "How long it is."
"""
    with pytest.raises(ConfigurationError, match=r"estimate_parameter: needs output\.length\.follow"):
        make_model(price=price)


def test_where_no_length_can_be_stated_none_is(catalog: Catalog) -> None:
    for model_id in ("flux-1.1-pro", "veo-3.1-fast", "heygen-avatar", "p-video"):
        model = catalog.find(model_id)
        assert stated_length(model, read_input(model, model.example)) is None


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"amount_millicredits": "1"},
        {"amount_millicredits": 1.5, "outputs": 1, "unit_millicredits": 1},
    ],
)
def test_anything_else_is_not_a_quote(stored: dict[str, JsonValue]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Quote.from_json(stored)


@pytest.mark.parametrize(
    ("model_id", "cost"),
    [
        ("flux-1.1-pro", {"type": "fixed", "default": 1, "amount": 1, "unit": "request"}),
        ("p-image-edit", {"type": "fixed", "default": 0.25, "amount": 0.25, "unit": "request"}),
        ("nano-banana-2", {"type": "by_resolution", "default": 3, "unit": "output", "by": {"1K": 2, "2K": 3, "4K": 4}}),
        ("veo-3.1-fast", {"type": "per_second", "default": 24, "amount": 3, "unit": "second"}),
        (
            "wan-2.6-standard",
            {"type": "per_second", "default": 12.5, "amount": 2.5, "unit": "second", "by": {"720p": 2.5, "1080p": 3}},
        ),
        (
            "hailuo-standard",
            {
                "type": "by_resolution_and_duration",
                "default": 8,
                "unit": "output",
                "by": {"768p": {"6": 8, "10": 12}, "1080p": {"6": 12, "10": 20}},
            },
        ),
    ],
)
def test_the_price_as_the_api_shows_it(catalog: Catalog, model_id: str, cost: dict[str, JsonValue]) -> None:
    assert credit_cost_json(catalog.find(model_id)) == cost


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 30),
        ({"character_orientation": "image"}, 10),
        ({"character_orientation": "image", "video_duration": 4}, 4),
        ({"character_orientation": "image", "video_duration": 25}, 10),
        ({"character_orientation": "video", "video_duration": 25}, 25),
    ],
)
def test_no_more_is_held_than_the_longest_source_for_such_an_input(
    catalog: Catalog, given: dict[str, JsonValue], seconds: int
) -> None:
    model = catalog.find("kling-motion-control")
    quote = quote_price(model, read_input(model, {**model.example, **given}))
    assert quote.measured
    assert (quote.billed_seconds, quote.amount_millicredits) == (Decimal(seconds), 3_000 * seconds)
