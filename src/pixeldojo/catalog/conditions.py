"""Conditions on an input: `{ given = [...], absent = [...], one_of = {...}, at_least = {...}, at_most = {...} }`.

Owns deciding and wording them; one language for rules between parameters, parameters that apply only sometimes, and
the choice of an upstream. Leaves their JSON Schema form to `request_schema`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from pydantic import Field

from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.json_types import JsonObject, JsonValue

Scalar: TypeAlias = str | bool | int | float


class Condition(FileTable):
    """Holds when every part holds, on an input in canonical names with defaults filled in.

    Attributes:
        given: Parameters that the input has.
        absent: Parameters that it has not.
        one_of: Parameters that have one of the values listed.
        at_least: Numbers (of an array: how many items) that are not smaller; a missing parameter fails.
        at_most: Numbers (of an array: how many items) that are not larger; a missing parameter passes.
    """

    given: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    one_of: Mapping[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    at_least: Mapping[str, int | float] = Field(default_factory=dict)
    at_most: Mapping[str, int | float] = Field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Return every parameter it reads."""
        return (*self.given, *self.absent, *self.one_of, *self.at_least, *self.at_most)


def holds(condition: Condition | None, given: JsonObject) -> bool:
    """Say whether the condition holds; none always does."""
    return condition is None or (_has_names(condition, given) and _has_values(condition, given))


def describe(condition: Condition, lists: Collection[str] = ()) -> str:
    """Return the condition in words: `aspect_ratio is "custom" and image_url is given`.

    Args:
        condition: What to put into words.
        lists: The parameters that are arrays, whose items are counted.
    """
    parts = [
        *(f"{name} is {either(values)}" for name, values in condition.one_of.items()),
        *(f"{name} is given" for name in condition.given),
        *(f"{name} is not given" for name in condition.absent),
        *(_bounded(name, f"at least {n}", lists) for name, n in condition.at_least.items()),
        *(_bounded(name, f"at most {n}", lists) for name, n in condition.at_most.items()),
    ]
    return " and ".join(parts)


def either(values: Iterable[Scalar]) -> str:
    """Return JSON-like values joined with commas and `or`."""
    return joined([shown(value) for value in values], "or")


def joined(words: Sequence[str], last: str) -> str:
    """Return `a, b or c`."""
    return f" {last} ".join(word for word in (", ".join(words[:-1]), *words[-1:]) if word)


def shown(value: Scalar) -> str:
    """Return a value as a caller would write it in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


# Loops rather than all(): most parts of most conditions are empty, and a generator takes longer than what it asks.
def _has_names(condition: Condition, given: JsonObject) -> bool:
    for name in condition.given:
        if name not in given:
            return False
    return given.keys().isdisjoint(condition.absent)


def _has_values(condition: Condition, given: JsonObject) -> bool:
    for name, values in condition.one_of.items():
        if given.get(name) not in values:
            return False
    for name, most in condition.at_most.items():
        if name in given and _amount(given[name]) > most:
            return False
    least = condition.at_least
    return not least or all(name in given and _amount(given[name]) >= n for name, n in least.items())


def _bounded(name: str, bound: str, lists: Collection[str]) -> str:
    if name not in lists:
        return f"{name} is {bound}"
    return f"{name} has {bound} item{'' if bound.endswith(' 1') else 's'}"


def _amount(value: JsonValue) -> float:
    if isinstance(value, int | float):
        return value
    return len(value) if isinstance(value, Sequence) and not isinstance(value, str) else 0
