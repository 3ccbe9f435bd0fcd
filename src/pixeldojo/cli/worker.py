"""`pixeldojo-server worker`: does the jobs; any number of nodes."""

from pixeldojo.cli.importing import importing_much
from pixeldojo.core.settings import read_settings


def worker() -> None:
    """Do the jobs that `serve` nodes accept: submit, poll, collect, deliver webhooks, sweep."""
    settings = read_settings()
    with importing_much():
        from pixeldojo.cli.scaled_out import run_worker
    run_worker(settings)
