"""Reading one TOML file of the catalog strictly, and saying exactly where it is wrong.

Owns the base of every table that may stand in such a file, and turning a mistake into one sentence with file, place
and remedy. Leaves what the tables mean to the modules that define them.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import tomli
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.near_miss import nearest
from pixeldojo.core.pydantic_errors import demand_of


class FileTable(BaseModel):
    """A table of a catalog file: immutable, of exactly the types written, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a table is written: in a file of its own, but for the keys that another file lends it.

    Attributes:
        file: Its own.
        lent: The keys that stand in `lender`.
        lender: The other file.
        lender_place: The table of it in which they stand.
    """

    file: str
    lent: frozenset[str] = frozenset()
    lender: str = ""
    lender_place: str = ""

    def mistake(self, place: str, reason: str) -> str:
        """Return the line for what is wrong at a dotted place of the table."""
        if re.split(r"[.\[ ]", place, maxsplit=1)[0] in self.lent:
            return _mistake(self.lender, f"{self.lender_place}.{place}", reason)
        return _mistake(self.file, place, reason)


_Table = TypeVar("_Table", bound=BaseModel)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def refuse(origin: Origin | str, place: str, reason: str) -> NoReturn:
    """Raise the catalog's one error: `file: place: reason`."""
    raise ConfigurationError((Origin(origin) if isinstance(origin, str) else origin).mistake(place, reason))


def refuse_any(origin: Origin, findings: Iterable[tuple[str, str]]) -> None:
    """Raise the error with a line for each finding, a place and a reason; return where there is none."""
    mistakes = [origin.mistake(place, reason) for place, reason in findings]
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))


def each(read: Callable[[str, _Item], _Result], items: Mapping[str, _Item]) -> dict[str, _Result]:
    """Read every item, whatever is wrong with another.

    Raises:
        ConfigurationError: with every mistake of every item, a line each.
    """
    done: dict[str, _Result] = {}
    mistakes: list[str] = []
    for name, item in items.items():
        try:
            done[name] = read(name, item)
        except ConfigurationError as error:
            mistakes += str(error).splitlines()
    if mistakes:
        # What a family lends is wrong once, however many models borrow it.
        raise ConfigurationError("\n".join(dict.fromkeys(mistakes)))
    return done


def read_toml(content: bytes, file: str) -> dict[str, JsonValue]:
    """Return a file's content as a JSON-like mapping.

    Raises:
        ConfigurationError: if it is not UTF-8 or TOML (with line and column), or holds a date.
    """
    try:
        table = tomli.loads(content.decode())
    except UnicodeDecodeError as error:
        refuse(file, "", f"cannot be read ({error}); it must be a UTF-8 text file")
    except tomli.TOMLDecodeError as error:
        refuse(file, "", f"is not TOML: {error}")
    _refuse_dates(table, file, "")
    return table


def read_table(kind: type[_Table], table: JsonObject, origin: Origin) -> _Table:
    """Read a mapping as a table of that kind.

    Raises:
        ConfigurationError: with a line for each place that is wrong.
    """
    try:
        return kind.model_validate_json(json.dumps(table))
    except ValidationError as error:
        found: dict[str, str] = {}
        for mistake in error.errors(include_url=False):
            # Of the several shapes a place may have, the first tells what is wrong with it.
            found.setdefault(_place(mistake["loc"], table), _reason(mistake, kind))
        refuse_any(origin, found.items())
        raise AssertionError("a failed validation lists what failed") from error


def _mistake(file: str, place: str, reason: str) -> str:
    return f"{file}: {place}: {reason}" if place else f"{file}: {reason}"


def _refuse_dates(value: object, file: str, place: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_dates(inner, file, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_dates(inner, file, f"{place}[{index}]")
    elif not isinstance(value, str | int | float | bool):
        refuse(file, place, "is a date or time, which no key of the catalog takes; put quotes around it")


def _place(location: tuple[int | str, ...], table: JsonValue) -> str:
    """Return the dotted place; words that name a kind of table rather than a key are left out."""
    place, here = "", table
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(part, int):
            place += f"[{part}]"
            here = here[part] if isinstance(here, Sequence) and part < len(here) else None
        elif isinstance(here, Mapping) and (part in here or is_last):
            place += f".{part}" if place else part
            here = here.get(part)
    return place


def _reason(mistake: ErrorDetails, kind: type[BaseModel]) -> str:
    match mistake["type"]:
        case "extra_forbidden":
            key = str(mistake["loc"][-1])
            return f"is not a key of this table{nearest(key, sorted(_words(kind)))}"
        case "missing":
            return "is missing"
        case "literal_error":
            return f"must be {mistake['ctx']['expected']}, not {_shown(mistake['input'])}"
        case "union_tag_invalid":
            wrong, right = mistake["ctx"]["tag"], mistake["ctx"]["expected_tags"]
            return f"rule must be one of {right}, not '{wrong}'"
        case "union_tag_not_found":
            return "needs the key rule, which says what kind it is"
        case _:
            return f"{demand_of(mistake)}, not {_shown(mistake['input'])}"


def _words(kind: type[BaseModel]) -> set[str]:
    schema = kind.model_json_schema()
    tables = [schema, *schema.get("$defs", {}).values()]
    return {word for table in tables for word in table.get("properties", {})}


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
