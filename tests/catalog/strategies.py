"""Hypothesis strategies that know the models' parameters: valid values, near misses and plain noise.

The models are the packaged ones and a made-up one that uses every part of the format.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from hypothesis import strategies as st

from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue

Json: TypeAlias = st.SearchStrategy[JsonValue]
Request: TypeAlias = tuple[Model, dict[str, JsonValue]]

MODELS = (
    *load_catalog().models,
    load_catalog(Path(__file__).with_name("made_up"), providers=("first", "second")).find("wide"),
)

NOISE: Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_ADDRESSES = st.sampled_from(["https://example.com/a.png", "http://example.com/b", "data:image/png;base64,AAAA"])
_MISSES: Json = st.sampled_from(
    [None, "", [], {}, 0, 1, -1, 6.0, 0.5, True, "ftp://x", "x", [""], ["https://example.com"], [3], 10**17]
)


def requests(inputs: Callable[[Model], st.SearchStrategy[dict[str, JsonValue]]]) -> st.SearchStrategy[Request]:
    """Return pairs of a model and one of its inputs of that kind."""
    return st.one_of([st.tuples(st.just(model), inputs(model)) for model in MODELS])


def valid_value(parameter: Parameter) -> Json:
    """Return values that pass the parameter's own limits."""
    if not parameter.is_array:
        return _valid_item(parameter)
    least, most = parameter.min_items or int(parameter.required), min(parameter.max_items or 3, 4)
    return st.lists(_valid_item(parameter), min_size=least, max_size=max(most, least))


def valid_inputs(model: Model) -> st.SearchStrategy[dict[str, JsonValue]]:
    """Return inputs whose every value passes on its own; rules between them may still refuse."""
    required = {p.name: valid_value(p) for p in model.parameters if p.required and not p.applies_when}
    optional = {p.name: valid_value(p) for p in model.parameters if p.name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def near_inputs(model: Model) -> st.SearchStrategy[dict[str, JsonValue]]:
    """Return inputs under canonical names, right and wrong values mixed, nothing hostile."""
    values = {p.name: valid_value(p) | _MISSES for p in model.parameters}
    return st.fixed_dictionaries({}, optional={**values, "unheard_of": _MISSES})


def any_inputs(model: Model) -> st.SearchStrategy[dict[str, JsonValue]]:
    """Return whatever JSON a caller could send, often under names that mean something."""
    words = [p.name for p in model.parameters] + ["image", "images", "video", "aspectRatio", "last_frame"]
    return st.dictionaries(st.sampled_from(words) | st.text(max_size=8), NOISE | _MISSES | _ADDRESSES, max_size=8)


def _valid_item(parameter: Parameter) -> Json:
    if parameter.enum is not None:
        return st.sampled_from(parameter.enum)
    if parameter.item_type == "object":
        return st.fixed_dictionaries(
            {member.name: valid_value(member) for member in parameter.fields if member.required},
            optional={member.name: valid_value(member) for member in parameter.fields if not member.required},
        )
    if parameter.item_type == "string":
        return _ADDRESSES if parameter.media else _valid_text(parameter)
    numbers = {"boolean": _booleans, "integer": _valid_integers, "number": _valid_numbers}
    return numbers[parameter.item_type](parameter)


def _booleans(_: Parameter) -> Json:
    return st.booleans()


def _valid_text(parameter: Parameter) -> Json:
    return st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        min_size=parameter.min_length or int(parameter.required),
        max_size=min(parameter.max_length or 30, 30),
    )


def _valid_numbers(parameter: Parameter) -> Json:
    least, most = parameter.minimum or 0, parameter.maximum if parameter.maximum is not None else 100
    return st.floats(least, most) | st.integers(int(least) + 1, int(most))


def _valid_integers(parameter: Parameter) -> Json:
    step = int(parameter.multiple_of or 1)
    least = int(parameter.minimum if parameter.minimum is not None else -1_000)
    most = int(parameter.maximum if parameter.maximum is not None else 1_000)
    return st.integers(-(-least // step), most // step).map(lambda number: number * step)
