"""Bringing a database up to this version's tables, with Alembic."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.db.engine import Database, async_url, sqlite_engine

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """Return the revision this version of the code works on: migrations are files `0001_what.py`, in order."""
    return max(path.stem[:4] for path in _VERSIONS.glob("[0-9]*.py"))


async def current_revision(database: Database) -> str | None:
    """Return the database's revision, or None for an empty database."""
    async with database.read() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()


async def require_newest_revision(database: Database) -> None:
    """Return when the database has this version's tables.

    Raises:
        ConfigurationError: if it has not; says what to run.
    """
    found = await current_revision(database)
    _refuse_newer(found)
    if found != newest_revision():
        raise ConfigurationError(
            f"The database is at revision {found or 'none'} and this version needs {newest_revision()}. "
            "Run `pixeldojo-server migrate` (`pixeldojo-server up` does it by itself)."
        )


async def migrate(address: str) -> None:
    """Bring the database at `address` up to the newest revision, wholly or not at all.

    Safe to run twice and from two nodes at once: one migrates, the others wait and find nothing to do.

    Raises:
        ConfigurationError: if a newer version of the program has migrated it already.
    """
    from alembic import command  # noqa: PLC0415  a start on an up-to-date database never needs Alembic
    from alembic.config import Config  # noqa: PLC0415  as above
    from alembic.migration import MigrationContext  # noqa: PLC0415  as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))

    def upgrade(connection: Connection) -> None:
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    url = async_url(address)
    if url.get_backend_name() == "sqlite":
        # Changing a table means rebuilding it there, which enforced foreign keys would not allow.
        engine = sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1, enforce_foreign_keys=False)
    else:
        engine = create_async_engine(url, hide_parameters=True)
    try:
        async with engine.begin() as connection:
            await _lock(connection)
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def _refuse_newer(found: str | None) -> None:
    """Return when this version knows the revision, or there is none."""
    if found is not None and found > newest_revision():
        raise ConfigurationError(
            f"The database is at revision {found}, which a newer version of PixelDojo made of it; this one knows "
            f"{newest_revision()} at most. Go on with the newer version, or restore a backup from before it."
        )


async def _lock(connection: AsyncConnection) -> None:
    """Let one node migrate at a time; SQLite's transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(73051234)"))
