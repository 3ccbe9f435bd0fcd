"""`pixeldojo-server worker`: does the jobs; any number of nodes."""

import uvloop

from pixeldojo.bootstrap import open_node
from pixeldojo.cli.http_server import stop_event
from pixeldojo.cli.logs import configure_logs
from pixeldojo.cli.serve import require_scaled_out
from pixeldojo.core.settings import Settings, read_settings


def worker() -> None:
    """Do the jobs that `serve` nodes accept: submit, poll, collect, deliver webhooks, sweep."""
    settings = read_settings()
    require_scaled_out(settings)
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    log = configure_logs(settings)
    stopping = stop_event()
    async with open_node(settings, log, with_api=False, with_worker=True):
        log.info("working")
        await stopping.wait()
    log.info("stopped")
