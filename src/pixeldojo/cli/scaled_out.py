"""The nodes that `serve` and `worker` start: one process of many, sharing a database and a broker."""

import asyncio
from contextlib import AbstractContextManager, nullcontext

import uvloop

from pixeldojo.bootstrap import Node, open_node
from pixeldojo.cli.http_server import HttpServer, bind
from pixeldojo.cli.leaving import Told
from pixeldojo.cli.logs import configure_logs
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.settings import Settings
from pixeldojo.metrics.listener import metrics_listener


def run_api(settings: Settings) -> None:
    """Serve the API until told to stop.

    Raises:
        ConfigurationError: if the address is taken, or what the node would share is not set.
    """
    _require_scaled_out(settings)
    uvloop.run(_serve(settings))


def run_worker(settings: Settings) -> None:
    """Do jobs until told to stop.

    Raises:
        ConfigurationError: if what the node would share is not set.
    """
    _require_scaled_out(settings)
    uvloop.run(_work(settings))


def _require_scaled_out(settings: Settings) -> None:
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
    told = Told()
    with bind(settings) as listener:
        async with open_node(settings, log, with_api=True, with_worker=False) as node:
            assert node.app is not None
            server = HttpServer(node.app, settings, listener)
            serving = await server.start()
            log.info("serving", address=settings.base_url)
            await asyncio.wait({serving, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
            # A person at the keyboard has no load balancer; a supervisor sends SIGTERM.
            if told.by_supervisor:
                log.info("draining", seconds=settings.drain_seconds)
                await server.drain(serving, settings.drain_seconds)
            server.stop()
            await serving
    log.info("stopped")


async def _work(settings: Settings) -> None:
    log = configure_logs(settings)
    told = Told()
    async with open_node(settings, log, with_api=False, with_worker=True) as node:
        await node.start_work()
        with _shown_metrics(settings, node):
            log.info("working")
            await told.wait()
    log.info("stopped")


def _shown_metrics(settings: Settings, node: Node) -> AbstractContextManager[int | None]:
    if settings.metrics_port is None:
        return nullcontext()
    token = settings.metrics_token
    secret = None if token is None else token.get_secret_value()
    return metrics_listener(node.meters.text, settings.host, settings.metrics_port, secret)
