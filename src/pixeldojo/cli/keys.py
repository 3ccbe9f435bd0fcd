"""`pixeldojo-server keys`: create, list, revoke."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope, SpendCap, SpendCapPeriod
from pixeldojo.core.labels import LONGEST_NAME, read_label
from pixeldojo.core.money import credits_text, parse_credits
from pixeldojo.core.near_miss import nearest
from pixeldojo.core.settings import read_settings
from pixeldojo.office import open_office

if TYPE_CHECKING:
    from pixeldojo.accounts.service import NewKey

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

DEFAULT_ACCOUNT = "default"
_DURATION = re.compile(r"([0-9]{1,9})([hdw])")
# No key lives longer: what is meant without end has no expiry.
_LONGEST_LIFE = timedelta(days=100 * 365)
_HIGHEST_RATE = 1_000_000
_INTEGER = re.compile(r"[0-9]{1,9}")
MODES = f"[{'|'.join(KeyMode)}]"
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def read_mode(text: str) -> KeyMode:
    """Return the mode of that name; for options of commands.

    Raises:
        typer.BadParameter: if there is none.
    """
    if text not in list(KeyMode):
        raise typer.BadParameter(f"{text!r} is no mode; write {' or '.join(KeyMode)}{nearest(text, list(KeyMode))}")
    return KeyMode(text)


def _read_rate(text: str) -> int:
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= _HIGHEST_RATE:
        raise typer.BadParameter(f"{text!r} is no rate; write a whole number from 1 to {_HIGHEST_RATE}")
    return int(text)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")],
    mode: Annotated[
        KeyMode,
        typer.Option(
            parser=read_mode,
            metavar=MODES,
            help="`test` runs on the sandbox; `live` on the upstreams you have credentials for.",
        ),
    ] = KeyMode.TEST,
    account: Annotated[str, typer.Option(help="Account by name or id; made if no account has that name.")] = (
        DEFAULT_ACCOUNT
    ),
    scopes: Annotated[
        str, typer.Option(help=f"Comma-separated, of {', '.join(Scope)}; all of them by default.")
    ] = ",".join(Scope),
    expires: Annotated[
        str | None, typer.Option(help="After a time such as 12h, 30d or 8w, or at a date such as 2027-01-31.")
    ] = None,
    spend_cap: Annotated[
        str | None, typer.Option(help="The most it may spend, in credits: `100` in total, or `5/day` by UTC day.")
    ] = None,
    rate_per_minute: Annotated[
        int | None,
        typer.Option(parser=_read_rate, metavar="INTEGER", help="Requests a minute; the server's default without it."),
    ] = None,
) -> None:
    """Create a key and print it, alone on standard output; it is not shown again."""
    now = datetime.now(UTC)
    new = asyncio.run(
        _create(
            read_account(account),
            name=read_option(name, "--name"),
            mode=mode,
            scopes=_read_scopes(scopes),
            expires_at=None if expires is None else _read_expiry(expires, now),
            cap=None if spend_cap is None else _read_cap(spend_cap),
            rate_per_minute=rate_per_minute,
        )
    )
    typer.echo(f"Key {new.key.id} of account {account!r}; keep it safe, it is not shown again:", err=True)
    typer.echo(new.secret)


@app.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="Only the keys of this account, by name or id.")] = None,
) -> None:
    """List keys: never their secrets, only the public prefix."""
    keys = asyncio.run(_list(account))
    table = Table("id", "prefix", "name", "scopes", "cap", "rate", "state")
    now = datetime.now(UTC)
    for key in keys:
        table.add_row(
            key.id,
            f"{key.prefix}…",
            key.name,
            "all" if key.scopes == frozenset(Scope) else ",".join(sorted(key.scopes)),
            _shown_cap(key),
            str(key.rate_per_minute or "default"),
            _state(key, now),
        )
    Console(width=None if Console().is_terminal else 200).print(table)


@app.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="The key's id (key_…) or prefix (pd_test_…).")]) -> None:
    """Revoke a key; within seconds no node accepts it any more."""
    if asyncio.run(_revoke(key)):
        typer.echo(f"{key} is revoked.")
    else:
        typer.echo(f"{key} was revoked before.")


async def _create(
    account: str,
    *,
    name: str,
    mode: KeyMode,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
    cap: SpendCap | None,
    rate_per_minute: int | None,
) -> "NewKey":
    async with open_office(read_settings()) as office:
        account_id = await office.accounts.find_or_create_account(account)
        return await office.accounts.create_key(
            account_id,
            name=name,
            mode=mode,
            scopes=scopes,
            rate_per_minute=rate_per_minute,
            spend_cap=cap,
            expires_at=expires_at,
        )


async def _list(account: str | None) -> list[ApiKey]:
    async with open_office(read_settings()) as office:
        account_id = None if account is None else await office.accounts.find_account(account)
        return await office.accounts.list_keys(account_id)


async def _revoke(key: str) -> bool:
    async with open_office(read_settings()) as office:
        return await office.accounts.revoke_key(key)


def read_option(text: str, option: str, longest: int = LONGEST_NAME) -> str:
    """Return a name or note as it is stored.

    Raises:
        typer.BadParameter: if it cannot be shown in a list.
    """
    try:
        return read_label(text, longest)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def read_account(text: str) -> str:
    """Return the name or id of an account, as `read_option`."""
    return read_option(text, "--account")


def _read_scopes(text: str) -> frozenset[Scope]:
    known = ", ".join(Scope)
    given = [part.strip() for part in text.split(",") if part.strip()]
    for part in given:
        if part not in list(Scope):
            hint = nearest(part, list(Scope))
            raise typer.BadParameter(f"{part!r} is none; the scopes are {known}{hint}", param_hint="--scopes")
    if not given:
        raise typer.BadParameter(f"a key without scopes could do nothing; name some of {known}", param_hint="--scopes")
    return frozenset(Scope(part) for part in given)


def _read_expiry(text: str, now: datetime) -> datetime:
    try:
        moment = _moment(text, now)
    except (ValueError, OverflowError) as error:
        reason = f"{text!r} is neither a time such as 30d nor a date such as 2027-01-31"
        raise typer.BadParameter(reason, param_hint="--expires") from error
    if moment <= now:
        raise typer.BadParameter(f"{text} is in the past", param_hint="--expires")
    if moment - now > _LONGEST_LIFE:
        reason = f"{text} is over {_LONGEST_LIFE.days // 365} years away; without --expires a key has no end"
        raise typer.BadParameter(reason, param_hint="--expires")
    return moment


def _moment(text: str, now: datetime) -> datetime:
    match = _DURATION.fullmatch(text)
    if match:
        return now + timedelta(hours=int(match.group(1)) * _HOURS[match.group(2)])
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_cap(text: str) -> SpendCap:
    amount, _, period = text.partition("/")
    try:
        cap = SpendCap(parse_credits(amount), SpendCapPeriod(period or SpendCapPeriod.TOTAL))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no spend cap; write 100, or 5/day", param_hint="--spend-cap") from error
    if cap.amount <= 0:
        reason = f"{text!r} would let the key spend nothing; write an amount above 0"
        raise typer.BadParameter(reason, param_hint="--spend-cap")
    return cap


def _shown_cap(key: ApiKey) -> str:
    return "none" if key.spend_cap is None else f"{credits_text(key.spend_cap.amount)}/{key.spend_cap.period}"


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if not key.is_valid(now):
        return "expired"
    return "active" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d}"
