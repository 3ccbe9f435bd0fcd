"""A workshop on SQLite; what involves money or claims is proven on both databases in `tests/contract`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.unit.worker.workshop import Workshop, open_workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import open_database


@pytest.fixture
async def shop(sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    database = open_database(sqlite_address)
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop
    await database.close()


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()
