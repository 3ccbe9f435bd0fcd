"""A price as people read it: the lines of an estimate, and the table of all that a model can cost.

Owns the words and the order. Leaves every amount to `price`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, assert_never

from pixeldojo.catalog.price import Quote, price_tier
from pixeldojo.catalog.price_rules import (
    ByResolutionAndDurationPrice,
    ByResolutionPrice,
    FixedPrice,
    PerOutputPrice,
    PerSecondPrice,
)
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonObject
from pixeldojo.core.money import credits_number

PriceUnit: TypeAlias = Literal["request", "output", "second"]

_OUTPUTS = {"image": "Image", "video": "Video", "audio": "Audio file", "model3d": "3D model"}


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of an estimate: quantity times unit price, rounded up to the thousandth of a credit, is the amount.

    Attributes:
        label: What is paid for.
        quantity: Of requests or outputs, whole; of seconds, in tenths.
        unit: What the unit price is for.
        is_maximum: Whether the length of the finished output decides, up to the quantity.
    """

    label: str
    quantity: Decimal
    unit: PriceUnit
    unit_millicredits: int
    millicredits: int
    is_maximum: bool = False

    def to_json(self) -> JsonObject:
        """Return the line as the API shows it."""
        is_whole = self.quantity == self.quantity.to_integral_value()
        return {
            "label": self.label,
            "quantity": int(self.quantity) if is_whole else float(self.quantity),
            "unit": self.unit,
            "unitPrice": credits_number(self.unit_millicredits),
            "amount": credits_number(self.millicredits),
            "isMaximum": self.is_maximum,
        }


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of a model's price table: what, and millicredits for each of it."""

    label: str
    unit: PriceUnit
    millicredits: int


def cost_lines(model: Model, given: JsonObject, quote: Quote) -> tuple[CostLine, ...]:
    """Return how a quote came about; the lines add up to its amount.

    Outputs that are charged by the second stand on a line each, since each is rounded on its own.
    """
    label = _label(model, given)
    if quote.rate_millicredits is None or quote.billed_seconds is None:
        unit: PriceUnit = "request" if isinstance(model.price, FixedPrice) else "output"
        quantity = Decimal(quote.outputs)
        return (CostLine(label, quantity, unit, quote.unit_millicredits, quote.amount_millicredits),)
    return tuple(
        CostLine(
            label if quote.outputs == 1 else f"{label} ({number} of {quote.outputs})",
            quote.billed_seconds,
            "second",
            quote.rate_millicredits,
            quote.unit_millicredits,
            is_maximum=quote.measured,
        )
        for number in range(1, quote.outputs + 1)
    )


def price_table(model: Model) -> tuple[PriceRow, ...]:
    """Return everything that a model charges for, in the order of its file."""
    rule, output = model.price, _OUTPUTS[model.output.kind]
    match rule:
        case FixedPrice():
            return (PriceRow("Request", "request", rule.amount),)
        case PerOutputPrice():
            return (PriceRow(output, "output", rule.amount),)
        case PerSecondPrice() if rule.rate is not None:
            return (PriceRow(output, "second", rule.rate),)
        case PerSecondPrice():
            return _tiers(output, rule.by, rule.rates, "second")
        case ByResolutionPrice():
            return _tiers(output, rule.by, {**rule.amounts, **rule.unlisted}, "output")
        case ByResolutionAndDurationPrice():
            lengths = {(value, seconds): cost for value, row in rule.amounts.items() for seconds, cost in row.items()}
            return tuple(
                PriceRow(f"{output} of {seconds} seconds{_at(rule.by, value)}", "output", cost)
                for (value, seconds), cost in lengths.items()
            )
    assert_never(rule)


def _tiers(output: str, by: str, amounts: Mapping[str, int], unit: PriceUnit) -> tuple[PriceRow, ...]:
    return tuple(PriceRow(output + _at(by, value), unit, amount) for value, amount in amounts.items())


def _label(model: Model, given: JsonObject) -> str:
    rule, output = model.price, _OUTPUTS[model.output.kind]
    match rule:
        case FixedPrice():
            return "Request"
        case PerSecondPrice() if rule.rates:
            return output + _at(rule.by, str(given[rule.by]))
        case ByResolutionPrice():
            return output + _at(rule.by, price_tier(rule, given))
        case ByResolutionAndDurationPrice():
            return f"{output} of {given[rule.seconds]} seconds{_at(rule.by, str(given[rule.by]))}"
        case PerOutputPrice() | PerSecondPrice():
            return output
    assert_never(rule)


def _at(parameter: str, value: str) -> str:
    """Return ` at 2K` for a size, ` with quality high` for anything else."""
    return f" at {value}" if parameter == "resolution" else f" with {parameter} {value}"
