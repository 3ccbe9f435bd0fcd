"""pydantic's findings in our words: every type that our models can raise has words of its own, and they are ours."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, get_args

import pytest
from pydantic import BaseModel, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from pixeldojo.api import jobs, models
from pixeldojo.catalog.family import FamilyFile
from pixeldojo.catalog.load import ModelFile
from pixeldojo.core.pydantic_errors import complaint_of, demand_of
from pixeldojo.core.settings import Settings
from pixeldojo.jobs.states import JobStatus

# What a node of pydantic's core schema can find, by its type, and by the limits that may stand in it.
_BY_TYPE: Final[Mapping[str, set[str]]] = {
    "str": {"string_type", "string_unicode"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "bool": {"bool_type", "bool_parsing"},
    "literal": {"literal_error"},
    "enum": {"enum"},
    "list": {"list_type"},
    "tuple": {"tuple_type"},
    "dict": {"dict_type"},
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden", "model_attributes_type"},
    "function-before": {"value_error"},
    "function-after": {"value_error"},
}
_BY_LIMIT: Final[Mapping[str, set[str]]] = {
    "ge": {"greater_than_equal"},
    "gt": {"greater_than"},
    "le": {"less_than_equal"},
    "lt": {"less_than"},
    "multiple_of": {"multiple_of"},
    "pattern": {"string_pattern_mismatch"},
    "min_length": {"string_too_short", "too_short"},
    "max_length": {"string_too_long", "too_long"},
}


def findings(node: object) -> Iterator[str]:
    """Yield the types of error that a schema, or what is within it, can raise."""
    if isinstance(node, Mapping):
        kind = node.get("type")
        if isinstance(kind, str):
            yield from _BY_TYPE.get(kind, ())
            for limit, types in _BY_LIMIT.items():
                yield from types if node.get(limit) is not None else ()
        for inner in node.values():
            yield from findings(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from findings(inner)


def schemas() -> Iterator[Any]:
    for kind in (Settings, ModelFile, FamilyFile):
        yield kind.__pydantic_core_schema__
    for route in [*jobs.router.routes, *models.router.routes]:
        for parameter in route.dependant.query_params:  # type: ignore[attr-defined]  # of every route of FastAPI's
            annotation: Any = Annotated[parameter.field_info.annotation, parameter.field_info]
            yield TypeAdapter(annotation).core_schema


_OF_OURS: Final = sorted({found for schema in schemas() for found in findings(schema)})
_LIMITS: Final = {**dict.fromkeys(_BY_LIMIT, 3), "expected": "'a' or 'b'", "error": ValueError("must rhyme")}


def said(kind: str) -> str:
    return demand_of({"type": kind, "loc": ("x",), "msg": "", "input": object(), "ctx": _LIMITS})


def test_the_models_can_raise_what_this_file_is_about() -> None:
    assert {"int_parsing", "less_than_equal", "literal_error", "value_error", "extra_forbidden"} < set(_OF_OURS)


@pytest.mark.parametrize("kind", _OF_OURS)
def test_every_type_that_our_models_can_raise_has_words_of_its_own(kind: str) -> None:
    assert said(kind) != "cannot be used"
    assert "{" not in said(kind)


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_what_our_models_cannot_raise_yet_is_told_without_a_fault(kind: str) -> None:
    assert len(said(kind)) > 8


class _Ours(BaseModel):
    count: Annotated[int, Field(ge=1, le=100)] = 1
    share: Annotated[float, Field(gt=0, lt=1.5, allow_inf_nan=False)] = 1
    name: Annotated[str, StringConstraints(min_length=2, max_length=4, pattern="^[a-z]+$")] = "ab"
    secret: Annotated[SecretStr, Field(min_length=32)] = SecretStr("x" * 32)
    parts: Annotated[list[str], Field(max_length=2)] = []
    status: JobStatus | None = None
    section: Literal["image", "video"] = "image"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("count", "0", 'must be 1 or more (it was "0")'),
        ("count", "101", 'must be 100 or less (it was "101")'),
        ("count", "ten", 'must be a whole number (it was "ten")'),
        ("count", 1.5, "must be a whole number (it was 1.5)"),
        ("count", "9" * 5_000, f'must be a whole number of fewer digits (it was "{"9" * 99}…)'),
        ("share", 0, "must be above 0 (it was 0)"),
        ("share", 2, "must be below 1.5 (it was 2)"),
        ("share", "nan", 'must be a finite number (it was "nan")'),
        ("name", "a", 'must have at least 2 characters (it was "a")'),
        ("name", "abcde", 'may have at most 4 characters (it was "abcde")'),
        ("name", "AB", 'must match ^[a-z]+$ (it was "AB")'),
        ("name", None, "must be a string"),
        ("parts", ["a", "b", "c"], "may have at most 2 items"),
        ("parts", "a", 'must be a list (it was "a")'),
        ("status", "complete", 'did you mean "completed"? (it was "complete")'),
        ("section", "Image", "must be 'image' or 'video'; did you mean \"image\"? (it was \"Image\")"),
        ("section", "audio", "must be 'image' or 'video' (it was \"audio\")"),
    ],
    ids=str,
)
def test_what_was_given_and_what_would_be_right_are_told(field: str, value: object, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Ours.model_validate({field: value})
    (problem,) = caught.value.errors()
    assert complaint_of(problem).endswith(complaint)


def test_the_length_of_a_secret_is_told_in_characters() -> None:
    with pytest.raises(ValidationError) as caught:
        _Ours.model_validate({"secret": "hunter2"})
    assert demand_of(caught.value.errors()[0]) == "must have at least 32 characters"
