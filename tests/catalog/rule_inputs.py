"""Inputs that fit one rule between parameters, and inputs that break it and nothing else, built from the rule itself.

The rest of each input is made to keep the model's other rules, so that what is found is what was meant.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.conditions import Condition, holds
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.rules import AreaRule, ChooseRule, Rule, SameLengthRule, TotalRule, WhenRule, breaches
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue

Inputs = dict[str, JsonValue]
_ROUNDS = 8


@dataclass(frozen=True)
class Wish:
    """What an input must hold, what it must leave out, and words that its refusal must contain."""

    given: Mapping[str, JsonValue]
    absent: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


def fitting(model: Model, rule: Rule) -> Inputs:
    """Return an input that the rule speaks of, and that keeps it and every other rule."""
    wish = _fitting_wish(model, rule)
    return _settled(model, wish, model.rules)


def holding(model: Model, given: Mapping[str, JsonValue]) -> Inputs:
    """Return an input with these values that keeps every rule, if there is one."""
    return _settled(model, Wish(given), model.rules)


def breaking(model: Model, rule: Rule) -> Iterator[tuple[Inputs, tuple[str, ...]]]:
    """Give inputs that break the rule, one for each way, with words that must tell so."""
    others = [other for other in model.rules if other is not rule]
    for wish in _breaking_wishes(model, rule):
        yield _settled(model, wish, others), (*wish.words, *([rule.because] if rule.because else []))


def _fitting_wish(model: Model, rule: Rule) -> Wish:
    match rule:
        case ChooseRule():
            return Wish({rule.of[0]: _example(model, rule.of[0])}, frozenset(rule.of[1:]))
        case WhenRule():
            context = _meeting(model, rule.when)
            applicable = {name: values[0] for name, values in rule.allow.items()}
            needed = {name: _example(model, name) for name in rule.needs}
            return Wish({**context.given, **applicable, **needed}, context.absent | set(rule.refuses))
        case TotalRule():
            return Wish({})
        case SameLengthRule():
            return Wish({name: _items(model.known[name], 2) for name in rule.of})
        case AreaRule():
            return Wish(dict(zip(rule.of, _sides(model, rule), strict=True)))


def _breaking_wishes(model: Model, rule: Rule) -> Iterator[Wish]:
    match rule:
        case ChooseRule():
            if rule.rule != "at_most_one":
                yield Wish({}, frozenset(rule.of), ("Give ", *rule.of, "none was given"))
            if rule.rule != "at_least_one":
                for other in rule.of[1:]:
                    pair = (rule.of[0], other)
                    yield Wish({name: _example(model, name) for name in pair}, words=("Give ", *pair, "were given"))
        case WhenRule():
            yield from _breaking_when(model, rule)
        case TotalRule():
            yield from _breaking_total(model, rule)
        case SameLengthRule():
            first, second = rule.of
            uneven: Inputs = {first: _items(model.known[first], 2), second: _items(model.known[second], 1)}
            yield Wish(uneven, words=("as many items as one another", first, second))
        case AreaRule():
            yield from _breaking_area(model, rule)


def _breaking_total(model: Model, rule: TotalRule) -> Iterator[Wish]:
    most = {name: _most(model.known[name], rule.maximum) for name in rule.of}
    if sum(len(value) if isinstance(value, list) else float(str(value)) for value in most.values()) > rule.maximum:
        yield Wish(most, words=("may come to", f"at most {rule.maximum}"))
    least = {name: model.known[name].minimum for name in rule.of if not model.known[name].is_array}
    if sum(value or 0 for value in least.values()) < rule.minimum:
        yield Wish(least, frozenset(rule.of) - set(least), ("must come to", f"at least {rule.minimum}"))


def _breaking_area(model: Model, rule: AreaRule) -> Iterator[Wish]:
    width, height = (model.known[name] for name in rule.of)
    largest = {side.name: side.maximum or 16384 for side in (width, height)}
    if isqrt(rule.maximum) < min(largest.values()):
        yield Wish(largest, words=("pixels in all", *rule.of))
    if rule.widest is not None:
        yield Wish({**largest, height.name: height.minimum or 16}, words=rule.of)


def _breaking_when(model: Model, rule: WhenRule) -> Iterator[Wish]:
    context = _meeting(model, rule.when)
    for name, values in rule.allow.items():
        for wrong in _other_values(model.known[name], values):
            yield Wish({**context.given, name: wrong}, context.absent, ("When ", f"{name} must be"))
    for name in rule.needs:
        yield Wish(context.given, context.absent | {name}, ("When ", f"{name} is needed too"))
    for name in rule.refuses:
        refused = {**context.given, name: _example(model, name)}
        yield Wish(refused, context.absent, ("When ", f"leave {name} out"))


def _meeting(model: Model, condition: Condition) -> Wish:
    """Return what makes a condition hold."""
    given = {name: _example(model, name) for name in condition.given}
    given |= {name: values[0] for name, values in condition.one_of.items()}
    for name, least in condition.at_least.items():
        parameter = model.known[name]
        given[name] = _items(parameter, int(least)) if parameter.is_array else least
    for name, most in condition.at_most.items():
        if not model.known[name].is_array and name not in given:
            given[name] = most
    return Wish(given, frozenset(condition.absent))


def _settled(model: Model, wish: Wish, rules: Sequence[Rule]) -> Inputs:
    """Return an input that fulfils the wish and keeps the rules, as far as some rounds of mending get."""
    raw = {**model.example, **wish.given}
    raw = {name: value for name, value in raw.items() if name not in wish.absent}
    fixed = set(wish.given) | wish.absent
    for name in wish.given:
        condition = model.known[name].applies_when
        if condition:
            context = _meeting(model, condition)
            raw |= {key: value for key, value in context.given.items() if key not in fixed}
    for _ in range(_ROUNDS):
        filled = _filled(model, raw)
        broken = [rule for rule in rules if breaches(rule, filled)]
        if not broken:
            break
        _mend(model, raw, filled, broken[0], fixed)
    demanded = {p.name: example_value(p) for p in model.parameters if p.required and p.name not in wish.absent}
    return {name: value for name, value in {**demanded, **raw}.items() if _applies(model, name, raw)}


def _mend(model: Model, raw: Inputs, filled: Inputs, rule: Rule, fixed: set[str]) -> None:
    match rule:
        case ChooseRule():
            present = [name for name in rule.of if name in raw]
            if present:
                keep = next((name for name in present if name in fixed), present[0])
                _drop(raw, [name for name in present if name != keep], fixed)
            else:
                free = [name for name in rule.of if name not in fixed]
                raw |= {name: _example(model, name) for name in free[:1]}
        case WhenRule():
            _mend_when(model, raw, filled, rule, fixed)
        case SameLengthRule():
            count = max(len(_as_list(raw[name])) for name in rule.of if name in raw)
            raw |= {name: _items(model.known[name], count) for name in rule.of if name not in fixed}
        case AreaRule():
            raw |= dict(zip(rule.of, _sides(model, rule), strict=True))
        case TotalRule():
            _drop(raw, [name for name in rule.of if name in raw and name not in model.example][:1], fixed)


def _mend_when(model: Model, raw: Inputs, filled: Inputs, rule: WhenRule, fixed: set[str]) -> None:
    wrong = {name: values for name, values in rule.allow.items() if name in filled and filled[name] not in values}
    missing = [name for name in rule.needs if name not in filled]
    surplus = [name for name in rule.refuses if name in filled]
    if fixed.isdisjoint((*wrong, *missing, *surplus)):
        raw |= {name: values[0] for name, values in wrong.items()}
        raw |= {name: _example(model, name) for name in missing}
        _drop(raw, surplus, fixed)
        return
    _drop(raw, rule.when.given, fixed)
    for name, values in rule.when.one_of.items():
        others = _other_values(model.known[name], values)
        if name not in fixed and others:
            raw[name] = others[0]
            return


def _filled(model: Model, raw: Inputs) -> Inputs:
    defaults = {p.name: p.default for p in model.parameters if p.default is not None}
    filled = {**{name: value for name, value in defaults.items() if not model.known[name].applies_when}, **raw}
    late = {name: value for name, value in defaults.items() if name not in filled}
    return {**filled, **{name: value for name, value in late.items() if _applies(model, name, filled)}}


def _applies(model: Model, name: str, filled: Inputs) -> bool:
    condition = model.known[name].applies_when
    return condition is None or holds(condition, {**_always(model), **filled})


def _always(model: Model) -> Inputs:
    return {p.name: p.default for p in model.parameters if p.default is not None and not p.applies_when}


def _drop(raw: Inputs, names: Sequence[str], fixed: set[str]) -> None:
    for name in names:
        if name not in fixed:
            raw.pop(name, None)


def _example(model: Model, name: str) -> JsonValue:
    return example_value(model.known[name])


def _items(parameter: Parameter, count: int) -> list[JsonValue]:
    (first, *_) = _as_list(example_value(parameter)) or [None]
    return [first] * max(count, 1)


def _as_list(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _most(parameter: Parameter, maximum: int) -> JsonValue:
    """Return as much as the parameter takes, or one more than the total may be."""
    if parameter.is_array:
        return _items(parameter, min(parameter.max_items or maximum + 1, maximum + 1))
    if parameter.item_type in ("integer", "number"):
        return parameter.maximum if parameter.maximum is not None else maximum + 1
    return example_value(parameter)


def _sides(model: Model, rule: AreaRule) -> tuple[int, int]:
    """Return two equal sides within the rule and the parameters' own limits."""
    width, height = (model.known[name] for name in rule.of)
    step = int(width.multiple_of or height.multiple_of or 1)
    highest = int(min(isqrt(rule.maximum), width.maximum or 16384, height.maximum or 16384))
    side = highest // step * step
    return side, side


def _other_values(parameter: Parameter, values: Sequence[JsonValue]) -> list[JsonValue]:
    """Return values the parameter takes by itself, other than those."""
    if parameter.type == "boolean":
        candidates: list[JsonValue] = [True, False]
    elif parameter.enum is not None:
        candidates = list(parameter.enum)
    else:
        steps = range(int(parameter.minimum or 0), int(parameter.minimum or 0) + 4)
        candidates = [*steps, parameter.maximum, parameter.default]
    return [value for value in candidates if value is not None and value not in values]
