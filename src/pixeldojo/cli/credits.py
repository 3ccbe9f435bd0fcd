"""`pixeldojo-server credits`: grant and show."""

import asyncio
import re
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.cli.keys import DEFAULT_ACCOUNT, MODES, read_account, read_mode, read_option
from pixeldojo.core.labels import LONGEST_NOTE
from pixeldojo.core.money import credits_text, parse_credits
from pixeldojo.core.settings import read_settings
from pixeldojo.office import open_office

if TYPE_CHECKING:
    from pixeldojo.credits.store import Balance

_BELOW_ZERO = re.compile(r"-[0-9.]+")

app = typer.Typer(help="Grant credits to an account and show its balances.", no_args_is_help=True)


class _AmountCommand(TyperCommand):
    """Tells what is right where an amount below zero would pass for an option that does not exist."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own context; the base class names one that is private
        for before, word in zip(["", *args], args, strict=False):
            is_value = before.startswith("--") and before != "--take-back"
            if _BELOW_ZERO.fullmatch(word) and not is_value:
                raise _above_zero()
        return super().parse_args(ctx, args)


@app.command("grant", cls=_AmountCommand)
def grant(
    amount: Annotated[str, typer.Argument(help="Credits, such as 100 or 7.5; at most three decimals.")],
    mode: Annotated[
        KeyMode, typer.Option(parser=read_mode, metavar=MODES, help="Which balance: test and live are apart.")
    ] = KeyMode.TEST,
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
        raise typer.BadParameter(str(error), param_hint="AMOUNT") from error
    if millicredits <= 0:
        raise _above_zero()
    account, note = read_account(account), read_option(note, "--note", LONGEST_NOTE)
    balance = asyncio.run(_grant(account, mode, -millicredits if take_back else millicredits, note))
    typer.echo(f"{account}, {mode} mode: {credits_text(balance.available)} credits available.")


@app.command("show")
def show(account: Annotated[str, typer.Option(help="Account by name or id.")] = DEFAULT_ACCOUNT) -> None:
    """Show what is available and held, in both modes."""
    for mode, balance in asyncio.run(_balances(account)).items():
        typer.echo(f"{mode}: {credits_text(balance.available)} available, {credits_text(balance.held)} held")


def _above_zero() -> typer.BadParameter:
    return typer.BadParameter(
        "amounts are above 0: `pixeldojo-server credits grant 5` gives 5 credits, and with --take-back takes 5 back",
        param_hint="AMOUNT",
    )


async def _grant(account: str, mode: KeyMode, millicredits: int, note: str) -> "Balance":
    async with open_office(read_settings()) as office:
        account_id = await office.accounts.find_account(account)
        return await office.credits.grant(account_id, mode, millicredits, note)


async def _balances(account: str) -> dict[KeyMode, "Balance"]:
    async with open_office(read_settings()) as office:
        account_id = await office.accounts.find_account(account)
        return {mode: await office.credits.balance(account_id, mode) for mode in KeyMode}
