"""The lines of an estimate, in words and figures worked out by hand."""

from decimal import Decimal

import pytest

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.price_lines import CostLine, cost_lines
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue

IMAGE = "https://example.com/a.png"
WIDE: dict[str, JsonValue] = {"script": "Hi", "video_url": "https://example.com/a.mp4", "image_urls": [IMAGE]}


def lines_of(model: Model, raw: dict[str, JsonValue]) -> tuple[CostLine, ...]:
    given = read_input(model, raw)
    return cost_lines(model, given, quote_price(model, given))


@pytest.mark.parametrize(
    ("model_id", "raw", "label", "quantity", "unit", "unit_price"),
    [
        ("flux-1.1-pro", {}, "Request", 1, "request", 1_000),
        ("flux-dev", {"num_outputs": 3}, "Image", 3, "output", 1_000),
        ("flux-2-pro", {}, "Image at 1 MP", 1, "output", 1_500),
        (
            "flux-2-pro",
            {"aspect_ratio": "custom", "width": 512, "height": 512},
            "Image at 0.5 MP",
            1,
            "output",
            1_000,
        ),
        ("hailuo-standard", {"duration": 10}, "Video of 10 seconds at 768p", 1, "output", 12_000),
        ("veo-3.1-fast", {}, "Video", 8, "second", 3_000),
        ("wan-2.6-standard", {"resolution": "1080p", "duration": 10}, "Video at 1080p", 10, "second", 3_000),
    ],
)
def test_a_line_says_what_is_paid_for(
    catalog: Catalog,
    model_id: str,
    raw: dict[str, JsonValue],
    label: str,
    quantity: int,
    unit: str,
    unit_price: int,
) -> None:
    [line] = lines_of(catalog.find(model_id), {"prompt": "x", **raw})
    assert (line.label, line.unit, line.unit_millicredits) == (label, unit, unit_price)
    assert line.quantity == quantity
    assert line.millicredits == quantity * unit_price
    assert not line.is_maximum


def test_outputs_charged_by_the_second_have_a_line_each_that_says_it_is_a_maximum(wide: Model) -> None:
    lines = lines_of(wide, {**WIDE, "num_outputs": 2, "video_duration": 1.1, "resolution": "480p"})
    assert lines == (
        CostLine("Video at 480p (1 of 2)", Decimal("1.1"), "second", 333, 367, is_maximum=True),
        CostLine("Video at 480p (2 of 2)", Decimal("1.1"), "second", 333, 367, is_maximum=True),
    )
    assert lines[0].to_json() == {
        "label": "Video at 480p (1 of 2)",
        "quantity": 1.1,
        "unit": "second",
        "unitPrice": 0.333,
        "amount": 0.367,
        "isMaximum": True,
    }


def test_whole_quantities_are_whole_numbers(wide: Model) -> None:
    assert str(lines_of(wide, WIDE)[0].to_json()["quantity"]) == "15"
