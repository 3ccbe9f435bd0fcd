"""Column types of our own, that mean the same on SQLite and PostgreSQL: times, and texts that strangers wrote."""

import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import BigInteger, Dialect, String
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")

Microseconds: TypeAlias = int


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, stored as microseconds since 1970: exact, and ordered like the time itself."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Microseconds | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Microseconds | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else _EPOCH + value * _MICROSECOND


class StrangersText(TypeDecorator[str]):
    """Text that came from outside, such as an upstream's message: kept as far as a database can.

    PostgreSQL takes no NUL, UTF-8 no half of a surrogate pair, a column nothing longer than itself. A job must be
    able to end whatever its upstream said, so these are replaced and cut instead of refused.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else storable(value)[: self._length]


def storable(text: str) -> str:
    """Return the text with what no database and no encoder takes replaced."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
