"""A database that goes away, dawdles, or whose process dies, at the moments a test names."""

from collections.abc import AsyncIterator, Awaitable, Callable
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
    """Another database, and the faults of its next writes.

    Attributes:
        after_write: Runs once, when the next write is committed and its caller has not heard of it.
        after_read: Runs once, when the next read is over and its caller goes on.
    """

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.faults: list[Fault | None] = []
        self.write_count = 0
        self.after_write: Callable[[], Awaitable[object]] | None = None
        self.after_read: Callable[[], Awaitable[object]] | None = None

    @property
    def is_sqlite(self) -> bool:
        return self._inner.is_sqlite

    async def write(self, work: Work[_Result]) -> _Result:
        self.write_count += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not fault.is_kept:
            raise fault.error
        after, self.after_write = self.after_write, None
        result = await self._inner.write(work)
        if after is not None:
            await after()
        if fault is not None:
            raise fault.error
        return result

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        after, self.after_read = self.after_read, None
        async with self._inner.read() as connection:
            yield connection
        if after is not None:
            await after()

    async def check(self) -> None:
        await self._inner.check()

    async def close(self) -> None:
        await self._inner.close()
