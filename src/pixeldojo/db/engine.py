"""The database, SQLite or PostgreSQL behind one class: reading, and writing in whole transactions.

What differs between the two lives here and in `dialect.py`; all other SQL is written once.

SQLite allows one writer, so writes queue up inside the process and those that wait together share one commit
(each in its own savepoint: one that fails takes nothing else with it). PostgreSQL runs them side by side and
repeats one that lost a deadlock, or its connection before it was to be kept.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.db import sqlite_driver

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]

_BATCH_LIMIT = 64
_QUEUE_LIMIT = 50_000
_SQLITE_BUSY_SECONDS = 30
_RETRIES = 5
# PostgreSQL error classes that say "nothing happened, try again": serialization failure, deadlock.
_RETRYABLE_STATES = frozenset({"40001", "40P01"})


class Database:
    """One database. `write` runs a function in a transaction; `read` gives a connection that sees a snapshot.

    Functions handed to `write` do SQL only: a transaction never spans a network call. They may run again after
    a deadlock or a lost connection, so they must not have effects of their own.
    """

    def __init__(self, reader: AsyncEngine, writer: "_Writer", scanner: AsyncEngine | None = None) -> None:
        self._reader = reader
        self._writer = writer
        self._scanner = scanner or reader

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self._reader.dialect.name == "sqlite"

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction, commit, and return what it returned; roll back when it raises.

        Raises:
            CommitLost: nobody knows whether the transaction was kept.
        """
        return await self._writer.run(work)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for queries only, all of which see the database at the moment of the first."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def scan(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection as `read` does, for queries that look at whole tables, however long that takes.

        SQLite would answer them on the event loop, where nothing else goes on meanwhile; here it does so beside it.
        """
        async with self._scanner.connect() as connection:
            yield connection

    async def check(self) -> None:
        """Return when the database answers, and is no standby; raise what went wrong otherwise."""
        question = "SELECT 0" if self.is_sqlite else "SELECT pg_is_in_recovery()"
        async with self.read() as connection:
            is_standby = (await connection.execute(text(question))).scalar_one()
        if is_standby:
            raise ConnectionError("the PostgreSQL at this address is a standby, which takes no writes")

    async def close(self) -> None:
        """Finish the writes that wait, then close every connection."""
        await self._writer.close()
        await self._reader.dispose()
        await self._scanner.dispose()


class CommitLost(ConnectionError):
    """The connection ended while a transaction was being kept: it may be, or not."""


def is_away(error: Exception) -> bool:
    """Whether the database did not answer, was closing or over its limits, and the statement may be right."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | CommitLost):
        return True
    # What goes wrong while connecting comes as the bare base class; a connection that ends, as whatever it ended in.
    return type(error) is DBAPIError or _has_ended(error)


def _has_ended(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


def open_database(address: str) -> Database:
    """Open the database at an address such as `sqlite:////var/lib/pixeldojo.db` or `postgresql://host/name`.

    Raises:
        ConfigurationError: if the address names another kind of database.
    """
    url = async_url(address)
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise ConfigurationError("SQLite must keep its data in a file that connections share: sqlite:///path.")
        reader = sqlite_engine(url, begin="BEGIN", pool_size=4, is_read_only=True)
        scanner = sqlite_engine(
            url, begin="BEGIN", pool_size=2, is_read_only=True, connect=sqlite_driver.connect_for_scans
        )
        return Database(reader, _QueuedWriter(sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1)), scanner)
    engine = create_async_engine(
        url, pool_size=10, max_overflow=10, pool_pre_ping=True, pool_timeout=30, hide_parameters=True
    )
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Database(reader, _ConcurrentWriter(engine))


def async_url(address: str) -> URL:
    """Return the address with the asynchronous driver this project uses.

    Raises:
        ConfigurationError: if it cannot be read or names another kind of database.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "The database address cannot be read; write postgresql://user:password@host/name or sqlite:///path."
        ) from error
    match url.get_backend_name():
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return _with_ssl_as_asyncpg_spells_it(url.set(drivername="postgresql+asyncpg"))
        case other:
            raise ConfigurationError(
                f"PixelDojo keeps its data in PostgreSQL or SQLite, not in {other!r}; "
                "write postgresql://user:password@host/name or sqlite:///path."
            )


def _with_ssl_as_asyncpg_spells_it(url: URL) -> URL:
    """Take the `sslmode` that every other PostgreSQL tool reads."""
    mode = url.query.get("sslmode")
    if mode is None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def sqlite_engine(
    url: URL,
    *,
    begin: str,
    pool_size: int,
    enforce_foreign_keys: bool = True,
    is_read_only: bool = False,
    connect: Callable[..., Awaitable[sqlite_driver.Connection]] = sqlite_driver.connect,
) -> AsyncEngine:
    """Return an engine for a SQLite file whose transactions begin with the statement `begin`."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=60,
        # Here and below: errors go into the log, and what callers sent does not.
        hide_parameters=True,
        connect_args={
            "timeout": _SQLITE_BUSY_SECONDS,
            "isolation_level": None,
            "async_creator_fn": connect,
        },
    )

    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        # FULL: a commit that was answered survives a power cut, not only a killed process.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if enforce_foreign_keys else 'OFF'}")
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # The file keeps the mode; who finds it locked meets another connection that is just setting it.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        cursor.execute(f"PRAGMA query_only={'ON' if is_read_only else 'OFF'}")
        cursor.close()

    # The driver's own transaction handling would begin late and break savepoints; we say BEGIN ourselves.
    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


class _Writer(Protocol):
    """How write transactions run."""

    async def run(self, work: Work[Result]) -> Result: ...

    async def close(self) -> None: ...


class _ConcurrentWriter:
    """PostgreSQL: side by side, repeated after a lost deadlock, or a lost connection while that can do no harm."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, work: Work[Result]) -> Result:
        for attempt in range(1, _RETRIES + 1):
            is_done = False
            try:
                async with self._engine.begin() as connection:
                    result = await work(connection)
                    is_done = True
                return result
            except DBAPIError as error:
                if is_done and _has_ended(error):
                    raise CommitLost("the database broke off during a commit") from error
                is_undone = getattr(error.orig, "sqlstate", None) in _RETRYABLE_STATES or _has_ended(error)
                if not is_undone or attempt == _RETRIES:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """The engine is shared with reading, which closes it."""


@dataclass(slots=True)
class _Waiting(Generic[Result]):
    work: Work[Result]
    answer: asyncio.Future[Result]

    def answer_with(self, result: Result, failure: Exception | None) -> None:
        """Tell the caller, unless it has stopped waiting."""
        if self.answer.done():
            return
        if failure is not None:
            self.answer.set_exception(failure)
        else:
            self.answer.set_result(result)


class _Undone(Exception):
    """One work of several may have broken the transaction of all: nothing of it is kept."""


class _QueuedWriter:
    """SQLite: one after another, those that wait together in one commit."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._queue: asyncio.Queue[_Waiting[Any]] = asyncio.Queue(_QUEUE_LIMIT)
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def run(self, work: Work[Result]) -> Result:
        if self._is_closed:
            raise RuntimeError("the database is closed: nothing more can be written")
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="sqlite-writer")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(work, answer))
        return await answer

    async def close(self) -> None:
        self._is_closed = True
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._engine.dispose()

    async def _drain(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH_LIMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._commit_together(batch)
            finally:
                for item in batch:
                    self._queue.task_done()
                    if not item.answer.done():
                        item.answer.cancel()

    async def _commit_together(self, batch: list[_Waiting[Any]]) -> None:
        waiting = [item for item in batch if not item.answer.done()]
        if not waiting:
            return
        try:
            async with self._engine.begin() as connection:
                outcomes = await self._run_each(connection, waiting)
        except _Undone:
            for item in waiting:
                await self._commit_together([item])
        except Exception as error:  # noqa: BLE001  whatever broke the commit is each waiting caller's to handle
            for item in waiting:
                item.answer_with(None, error)
        else:
            for item, (result, failure) in zip(waiting, outcomes, strict=True):
                item.answer_with(result, failure)

    async def _run_each(
        self, connection: AsyncConnection, batch: list[_Waiting[Any]]
    ) -> list[tuple[Any, Exception | None]]:
        if len(batch) == 1:
            return [(await batch[0].work(connection), None)]
        return [await self._run_in_savepoint(connection, item.work) for item in batch]

    @staticmethod
    async def _run_in_savepoint(connection: AsyncConnection, work: Work[Any]) -> tuple[Any, Exception | None]:
        try:
            async with connection.begin_nested():
                return await work(connection), None
        except OperationalError as error:
            # A full disk ends the whole transaction, a wrong statement only its own part, and both come as this.
            raise _Undone from error
        except Exception as error:  # noqa: BLE001  handed to the one caller whose work raised it
            return None, error
