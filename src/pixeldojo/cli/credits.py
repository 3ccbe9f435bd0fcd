"""`pixeldojo-server credits`: grant and show."""

import asyncio
from typing import Annotated

import typer

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.bootstrap import open_office
from pixeldojo.cli.keys import DEFAULT_ACCOUNT
from pixeldojo.core.money import credits_text, parse_credits
from pixeldojo.core.settings import read_settings
from pixeldojo.credits.store import Balance

app = typer.Typer(help="Grant credits to an account and show its balances.", no_args_is_help=True)


@app.command("grant")
def grant(
    amount: Annotated[str, typer.Argument(help="Credits, such as 100 or 7.5; at most three decimals.")],
    mode: Annotated[KeyMode, typer.Option(help="Which balance: test and live are apart.")] = KeyMode.TEST,
    account: Annotated[str, typer.Option(help="Account by name or id.")] = DEFAULT_ACCOUNT,
    note: Annotated[str, typer.Option(help="Why, for the ledger.")] = "granted by the operator",
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Take credits back instead, at most what is available.")
    ] = False,
) -> None:
    """Give an account credits; the grant is an entry of the ledger like any other."""
    try:
        millicredits = parse_credits(amount)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if millicredits <= 0:
        raise typer.BadParameter("grant more than 0 credits; --take-back takes credits back")
    balance = asyncio.run(_grant(account, mode, -millicredits if take_back else millicredits, note))
    typer.echo(f"{account}, {mode} mode: {credits_text(balance.available)} credits available.")


@app.command("show")
def show(account: Annotated[str, typer.Option(help="Account by name or id.")] = DEFAULT_ACCOUNT) -> None:
    """Show what is available and held, in both modes."""
    for mode, balance in asyncio.run(_balances(account)).items():
        typer.echo(f"{mode}: {credits_text(balance.available)} available, {credits_text(balance.held)} held")


async def _grant(account: str, mode: KeyMode, millicredits: int, note: str) -> Balance:
    async with open_office(read_settings()) as office:
        account_id = await office.accounts.find_account(account)
        return await office.credits.grant(account_id, mode, millicredits, note)


async def _balances(account: str) -> dict[KeyMode, Balance]:
    async with open_office(read_settings()) as office:
        account_id = await office.accounts.find_account(account)
        return {mode: await office.credits.balance(account_id, mode) for mode in KeyMode}
