"""`pixeldojo-server ledger`: prove that the books are right."""

import asyncio

import typer

from pixeldojo.core.settings import read_settings
from pixeldojo.office import open_office

app = typer.Typer(help="Prove that no credit was made, lost or charged twice.", no_args_is_help=True)


@app.callback()
def _ledger() -> None:
    """Keep `verify` a word of the command line although it is the only one."""


@app.command("verify")
def verify() -> None:
    """Add up the whole ledger and compare it with balances, settlements, jobs and keys.

    Reads only, needs little memory and may run while the servers do. Names each wrong row and exits with 1 if there
    is any.
    """
    faults, looked_at = asyncio.run(_verify())
    if faults:
        typer.echo(f"{faults:,} faults. {looked_at}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Everything agrees. {looked_at}")


async def _verify() -> tuple[int, str]:
    faults = 0
    async with open_office(read_settings()) as office:
        extent = await office.audit.extent()
        async for fault in office.audit.faults():
            faults += 1
            typer.echo(fault)
    return faults, f"{extent.entries:,} entries, {extent.balances:,} balances and {extent.jobs:,} jobs were looked at."
