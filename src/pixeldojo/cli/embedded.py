"""The node that `up` starts: everything in one process on this machine, from its first key and picture to its end."""

import asyncio
import shutil

import typer
import uvloop
from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.bootstrap import Node, open_node, prepare_embedded
from pixeldojo.cli.first_job import FIRST_MODEL, FIRST_PROMPT, run_first_job
from pixeldojo.cli.http_server import HttpServer, bind
from pixeldojo.cli.keys import DEFAULT_ACCOUNT
from pixeldojo.cli.leaving import Told
from pixeldojo.cli.logs import configure_logs
from pixeldojo.core.data_dir import is_embedded, lock_data_dir, make_scratch_dir, write_private_file
from pixeldojo.core.money import MILLICREDITS_PER_CREDIT
from pixeldojo.core.settings import Settings

_KEY_FILE = "api-key"
_PICTURE_FILE = "first-image.png"


def run_embedded(settings: Settings) -> None:
    """Serve and work until told to stop.

    Raises:
        ConfigurationError: if the data folder or the address belongs to somebody else.
    """
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    log = configure_logs(settings)
    told = Told()
    if not settings.is_local:
        log.warning("others can reach this machine's own services", host=settings.host, instead="serve and worker")
    with lock_data_dir(settings), bind(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        await prepare_embedded(settings)
        # What a killed process left half-done; nothing in here outlives the process that made it.
        shutil.rmtree(make_scratch_dir(settings), ignore_errors=True)
        async with open_node(
            settings, log, with_api=True, with_worker=True, allow_loopback=True, owns_data=is_embedded(settings)
        ) as node:
            assert node.app is not None
            key = await _first_key(node, settings)
            server = HttpServer(node.app, settings, listener)
            serving = await server.start()
            await node.start_work()
            welcome = asyncio.create_task(_welcome(settings, key, log))
            await asyncio.wait({serving, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
            welcome.cancel()
            server.stop()
            await asyncio.gather(serving, welcome, return_exceptions=True)
        shutil.rmtree(make_scratch_dir(settings), ignore_errors=True)
    typer.echo("PixelDojo has stopped; the next start goes on with the same data.")


async def _first_key(node: Node, settings: Settings) -> str:
    """Return the key kept in the data folder; on first start make it, with an account and sandbox credits."""
    path = settings.data_dir / _KEY_FILE
    if path.exists():
        return path.read_text().strip()
    accounts = node.office.accounts
    account_id = await accounts.find_or_create_account(DEFAULT_ACCOUNT)
    amount = settings.first_credits * MILLICREDITS_PER_CREDIT
    await node.office.credits.grant(account_id, KeyMode.TEST, amount, "sandbox credits of the first start")
    new = await accounts.create_key(account_id, name="first key", mode=KeyMode.TEST)
    write_private_file(path, new.secret)
    return new.secret


async def _welcome(settings: Settings, key: str, log: FilteringBoundLogger) -> None:
    """Say what is here, show on first start that it works, and give a line to paste."""
    typer.echo(f"\nPixelDojo serves {settings.base_url}  (Ctrl-C stops it)\n")
    typer.echo(
        f"  API key       {key}\n                also in {settings.data_dir / _KEY_FILE}; sandbox only, costs nothing"
    )
    picture = settings.data_dir / _PICTURE_FILE
    if not picture.exists():
        try:
            await asyncio.to_thread(run_first_job, settings.base_url, key, picture)
        except (OSError, ValueError) as error:
            log.warning("the first job did not work", why=str(error))
    if picture.exists():
        typer.echo(f"  first picture {picture}  ({FIRST_MODEL}: {FIRST_PROMPT!r})")
    typer.echo(f"\nRun a model:\n\n{_curl_line(settings.base_url, key)}\n")


def _curl_line(base_url: str, key: str) -> str:
    """Return a command that works when pasted, as it stands."""
    return (
        f"  curl -s {base_url}/api/v1/models/{FIRST_MODEL}/run -H 'Authorization: Bearer {key}' "
        "-H 'Content-Type: application/json' -H 'Prefer: wait=30' -d '{\"prompt\": \"A lighthouse in a storm\"}'"
    )
