"""What is enforced and charged, in words: limits of a parameter, rules between parameters, lengths, the price table.

Owns sentences for people and programs that read instead of parse. Leaves saying how an input breaks a rule to
`rules` and `breaches`, and arithmetic on prices to `price`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from pixeldojo.catalog.conditions import Scalar, describe, either, joined
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.lengths import seconds_range
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.price_rules import (
    BilledSeconds,
    ByResolutionAndDurationPrice,
    ByResolutionPrice,
    FixedPrice,
    PerOutputPrice,
    PerSecondPrice,
)
from pixeldojo.catalog.request_schema import ITEMS_MAXIMUM, TEXT_MAXIMUM
from pixeldojo.catalog.rules import (
    AreaRule,
    ChooseRule,
    Rule,
    SameLengthRule,
    TotalRule,
    WhenRule,
    breaches,
    names,
)
from pixeldojo.catalog.schema import LengthLimit, Model
from pixeldojo.core.money import MILLICREDITS_PER_CREDIT, credits_text

_KINDS: Final = {"image": "an image", "video": "a video", "audio": "an audio file", "model3d": "a 3D model"}
_NOT_OFFERED: Final = "—"


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What a model costs.

    Attributes:
        columns: The headings; the first is what the price depends on.
        rows: Amounts in credits, as text; `—` where the model makes no such output.
        notes: Sentences on what the table cannot show: which seconds count, what multiplies.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def parameter_facts(parameter: Parameter) -> tuple[str, ...]:
    """Return type, need, limits and default, a few words each: `integer`, `optional`, `3 to 15`, `default 5`."""
    facts = [_type(parameter), _need(parameter), *_limits(parameter)]
    if parameter.default is not None:
        facts.append(f"default {json.dumps(parameter.default, ensure_ascii=False)}")
    return tuple(facts)


def rule_sentences(model: Model) -> tuple[str, ...]:
    """Return every rule between parameters as an instruction, then how long clips and sounds may be; as in the file."""
    rules = (_rule(model, rule) + (f": {rule.because}." if rule.because else ".") for rule in model.rules)
    return (*rules, *(_length(model, limit) for limit in model.lengths))


def price_table(model: Model) -> PriceTable:
    """Return the price as the model's rule gives it."""
    rule, kind = model.price, _KINDS[model.output.kind]
    count = model.output.count_parameter
    notes = [f"`{count}` says how many are made; each is charged."] if count else []
    match rule:
        case FixedPrice():
            return PriceTable(("for", "credits"), (("a request", credits_text(rule.amount)),), ())
        case PerOutputPrice():
            return PriceTable(("for", "credits"), ((kind, credits_text(rule.amount)),), tuple(notes))
        case PerSecondPrice():
            notes.append(_seconds(model, rule.seconds))
            if rule.rate is not None:
                return PriceTable(("for", "credits"), (("a second", credits_text(rule.rate)),), tuple(notes))
            rows = tuple((value, credits_text(rate)) for value, rate in rule.rates.items())
            return PriceTable((f"`{rule.by}`", "credits a second"), rows, tuple(notes))
        case ByResolutionPrice():
            amounts = {**rule.amounts, **rule.unlisted}
            rows = tuple((value, credits_text(amount)) for value, amount in amounts.items())
            notes += _areas(rule)
            return PriceTable((f"`{rule.by}`", f"credits for {kind}"), rows, tuple(notes))
        case ByResolutionAndDurationPrice():
            return _matrix(model, rule, tuple(notes))
    assert_never(rule)


def example_cost(model: Model) -> str:
    """Return what the model's own example costs: `1 credit`, `0.25 credits`."""
    amount = quote_price(model, read_input(model, model.example)).amount_millicredits
    return f"{credits_text(amount)} credit{'' if amount == MILLICREDITS_PER_CREDIT else 's'}"


def _type(parameter: Parameter) -> str:
    return f"array of {parameter.item_type}s" if parameter.is_array else parameter.type


def _need(parameter: Parameter) -> str:
    if not parameter.required:
        return "optional"
    return "required where it applies" if parameter.applies_when else "required"


def _limits(parameter: Parameter) -> Iterator[str]:
    each = "each " if parameter.is_array else ""
    if parameter.is_array:
        low = parameter.min_items if parameter.min_items is not None else int(parameter.required)
        high = parameter.max_items or ITEMS_MAXIMUM
        yield f"{_range(low or None, high)} item{'' if high == 1 else 's'}"
    if parameter.enum is not None:
        values = either(parameter.enum)
        yield f"{each}one of {values}" if len(parameter.enum) > 1 else f"{each}always {values}"
        return
    if parameter.item_type == "string" and not parameter.media:
        shortest = parameter.min_length or int(parameter.required)
        yield f"{each}{_range(shortest or None, parameter.max_length or TEXT_MAXIMUM)} characters"
    if parameter.minimum is not None or parameter.maximum is not None:
        yield each + _range(parameter.minimum, parameter.maximum)
    if parameter.multiple_of is not None:
        yield f"{each}a multiple of {parameter.multiple_of}"


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _rule(model: Model, rule: Rule) -> str:
    match rule:
        case ChooseRule():
            return f"Give {rule.rule.replace('_', ' ')} of {joined(rule.of, 'or')}"
        case WhenRule():
            lists = {parameter.name for parameter in model.parameters if parameter.is_array}
            return f"When {describe(rule.when, lists)}, {joined(list(_demands(rule)), 'and')}"
        case TotalRule():
            counted = joined([_counted(model, name) for name in rule.of], "and")
            return f"Together, {counted} come to {_range(rule.minimum or None, rule.maximum)}"
        case SameLengthRule():
            return f"{joined(rule.of, 'and')} have as many items as one another"
        case AreaRule():
            widest = f", the longer side at most {rule.widest:g} times the other" if rule.widest else ""
            return f"{' x '.join(rule.of)} is {rule.minimum} to {rule.maximum} pixels in all{widest}"
    assert_never(rule)


def _counted(model: Model, name: str) -> str:
    parameter = model.parameter(name)
    assert parameter is not None, "the loader lets no rule name a parameter that is not there"
    if parameter.is_array:
        return f"the items of {name}"
    return name if parameter.type in {"integer", "number"} else f"one for {name}"


def _length(model: Model, limit: LengthLimit) -> str:
    circumstance = f"When {describe(limit.when, model.lists)}, " if limit.when else ""
    each = f"{'each' if circumstance else 'Each'} item of " if limit.of in model.lists else ""
    return f"{circumstance}{each}{limit.of} must be {seconds_range(limit)} long."


def _demands(rule: WhenRule) -> Iterator[str]:
    for name, values in rule.allow.items():
        yield f"{name} must be {either(values)}"
    if rule.needs:
        yield f"give {joined(rule.needs, 'and')} too"
    if rule.refuses:
        yield f"leave {joined(rule.refuses, 'and')} out"


def _seconds(model: Model, billed: BilledSeconds) -> str:
    estimate = f", or `{billed.estimate_parameter}` seconds where that is given," if billed.estimate_parameter else ""
    held = f"up to {billed.maximum} seconds{estimate} are held until then, and the rest is released"
    if billed.is_measured:
        return f"The length of the result decides, measured when the job has ended; {held}."
    parameter = model.parameter(billed.parameter or "")
    default = (
        f" ({json.dumps(parameter.default, ensure_ascii=False)} unless given)"
        if parameter and parameter.default is not None
        else ""
    )
    asked = f"The seconds are those of `{billed.parameter}`{default}."
    if not billed.measured_with:
        return asked
    inputs = joined([f"`{name}`" for name in billed.measured_with], "or")
    return f"{asked} With {inputs}, the length of the result decides, measured when the job has ended; {held}."


def _areas(rule: ByResolutionPrice) -> Iterator[str]:
    if rule.pixels:
        sides = joined([f"`{side}`" for side in rule.sides], "and")
        tiers = joined([f"{tier} up to {most} pixels" for tier, most in rule.pixels.items()], "and")
        yield f"With {sides} given, the smallest size that holds their area is charged: {tiers}; beyond, the largest."
    if rule.pixels and rule.unlisted:
        yield (
            f"With `{rule.by}` {joined(list(rule.unlisted), 'or')}, the area of the result decides in the same way, "
            "measured when the job has ended; the amount above is held until then, and the rest is released."
        )


def _matrix(model: Model, rule: ByResolutionAndDurationPrice, notes: tuple[str, ...]) -> PriceTable:
    lengths = tuple(dict.fromkeys(seconds for row in rule.amounts.values() for seconds in row))
    rows = tuple((value, *(_cell(model, rule, value, seconds) for seconds in lengths)) for value in rule.amounts)
    columns = (f"`{rule.by}`", *(f"credits for `{rule.seconds}` {seconds}" for seconds in lengths))
    if any(_NOT_OFFERED in row for row in rows):
        notes += (f"{_NOT_OFFERED} is not made, and a request for it is refused.",)
    return PriceTable(columns, rows, notes)


def _cell(model: Model, rule: ByResolutionAndDurationPrice, resolution: str, seconds: str) -> str:
    """Return the amount; the published list also prices what the model's rules refuse, and that is not offered."""
    amount = rule.amounts[resolution].get(seconds)
    chosen = {rule.by: _value(model, rule.by, resolution), rule.seconds: _value(model, rule.seconds, seconds)}
    decided = [one for one in model.rules if {*names(one)} <= chosen.keys()]
    if amount is None or any(breaches(one, chosen) for one in decided):
        return _NOT_OFFERED
    return credits_text(amount)


def _value(model: Model, name: str, text: str) -> Scalar:
    """Return the value of a parameter that a price writes as text."""
    options = model.known[name].enum
    assert options is not None, "the loader lets a price depend on nothing but a parameter with an enum"
    return next(value for value in options if str(value) == text)
