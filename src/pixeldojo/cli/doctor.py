"""`pixeldojo-server doctor`: looks at every address and says how to mend what is wrong."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import typer

from pixeldojo.core.data_dir import check_data_dir, is_embedded, read_server_secret
from pixeldojo.core.settings import Settings, read_settings

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Check:
    """One thing to look at: what it is, how, and what to do when it is wrong."""

    name: str
    look: Callable[[Settings], Awaitable[str]]
    mend: str


def doctor() -> None:
    """Check settings, database, media store, broker, limits and catalog; say how to mend what is wrong."""
    settings = read_settings()
    typer.echo(
        f"PixelDojo, {'embedded' if is_embedded(settings) else 'scaled out'}, on Python {sys.version.split()[0]}"
    )
    failures = asyncio.run(_run(settings))
    if failures:
        typer.echo(f"\n{failures} of {len(_CHECKS)} need mending.", err=True)
        raise typer.Exit(1)
    typer.echo("\nAll is well.")


async def _run(settings: Settings) -> int:
    failures = 0
    for check in _CHECKS:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                said = await check.look(settings)
        except Exception as error:  # noqa: BLE001  whatever is wrong is what this command is there to tell
            failures += 1
            # The database's library wraps what the server said in words of its own.
            reason = str(getattr(error, "orig", None) or error) or type(error).__name__
            typer.echo(f"  WRONG {check.name}: {reason}\n        {check.mend}")
        else:
            typer.echo(f"  ok    {check.name}: {said}")
    return failures


async def _data_dir(settings: Settings) -> str:
    check_data_dir(settings)
    folder = settings.data_dir.resolve()
    return f"{folder}{'' if folder.exists() else ' (made on first start)'}"


async def _secret(settings: Settings) -> str:
    if settings.secret_key is None and settings.database_url is None:
        return "kept in the data folder"
    read_server_secret(settings)
    return "set"


async def _database(settings: Settings) -> str:
    from pixeldojo.db.engine import open_database
    from pixeldojo.db.migrate import newest_revision, require_newest_revision

    if settings.database_url is None and not (settings.data_dir / "pixeldojo.db").exists():
        return "made on first start"
    database = open_database(settings.database_address)
    try:
        await database.check()
        await require_newest_revision(database)
    finally:
        await database.close()
    return f"revision {newest_revision()}"


async def _blobs(settings: Settings) -> str:
    from pixeldojo.blobs import open_blobs

    if settings.blobs_url is None and not (settings.data_dir / "blobs").exists():
        return "made on first start"
    await open_blobs(settings.blobs_address).check()
    return "written, read back and deleted"


async def _broker(settings: Settings) -> str:
    from pixeldojo.engine import open_engine

    if settings.broker_url is None:
        return "in process"
    engine = open_engine(settings.broker_url)
    await engine.check()
    return "answers"


async def _limiter(settings: Settings) -> str:
    from pixeldojo.limiter import open_limiter

    address = settings.limiter_url or settings.broker_url
    if address is None:
        return "in process"
    await open_limiter(address).check()
    return "answers"


async def _catalog(_settings: Settings) -> str:
    from pixeldojo.catalog.load import load_catalog

    return f"{len(load_catalog().models)} models"


_CHECKS = (
    _Check("data folder", _data_dir, "Set PIXELDOJO_DATA_DIR to a folder this user can write."),
    _Check("secret", _secret, "Set PIXELDOJO_SECRET_KEY to the same 32 or more random characters on every node."),
    _Check("database", _database, "Check PIXELDOJO_DATABASE_URL, that the server runs, and what this user may there."),
    _Check("media store", _blobs, "Check PIXELDOJO_BLOBS_URL, the store's credentials, and that it may be written."),
    _Check("broker", _broker, "Check PIXELDOJO_BROKER_URL and that the Valkey or Redis there runs."),
    _Check("rate limits", _limiter, "Check PIXELDOJO_LIMITER_URL and that the Valkey or Redis there runs."),
    _Check("catalog", _catalog, "Mend the file named above, or install PixelDojo again."),
)
