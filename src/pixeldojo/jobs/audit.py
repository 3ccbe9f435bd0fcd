"""Whether jobs and ledger tell the same story: queries that find each job, hold or key of which they do not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, case, func, or_, select

from pixeldojo.core.money import credits_text
from pixeldojo.credits.audit import LEDGER_CHECKS, Check, credits_or_none, find_faults
from pixeldojo.db.engine import Database
from pixeldojo.db.tables import balances, entries, jobs, key_spending, settlements
from pixeldojo.jobs.states import JobStatus, Step


def _jobs_unlike_their_hold() -> Check:
    hold = entries.alias("hold")
    same_job = (hold.c.job_id == jobs.c.id) & (hold.c.kind == "hold")
    return Check(
        select(jobs.c.id, jobs.c.quoted, hold.c.held)
        .select_from(jobs.outerjoin(hold, same_job))
        .where(
            or_(
                func.coalesce(hold.c.held, -1) != jobs.c.quoted,
                hold.c.account_id != jobs.c.account_id,
                hold.c.mode != jobs.c.mode,
            )
        ),
        lambda row: (
            f"Job {row.id} was quoted {credits_text(row.quoted)} credits, but its account holds or held "
            f"{credits_or_none(row.held)} for it."
        ),
    )


def _holds_without_a_job() -> Check:
    return Check(
        select(entries.c.id, entries.c.job_id)
        .select_from(entries.outerjoin(jobs, jobs.c.id == entries.c.job_id))
        .where(entries.c.kind == "hold", jobs.c.id.is_(None)),
        lambda row: f"Entry {row.id} holds credits for job {row.job_id}, which does not exist.",
    )


def _settled() -> Select[Any]:
    columns = (jobs.c.id, jobs.c.status, jobs.c.step, jobs.c.cost, settlements.c.captured)
    return select(*columns).select_from(jobs.outerjoin(settlements, settlements.c.job_id == jobs.c.id))


def _ended_jobs_unlike_their_settlement() -> Check:
    def sentence(row: Row[Any]) -> str:
        if row.captured is None:
            return f"Job {row.id} has ended, but was never settled."
        return (
            f"Job {row.id} ended {row.status} at a cost of {credits_or_none(row.cost)}, but "
            f"{credits_text(row.captured)} credits were captured for it."
        )

    differs = or_(settlements.c.captured.is_(None), func.coalesce(jobs.c.cost, -1) != settlements.c.captured)
    return Check(_settled().where(jobs.c.step == Step.ENDED, differs), sentence)


def _failed_jobs_that_cost() -> Check:
    return Check(
        _settled().where(jobs.c.status == JobStatus.FAILED, settlements.c.captured > 0),
        lambda row: f"Job {row.id} failed, but {credits_text(row.captured)} credits were captured for it.",
    )


def _open_jobs_that_are_settled() -> Check:
    return Check(
        _settled().where(jobs.c.step != Step.ENDED, settlements.c.captured.is_not(None)),
        lambda row: f"Job {row.id} goes on (step {row.step}), but is settled already.",
    )


def _keys_that_spent_otherwise() -> Check:
    spent = (
        select(
            jobs.c.key_id, func.sum(case((jobs.c.step == Step.ENDED, jobs.c.cost), else_=jobs.c.quoted)).label("sum")
        )
        .group_by(jobs.c.key_id)
        .subquery()
    )
    total = func.coalesce(spent.c.sum, 0)
    return Check(
        select(key_spending.c.key_id, key_spending.c.spent, total.label("total"))
        .select_from(key_spending.outerjoin(spent, spent.c.key_id == key_spending.c.key_id))
        .where(key_spending.c.period == "total", key_spending.c.spent != total),
        lambda row: (
            f"Key {row.key_id} is said to have spent {credits_text(row.spent)} credits in total, but its jobs "
            f"cost or hold {credits_text(int(row.total))}."
        ),
    )


def _spending_that_nobody_counted() -> Check:
    total = (key_spending.c.key_id == jobs.c.key_id) & (key_spending.c.period == "total")
    return Check(
        select(jobs.c.key_id)
        .distinct()
        .select_from(jobs.outerjoin(key_spending, total))
        .where(key_spending.c.key_id.is_(None)),
        lambda row: f"Key {row.key_id} has jobs, but nothing says what it has spent.",
    )


def _days_unlike_their_total() -> Check:
    is_total = key_spending.c.period == "total"
    total = func.sum(case((is_total, key_spending.c.spent), else_=0)).label("total")
    days = func.sum(case((is_total, 0), else_=key_spending.c.spent)).label("days")
    return Check(
        select(key_spending.c.key_id, total, days).group_by(key_spending.c.key_id).having(total != days),
        lambda row: (
            f"Key {row.key_id} is said to have spent {credits_text(int(row.total))} credits in total, but "
            f"{credits_text(int(row.days))} on all days together."
        ),
    )


JOB_CHECKS: Final = (
    _jobs_unlike_their_hold(),
    _holds_without_a_job(),
    _ended_jobs_unlike_their_settlement(),
    _failed_jobs_that_cost(),
    _open_jobs_that_are_settled(),
    _keys_that_spent_otherwise(),
    _spending_that_nobody_counted(),
    _days_unlike_their_total(),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there was to look at."""

    balances: int
    entries: int
    jobs: int


class LedgerAudit:
    """Looks at the whole ledger and at the jobs it was kept for; changes nothing, and may run on a live database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def extent(self) -> Extent:
        """Count what will be looked at."""
        async with self._database.scan() as connection:
            counts = [
                (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                for table in (balances, entries, jobs)
            ]
        return Extent(*counts)

    async def faults(self) -> AsyncIterator[str]:
        """Yield a sentence for each row that is wrong; none when everything agrees."""
        async with self._database.scan() as connection:
            async for fault in find_faults(connection, (*LEDGER_CHECKS, *JOB_CHECKS)):
                yield fault
