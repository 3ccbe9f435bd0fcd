"""The ledger, added up again: queries that find what is wrong, row by row.

Each check is one statement that returns only wrong rows, so it sees the live database at one moment and needs no
memory of ours however long the ledger is. Whether jobs and ledger agree is checked by `jobs/audit.py` in the same way.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, Select, Subquery, and_, case, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.money import LARGEST_CREDITS, MILLICREDITS_PER_CREDIT, credits_text
from pixeldojo.db.tables import balances, entries, settlements


@dataclass(frozen=True, slots=True)
class Check:
    """A query for rows that must not exist, and the sentence that tells of each."""

    wrong: Select[Any]
    sentence: Callable[[Row[Any]], str]


async def find_faults(connection: AsyncConnection, checks: Iterable[Check]) -> AsyncIterator[str]:
    """Yield a sentence for each wrong row of each check."""
    for check in checks:
        async for row in await connection.stream(check.wrong):
            yield check.sentence(row)


def credits_or_none(amount: int | None) -> str:
    """Return an amount of millicredits as people read it, `nothing` where there is none."""
    return "nothing" if amount is None else credits_text(int(amount))


_POSTINGS: Final = (entries.c.available, entries.c.held, entries.c.revenue, entries.c.grants)
_LARGEST: Final = LARGEST_CREDITS * MILLICREDITS_PER_CREDIT


def _countable(amount: Column[int]) -> ColumnElement[int]:
    """Return the amount where it is one; added up, others would break the query that should find them."""
    return case((amount.between(-_LARGEST, _LARGEST), amount), else_=0)


def _entries_beyond_counting() -> Check:
    return Check(
        select(entries.c.id).where(not_(and_(*(amount.between(-_LARGEST, _LARGEST) for amount in _POSTINGS)))),
        lambda row: f"Entry {row.id} moves more than the {LARGEST_CREDITS:,} credits that can be counted.",
    )


def _unbalanced_entries() -> Check:
    available, held, revenue, grants = (_countable(amount) for amount in _POSTINGS)
    total = available + held + revenue + grants
    return Check(
        select(entries.c.id, total.label("total")).where(total != 0),
        lambda row: f"Entry {row.id}: its postings add up to {credits_text(row.total)} instead of 0.",
    )


def _entries_unlike_their_kind() -> Check:
    """Find entries that move credits as none of their kind does: a hold that takes some for good, for example."""
    available, held, revenue, grants = _POSTINGS
    right = {
        "grant": (held == 0, revenue == 0, entries.c.job_id.is_(None)),
        "hold": (held >= 0, revenue == 0, grants == 0, entries.c.job_id.is_not(None)),
        "capture": (revenue >= 0, available == 0, grants == 0, entries.c.job_id.is_not(None)),
        "release": (available >= 0, revenue == 0, grants == 0, entries.c.job_id.is_not(None)),
    }
    is_right = or_(*(and_(entries.c.kind == kind, *conditions) for kind, conditions in right.items()))
    return Check(
        select(entries.c.id, entries.c.kind, entries.c.job_id, *_POSTINGS).where(not_(is_right)),
        lambda row: (
            f"Entry {row.id}, for {'no job' if row.job_id is None else f'job {row.job_id}'}, is no {row.kind}: "
            f"it moves {credits_text(row.available)} available, {credits_text(row.held)} held, "
            f"{credits_text(row.revenue)} revenue and {credits_text(row.grants)} grants."
        ),
    )


def _entries_posted_twice() -> Check:
    count = func.count().label("count")
    return Check(
        select(entries.c.job_id, entries.c.kind, count)
        .where(entries.c.job_id.is_not(None))
        .group_by(entries.c.job_id, entries.c.kind)
        .having(count > 1),
        lambda row: f"Job {row.job_id} has {row.count} entries that are a {row.kind}; one is the most.",
    )


def _jobs_settled_twice() -> Check:
    count = func.count().label("count")
    return Check(
        select(settlements.c.job_id, count).group_by(settlements.c.job_id).having(count > 1),
        lambda row: f"Job {row.job_id} has {row.count} settlements; one is the most.",
    )


def _sums() -> Subquery:
    """What the entries of each account and mode add up to."""
    return (
        select(
            entries.c.account_id,
            entries.c.mode,
            func.sum(_countable(entries.c.available)).label("available"),
            func.sum(_countable(entries.c.held)).label("held"),
            func.sum(_countable(entries.c.revenue)).label("captured"),
            (-func.sum(_countable(entries.c.grants))).label("granted"),
        )
        .group_by(entries.c.account_id, entries.c.mode)
        .subquery()
    )


_AMOUNTS: Final = ("available", "held", "captured", "granted")


def _balances_unlike_their_entries() -> Check:
    sums = _sums()
    kept = [balances.c[name].label(f"kept_{name}") for name in _AMOUNTS]
    summed = [func.coalesce(sums.c[name], 0).label(f"sum_{name}") for name in _AMOUNTS]
    differs = or_(*(balances.c[name] != func.coalesce(sums.c[name], 0) for name in _AMOUNTS))
    same_account = (sums.c.account_id == balances.c.account_id) & (sums.c.mode == balances.c.mode)
    query = select(balances.c.account_id, balances.c.mode, *kept, *summed)

    def sentence(row: Row[Any]) -> str:
        values = row._mapping
        wrong = (
            f"{name} is kept as {credits_text(values[f'kept_{name}'])}, but its entries add up to "
            f"{credits_text(int(values[f'sum_{name}']))}"
            for name in _AMOUNTS
            if values[f"kept_{name}"] != values[f"sum_{name}"]
        )
        return f"The {row.mode} balance of account {row.account_id}: {'; '.join(wrong)}."

    return Check(query.select_from(balances.outerjoin(sums, same_account)).where(differs), sentence)


def _entries_without_a_balance() -> Check:
    sums = _sums()
    same_account = (sums.c.account_id == balances.c.account_id) & (sums.c.mode == balances.c.mode)
    query = select(sums.c.account_id, sums.c.mode).select_from(sums.outerjoin(balances, same_account))
    return Check(
        query.where(balances.c.account_id.is_(None)),
        lambda row: f"Account {row.account_id} has {row.mode} entries, but no balance.",
    )


def _balances_below_zero() -> Check:
    return Check(
        select(balances.c.account_id, balances.c.mode, balances.c.available, balances.c.held).where(
            (balances.c.available < 0) | (balances.c.held < 0)
        ),
        lambda row: (
            f"The {row.mode} balance of account {row.account_id} is below zero: "
            f"{credits_text(row.available)} available, {credits_text(row.held)} held."
        ),
    )


def _held_unlike_open_holds() -> Check:
    open_holds = (
        select(entries.c.account_id, entries.c.mode, func.sum(_countable(entries.c.held)).label("held"))
        .select_from(entries.outerjoin(settlements, settlements.c.job_id == entries.c.job_id))
        .where(entries.c.kind == "hold", settlements.c.job_id.is_(None))
        .group_by(entries.c.account_id, entries.c.mode)
        .subquery()
    )
    held = func.coalesce(open_holds.c.held, 0)
    same_account = (open_holds.c.account_id == balances.c.account_id) & (open_holds.c.mode == balances.c.mode)
    return Check(
        select(balances.c.account_id, balances.c.mode, balances.c.held, held.label("open_holds"))
        .select_from(balances.outerjoin(open_holds, same_account))
        .where(balances.c.held != held),
        lambda row: (
            f"The {row.mode} balance of account {row.account_id} holds {credits_text(row.held)} credits, but "
            f"its jobs that are not settled hold {credits_text(int(row.open_holds))}."
        ),
    )


def _settlements_unlike_their_entries() -> Check:
    hold, capture, release = (entries.alias(kind) for kind in ("hold", "capture", "release"))
    joined = settlements
    source: Any = joined
    for kind in (hold, capture, release):
        source = source.outerjoin(kind, (kind.c.job_id == settlements.c.job_id) & (kind.c.kind == kind.name))
    captured, released = func.coalesce(capture.c.revenue, 0), func.coalesce(release.c.available, 0)
    wrong: tuple[ColumnElement[bool], ...] = (
        func.coalesce(hold.c.held, -1) != settlements.c.held,
        captured != settlements.c.captured,
        released != settlements.c.held - settlements.c.captured,
        settlements.c.captured > settlements.c.held,
        settlements.c.captured < 0,
    )
    columns = (settlements.c.job_id, settlements.c.held, settlements.c.captured)
    posted = (hold.c.held.label("posted_held"), captured.label("posted_captured"), released.label("posted_released"))
    return Check(
        select(*columns, *posted).select_from(source).where(or_(*wrong)),
        lambda row: (
            f"The settlement of job {row.job_id} captures {credits_text(row.captured)} of "
            f"{credits_text(row.held)} held, but its entries hold {credits_or_none(row.posted_held)}, capture "
            f"{credits_text(row.posted_captured)} and release {credits_text(row.posted_released)}."
        ),
    )


def _ends_without_a_settlement() -> Check:
    return Check(
        select(entries.c.id, entries.c.kind, entries.c.job_id)
        .select_from(entries.outerjoin(settlements, settlements.c.job_id == entries.c.job_id))
        .where(entries.c.kind.in_(("capture", "release")), settlements.c.job_id.is_(None)),
        lambda row: f"Entry {row.id} is a {row.kind} for job {row.job_id}, which has no settlement.",
    )


LEDGER_CHECKS: Final = (
    _entries_beyond_counting(),
    _unbalanced_entries(),
    _entries_unlike_their_kind(),
    _entries_posted_twice(),
    _jobs_settled_twice(),
    _balances_unlike_their_entries(),
    _entries_without_a_balance(),
    _balances_below_zero(),
    _held_unlike_open_holds(),
    _settlements_unlike_their_entries(),
    _ends_without_a_settlement(),
)
