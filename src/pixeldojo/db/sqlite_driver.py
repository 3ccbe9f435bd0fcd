"""SQLite for an event loop: statements run in place, only what can wait on the disk or a lock goes to a thread.

The usual asynchronous driver hands every call to a thread of its own. A statement takes some 20 µs, the hand-over
ten times that, and under load each hop may wait for the interpreter lock: measured, a submit took 36 ms instead of 3.
So: `BEGIN IMMEDIATE` (waits for another process) and `COMMIT` (waits for the disk) run in a thread, all else here.
Questions that look at whole tables have connections of their own, on which everything runs in a thread.
SQLAlchemy asks for a connection through its `async_creator_fn`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

_Parameters = Sequence[Any] | dict[str, Any]
_Answer = TypeVar("_Answer")


async def connect(*arguments: Any, **options: Any) -> "Connection":
    """Open a database; the arguments are those of `sqlite3.connect`."""
    options["check_same_thread"] = False  # used by one task at a time, from whichever thread that needs
    return Connection(await asyncio.to_thread(sqlite3.connect, *arguments, **options))


async def connect_for_scans(*arguments: Any, **options: Any) -> "ScanConnection":
    """Open a database for questions that take long; the arguments are those of `sqlite3.connect`."""
    options["check_same_thread"] = False  # as above
    return ScanConnection(await asyncio.to_thread(sqlite3.connect, *arguments, **options))


class Cursor:
    """What SQLAlchemy uses of an asynchronous cursor."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.arraysize = self._cursor.arraysize

    @property
    def description(self) -> Any:
        """Names of the columns, or None for a statement without rows."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """Rows changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row inserted last."""
        return self._cursor.lastrowid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._cursor.close()

    async def execute(self, operation: str, parameters: _Parameters = ()) -> Self:
        """Run a statement."""
        if operation.startswith("BEGIN IMMEDIATE"):
            await asyncio.to_thread(self._cursor.execute, operation)
        else:
            self._cursor.execute(operation, parameters)
        return self

    async def executemany(self, operation: str, parameters: Iterable[_Parameters]) -> Self:
        """Run a statement once for each set of parameters."""
        self._cursor.executemany(operation, parameters)
        return self

    async def fetchone(self) -> Any:
        """Return the next row."""
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows."""
        return self._cursor.fetchmany(size or self.arraysize)

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Forget the rows."""
        self._cursor.close()


class Connection:
    """What SQLAlchemy uses of an asynchronous connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        # SQLAlchemy looks at `_connection` to see whether it is still open.
        self._connection: sqlite3.Connection | None = connection
        self._conn = connection

    @property
    def isolation_level(self) -> str | None:
        """None: transactions begin and end when we say so."""
        return self._conn.isolation_level

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self._conn)

    async def commit(self) -> None:
        """Make the transaction last; returns when the disk has it."""
        if self._conn.in_transaction:
            await asyncio.to_thread(self._conn.commit)

    async def rollback(self) -> None:
        """Undo the transaction."""
        self._conn.rollback()

    async def create_function(self, name: str, count: int, function: Callable[..., Any], **options: Any) -> None:
        """Give SQL a function."""
        self._conn.create_function(name, count, function, **options)

    async def close(self) -> None:
        """Close; closing again does nothing."""
        self.stop()

    def stop(self) -> None:
        """Close at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class ScanCursor(Cursor):
    """A cursor that works in a thread, so that the event loop goes on meanwhile."""

    async def execute(self, operation: str, parameters: _Parameters = ()) -> Self:
        await self._in_thread(lambda: self._cursor.execute(operation, parameters))
        return self

    async def fetchone(self) -> Any:
        return await self._in_thread(self._cursor.fetchone)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return await self._in_thread(lambda: self._cursor.fetchmany(size or self.arraysize))

    async def fetchall(self) -> list[Any]:
        return await self._in_thread(self._cursor.fetchall)

    async def _in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # Whoever asked is gone, but the thread is not: closing would wait for the answer, with the event loop.
            self._connection.interrupt()
            await asyncio.gather(running, return_exceptions=True)
            raise


class ScanConnection(Connection):
    """A connection whose cursors work in a thread."""

    def cursor(self) -> ScanCursor:
        return ScanCursor(self._conn)
