"""What pydantic found wrong, in our words: settings, query parameters and catalog files are refused alike.

Owns the wording of every type of error that our models can raise, of those that pydantic lists
(https://docs.pydantic.dev/latest/errors/validation_errors/). Leaves naming the place (a variable, a parameter, a key
of a file) to whoever read it.
"""

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

from pydantic_core import ErrorDetails

from pixeldojo.core.near_miss import nearest

Problem: TypeAlias = ErrorDetails
"""One finding, as `ValidationError.errors()` lists them."""

# Filled in from what pydantic tells of the limit.
_DEMANDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "may have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a table of names and values",
    "mapping_type": "must be a table of names and values",
    "model_type": "must be a table of names and values",
    "model_attributes_type": "must be a table of names and values",
    "path_type": "must be the path of a file or folder",
}
_SHOWN_CHARACTERS = 100
_WORD = re.compile(r"'([^']*)'")


def complaint_of(problem: Problem) -> str:
    """Return what would be right and what was given: `must be 1 or more (it was 0)`. Not for secrets."""
    given = problem["input"]
    if not isinstance(given, str | int | float):
        return demand_of(problem)
    shown = json.dumps(given)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    return f"{demand_of(problem)} (it was {shown})"


def demand_of(problem: Problem) -> str:
    """Return what would be right, to stand behind the name of what was wrong: `must be 1 or more`.

    A ValueError of a validator of ours speaks for itself.
    """
    kind = problem["type"]
    limits = {name: _plain(value) for name, value in problem.get("ctx", {}).items()}
    if kind in {"value_error", "assertion_error"}:
        return str(limits["error"])
    if kind in {"too_short", "too_long"}:
        return _length(kind, limits, problem["input"])
    demand = _DEMANDS.get(kind, "cannot be used").format_map(limits)
    if kind in {"literal_error", "enum"} and isinstance(problem["input"], str):
        return demand + nearest(problem["input"].lower(), _WORD.findall(str(limits["expected"])))
    return demand


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _length(kind: str, limits: Mapping[str, object], given: object) -> str:
    # A sequence for pydantic is also a secret, of which it does not say that it is text.
    unit = "characters" if isinstance(given, str) else "items"
    if kind == "too_short":
        return f"must have at least {limits['min_length']} {unit}"
    return f"may have at most {limits['max_length']} {unit}"
