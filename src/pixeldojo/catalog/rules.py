"""Rules between parameters: what no single parameter's limits can say.

Owns their shapes, deciding them on an input and saying in words how one is broken. Leaves limits of one parameter to
the JSON Schema, and the schema form of these rules to `request_schema`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from pixeldojo.catalog.conditions import Condition, Scalar, describe, either, holds, joined
from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.errors import Violation
from pixeldojo.core.json_types import JsonObject, JsonValue


class ChooseRule(FileTable):
    """How many of some parameters may be given."""

    rule: Literal["exactly_one", "at_least_one", "at_most_one"]
    of: tuple[str, ...] = Field(min_length=2)
    because: str = ""


class WhenRule(FileTable):
    """When a condition holds: values that are allowed, parameters that are needed, parameters that are refused."""

    rule: Literal["when"]
    when: Condition
    allow: Mapping[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    because: str = ""


class TotalRule(FileTable):
    """Bounds on a sum: items of arrays, values of numbers, one for any other parameter given."""

    rule: Literal["total"]
    of: tuple[str, ...] = Field(min_length=1)
    minimum: int = 0
    maximum: int
    because: str = ""


class SameLengthRule(FileTable):
    """Arrays that belong together item by item, where both are given."""

    rule: Literal["same_length"]
    of: tuple[str, ...] = Field(min_length=2)
    because: str = ""


class AreaRule(FileTable):
    """Bounds on a width and a height together: pixels in all, and the longer side over the shorter."""

    rule: Literal["area"]
    of: tuple[str, str]
    minimum: int = 1
    maximum: int
    widest: float | None = None
    because: str = ""


Rule: TypeAlias = Annotated[ChooseRule | WhenRule | TotalRule | SameLengthRule | AreaRule, Field(discriminator="rule")]


def names(rule: Rule) -> tuple[str, ...]:
    """Return every parameter a rule reads."""
    if isinstance(rule, WhenRule):
        return (*rule.when.names(), *rule.allow, *rule.needs, *rule.refuses)
    return rule.of


def breaches(rule: Rule, given: JsonObject, lists: Collection[str] = ()) -> list[Violation]:
    """Return how an input in canonical names, defaults filled in, breaks the rule; nothing when it does not."""
    match rule:
        case ChooseRule():
            found = _choose(rule, given)
        case WhenRule():
            found = _when(rule, given, lists)
        case TotalRule():
            found = _total(rule, given)
        case SameLengthRule():
            found = _same_length(rule, given)
        case AreaRule():
            found = _area(rule, given)
    return [Violation(path, f"{message}{_because(rule)}.") for path, message in found]


_Found: TypeAlias = list[tuple[str, str]]


def _because(rule: Rule) -> str:
    return f": {rule.because}" if rule.because else ""


def _choose(rule: ChooseRule, given: JsonObject) -> _Found:
    present = [name for name in rule.of if name in given]
    if not present and rule.rule != "at_most_one":
        wanted = "exactly one" if rule.rule == "exactly_one" else "at least one"
        return [(rule.of[0], f"Give {wanted} of {joined(rule.of, 'or')}; none was given")]
    if len(present) > 1 and rule.rule != "at_least_one":
        wanted = "exactly one" if rule.rule == "exactly_one" else "at most one"
        return [(present[1], f"Give {wanted} of {joined(rule.of, 'or')}; {joined(present, 'and')} were given")]
    return []


def _when(rule: WhenRule, given: JsonObject, lists: Collection[str]) -> _Found:
    if not holds(rule.when, given):
        return []
    found = [
        (name, f"{name} must be {either(values)}")
        for name, values in rule.allow.items()
        if name in given and given[name] not in values
    ]
    found += [(name, f"{name} is needed too") for name in rule.needs if name not in given]
    found += [(name, f"leave {name} out") for name in rule.refuses if name in given]
    return [(name, f"When {describe(rule.when, lists)}, {demand}") for name, demand in found]


def _total(rule: TotalRule, given: JsonObject) -> _Found:
    total = sum(_counted(given[name]) for name in rule.of if name in given)
    if rule.minimum <= total <= rule.maximum:
        return []
    too_many = total > rule.maximum
    verb, bounds = ("may", f"at most {rule.maximum}") if too_many else ("must", f"at least {rule.minimum}")
    return [(rule.of[0], f"{joined(rule.of, 'and')} {verb} come to {bounds} together, not {total:g}")]


def _same_length(rule: SameLengthRule, given: JsonObject) -> _Found:
    lengths = {name: _counted(given[name]) for name in rule.of if name in given}
    if len(set(lengths.values())) <= 1:
        return []
    counts = joined([f"{name} has {count:g}" for name, count in lengths.items()], "and")
    return [(rule.of[1], f"{joined(rule.of, 'and')} must have as many items as one another; {counts}")]


def _area(rule: AreaRule, given: JsonObject) -> _Found:
    sides = [given[name] for name in rule.of if name in given]
    numbers = [side for side in sides if isinstance(side, int) and side > 0]
    if len(numbers) != len(rule.of):
        return []
    area, ratio = numbers[0] * numbers[1], max(numbers) / min(numbers)
    path, both = rule.of[0], " x ".join(rule.of)
    if not rule.minimum <= area <= rule.maximum:
        return [(path, f"{both} must be {rule.minimum} to {rule.maximum} pixels in all, not {area}")]
    if rule.widest is not None and ratio > rule.widest:
        return [(path, f"The longer of {joined(rule.of, 'and')} may be {rule.widest:g} times the other at most")]
    return []


def _counted(value: JsonValue) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return len(value) if isinstance(value, Sequence) and not isinstance(value, str) else 1
