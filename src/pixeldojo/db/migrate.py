"""Bringing a database up to this version's tables, with Alembic."""

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from pixeldojo.db.engine import Database, async_url

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """Return the revision this version of the code works on: migrations are files `0001_what.py`, in order."""
    return max(path.stem[:4] for path in _VERSIONS.glob("[0-9]*.py"))


async def current_revision(database: Database) -> str | None:
    """Return the database's revision, or None for an empty database."""
    async with database.read() as connection:
        try:
            return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
        except DBAPIError:
            return None


async def migrate(address: str) -> None:
    """Bring the database at `address` up to the newest revision. Safe to run twice and from two nodes at once."""
    from alembic import command  # noqa: PLC0415  a start on an up-to-date database never needs Alembic
    from alembic.config import Config  # noqa: PLC0415  as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine(async_url(address))
    try:
        async with engine.begin() as connection:
            await _lock(connection)
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    """Let one node migrate at a time; the others wait and then find nothing to do."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(73051234)"))
