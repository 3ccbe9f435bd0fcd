"""`pixeldojo-server serve`: the HTTP API alone; any number of nodes."""

import asyncio

import uvloop

from pixeldojo.bootstrap import open_node
from pixeldojo.cli.http_server import HttpServer, bind, stop_event
from pixeldojo.cli.logs import configure_logs
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.settings import Settings, read_settings


def serve() -> None:
    """Serve the HTTP API; jobs are done by `worker` nodes. Needs a database and a broker of its own."""
    settings = read_settings()
    require_scaled_out(settings)
    uvloop.run(_serve(settings))


def require_scaled_out(settings: Settings) -> None:
    """Return when this process can share its work with others.

    Raises:
        ConfigurationError: naming what is missing.
    """
    missing = [
        name
        for name, value in (
            ("PIXELDOJO_DATABASE_URL", settings.database_url),
            ("PIXELDOJO_BROKER_URL", settings.broker_url),
            ("PIXELDOJO_SECRET_KEY", settings.secret_key),
        )
        if value is None
    ]
    if missing:
        raise ConfigurationError(
            f"`serve` and `worker` share their work through a database and a broker; set {', '.join(missing)}. "
            "On one machine, `pixeldojo-server up` needs none of them."
        )


async def _serve(settings: Settings) -> None:
    log = configure_logs(settings)
    stopping = stop_event()
    with bind(settings) as listener:
        async with open_node(settings, log, with_api=True, with_worker=False) as node:
            assert node.app is not None
            server = HttpServer(node.app, settings, listener)
            serving = await server.start()
            log.info("serving", address=settings.base_url)
            await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
            server.stop()
            await serving
    log.info("stopped")
