"""The `pixeldojo-server` command: one subcommand a file, errors without a traceback, honest exit codes.

Exit codes: 0 done, 1 it did not work (the message says why and what would), 2 the command line is wrong.
"""

import sys

import typer

from pixeldojo import __version__
from pixeldojo.cli import catalog, credits, doctor, jobs, keys, ledger, migrate, serve, settings, up, worker
from pixeldojo.core.errors import ConfigurationError, PixelDojoError
from pixeldojo.core.settings import unknown_variables

_WITHOUT_SETTINGS = frozenset({"catalog"})

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
app.add_typer(jobs.app, name="jobs")
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
    elif context.invoked_subcommand not in _WITHOUT_SETTINGS:
        for sentence in unknown_variables():
            typer.echo(f"warning: {sentence} `pixeldojo-server settings` lists them.", err=True)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except _expected_errors() as error:
        typer.echo(f"error: {_readable(error)}", err=True)
        sys.exit(1)


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return what is told without a traceback; asked, and imported, only once one was raised."""
    from sqlalchemy.exc import DBAPIError

    from pixeldojo.blobs import BlobsUnavailable

    return ConfigurationError, PixelDojoError, BlobsUnavailable, DBAPIError, OSError


def _readable(error: Exception) -> str:
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        return f"the database refused: {error.orig}. `pixeldojo-server doctor` says more."
    return str(error)
