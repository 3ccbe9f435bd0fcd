"""A workshop on SQLite; what involves money or claims is proven on both databases in `tests/contract`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import Stores
from tests.unit.worker.workshop import Workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import open_blobs
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.db.engine import open_database
from pixeldojo.engine import open_engine


@pytest.fixture(scope="session")
def made_up() -> Catalog:
    """Three models: charged by the picture, by the second measured, and with media inputs."""
    return load_catalog(Path(__file__).parent / "made_up")


@pytest.fixture
async def sqlite_stores(sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stores]:
    """Every service of the store layer, on SQLite."""
    database = open_database(sqlite_address)
    stores = Stores(database, clock, open_blobs("memory://", scratch=tmp_path), open_engine(None))
    yield stores
    await stores.engine.close()
    await database.close()


@pytest.fixture
def shop(sqlite_stores: Stores, made_up: Catalog, tmp_path: Path) -> Workshop:
    return Workshop(sqlite_stores, made_up, tmp_path / "scratch")


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()
