"""How a quote came about: the lines of an estimate, which an app can show and add up.

Owns their words. Leaves every amount to `price`, and the table of all that a model can cost to `wording`.
"""

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
        is_maximum: Whether the finished output decides: its length, up to the quantity, or its area.
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


def cost_lines(model: Model, given: JsonObject, quote: Quote) -> tuple[CostLine, ...]:
    """Return how a quote came about; the lines add up to its amount.

    Outputs that are charged by the second stand on a line each, since each is rounded on its own.
    """
    label = _label(model, given)
    if quote.rate_millicredits is None or quote.billed_seconds is None:
        unit: PriceUnit = "request" if isinstance(model.price, FixedPrice) else "output"
        quantity = Decimal(quote.outputs)
        amounts = (quote.unit_millicredits, quote.amount_millicredits)
        return (CostLine(label, quantity, unit, *amounts, is_maximum=bool(quote.tiers)),)
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
