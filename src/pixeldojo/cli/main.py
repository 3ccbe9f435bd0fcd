"""The `pixeldojo-server` command: one subcommand a file, errors without a traceback, honest exit codes.

Exit codes: 0 done, 1 it did not work (the message says why and what would), 2 the command line is wrong.
"""

import sys

import typer
from sqlalchemy.exc import DBAPIError

from pixeldojo import __version__
from pixeldojo.blobs import BlobsUnavailable
from pixeldojo.cli import catalog, credits, doctor, keys, ledger, migrate, serve, settings, up, worker
from pixeldojo.core.errors import ConfigurationError, PixelDojoError

app = typer.Typer(
    name="pixeldojo-server",
    help="Run PixelDojo: one async API over many AI image, video, audio and 3D models.\n\n"
    "On one machine, `up` is all it takes. On many, run `migrate` once, then any number of `serve` and `worker`. "
    "Settings come from the environment; `settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("migrate")(migrate.migrate_database)
app.command("doctor")(doctor.doctor)
app.command("catalog")(catalog.check_catalog)
app.command("settings")(settings.list_settings)
app.add_typer(keys.app, name="keys")
app.add_typer(credits.app, name="credits")
app.add_typer(ledger.app, name="ledger")


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and exit.")
) -> None:
    if version:
        typer.echo(f"pixeldojo-server {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (ConfigurationError, PixelDojoError, BlobsUnavailable, DBAPIError, OSError) as error:
        typer.echo(f"error: {_readable(error)}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _readable(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return f"the database refused: {error.orig}. `pixeldojo-server doctor` says more."
    return str(error)
