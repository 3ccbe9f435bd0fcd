"""Column types of our own: times as integers that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Microseconds: TypeAlias = int


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, stored as microseconds since 1970: exact, and ordered like the time itself."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Microseconds | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Microseconds | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else _EPOCH + value * _MICROSECOND
