"""`pixeldojo-server migrate`: bring the database up to this version's tables."""

import asyncio

import typer

from pixeldojo.core.data_dir import make_data_dir
from pixeldojo.core.settings import read_settings


def migrate_database() -> None:
    """Bring the database up to this version's tables. Safe to run again, and from several nodes at once."""
    settings = read_settings()
    if settings.database_url is None:
        make_data_dir(settings)
    before, after = asyncio.run(_migrate(settings.database_address))
    if before == after:
        typer.echo(f"The database is up to date (revision {after}).")
    else:
        typer.echo(f"The database was brought from revision {before or 'none'} to {after}.")


async def _migrate(address: str) -> tuple[str | None, str]:
    from pixeldojo.db.engine import open_database
    from pixeldojo.db.migrate import current_revision, migrate, newest_revision

    database = open_database(address)
    try:
        before = await current_revision(database)
        if before != newest_revision():
            await migrate(address)
    finally:
        await database.close()
    return before, newest_revision()
