"""PostgreSQL's own part: a lost deadlock is run again, whoever holds a lock does not stop readers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.clock import FakeClock
from tests.contract.test_database import add, adding, names
from tests.stores import Stores

from pixeldojo.accounts.store import lock_account
from pixeldojo.db.engine import CommitLost, Database, is_away, open_database
from pixeldojo.db.tables import accounts


@pytest.fixture
async def database(postgres_address: str) -> AsyncIterator[Database]:
    opened = open_database(postgres_address)
    yield opened
    await opened.close()


async def test_the_loser_of_a_deadlock_runs_again(database: Database) -> None:
    both_have_one = asyncio.Barrier(2)
    runs: list[str] = []

    async def work(connection: AsyncConnection, first: str, second: str) -> str:
        runs.append(first)
        await connection.execute(update(accounts).where(accounts.c.id == first).values(name=f"by {first}"))
        if len(runs) <= 2:
            await both_have_one.wait()
        await connection.execute(update(accounts).where(accounts.c.id == second).values(name=f"by {first}"))
        return first

    for name in ("a", "b"):
        await database.write(adding(name))

    done = await asyncio.gather(
        database.write(lambda connection: work(connection, "a", "b")),
        database.write(lambda connection: work(connection, "b", "a")),
    )

    assert list(done) == ["a", "b"]
    assert len(runs) == 3
    loser = runs[2]
    assert await names(database) == [f"by {loser}"] * 2


async def test_a_fault_that_is_no_deadlock_is_not_run_again(database: Database) -> None:
    runs = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal runs
        runs += 1
        await add(connection, "x" * 1_000)

    with pytest.raises(DBAPIError, match="too long"):
        await database.write(work)

    assert runs == 1


async def test_a_lost_serialization_gives_up_after_a_few_tries(database: Database) -> None:
    runs = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal runs
        runs += 1
        await connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")

    with pytest.raises(DBAPIError, match="lost"):
        await database.write(work)

    assert runs == 5


async def test_readers_do_not_wait_for_writers(database: Database) -> None:
    locked, go_on = asyncio.Event(), asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(update(accounts).values(name="changed"))
        locked.set()
        await go_on.wait()

    await database.write(adding("a"))
    writing = asyncio.create_task(database.write(work))
    await locked.wait()

    async with database.read() as connection:
        assert (await connection.execute(select(accounts.c.name))).scalar_one() == "a"
    go_on.set()
    await writing


END_THIS = text("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_write_whose_connection_ends_before_it_is_kept_runs_again(database: Database) -> None:
    """As when PostgreSQL is restarted: nothing of it was kept, so callers need not hear of it."""
    runs: list[AsyncConnection] = []

    async def work(connection: AsyncConnection) -> str:
        runs.append(connection)
        await add(connection, "a")
        if len(runs) < 3:
            await connection.execute(END_THIS)
        return "done"

    assert await database.write(work) == "done"
    assert (len(runs), await names(database)) == (3, ["a"])


async def test_a_write_whose_connections_all_end_fails_as_one_that_is_away(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await add(connection, "a")
        await connection.execute(END_THIS)

    with pytest.raises(DBAPIError) as failure:
        await database.write(work)

    assert is_away(failure.value)
    assert await names(database) == []


async def test_a_write_whose_connection_ends_while_it_is_kept_is_not_run_again(database: Database) -> None:
    """It may have been kept: who runs it again does it twice."""
    runs: list[AsyncConnection] = []

    async def end_at_commit(connection: AsyncConnection) -> None:
        await connection.execute(
            text(
                "CREATE FUNCTION end_this() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
            )
        )
        trigger = "CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED"
        await connection.execute(text(f"{trigger} FOR EACH ROW EXECUTE FUNCTION end_this()"))

    async def work(connection: AsyncConnection) -> None:
        runs.append(connection)
        await add(connection, "a")

    await database.write(end_at_commit)
    with pytest.raises(CommitLost) as failure:
        await database.write(work)

    assert is_away(failure.value)
    assert len(runs) == 1


async def test_whoever_holds_an_account_holds_up_no_job_of_it(database: Database) -> None:
    """An upload that is being kept, a key that is being made: both count what the account has, and jobs name it."""
    stores = Stores(database, FakeClock())
    key = await stores.new_key(granted=1_000)

    async def hold_and_submit(connection: AsyncConnection) -> str:
        await lock_account(connection, key.account_id)
        async with asyncio.timeout(5):
            return await stores.create(key, idempotency_key="k")

    assert await database.write(hold_and_submit)


async def test_a_standby_is_not_taken_for_a_database_that_works(database: Database, postgres_address: str) -> None:
    """After a fail-over the old address may still answer questions, and nothing else: no traffic should go there."""
    await database.check()

    async def become_one(connection: AsyncConnection) -> None:
        """A standby is a second server; what tells it apart is asked of a function, which is asked here instead."""
        await connection.execute(text("CREATE FUNCTION public.pg_is_in_recovery() RETURNS bool RETURN true"))
        name = (await connection.execute(text("SELECT current_database()"))).scalar_one()
        await connection.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))

    await database.write(become_one)
    standby = open_database(postgres_address)
    try:
        with pytest.raises(ConnectionError, match="a standby, which takes no writes"):
            await standby.check()
    finally:
        await standby.close()
