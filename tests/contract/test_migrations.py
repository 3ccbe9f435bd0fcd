"""Migrations, on both databases: from nothing to this version's tables, whoever else does the same."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from tests.conftest import DATABASES
from tests.postgres import PostgresServer

import pixeldojo.db.migrate
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.db.engine import async_url, open_database
from pixeldojo.db.migrate import current_revision, migrate, newest_revision, require_newest_revision
from pixeldojo.db.tables import metadata

Answer = TypeVar("Answer")


@pytest.fixture
async def new_postgres_address(postgres: PostgresServer, database_names: Iterator[str]) -> AsyncIterator[str]:
    name = next(database_names)
    await postgres.create_database(name)
    yield postgres.address(name)
    await postgres.drop_database(name)


@pytest.fixture(params=DATABASES)
def new_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without a single table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    address: str = request.getfixturevalue("new_postgres_address")
    return address


async def revision_of(address: str) -> str | None:
    database = open_database(address)
    try:
        return await current_revision(database)
    finally:
        await database.close()


async def look(address: str, question: Callable[[Connection], Answer]) -> Answer:
    """Ask something of a database by Alembic's and SQLAlchemy's own means, not by ours."""
    engine = create_async_engine(async_url(address))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(question)
    finally:
        await engine.dispose()


def differences(connection: Connection) -> list[object]:
    """Return what would have to change for the schema to be that of `db/tables.py`."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def check_constraints(connection: Connection) -> set[str | None]:
    inspector = inspect(connection)
    return {found["name"] for table in metadata.tables for found in inspector.get_check_constraints(table)}


async def test_an_empty_database_has_no_revision_and_a_migrated_one_the_newest(new_address: str) -> None:
    assert await revision_of(new_address) is None

    await migrate(new_address)

    assert await revision_of(new_address) == newest_revision()


async def test_migrations_give_exactly_the_tables_of_the_code(new_address: str) -> None:
    await migrate(new_address)

    assert await look(new_address, differences) == []


async def test_the_migrated_schema_has_every_check_of_the_code(new_address: str) -> None:
    """Alembic's comparison does not look at these, and the ledger leans on them."""
    wanted = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }

    await migrate(new_address)

    assert await look(new_address, check_constraints) == wanted
    assert "ck_balances_available_not_negative" in wanted


async def test_migrating_twice_changes_nothing(new_address: str) -> None:
    await migrate(new_address)
    await migrate(new_address)

    assert await revision_of(new_address) == newest_revision()
    assert await look(new_address, differences) == []


async def test_nodes_that_migrate_at_once_do_not_disturb_one_another(new_address: str) -> None:
    outcomes = await asyncio.gather(*(migrate(new_address) for _ in range(4)), return_exceptions=True)

    assert outcomes == [None] * 4
    assert await revision_of(new_address) == newest_revision()
    assert await look(new_address, differences) == []


async def test_a_migration_that_breaks_leaves_the_database_as_it_was(new_address: str) -> None:
    database = open_database(new_address)
    await database.write(lambda connection: connection.execute(text("CREATE TABLE deliveries (id INTEGER)")))
    await database.close()

    with pytest.raises(DBAPIError, match="deliveries"):
        await migrate(new_address)

    assert await look(new_address, lambda connection: inspect(connection).get_table_names()) == ["deliveries"]
    assert await revision_of(new_address) is None


async def test_a_database_of_a_newer_version_is_left_alone_by_whoever_finds_it(new_address: str) -> None:
    """As after going back to the version before; `migrate` would have nothing to offer."""
    await migrate(new_address)
    database = open_database(new_address)
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await database.write(lambda connection: connection.execute(newer))
    try:
        for refused in (migrate(new_address), require_newest_revision(database)):
            with pytest.raises(ConfigurationError, match=r"9999, which a newer version of PixelDojo made of it"):
                await refused
        assert await current_revision(database) == "9999"
    finally:
        await database.close()


async def test_a_database_that_cannot_be_reached_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "not-a-database").write_bytes(b"something else entirely, and longer than a header" * 40)

    with pytest.raises(DBAPIError, match="not a database"):
        await revision_of(f"sqlite:///{tmp_path / 'not-a-database'}")


def test_the_newest_revision_is_the_one_head_of_the_files() -> None:
    folder = Path(pixeldojo.db.migrate.__file__).parent / "migrations"

    assert ScriptDirectory(str(folder)).get_heads() == [newest_revision()]


async def test_another_kind_of_database_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(ConfigurationError, match=r"not in 'mysql'.*postgresql://"):
        await migrate("mysql://root@localhost/dojo")
