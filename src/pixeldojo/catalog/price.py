"""What a request costs: the quote at submit, the settlement at the end, the price in the words of the model list.

Owns all arithmetic on prices, in integers of a thousandth of a credit. Leaves how a price is written to
`price_rules`, how a quote came about to `price_lines`, and holds, captures and balances to the ledger.

Rounding: billed seconds count in tenths. A length the caller asks for is rounded up to the tenth, a measured one to
the nearest tenth (halves up) and never below one tenth; an amount is rounded up to the thousandth of a credit.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import assert_never

from pydantic import TypeAdapter

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.lengths import longest_seconds
from pixeldojo.catalog.price_rules import (
    BilledSeconds,
    ByResolutionAndDurationPrice,
    ByResolutionPrice,
    FixedPrice,
    PerOutputPrice,
    PerSecondPrice,
)
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.money import credits_number, credits_text

_TENTHS = 10


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as it was at submit; kept with the job, so that a later change of the catalog never changes it.

    Attributes:
        amount_millicredits: The most the job can cost; what is held.
        outputs: How many billed outputs it covers.
        unit_millicredits: The price of one of them.
        rate_millicredits: Per second, for per-second prices; else None.
        billed_seconds: Seconds of each output that the quote covers; None unless per second.
        measured: Whether the length of the output decides, up to `billed_seconds`.
        tiers: Where the area of the output decides: the most pixels of each tier and the price of an output of it,
            from small to large; an output beyond them costs `unit_millicredits`.
    """

    amount_millicredits: int
    outputs: int
    unit_millicredits: int
    rate_millicredits: int | None = None
    billed_seconds: Decimal | None = None
    measured: bool = False
    tiers: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> JsonObject:
        """Return what `from_json` reads."""
        stored: JsonObject = _QUOTES.dump_python(self, mode="json")
        return stored

    @classmethod
    def from_json(cls, stored: JsonObject) -> "Quote":
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is anything else.
        """
        return _QUOTES.validate_json(json.dumps(stored), strict=True)


_QUOTES = TypeAdapter(Quote)


def quote_price(model: Model, given: JsonObject) -> Quote:
    """Return the price of an input that `read_input` returned.

    Every rule but `fixed` multiplies by the outputs asked for.
    """
    rule = model.price
    match rule:
        case FixedPrice():
            return _quoted(1, rule.amount)
        case PerOutputPrice():
            return _quoted(model.output.count(given), rule.amount)
        case PerSecondPrice():
            return _per_second(model, rule, given)
        case ByResolutionPrice():
            tier = price_tier(rule, given)
            quote = _quoted(model.output.count(given), {**rule.amounts, **rule.unlisted}[tier])
            return replace(quote, tiers=_tiers(rule)) if tier in rule.unlisted else quote
        case ByResolutionAndDurationPrice():
            amount = rule.amounts[str(given[rule.by])][str(given[rule.seconds])]
            return _quoted(model.output.count(given), amount)
    assert_never(rule)


def price_tier(rule: ByResolutionPrice, given: JsonObject) -> str:
    """Return the value of `by` that an input is charged for: of explicit sides, the tier that holds their area."""
    sides = [side for side in (given.get(rule.sides[0]), given.get(rule.sides[1])) if isinstance(side, int)]
    if rule.pixels and len(sides) == len(rule.sides):
        area = sides[0] * sides[1]
        return next((tier for tier, most in rule.pixels.items() if area <= most), list(rule.pixels)[-1])
    return str(given[rule.by])


def _tiers(rule: ByResolutionPrice) -> tuple[tuple[int, int], ...]:
    """Return what an output costs by its area, where the tier asked for names no size and areas have a price."""
    return tuple((most, rule.amounts[tier]) for tier, most in rule.pixels.items())


@dataclass(frozen=True, slots=True)
class StatedLength:
    """How long a caller says a source is, so that less is held.

    Attributes:
        parameter: The input that says so.
        seconds: What is held and at most charged, in tenths.
        maximum: Seconds that are held where nothing is said.
        sources: The media parameters whose length decides that of the output.
    """

    parameter: str
    seconds: Decimal
    maximum: int
    sources: tuple[str, ...]


def stated_length(model: Model, given: JsonObject) -> StatedLength | None:
    """Return the length by which a caller lowered the quote; None where the most is held anyway."""
    rule = model.price
    if not isinstance(rule, PerSecondPrice) or rule.seconds.maximum is None:
        return None
    name, maximum = rule.seconds.estimate_parameter, rule.seconds.maximum
    seconds, is_measured = _billed(rule.seconds, given)
    if not is_measured or name is None or name not in given or seconds >= maximum:
        return None
    return StatedLength(name, seconds, maximum, model.output.length.follow if model.output.length else ())


def settle(
    quote: Quote,
    outputs_delivered: int,
    measured_seconds: Decimal | None = None,
    measured_pixels: int | None = None,
) -> int:
    """Return what a finished job costs in millicredits: never more than the quote.

    Args:
        quote: As stored at submit.
        outputs_delivered: Fewer than asked cost proportionally less; none cost nothing.
        measured_seconds: Length of one output. Counts only for a measured quote; None settles at the quote.
        measured_pixels: Area of the largest output. Counts only for a quote with tiers; None settles at the quote.
    """
    delivered = max(0, min(outputs_delivered, quote.outputs))
    unit = quote.unit_millicredits
    if quote.measured and measured_seconds is not None and quote.rate_millicredits and quote.billed_seconds:
        seconds = max(measured_seconds.quantize(Decimal("0.1"), ROUND_HALF_UP), Decimal("0.1"))
        unit = _for_seconds(quote.rate_millicredits, min(seconds, quote.billed_seconds))
    if measured_pixels is not None:
        unit = next((price for most, price in quote.tiers if measured_pixels <= most), unit)
    return min(unit * delivered, quote.amount_millicredits)


def cost_line(model: Model) -> str:
    """Return the price as the model list prints it: `1.5 credit(s) (by resolution: 0.5 MP=1, 1 MP=1.5)`."""
    unit, rule = credits_text(_usual_unit(model)), model.price
    match rule:
        case FixedPrice() | PerOutputPrice():
            return f"{unit} credit(s)"
        case PerSecondPrice() if not rule.rates:
            return f"{unit} credits/sec"
        case PerSecondPrice():
            return f"{unit} credits/sec (by {rule.by}: {_listed(rule.rates, ', ')} /sec)"
        case ByResolutionPrice():
            return f"{unit} credit(s) (by {rule.by}: {_listed(rule.amounts, ', ')})"
        case ByResolutionAndDurationPrice():
            rows = [
                f"{resolution}: {_listed({f'{seconds}s': cost for seconds, cost in row.items()}, '/')}"
                for resolution, row in rule.amounts.items()
            ]
            return f"{unit} credit(s) ({'; '.join(rows)})"
    assert_never(rule)


def credit_cost_json(model: Model) -> JsonObject:
    """Return the `creditCost` member of a model.

    `type` is the rule, `default` what the model's example (only required inputs) costs, `unit` what the amounts are
    for: `request`, `output` or `second`; `amount` or, where it depends on an input, `by` its values.
    """
    rule = model.price
    cost: dict[str, JsonValue] = {
        "type": rule.rule,
        "default": credits_number(quote_price(model, read_input(model, model.example)).amount_millicredits),
    }
    match rule:
        case FixedPrice():
            cost |= {"amount": credits_number(rule.amount), "unit": "request"}
        case PerOutputPrice():
            cost |= {"amount": credits_number(rule.amount), "unit": "output"}
        case PerSecondPrice():
            cost |= {"amount": credits_number(_usual_unit(model)), "unit": "second"}
            if rule.rates:
                cost["by"] = _numbers(rule.rates)
        case ByResolutionPrice():
            cost |= {"unit": "output", "by": _numbers(rule.amounts)}
        case ByResolutionAndDurationPrice():
            rows: JsonObject = {resolution: _numbers(row) for resolution, row in rule.amounts.items()}
            cost |= {"unit": "output", "by": rows}
    return cost


def _usual_unit(model: Model) -> int:
    """Return the number the cost line opens with: one output, or one second, of the example."""
    quote = quote_price(model, read_input(model, model.example))
    return quote.rate_millicredits or quote.unit_millicredits


def _per_second(model: Model, rule: PerSecondPrice, given: JsonObject) -> Quote:
    rate = rule.rate if rule.rate is not None else rule.rates[str(given.get(rule.by))]
    seconds, is_measured = _billed(rule.seconds, given)
    if is_measured:
        seconds = min(seconds, longest_seconds(model, given) or seconds)
    unit, outputs = _for_seconds(rate, seconds), model.output.count(given)
    return Quote(unit * outputs, outputs, unit, rate, seconds, is_measured)


def _billed(rule: BilledSeconds, given: JsonObject) -> tuple[Decimal, bool]:
    """Return the seconds to quote, in tenths, and whether the output's own length will decide."""
    measured = rule.is_measured or any(name in given for name in rule.measured_with)
    asked = given.get(rule.estimate_parameter or "") if measured else given.get(rule.parameter or "")
    if isinstance(asked, int | float):
        seconds = Decimal(str(asked)).quantize(Decimal("0.1"), ROUND_UP)
        if rule.maximum is not None:
            seconds = min(seconds, Decimal(rule.maximum))
        return max(seconds, Decimal("0.1")), measured
    assert rule.maximum is not None, "the loader lets no length go without an input or a maximum"
    return Decimal(rule.maximum), measured


def _for_seconds(rate: int, seconds: Decimal) -> int:
    tenths = int(seconds * _TENTHS)
    return -(-rate * tenths // _TENTHS)


def _quoted(outputs: int, unit: int) -> Quote:
    return Quote(unit * outputs, outputs, unit)


def _listed(amounts: Mapping[str, int], between: str) -> str:
    return between.join(f"{value}={credits_text(cost)}" for value, cost in amounts.items())


def _numbers(amounts: Mapping[str, int]) -> JsonObject:
    return {value: credits_number(cost) for value, cost in amounts.items()}
