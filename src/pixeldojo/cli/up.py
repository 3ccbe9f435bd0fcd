"""`pixeldojo-server up`: everything on this machine, in one process, with nothing to set up."""

import sys

from pixeldojo.cli.importing import importing_much
from pixeldojo.core.settings import read_settings


def up() -> None:
    """Start everything here: API, workers, SQLite and a media folder; make a key and a first picture; keep serving.

    Data lies in PIXELDOJO_DATA_DIR (./.pixeldojo) and is used again by the next start.
    """
    settings = read_settings()
    if "log_format" not in settings.model_fields_set and sys.stderr.isatty():
        settings = settings.model_copy(update={"log_format": "console"})
    with importing_much():
        from pixeldojo.cli.embedded import run_embedded
    run_embedded(settings)
