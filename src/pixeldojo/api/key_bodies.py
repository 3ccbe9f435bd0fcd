"""The bodies of POST and PATCH /keys: read strictly, every violation told at once.

What a key may give is not judged here but in `accounts/bounds.py`; what a body may look like in `account_schemas.py`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic import ValidationError as PydanticError

from pixeldojo.accounts.keys import KeyMode, Scope, SpendCap, SpendCapPeriod
from pixeldojo.api.moments import Moment
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.labels import read_label
from pixeldojo.core.money import parse_credits
from pixeldojo.core.pydantic_errors import Problem, complaint_of

HIGHEST_RATE: Final = 1_000_000
LONGEST_LIFE: Final = timedelta(days=100 * 365)
"""No key lives longer: what is meant without end has no expiry."""

_MOST_VIOLATIONS: Final = 100
_MOST_SUMMED_UP: Final = 5
_LONGEST_NAME: Final = 60

_Body = TypeVar("_Body", bound="_KeyBody")


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _read_amount(given: object) -> int:
    if not _is_number(given):
        raise ValueError("must be a number of credits such as 7.5")
    amount = parse_credits(str(given))
    if amount <= 0:
        raise ValueError("must be above 0; a key that may spend nothing needs no jobs:write")
    return amount


def _read_whole(given: object) -> object:
    """A JSON number without a fraction is whole, however it is written; true and "5" are no numbers."""
    if not _is_number(given):
        raise ValueError("must be a whole number")
    return given


def _refuse_twins(given: list[Scope]) -> list[Scope]:
    if len(set(given)) < len(given):
        raise ValueError("names a scope twice; name each once")
    return given


def _check_ahead(moment: datetime, info: ValidationInfo) -> datetime:
    assert info.context is not None, "the body is read with the time of the request"
    now: datetime = info.context["now"]
    if not now < moment <= now + LONGEST_LIFE:
        raise ValueError(
            f"must lie ahead, and at most {LONGEST_LIFE.days // 365} years; null is for a key without an end"
        )
    return moment


class _Cap(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: Annotated[int, BeforeValidator(_read_amount)]
    period: SpendCapPeriod


class _KeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, AfterValidator(read_label)]
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(_refuse_twins)]
    ratePerMinute: Annotated[int, BeforeValidator(_read_whole), Field(ge=1, le=HIGHEST_RATE)] | None = None  # noqa: N815  the member's name in JSON
    spendCap: _Cap | None = None  # noqa: N815  the member's name in JSON
    expiresAt: Annotated[Moment, AfterValidator(_check_ahead)] | None = None  # noqa: N815  the member's name in JSON

    def given(self) -> dict[str, Any]:
        """Return what was sent, under the names of `KeyTerms`."""
        values = {
            "name": self.name,
            "scopes": frozenset(self.scopes),
            "rate_per_minute": self.ratePerMinute,
            "spend_cap": None if self.spendCap is None else SpendCap(self.spendCap.amount, self.spendCap.period),
            "expires_at": self.expiresAt,
        }
        return {name: values[name] for member, name in _TERMS.items() if member in self.model_fields_set}


_TERMS: Final[Mapping[str, str]] = {
    "name": "name",
    "scopes": "scopes",
    "ratePerMinute": "rate_per_minute",
    "spendCap": "spend_cap",
    "expiresAt": "expires_at",
}


class NewKeyBody(_KeyBody):
    """What a key to be made shall be."""

    mode: KeyMode | None = None


class KeyChangesBody(_KeyBody):
    """What shall become of a key; what is left out stays."""

    name: Annotated[str, AfterValidator(read_label)] = ""
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(_refuse_twins)] = []


def read_key_body(kind: type[_Body], body: Mapping[str, object], now: datetime) -> _Body:
    """Read a body.

    Raises:
        ValidationError: listing every violation.
    """
    try:
        read = kind.model_validate(body, context={"now": now})
    except PydanticError as error:
        details = [Violation(_path(problem), complaint_of(problem)) for problem in error.errors()[:_MOST_VIOLATIONS]]
        summary = "; ".join(f"{detail.path}: {detail.message}" for detail in details[:_MOST_SUMMED_UP])
        more = f"; and {error.error_count() - _MOST_SUMMED_UP} more" if error.error_count() > _MOST_SUMMED_UP else ""
        raise ValidationError(f"{summary}{more}", details=details) from None
    if not read.model_fields_set:
        raise ValidationError(f"The body changes nothing; give some of {', '.join(_TERMS)}.")
    return read


def _path(problem: Problem) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in problem["loc"])
