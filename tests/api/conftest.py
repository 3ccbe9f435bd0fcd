"""The app over SQLite, and a caller with credits. `test_both_databases.py` runs over PostgreSQL too."""

import pytest
from tests.api.dojo import Caller, Dojo
from tests.stores import BASE_URL, Stores

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.settings import Settings, read_settings


@pytest.fixture
def database_address(sqlite_address: str) -> str:
    return sqlite_address


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return read_settings(public_url=BASE_URL)


@pytest.fixture
async def dojo(stores: Stores, catalog: Catalog, settings: Settings) -> Dojo:
    return Dojo(stores, catalog, settings)


@pytest.fixture
async def caller(dojo: Dojo) -> Caller:
    """Someone with 100 sandbox credits."""
    return await dojo.caller()
