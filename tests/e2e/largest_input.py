"""The largest input that a model takes: every property set that may stand beside the others, each at its largest.

Owns making it, always the same one, from the model's parameters; the catalog only says whether an input is allowed.
Leaves the files behind addresses to whoever serves them: here they are `address(parameter)`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from pixeldojo.catalog.conditions import Condition
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.rules import WhenRule
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonValue

Input: TypeAlias = dict[str, JsonValue]
Address: TypeAlias = Callable[[Parameter], str]

_LONGEST_TEXT = 600
_MOST_ITEMS = 8
_TRIES = 8
_PARTS = (1, 0.5, 0.25, 0.1, 0)
# What multiplies the work.
_MANY_OR_LONG = ("num_outputs", "duration", "num_frames", "fps")
_FINE = ("resolution", "megapixels", "fps", "width", "height", "upscale_factor")
_WORDS = "a lighthouse above a stormy sea at dusk, gulls, spray, the lamp lit, in deep blues and gold; "
_COLOUR = "#20406a"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SHAPED_LIKE_A_SOURCE = ("auto", "match_input_image")


def smallest_input(model: Model, address: Address) -> Input:
    """Return the model's example: what it requires and nothing else, its media at addresses that can be fetched."""
    parameters = {parameter.name: parameter for parameter in model.parameters}
    return {name: _readdressed(parameters[name], value, address) for name, value in model.example.items()}


def largest_input(model: Model, address: Address, is_affordable: Callable[[Input], bool]) -> Input:
    """Return the input that sets the most properties, each at the largest value that those before it allow.

    Args:
        model: The model.
        address: Where a file for a parameter can be fetched.
        is_affordable: Whether drawing an input takes a time that tests can spare. Until it does, what multiplies the
            work is lowered: length and number first for every other model of the list, fineness first for the rest.
    """
    grown = [_grown(model, start, address) for start in _starts(model, smallest_input(model, address))]
    return _lowered(model, max(grown, key=len), address, is_affordable)


def _readdressed(parameter: Parameter, value: JsonValue, address: Address) -> JsonValue:
    if parameter.media is None:
        return value
    return [address(parameter)] if isinstance(value, list | tuple) else address(parameter)


def _starts(model: Model, least: Input) -> Iterator[Input]:
    """Yield the smallest input, and those with another value of what decides which parameters there are."""
    yield least
    deciding = {name for parameter in model.parameters for name in _decisive(parameter.applies_when)}
    for parameter in model.parameters:
        if parameter.name in deciding:
            for value in parameter.enum or ():
                if _is_allowed(model, start := {**least, parameter.name: value}):
                    yield start


def _decisive(condition: Condition | None) -> tuple[str, ...]:
    return () if condition is None else tuple(condition.one_of)


def _grown(model: Model, start: Input, address: Address) -> Input:
    """Set one property after another, each at the largest value that the ones before it allow."""
    grown, fixed = dict(start), {name for name in start if name not in model.example}
    for _ in range(2):  # what was set late may allow more of what came before
        for parameter in model.parameters:
            if parameter.name in fixed or (parameter.name in grown and parameter.media and not parameter.is_array):
                continue
            for value in islice(_values(parameter, address), _TRIES):
                found = _with(model, grown, parameter, value, address)
                if found is not None:
                    grown = found
                    break
    return grown


def _with(model: Model, given: Input, parameter: Parameter, value: JsonValue, address: Address) -> Input | None:
    """Return the input with a property, and where a rule wants others beside it, with those."""
    alone = {**given, parameter.name: value}
    if _is_allowed(model, alone):
        return alone
    for other in _needed_beside(model, parameter):
        for its_value in islice(_values(other, address), _TRIES):
            if _is_allowed(model, pair := {**alone, other.name: its_value}):
                return pair
    return None


def _needed_beside(model: Model, parameter: Parameter) -> Iterator[Parameter]:
    for rule in model.rules:
        if isinstance(rule, WhenRule) and parameter.name in rule.when.given:
            for name in rule.needs:
                if (needed := model.parameter(name)) is not None:
                    yield needed


def _lowered(model: Model, given: Input, address: Address, is_affordable: Callable[[Input], bool]) -> Input:
    lowered = dict(given)
    first, second = (_MANY_OR_LONG, _FINE) if model.order // 10 % 2 else (_FINE, _MANY_OR_LONG)
    while not is_affordable(lowered):
        smaller = _smaller(model, lowered, first, address) or _smaller(model, lowered, second, address)
        if smaller is None:
            break
        lowered = smaller
    return lowered


def _smaller(model: Model, given: Input, names: Sequence[str], address: Address) -> Input | None:
    """Return the input with the first of the parameters that can be lowered one step lower."""
    for parameter in filter(None, map(model.parameter, names)):
        if parameter.name in given:
            values = list(_values(parameter, address))
            for value in values[values.index(given[parameter.name]) + 1 :]:
                if _is_allowed(model, smaller := {**given, parameter.name: value}):
                    return smaller
    return None


def _is_allowed(model: Model, given: Input) -> bool:
    try:
        read_input(model, given)
    except ValidationError:
        return False
    return True


def _values(parameter: Parameter, address: Address) -> Iterator[JsonValue]:
    """Yield values of a parameter, the largest first."""
    if parameter.is_array:
        most = min(parameter.max_items or _MOST_ITEMS, _MOST_ITEMS)
        item = next(_items(parameter, address))
        yield from ([item] * count for count in range(most, max(parameter.min_items or 1, 1) - 1, -1))
    else:
        yield from _items(parameter, address)


def _items(parameter: Parameter, address: Address) -> Iterator[JsonValue]:
    if parameter.enum is not None:
        yield from sorted(parameter.enum, key=_rank, reverse=True)
        return
    match parameter.item_type:
        case "boolean":
            yield from (True, False)
        case "integer" | "number":
            yield from _numbers(parameter)
        case "object":
            yield {member.name: next(_values(member, address)) for member in parameter.fields}
        case _:
            yield _text(parameter, address)


def _rank(value: JsonValue) -> float:
    """Order the words of a list: by the number at their head; what leaves the choice to others comes last."""
    if isinstance(value, int | float):
        return value
    if value in _SHAPED_LIKE_A_SOURCE:
        return -1
    head = _NUMBER.match(str(value))
    return 0 if head is None or ":" in str(value) else float(head.group()) * (1_000 if "k" in str(value).lower() else 1)


def _numbers(parameter: Parameter) -> Iterator[JsonValue]:
    least, most = float(parameter.minimum or 0), float(parameter.maximum if parameter.maximum is not None else 10)
    step = float(parameter.multiple_of or (1 if parameter.item_type == "integer" else 0))
    values = [least + (most - least) * part for part in _PARTS]
    if step:
        values = [max(value // step * step, -(-least // step) * step) for value in values]
    # Each once: lowering goes from one to the next.
    yield from dict.fromkeys(int(value) if parameter.item_type == "integer" else value for value in values)


def _text(parameter: Parameter, address: Address) -> str:
    if parameter.media:
        return address(parameter)
    if "color" in parameter.name or "colour" in parameter.name or parameter.name == "hex":
        return _COLOUR
    if isinstance(parameter.example, str):
        return parameter.example
    length = min(parameter.max_length or _LONGEST_TEXT, _LONGEST_TEXT)
    return (_WORDS * (length // len(_WORDS) + 1))[:length].rstrip()
