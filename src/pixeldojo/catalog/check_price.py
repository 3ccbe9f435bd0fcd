"""Whether a price covers everything a caller can ask for.

Owns checks of the price against parameters, rules and outputs. Leaves the shape of prices to `price_rules`.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from typing import TypeAlias

from pixeldojo.catalog.price_rules import (
    BilledSeconds,
    ByResolutionAndDurationPrice,
    ByResolutionPrice,
    FixedPrice,
    PerOutputPrice,
    PerSecondPrice,
)
from pixeldojo.catalog.rules import WhenRule, breaches, names
from pixeldojo.catalog.schema import Model
from pixeldojo.core.near_miss import nearest

Findings: TypeAlias = Iterator[tuple[str, str]]


def price_findings(model: Model) -> Findings:
    """Find what the price leaves open or names wrongly."""
    match model.price:
        case FixedPrice():
            if model.output.kind == "image" and model.output.count_parameter:
                yield "price.rule", "an image model with a count costs per image; use per_output"
        case PerOutputPrice():
            if not model.output.count_parameter:
                yield "price.rule", "per_output needs output.count_parameter; a model with one output is fixed"
        case PerSecondPrice():
            yield from _per_second(model, model.price)
        case ByResolutionPrice():
            yield from _by_resolution(model, model.price)
        case ByResolutionAndDurationPrice():
            yield from _by_both(model, model.price)


def _per_second(model: Model, rule: PerSecondPrice) -> Findings:
    if (rule.rate is None) == (not rule.rates):
        yield "price", "give either rate or rates"
    if rule.rates:
        yield from _covers(model, rule.by, rule.rates, "price.rates")
        yield from _rises(rule.rates, "price.rates")
    yield from _seconds(model, rule.seconds)


def _seconds(model: Model, rule: BilledSeconds) -> Findings:
    place = "price.seconds"
    for name in (rule.parameter, rule.estimate_parameter, *rule.measured_with):
        if name and model.parameter(name) is None:
            yield place, _unknown(name, model)
    if rule.parameter is None and not rule.is_measured:
        yield place, "give the parameter that says how long, or is_measured"
    if rule.maximum is None and (rule.is_measured or rule.measured_with):
        yield f"{place}.maximum", "is missing: a measured length is quoted at the most the model makes"
    if rule.estimate_parameter and not (model.output.length and model.output.length.follow):
        yield f"{place}.estimate_parameter", "needs output.length.follow: the file whose length it must not understate"
    asked = model.parameter(rule.parameter) if rule.parameter else None
    if asked and not (asked.required or asked.default is not None):
        yield place, f"{asked.name} may be left out, so give it a default or make it required"
    if asked and asked.enum is None and asked.minimum is None:
        yield place, f"{asked.name} needs a minimum, so that no request costs nothing"


def _by_resolution(model: Model, rule: ByResolutionPrice) -> Findings:
    yield from _covers(model, rule.by, {**rule.amounts, **rule.unlisted}, "price.amounts")
    yield from _rises(rule.amounts, "price.amounts")
    if rule.pixels:
        if list(rule.pixels) != list(rule.amounts):
            yield "price.pixels", "lists the tiers of amounts, in the same order"
        yield from _rises(rule.pixels, "price.pixels")
        for name in rule.sides:
            if model.parameter(name) is None:
                yield "price.sides", _unknown(name, model)


def _by_both(model: Model, rule: ByResolutionAndDurationPrice) -> Findings:
    yield from _covers(model, rule.by, rule.amounts, "price.amounts")
    for resolution, row in rule.amounts.items():
        yield from _rises(row, f"price.amounts.{resolution}")
    seconds = model.parameter(rule.seconds)
    if seconds is None or seconds.enum is None or not (seconds.required or seconds.default is not None):
        yield "price.seconds", f"{rule.seconds} must be a parameter with an enum and a default"
        return
    resolutions = model.parameter(rule.by)
    pairwise_rules = [r for r in model.rules if isinstance(r, WhenRule) and {*names(r)} <= {rule.by, rule.seconds}]
    for tier, length in product((resolutions and resolutions.enum) or (), seconds.enum):
        pair = {rule.by: tier, rule.seconds: length}
        if str(length) not in rule.amounts[str(tier)] and not any(breaches(r, pair) for r in pairwise_rules):
            yield f"price.amounts.{tier}", f"has no amount for {length} seconds, which no rule refuses"
    known = {str(length) for length in seconds.enum}
    for resolution, row in rule.amounts.items():
        for unknown in row.keys() - known:
            yield f"price.amounts.{resolution}", f"{unknown} is not among the values of {rule.seconds}"


def _covers(model: Model, name: str, amounts: Mapping[str, object], place: str) -> Findings:
    parameter = model.parameter(name)
    if parameter is None:
        yield "price.by", _unknown(name, model)
    elif parameter.enum is None or parameter.applies_when or not (parameter.required or parameter.default is not None):
        yield "price.by", f"{name} must always be there and have an enum, so that every value has a price"
    else:
        options = [str(option) for option in parameter.enum]
        for option in options:
            if option not in amounts:
                yield place, f"has no amount for {name} {option}"
        for value in amounts:
            if value not in options:
                yield place, f"{value} is not among the values of {name}{nearest(value, options)}"


def _rises(amounts: Mapping[str, int], place: str) -> Findings:
    for (lower, less), (higher, more) in pairwise(amounts.items()):
        if more < less:
            yield (
                place,
                f"{higher} costs less than {lower}; list tiers from small to large, with amounts that never fall",
            )


def _unknown(name: str, model: Model) -> str:
    return f'no parameter is named "{name}"{nearest(name, [p.name for p in model.parameters])}'
