"""The app over SQLite, and a caller with credits. `test_both_databases.py` runs over PostgreSQL too."""

from typing import Final

import pytest
from tests.api.dojo import Caller, Dojo
from tests.api.promises import Promises
from tests.stores import BASE_URL, Stores

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.settings import Settings, read_settings

MODELS: Final = frozenset(
    {
        *("flux-1.1-pro", "flux-2-pro", "nano-banana-2", "p-image-edit", "veo-3.1-fast", "wan-2.6-standard"),
        *("hailuo-standard", "text-to-music", "hunyuan-3d", "video-upscaler"),
    }
)


@pytest.fixture
def database_address(sqlite_address: str) -> str:
    return sqlite_address


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Ten models with every price rule and output kind, so that near misses and counts stay as the catalog grows."""
    return Catalog(tuple(model for model in load_catalog().models if model.id in MODELS))


@pytest.fixture(scope="session")
def settings() -> Settings:
    return read_settings(public_url=BASE_URL)


@pytest.fixture(scope="session")
def shared_promises() -> list[Promises]:
    """The promises of the first app, once there is one: the document of every later app is the same."""
    return []


@pytest.fixture
async def dojo(stores: Stores, catalog: Catalog, settings: Settings, shared_promises: list[Promises]) -> Dojo:
    dojo = Dojo(stores, catalog, settings, *shared_promises)
    shared_promises[:] = [dojo.promises]
    return dojo


@pytest.fixture
async def caller(dojo: Dojo) -> Caller:
    """Someone with 100 sandbox credits."""
    return await dojo.caller()
