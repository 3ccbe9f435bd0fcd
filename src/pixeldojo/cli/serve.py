"""`pixeldojo-server serve`: the HTTP API alone; any number of nodes."""

from pixeldojo.cli.importing import importing_much
from pixeldojo.core.settings import read_settings


def serve() -> None:
    """Serve the HTTP API; jobs are done by `worker` nodes. Needs a database and a broker of its own."""
    settings = read_settings()
    with importing_much():
        from pixeldojo.cli.scaled_out import run_api
    run_api(settings)
