"""All SQL on the ledger: entries, the balances beside them, settlements, and what keys with a cap have spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.ids import IdKind, id_span
from pixeldojo.db.dialect import insert_for
from pixeldojo.db.tables import balances, entries, key_spending, settlements


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger. Its four postings, in millicredits, sum to zero."""

    id: str
    account_id: str
    mode: str
    kind: str
    job_id: str | None
    note: str
    created_at: datetime
    available: int = 0
    held: int = 0
    revenue: int = 0
    grants: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's balance in one mode, in millicredits; `available + held + captured = granted`."""

    available: int = 0
    held: int = 0
    captured: int = 0
    granted: int = 0


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries a page shows: `cursor` is the id of the last one of the page before; times are exclusive."""

    limit: int
    cursor: str | None = None
    kind: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def post_entry(connection: AsyncConnection, entry: Entry) -> Balance | None:
    """Append an entry and move the balance with it; return the new balance.

    Returns None, and changes nothing, when the balance does not exist or `available` would fall below zero.
    The check and the change are one statement, so no two callers can spend the same credit.
    """
    changed = (
        update(balances)
        .where(
            balances.c.account_id == entry.account_id,
            balances.c.mode == entry.mode,
            balances.c.available + entry.available >= 0,
        )
        .values(
            available=balances.c.available + entry.available,
            held=balances.c.held + entry.held,
            captured=balances.c.captured + entry.revenue,
            granted=balances.c.granted - entry.grants,
        )
        .returning(balances.c.available, balances.c.held, balances.c.captured, balances.c.granted)
    )
    row = (await connection.execute(changed)).one_or_none()
    if row is None:
        return None
    await connection.execute(
        insert(entries).values(
            id=entry.id,
            account_id=entry.account_id,
            mode=entry.mode,
            kind=entry.kind,
            job_id=entry.job_id,
            note=entry.note,
            created_at=entry.created_at,
            available=entry.available,
            held=entry.held,
            revenue=entry.revenue,
            grants=entry.grants,
        )
    )
    return Balance(*row)


async def ensure_balance(connection: AsyncConnection, account_id: str, mode: str) -> None:
    """Make sure that the account has a balance row in that mode."""
    await connection.execute(
        insert_for(connection, balances)
        .values(account_id=account_id, mode=mode, available=0, held=0, captured=0, granted=0)
        .on_conflict_do_nothing()
    )


async def read_balance(connection: AsyncConnection, account_id: str, mode: str) -> Balance:
    """Return the balance; all zero for an account that never had a credit."""
    query = select(balances.c.available, balances.c.held, balances.c.captured, balances.c.granted).where(
        balances.c.account_id == account_id, balances.c.mode == mode
    )
    row = (await connection.execute(query)).one_or_none()
    return Balance() if row is None else Balance(*row)


async def list_job_entries(connection: AsyncConnection, job_id: str) -> list[Entry]:
    """Return the entries of a job, oldest first."""
    query = select(entries).where(entries.c.job_id == job_id).order_by(entries.c.id)
    return [Entry(**row._mapping) for row in await connection.execute(query)]


async def list_entries(connection: AsyncConnection, account_id: str, mode: str, wanted: EntryFilter) -> list[Entry]:
    """Return one page of an account's entries in a mode, and one entry more, newest first."""
    conditions: list[ColumnElement[bool]] = [entries.c.account_id == account_id, entries.c.mode == mode]
    first, last = id_span(IdKind.ENTRY, wanted.created_after, wanted.created_before)
    if first is not None:
        conditions += [entries.c.id >= first, entries.c.created_at > wanted.created_after]
    if last is not None:
        conditions += [entries.c.id < last, entries.c.created_at < wanted.created_before]
    if wanted.cursor is not None:
        conditions.append(entries.c.id < wanted.cursor)
    if wanted.kind is not None:
        conditions.append(entries.c.kind == wanted.kind)
    query = select(entries).where(*conditions).order_by(entries.c.id.desc()).limit(wanted.limit + 1)
    return [Entry(**row._mapping) for row in await connection.execute(query)]


async def insert_settlement(
    connection: AsyncConnection,
    *,
    job_id: str,
    account_id: str,
    mode: str,
    held: int,
    captured: int,
    now: datetime,
) -> bool:
    """Settle a job; return False when it was settled before. The primary key decides between racers."""
    result = await connection.execute(
        insert_for(connection, settlements)
        .values(job_id=job_id, account_id=account_id, mode=mode, held=held, captured=captured, created_at=now)
        .on_conflict_do_nothing()
    )
    return result.rowcount == 1


async def add_spending(connection: AsyncConnection, key_id: str, period: str, amount: int, cap: int | None) -> bool:
    """Add to what a key has spent in a period; return False, and change nothing, when that would pass `cap`."""
    if cap is not None and amount > cap:
        return False
    statement = (
        insert_for(connection, key_spending)
        .values(key_id=key_id, period=period, spent=amount)
        .on_conflict_do_update(
            index_elements=[key_spending.c.key_id, key_spending.c.period],
            set_={"spent": key_spending.c.spent + amount},
            where=None if cap is None else key_spending.c.spent + amount <= cap,
        )
    )
    return (await connection.execute(statement)).rowcount == 1


async def give_back_spending(connection: AsyncConnection, key_id: str, period: str, amount: int) -> None:
    """Take from what a key has spent in a period what a job did not cost after all."""
    await connection.execute(
        update(key_spending)
        .where(key_spending.c.key_id == key_id, key_spending.c.period == period)
        .values(spent=key_spending.c.spent - amount)
    )


async def read_spending(connection: AsyncConnection, key_id: str, period: str) -> int:
    """Return what a key has spent in a period."""
    query = select(key_spending.c.spent).where(key_spending.c.key_id == key_id, key_spending.c.period == period)
    return (await connection.execute(query)).scalar_one_or_none() or 0


async def list_spending(
    connection: AsyncConnection, key_ids: Sequence[str], periods: Sequence[str]
) -> dict[tuple[str, str], int]:
    """Return what several keys have spent in several periods, by key and period; nothing where that is nothing."""
    query = select(key_spending).where(key_spending.c.key_id.in_(key_ids), key_spending.c.period.in_(periods))
    return {(row.key_id, row.period): row.spent for row in await connection.execute(query)}
