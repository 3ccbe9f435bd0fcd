"""A database that goes away, or whose process dies, at the writes a test names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.engine import Database, Work

_Result = TypeVar("_Result")


class Crash(BaseException):
    """The process dies here: nothing after it runs, not even what handles errors."""


def away() -> Exception:
    """Return what a write raises while the database is away."""
    return OperationalError("UPDATE", {}, Exception("the server closed the connection"))


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one write: it is not made, or (`is_kept`) only its answer is lost."""

    error: BaseException
    is_kept: bool = False


class FaultyDatabase(Database):
    """Another database, and the faults of its next writes."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.faults: list[Fault | None] = []
        self.write_count = 0

    @property
    def is_sqlite(self) -> bool:
        return self._inner.is_sqlite

    async def write(self, work: Work[_Result]) -> _Result:
        self.write_count += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not fault.is_kept:
            raise fault.error
        result = await self._inner.write(work)
        if fault is not None:
            raise fault.error
        return result

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.read() as connection:
            yield connection

    async def check(self) -> None:
        await self._inner.check()

    async def close(self) -> None:
        await self._inner.close()
