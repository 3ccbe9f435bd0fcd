"""Saying what is wrong with one input, in our own sentences: what was given and what would be right.

Owns the wording of everything the JSON Schema can find, and the search for values no schema can be asked about (NUL
characters, lone surrogates, numbers that are not numbers, endless nesting). Leaves rules between parameters to
`rules`, and deciding what counts as an input to `inputs`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from jsonschema_rs import ValidationError, ValidationErrorKind

from pixeldojo.catalog.conditions import either
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.request_schema import ITEMS_MAXIMUM, MEDIA_MAXIMUM, NUMBER_MAXIMUM
from pixeldojo.core.errors import Violation
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.near_miss import near_word, nearest

_DEPTH_MAXIMUM = 6
_SHOWN_MAXIMUM = 60
_LISTED_MAXIMUM = 24
_Path: TypeAlias = Sequence[str | int]


def unreadable(value: JsonValue, depth: int = 0) -> str | None:
    """Return why no model could read the value, or None."""
    if isinstance(value, str):
        return _unreadable_text(value)
    if value is None or isinstance(value, bool | int | float):
        return _unreadable_number(value)
    if depth >= _DEPTH_MAXIMUM:
        return f"is nested more than {_DEPTH_MAXIMUM} levels deep"
    if len(value) > ITEMS_MAXIMUM:
        return f"has {len(value)} items; {ITEMS_MAXIMUM} is the most any input takes"
    if isinstance(value, Mapping):
        inner: list[JsonValue] = [*value, *value.values()]
    else:
        inner = list(value)
    return next((reason for item in inner if (reason := unreadable(item, depth + 1))), None)


def unknown_input(name: str, known: Sequence[str], aliases: Mapping[str, str] = MappingProxyType({})) -> Violation:
    """Return the breach for an input that the model does not have; what is near to an alias is told by its own name."""
    near = near_word(name, [*known, *aliases])
    hint = f'; did you mean "{aliases.get(near, near)}"?' if near else "."
    return Violation(plain(name), f"{quoted(name)} is not an input of this model{hint}")


def schema_breaches(error: ValidationError, parameters: Mapping[str, Parameter]) -> list[Violation]:
    """Return the sentences for one finding of the schema validator."""
    path: _Path = error.instance_path
    owner = _owner(path, parameters)
    match error.kind:
        case ValidationErrorKind.Required():
            name = str(error.kind.property)
            wanted = _members(owner, parameters).get(name)
            return [Violation(dotted([*path, name]), f"{name} is required{_purpose(wanted)}")]
        case ValidationErrorKind.AdditionalProperties():
            known = list(_members(owner, parameters))
            return [
                Violation(dotted([*path, name]), unknown_input(name, known).message) for name in error.kind.unexpected
            ]
    assert owner is not None
    at_item = owner.is_array and bool(path) and isinstance(path[-1], int)
    subject = f"An item of {owner.name}" if at_item else owner.name
    return [Violation(dotted(path), f"{subject} {_demand(error, owner, at_item)}")]


def dotted(path: _Path) -> str:
    """Return `loras[0].path`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{plain(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def plain(text: str) -> str:
    """Return text that can travel in JSON whatever it was: bounded, without lone surrogates or control characters."""
    return quoted(text)[1:-1]


def quoted(value: object) -> str:
    """Return the value as JSON, bounded and safe to encode."""
    text = value if not isinstance(value, str) or len(value) <= _SHOWN_MAXIMUM else f"{value[:_SHOWN_MAXIMUM]}…"
    shown = json.dumps(text, ensure_ascii=False)
    if len(shown) > _SHOWN_MAXIMUM * 6:
        shown = f"{shown[:_SHOWN_MAXIMUM]}…"
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def _unreadable_text(value: str) -> str | None:
    if "\0" in value:
        return "holds a NUL character; leave it out"
    if len(value) > MEDIA_MAXIMUM:
        return f"is longer than {MEDIA_MAXIMUM} characters; upload the file and give its URL"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not a character; send valid Unicode"
    return None


def _unreadable_number(value: bool | float | None) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number; give a finite one"
    if value is not None and abs(value) > NUMBER_MAXIMUM:
        return f"is beyond {NUMBER_MAXIMUM}, the largest number JSON readers agree on"
    return None


def _owner(path: _Path, parameters: Mapping[str, Parameter]) -> Parameter | None:
    """Return the parameter (or member of an object) that a path leads to; None for the whole input."""
    owner: Parameter | None = None
    for part in path:
        if isinstance(part, str):
            owner = _members(owner, parameters)[part]
    return owner


def _members(owner: Parameter | None, parameters: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
    return parameters if owner is None else {field.name: field for field in owner.fields}


def _purpose(parameter: Parameter | None) -> str:
    return f": {parameter.description}" if parameter else "."


def _demand(error: ValidationError, owner: Parameter, at_item: bool) -> str:
    instance: object = error.instance
    match error.kind:
        case ValidationErrorKind.Type():
            wanted = owner.item_type if at_item else "array" if owner.is_array else owner.type
            return f"must be {_a(wanted)}, not {_kind_of(instance)}."
        case ValidationErrorKind.Enum():
            return _not_listed(owner, instance)
        case ValidationErrorKind.Pattern():
            return f"must be an https URL or a data: URI of {_a(owner.media or 'file')}, not {quoted(instance)}."
        case _:
            return _limit(error.kind, owner, instance)


def _limit(kind: ValidationErrorKind, owner: Parameter, instance: object) -> str:
    match kind:
        case ValidationErrorKind.MultipleOf():
            return f"must be a multiple of {owner.multiple_of}, not {quoted(instance)}."
        case ValidationErrorKind.MinItems() | ValidationErrorKind.MinLength():
            return f"needs at least {_counted(kind.limit, instance)}, not {_size(instance)}."
        case ValidationErrorKind.MaxItems() | ValidationErrorKind.MaxLength():
            return f"may have at most {_counted(kind.limit, instance)}, not {_size(instance)}."
        case _:
            return f"must be {_range(owner)}, not {quoted(instance)}."


def _not_listed(owner: Parameter, instance: object) -> str:
    options = owner.enum or ()
    # Of ratios, the one that is spelled most alike is seldom the nearest: 16:10 looks like 1:1.
    is_word = isinstance(instance, str) and ":" not in instance
    hint = nearest(str(instance), [str(option) for option in options], 0.75) if is_word else ""
    listed = either(options[:_LISTED_MAXIMUM]) if len(options) <= _LISTED_MAXIMUM else f"one of {len(options)} values"
    return f"must be {listed}, not {quoted(instance)}{hint or '.'}"


def _range(owner: Parameter) -> str:
    if owner.minimum is not None and owner.maximum is not None:
        return f"{owner.minimum} to {owner.maximum}"
    if owner.minimum is not None:
        return f"at least {owner.minimum}"
    return f"at most {owner.maximum}" if owner.maximum is not None else f"within ±{NUMBER_MAXIMUM}"


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _kind_of(value: object) -> str:
    if value is None:
        return "null (leave it out to get the default)"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    return "an object" if isinstance(value, Mapping) else "an array"


def _counted(limit: int, instance: object) -> str:
    unit = "character" if isinstance(instance, str) else "item"
    return f"{limit} {unit}" if limit == 1 else f"{limit} {unit}s"


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | Sequence) else 0
