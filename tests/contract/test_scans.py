"""Questions that look at whole tables: the event loop goes on meanwhile, and whoever stops asking is not waited for."""

import asyncio
import threading

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from tests.stores import Stores

from pixeldojo.db.engine import open_database
from pixeldojo.db.tables import entries

_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


async def test_a_scan_sees_the_database_as_it_was_at_its_first_question(stores: Stores) -> None:
    await stores.new_key(granted=1_000)
    count = select(func.count()).select_from(entries)
    async with stores.database.scan() as connection:
        assert (await connection.execute(count)).scalar_one() == 1
        await stores.new_key(granted=1_000)
        assert (await connection.execute(count)).scalar_one() == 1
        rows = [row.available async for row in await connection.stream(select(entries.c.available))]
    assert rows == [1_000]


async def test_a_scan_writes_nothing(stores: Stores) -> None:
    async with stores.database.scan() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("DELETE FROM entries"))


async def test_sqlite_answers_a_scan_beside_the_event_loop(sqlite_address: str) -> None:
    database, gate = open_database(sqlite_address), threading.Event()
    try:
        async with database.scan() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.create_function("until_opened", 0, lambda: gate.wait(10))
            answer = asyncio.create_task(connection.execute(text("SELECT until_opened()")))
            await asyncio.sleep(0)  # on the loop it would stand here until the gate gives up
            gate.set()
            assert (await answer).scalar_one() == 1
    finally:
        await database.close()


async def test_a_scan_that_nobody_waits_for_any_more_ends(sqlite_address: str) -> None:
    database = open_database(sqlite_address)

    async def ask() -> None:
        async with database.scan() as connection:
            await connection.execute(text(_ENDLESS))

    asking = asyncio.create_task(ask())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asking
    async with asyncio.timeout(10):
        await database.close()
