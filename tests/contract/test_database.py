"""What `Database` promises, on SQLite and on PostgreSQL: whole transactions, snapshots, an orderly end."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.engine import Database, Work, open_database
from pixeldojo.db.tables import accounts, webhook_secrets

NOW = datetime(2026, 5, 4, tzinfo=UTC)


async def add(connection: AsyncConnection, account_id: str) -> str:
    await connection.execute(insert(accounts).values(id=account_id, name=account_id, created_at=NOW))
    return account_id


def adding(account_id: str) -> Work[str]:
    """Return a write that adds an account and returns its id."""
    return partial(add, account_id=account_id)


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(accounts.c.name).order_by(accounts.c.name))).scalars())


async def test_a_write_returns_what_its_function_returned_and_is_there_for_all(
    database: Database, database_address: str
) -> None:
    assert await database.write(adding("a")) == "a"

    elsewhere = open_database(database_address)
    try:
        assert await names(elsewhere) == ["a"]
    finally:
        await elsewhere.close()


async def test_a_write_that_raises_leaves_nothing_and_its_error_comes_out(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await add(connection, "a")
        raise LookupError("on second thoughts")

    with pytest.raises(LookupError, match="second thoughts"):
        await database.write(work)

    assert await names(database) == []


async def test_of_many_writes_at_once_only_the_broken_ones_are_lost(database: Database) -> None:
    async def work(connection: AsyncConnection, number: int) -> int:
        await add(connection, f"{number:02}")
        if number % 3 == 0:
            raise ValueError(number)
        if number % 3 == 1:
            await add(connection, f"{number:02}")  # taken: the database itself refuses
        return number

    outcomes = await asyncio.gather(
        *(database.write(partial(work, number=number)) for number in range(30)),
        return_exceptions=True,
    )

    expected = [ValueError, IntegrityError, int] * 10
    assert [type(outcome) for outcome in outcomes] == expected
    assert await names(database) == [f"{number:02}" for number in range(2, 30, 3)]


async def test_changes_made_at_once_all_count(database: Database) -> None:
    """Each adds one in a single statement: none is lost, whoever runs beside it."""

    async def begin(connection: AsyncConnection) -> None:
        await add(connection, "a")
        await connection.execute(
            insert(webhook_secrets).values(account_id="a", version=1, secret="0", created_at=NOW, expires_at=NOW)
        )

    async def count(connection: AsyncConnection) -> None:
        await connection.execute(update(webhook_secrets).values(version=webhook_secrets.c.version + 1))

    await database.write(begin)
    await asyncio.gather(*(database.write(count) for _ in range(100)))

    async with database.read() as connection:
        assert (await connection.execute(select(webhook_secrets.c.version))).scalar_one() == 101


async def test_a_reader_sees_one_moment_however_long_it_looks(database: Database) -> None:
    count = select(func.count()).select_from(accounts)
    async with database.read() as connection:
        before = (await connection.execute(count)).scalar_one()
        await database.write(adding("a"))
        after = (await connection.execute(count)).scalar_one()

    assert (before, after) == (0, 0)
    assert await names(database) == ["a"]


async def test_a_reader_cannot_write(database: Database) -> None:
    async with database.read() as connection:
        with pytest.raises(DBAPIError, match=r"read-?only"):
            await add(connection, "a")

    assert await names(database) == []


async def test_a_reader_gone_wrong_does_not_spoil_the_next(database: Database) -> None:
    for _ in range(30):  # more than any pool holds
        with pytest.raises(DBAPIError, match="nowhere"):
            async with database.read() as connection:
                await connection.execute(text("SELECT 1 FROM nowhere"))

    await database.check()


async def test_a_caller_who_stops_waiting_does_not_stop_the_others(database: Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await add(connection, "slow")
        begun.set()
        await go_on.wait()

    first = asyncio.create_task(database.write(slow))
    await begun.wait()
    second = asyncio.create_task(database.write(adding("impatient")))
    third = asyncio.create_task(database.write(adding("patient")))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    go_on.set()

    assert await third == "patient"
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await database.write(adding("later")) == "later"
    assert {"patient", "later"} <= set(await names(database))


async def test_closing_finishes_the_writes_that_wait(database: Database, database_address: str) -> None:
    waiting = [asyncio.create_task(database.write(adding(f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)

    await database.close()

    assert await asyncio.gather(*waiting) == ["0", "1", "2", "3", "4"]


async def test_closing_leaves_no_task_behind(database_address: str) -> None:
    before = asyncio.all_tasks()
    database = open_database(database_address)
    await database.write(adding("a"))

    await database.close()
    await database.close()

    assert asyncio.all_tasks() == before


async def test_times_come_back_exactly_and_in_utc(database: Database) -> None:
    moment = datetime(2026, 5, 4, 12, 30, 15, 123_457, tzinfo=UTC)
    await database.write(lambda c: c.execute(insert(accounts).values(id="a", name="", created_at=moment)))

    async with database.read() as connection:
        found = (await connection.execute(select(accounts.c.created_at))).scalar_one()

    assert found == moment
    assert found.tzinfo is UTC


async def test_an_error_does_not_show_what_was_to_be_written(database: Database) -> None:
    """Errors go into the log; what callers sent does not."""
    statement = text("INSERT INTO nowhere (content) VALUES (:content)")
    with pytest.raises(DBAPIError) as raised:
        await database.write(lambda connection: connection.execute(statement, {"content": "canary-5c1d"}))
    assert "nowhere" in str(raised.value)
    assert "canary-5c1d" not in str(raised.value)
