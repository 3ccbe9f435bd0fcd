"""The embedded database's one writer: who waits together commits together, and nobody pays for another's fault."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.contract.test_database import NOW, adding, names

from pixeldojo.db.engine import Database, open_database
from pixeldojo.db.tables import accounts, api_keys


@pytest.fixture
async def database(sqlite_address: str) -> AsyncIterator[Database]:
    opened = open_database(sqlite_address)
    yield opened
    await opened.close()


@pytest.fixture
def commits() -> Iterator[list[None]]:
    """One member for every commit of whichever database."""
    seen: list[None] = []

    def note(_connection: Connection) -> None:
        seen.append(None)

    event.listen(Engine, "commit", note)
    yield seen
    event.remove(Engine, "commit", note)


async def pause(database: Database) -> tuple[asyncio.Task[None], asyncio.Event]:
    """Hold the writer up until the event is set, so that what comes next has to wait together."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(_connection: AsyncConnection) -> None:
        begun.set()
        await go_on.wait()

    task = asyncio.create_task(database.write(work))
    await begun.wait()
    return task, go_on


async def test_writes_that_wait_together_share_one_commit(database: Database, commits: list[None]) -> None:
    holding, go_on = await pause(database)
    waiting = [asyncio.create_task(database.write(adding(f"{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    commits.clear()
    go_on.set()

    await asyncio.gather(holding, *waiting)

    assert len(commits) == 2  # the one that held the others up, and all of them
    assert len(await names(database)) == 20


async def test_writes_happen_in_the_order_they_were_asked_for(database: Database) -> None:
    order: list[int] = []

    async def work(_connection: AsyncConnection, number: int) -> None:
        order.append(number)

    holding, go_on = await pause(database)
    waiting = [asyncio.create_task(database.write(partial(work, number=n))) for n in range(200)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(holding, *waiting)

    assert order == list(range(200))


async def test_what_nobody_waits_for_any_more_is_not_written(database: Database) -> None:
    holding, go_on = await pause(database)
    impatient = asyncio.create_task(database.write(adding("impatient")))
    patient = asyncio.create_task(database.write(adding("patient")))
    await asyncio.sleep(0)
    impatient.cancel()
    go_on.set()

    await asyncio.gather(holding, patient)

    assert await names(database) == ["patient"]


async def test_a_wrong_statement_takes_nothing_else_with_it(database: Database) -> None:
    """SQLite reports it as it reports a broken disk; still only its own caller hears of it."""
    holding, go_on = await pause(database)
    good = [asyncio.create_task(database.write(adding(f"{n}"))) for n in range(3)]
    bad = asyncio.create_task(database.write(lambda connection: connection.execute(text("SELECT nonsense"))))
    late = asyncio.create_task(database.write(adding("late")))
    await asyncio.sleep(0)
    go_on.set()

    outcomes = await asyncio.gather(holding, *good, bad, late, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [type(None), str, str, str, OperationalError, str]
    assert await names(database) == ["0", "1", "2", "late"]


async def test_a_full_disk_is_told_to_every_caller_and_the_writer_goes_on(database: Database) -> None:
    async def grow(connection: AsyncConnection, name: str) -> None:
        await connection.execute(insert(accounts).values(id=name, name="x" * 100_000, created_at=NOW))

    async def limit(connection: AsyncConnection, pages: int) -> int:
        allowed: int = (await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")).scalar_one()
        return allowed

    there = await database.write(lambda connection: limit(connection, 1))  # answers with what is in use
    await database.write(lambda connection: limit(connection, there + 4))
    holding, go_on = await pause(database)
    waiting = [asyncio.create_task(database.write(partial(grow, name=f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    go_on.set()

    outcomes = await asyncio.gather(holding, *waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [type(None)] + [OperationalError] * 5
    assert "full" in str(outcomes[-1])
    assert await names(database) == []
    await database.write(lambda connection: limit(connection, 1_000_000))
    await database.write(lambda connection: grow(connection, "again"))
    assert len(await names(database)) == 1


async def test_a_commit_that_fails_is_told_to_every_caller_and_the_writer_goes_on(database: Database) -> None:
    """A deferred constraint is checked by COMMIT itself, when every work has had its answer ready."""

    async def orphan(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        await connection.execute(
            insert(api_keys).values(
                id="key",
                account_id="nobody",
                name="",
                mode="test",
                prefix="",
                hash="",
                scopes=[],
                created_at=NOW,
            )
        )

    holding, go_on = await pause(database)
    waiting = [
        asyncio.create_task(database.write(adding("beside"))),
        asyncio.create_task(database.write(orphan)),
    ]
    await asyncio.sleep(0)
    go_on.set()

    outcomes = await asyncio.gather(holding, *waiting, return_exceptions=True)

    assert outcomes[0] is None
    assert all(isinstance(outcome, DBAPIError) for outcome in outcomes[1:])
    assert await names(database) == []
    assert await database.write(adding("later")) == "later"


async def test_another_process_that_writes_is_waited_for(database: Database, sqlite_address: str) -> None:
    path = sqlite_address.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.write(adding("a")))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        assert await names(database) == []  # reading goes on meanwhile
        other.execute("COMMIT")

    assert await waiting == "a"


async def test_a_file_that_another_holds_can_be_opened(tmp_path: Path) -> None:
    """Before its first use in this mode a file cannot change to it while somebody writes; that is no error."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN IMMEDIATE")
        database = open_database(f"sqlite:///{path}")
        try:
            async with database.read() as connection:
                assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0
        finally:
            await database.close()


async def test_a_closed_database_takes_no_more_writes(database: Database) -> None:
    await database.close()

    with pytest.raises(RuntimeError, match="closed"):
        await database.write(adding("a"))


async def test_foreign_keys_hold(database: Database) -> None:
    async with database.read() as connection:
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
    assert await database.write(lambda connection: connection.scalar(text("PRAGMA synchronous"))) == 2
    async with database.read() as connection:
        assert (await connection.execute(select(accounts.c.id))).all() == []
