"""Reading what a caller sent into the one form the rest works with.

Owns aliases, the order of checks, defaults, and listing every mistake at once. Leaves wording to `breaches`, rules
between parameters to `rules`, and fetching media to the worker. Pure; no I/O.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pixeldojo.catalog.breaches import schema_breaches, unknown_input, unreadable
from pixeldojo.catalog.conditions import describe, holds
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.rules import breaches, names
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonObject, JsonValue

_VIOLATIONS_MAXIMUM = 100

# Names that clients of the hosted service use for the same input; they count where the model has the canonical one.
_SHARED_ALIASES: Mapping[str, tuple[str, ...]] = {
    "image_url": ("image",),
    "image_urls": ("images", "reference_urls", "reference_images"),
    "end_image_url": ("last_frame", "last_image_url"),
    "video_url": ("video",),
    "aspect_ratio": ("aspectRatio",),
}


@dataclass(frozen=True, slots=True)
class MediaValue:
    """One address in an input.

    Attributes:
        parameter: Its parameter; of a member of an object, `elements.frontal_image_url`.
        index: Counts the addresses of that parameter from 0, in order.
        kind: `image`, `video`, `audio` or `file`.
        value: An https URL or a `data:` URI.
    """

    parameter: str
    index: int
    kind: str
    value: str


def read_input(model: Model, raw: JsonObject) -> dict[str, JsonValue]:
    """Return the input in canonical names, defaults filled in, in the order of the model's parameters.

    An empty list or text for an optional parameter without a default counts as leaving it out. Whole numbers written
    as `6.0` become `6`. Reading a result again gives the same result.

    Raises:
        ValidationError: listing every breach, each with its path.
    """
    named, spelled, found = _canonical(model, raw)
    unreadable_names = {breach.path for breach in found}
    readable = _without(unreadable_names, named)
    found += _schema_findings(model, readable, named)
    wrong = {breach.path.split("[")[0].split(".")[0] for breach in found}
    filled = _filled(model, _without(wrong, readable))
    found += _misplaced(model, filled, wrong)
    for rule in model.rules:
        if not wrong or wrong.isdisjoint(names(rule)):
            found += breaches(rule, filled, model.lists)
    if found:
        _refuse(model, found, spelled)
    return filled


def aliases(parameters: Sequence[Parameter]) -> dict[str, str]:
    """Return the other names that inputs are accepted under, each with the name it stands for."""
    shared = {alias: parameter.name for parameter in parameters for alias in _SHARED_ALIASES.get(parameter.name, ())}
    own = {alias: parameter.name for parameter in parameters for alias in parameter.aliases}
    return {**shared, **own}


def media_values(model: Model, given: JsonObject) -> tuple[MediaValue, ...]:
    """Return every address of an input that `read_input` returned, in the order of the parameters."""
    found: list[MediaValue] = []
    for parameter in model.parameters:
        counted: dict[str, int] = {}
        for path, kind, value in _addresses(parameter, parameter.name, given.get(parameter.name)):
            index = counted.get(path, 0)
            counted[path] = index + 1
            found.append(MediaValue(path, index, kind, value))
    return tuple(found)


def _addresses(parameter: Parameter, path: str, value: JsonValue) -> Iterator[tuple[str, str, str]]:
    items = value if isinstance(value, list | tuple) else [value]
    for item in items:
        if parameter.media and isinstance(item, str):
            yield path, parameter.media, item
        elif isinstance(item, Mapping):
            for member in parameter.fields:
                yield from _addresses(member, f"{path}.{member.name}", item.get(member.name))


def _canonical(model: Model, raw: JsonObject) -> tuple[dict[str, JsonValue], dict[str, str], list[Violation]]:
    """Return the input under canonical names, how the caller spelled each, and what is wrong with names and values."""
    known = model.known
    named: dict[str, JsonValue] = {}
    spelled: dict[str, str] = {}
    found: list[Violation] = []
    others = aliases(model.parameters) if not raw.keys() <= known.keys() else {}
    for given_name, value in raw.items():
        if len(found) >= _VIOLATIONS_MAXIMUM:
            break
        name = given_name if given_name in known else others.get(given_name)
        if name is None:
            found.append(unknown_input(given_name, [*known], others))
        elif name in named:
            found.append(Violation(given_name, f"{spelled[name]} and {given_name} are the same input; give one."))
        else:
            named[name], spelled[name] = value, given_name
            if reason := unreadable(value):
                found.append(Violation(name, f"{name} {reason}."))
    return named, spelled, found


def _without(names: set[str], values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if name not in names} if names else values


def _schema_findings(model: Model, readable: JsonObject, named: JsonObject) -> list[Violation]:
    if model.checker.is_valid(readable):
        return []
    found = [breach for error in model.checker.iter_errors(readable) for breach in schema_breaches(error, model.known)]
    # A value that was already refused is missing here only because it was taken out.
    return [breach for breach in found if breach.path in readable or breach.path not in named]


def _filled(model: Model, given: JsonObject) -> dict[str, JsonValue]:
    """Return the input complete and in order: first what always applies, then what depends on that."""
    filled: dict[str, JsonValue] = {}
    for name, parameter in model.known.items():
        value = _complete(parameter, given[name]) if name in given else None
        if value is None and parameter.applies_when is None:
            value = parameter.default
        if value is not None:
            filled[name] = value
    late = [p for p in model.conditional if p.default is not None and p.name not in filled]
    if not late:
        return filled
    filled |= {parameter.name: parameter.default for parameter in late if holds(parameter.applies_when, filled)}
    return {name: filled[name] for name in model.known if name in filled}


def _complete(parameter: Parameter, value: JsonValue) -> JsonValue:
    if isinstance(value, str | bool | int) or value is None:
        return None if value == "" and parameter.drops_when_empty else value
    if isinstance(value, float):
        return int(value) if parameter.item_type == "integer" else value
    if isinstance(value, Mapping):
        members = {member.name: _member(member, value.get(member.name)) for member in parameter.fields}
        return {name: member for name, member in members.items() if member is not None}
    # An empty text among others is an item like any other; only the whole list can count as left out.
    items = [item if item == "" else _complete(parameter, item) for item in value]
    return None if not items and parameter.drops_when_empty else items


def _member(member: Parameter, value: JsonValue) -> JsonValue:
    complete = _complete(member, value)
    return member.default if complete is None else complete


def _misplaced(model: Model, filled: JsonObject, wrong: set[str]) -> list[Violation]:
    """Return what is wrong with parameters that exist only on some inputs."""
    found: list[Violation] = []
    for parameter in model.conditional:
        name = parameter.name
        if name not in filled and not parameter.required:
            continue
        assert parameter.applies_when is not None
        if wrong and not wrong.isdisjoint({name, *parameter.applies_when.names()}):
            continue
        applies = holds(parameter.applies_when, filled)
        if applies == (name in filled):
            continue
        circumstance = describe(parameter.applies_when, model.lists)
        if not applies:
            found.append(Violation(name, f"{name} is only for inputs where {circumstance}; leave it out."))
        else:
            found.append(Violation(name, f"{name} is required when {circumstance}: {parameter.description}"))
    return found


def _refuse(model: Model, found: list[Violation], spelled: Mapping[str, str]) -> None:
    order = {parameter.name: place for place, parameter in enumerate(model.parameters)}
    details = [_as_spelled(breach, spelled) for breach in found]
    details.sort(key=lambda breach: order.get(breach.path.split("[")[0].split(".")[0], len(order)))
    first = details[0].message
    more = f" ({len(details) - 1} more in details)" if len(details) > 1 else ""
    raise ValidationError(f"{first}{more}", details=details[:_VIOLATIONS_MAXIMUM])


def _as_spelled(breach: Violation, spelled: Mapping[str, str]) -> Violation:
    """Return the breach under the name the caller used."""
    name = breach.path.split("[")[0].split(".")[0]
    alias = spelled.get(name, name)
    if alias == name:
        return breach
    return Violation(f"{alias}{breach.path[len(name) :]}", f"{breach.message} ({alias} is read as {name}.)")
