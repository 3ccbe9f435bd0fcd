"""All SQL on jobs and their upstream attempts.

Writes of a worker carry the fence of its claim: `move` changes nothing, and says so, when another has claimed the
job since or when the table of moves does not allow it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.errors import JobFailureCode
from pixeldojo.db.tables import jobs, upstream_attempts
from pixeldojo.jobs.job import Job, JobFilter, JobView
from pixeldojo.jobs.states import JobStatus, Step, sources_of

_IDS_AT_ONCE = 500
# What the caller sent, and what an upstream knows it by.
_FORGOTTEN: Mapping[str, None] = {
    "input": None,
    "input_files": None,
    "operation": None,
    "webhook_url": None,
    "rehearsal": None,
}


async def insert_job(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Add a job."""
    await connection.execute(insert(jobs).values(**values))


async def find_job(connection: AsyncConnection, job_id: str, account_id: str | None = None) -> Job | None:
    """Return a job; with `account_id` only if it is that account's."""
    query = select(jobs).where(jobs.c.id == job_id)
    if account_id is not None:
        query = query.where(jobs.c.account_id == account_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _job(row)


async def list_jobs(
    connection: AsyncConnection, account_id: str, mode: str, wanted: JobFilter, now: datetime
) -> list[Job]:
    """Return one page and one job more, newest first, without jobs whose time is over."""
    conditions: list[ColumnElement[bool]] = [
        jobs.c.account_id == account_id,
        jobs.c.mode == mode,
        jobs.c.purged_at.is_(None),
        or_(jobs.c.step != Step.ENDED, jobs.c.expires_at > now),
    ]
    if wanted.cursor is not None:
        conditions.append(jobs.c.id < wanted.cursor)
    if wanted.status is not None:
        conditions.append(jobs.c.status == wanted.status)
    if wanted.model_id is not None:
        conditions.append(jobs.c.model_id == wanted.model_id)
    if wanted.created_after is not None:
        conditions.append(jobs.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(jobs.c.created_at < wanted.created_before)
    query = select(jobs).where(*conditions).order_by(jobs.c.id.desc()).limit(wanted.limit + 1)
    return [_job(row) for row in await connection.execute(query)]


async def claim(
    connection: AsyncConnection, job_id: str, owner: str, now: datetime, lease_until: datetime
) -> Job | None:
    """Take the lease of a job that has not ended and that nobody holds; raise its fence. None if it is taken."""
    statement = (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.step != Step.ENDED,
            or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < now),
        )
        .values(lease_owner=owner, lease_until=lease_until, fence=jobs.c.fence + 1, next_step_at=lease_until)
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _job(row)


async def move(
    connection: AsyncConnection,
    job: Job,
    to: Step,
    changes: dict[str, Any] | None = None,
    *,
    only_from: Step | None = None,
) -> Job | None:
    """Move a claimed job to a step, with other changes beside it; None when the claim is no longer ours.

    Of the steps that the table of moves allows, `only_from` takes one.
    """
    sources = sources_of(to) if only_from is None else sources_of(to) & {only_from}
    statement = (
        update(jobs)
        .where(
            jobs.c.id == job.id,
            jobs.c.fence == job.fence,
            jobs.c.step.in_(sources),
        )
        .values(step=to, **(changes or {}))
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _job(row)


async def change(connection: AsyncConnection, job: Job, changes: dict[str, Any]) -> bool:
    """Change columns of a claimed job without moving it; False when the claim is no longer ours."""
    statement = (
        update(jobs).where(jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.step != Step.ENDED).values(**changes)
    )
    return (await connection.execute(statement)).rowcount == 1


async def request_cancel(connection: AsyncConnection, job_id: str, now: datetime) -> None:
    """Note that the caller wants the job stopped; the worker that holds it acts on it."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.step != Step.ENDED, jobs.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now, next_step_at=now)
    )
    await connection.execute(statement)


async def call_for(connection: AsyncConnection, job_id: str, now: datetime) -> None:
    """Let the next step of a job that an upstream may have be due now.

    While somebody holds the job, that its step is due before the lease ends is what says that it was called for.
    """
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.step.in_((Step.SUBMITTING, Step.CHECK)), jobs.c.next_step_at > now)
        .values(next_step_at=now)
    )
    await connection.execute(statement)


async def park_unless_called(connection: AsyncConnection, job: Job, until: datetime) -> bool | None:
    """Give a claimed job back until then, unless it was called for; then take note of the call and keep the job.

    Returns whether it is still held; None when the claim is no longer ours.
    """
    ours = (jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.step != Step.ENDED, jobs.c.lease_until.is_not(None))
    parked = update(jobs).where(*ours, jobs.c.next_step_at >= jobs.c.lease_until)
    if (await connection.execute(parked.values(lease_owner=None, lease_until=None, next_step_at=until))).rowcount:
        return False
    kept = await connection.execute(update(jobs).where(*ours).values(next_step_at=jobs.c.lease_until))
    return True if kept.rowcount else None


async def end_unsubmitted(connection: AsyncConnection, job: Job, changes: dict[str, Any]) -> Job | None:
    """End a job that no upstream has seen, whoever holds it: the raised fence shuts the holder out."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.step == Step.SUBMIT)
        .values(step=Step.ENDED, fence=jobs.c.fence + 1, **changes)
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _job(row)


async def held_job_ids(connection: AsyncConnection, owner: str) -> Sequence[str]:
    """Return the jobs whose lease is a worker's."""
    query = select(jobs.c.id).where(jobs.c.lease_owner == owner, jobs.c.step != Step.ENDED)
    return (await connection.execute(query)).scalars().all()


async def renew_leases(
    connection: AsyncConnection, owner: str, job_ids: Sequence[str], lease_until: datetime
) -> dict[str, tuple[int, bool]]:
    """Renew the leases of those jobs that the worker holds; return fence and wish to cancel of each."""
    until = literal(lease_until, jobs.c.lease_until.type)
    # What is due before the lease ends was called for, and stays so.
    due = case((jobs.c.next_step_at < jobs.c.lease_until, jobs.c.next_step_at), else_=until)
    statement = (
        update(jobs)
        .where(jobs.c.id.in_(job_ids), jobs.c.lease_owner == owner, jobs.c.step != Step.ENDED)
        .values(lease_until=until, next_step_at=due)
        .returning(jobs.c.id, jobs.c.fence, jobs.c.cancel_requested_at)
    )
    return {row.id: (row.fence, row.cancel_requested_at is not None) for row in await connection.execute(statement)}


async def release_leases(connection: AsyncConnection, owner: str | None, now: datetime) -> int:
    """Give back every lease of a worker, or of all workers, so that others can go on at once."""
    held = jobs.c.lease_owner.is_not(None) if owner is None else jobs.c.lease_owner == owner
    statement = (
        update(jobs).where(held, jobs.c.step != Step.ENDED).values(lease_owner=None, lease_until=None, next_step_at=now)
    )
    return (await connection.execute(statement)).rowcount


async def release_jobs(connection: AsyncConnection, owner: str, job_ids: Sequence[str], now: datetime) -> int:
    """Give back those of the jobs that the worker holds; return how many it held."""
    released = 0
    for start in range(0, len(job_ids), _IDS_AT_ONCE):
        statement = (
            update(jobs)
            .where(
                jobs.c.id.in_(job_ids[start : start + _IDS_AT_ONCE]),
                jobs.c.lease_owner == owner,
                jobs.c.step != Step.ENDED,
            )
            .values(lease_owner=None, lease_until=None, next_step_at=now)
        )
        released += (await connection.execute(statement)).rowcount
    return released


async def due_job_ids(connection: AsyncConnection, now: datetime, limit: int) -> Sequence[str]:
    """Return jobs whose next step is due and that no living worker holds, longest overdue first."""
    query = (
        select(jobs.c.id)
        .where(
            jobs.c.step != Step.ENDED,
            jobs.c.next_step_at <= now,
            or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < now),
        )
        .order_by(jobs.c.next_step_at)
        .limit(limit)
    )
    return (await connection.execute(query)).scalars().all()


async def postpone(connection: AsyncConnection, job_ids: Iterable[str], now: datetime, until: datetime) -> None:
    """Move the due time of jobs about to be announced again, so that the next sweep leaves them be."""
    await connection.execute(
        update(jobs).where(jobs.c.id.in_(list(job_ids)), jobs.c.next_step_at <= now).values(next_step_at=until)
    )


async def expired_jobs(connection: AsyncConnection, now: datetime, limit: int) -> list[Job]:
    """Return ended jobs whose time is over and whose input and assets are still there."""
    query = (
        select(jobs)
        .where(jobs.c.step == Step.ENDED, jobs.c.purged_at.is_(None), jobs.c.expires_at <= now)
        .order_by(jobs.c.expires_at)
        .limit(limit)
    )
    return [_job(row) for row in await connection.execute(query)]


async def views(connection: AsyncConnection, job_ids: Sequence[str]) -> dict[str, JobView]:
    """Return status and progress of jobs, by job."""
    found: dict[str, JobView] = {}
    for start in range(0, len(job_ids), _IDS_AT_ONCE):
        some = job_ids[start : start + _IDS_AT_ONCE]
        query = select(jobs.c.id, jobs.c.status, jobs.c.progress).where(jobs.c.id.in_(some))
        found |= {row.id: (JobStatus(row.status), row.progress) for row in await connection.execute(query)}
    return found


async def unpurged_jobs(connection: AsyncConnection, job_ids: Collection[str]) -> set[str]:
    """Return those of the ids that are jobs whose input and assets are still to be kept."""
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.purged_at.is_(None))
    return {row.id for row in await connection.execute(query)}


async def end_time(connection: AsyncConnection, job_id: str, now: datetime) -> bool:
    """Let the time of an ended job be over now, and forget what the caller sent; False when it was over already."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.step == Step.ENDED, jobs.c.purged_at.is_(None), jobs.c.expires_at > now)
        .values(expires_at=now, **_FORGOTTEN)
    )
    return (await connection.execute(statement)).rowcount == 1


async def mark_purged(connection: AsyncConnection, job_ids: Sequence[str], now: datetime) -> None:
    """Forget what the caller sent; the row stays for the ledger."""
    await connection.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(purged_at=now, **_FORGOTTEN))


async def insert_attempt(
    connection: AsyncConnection, *, attempt_id: str, job_id: str, provider: str, endpoint: str, now: datetime
) -> None:
    """Record that an upstream is about to be called."""
    await connection.execute(
        insert(upstream_attempts).values(
            id=attempt_id, job_id=job_id, provider=provider, endpoint=endpoint, started_at=now
        )
    )


async def update_attempt(connection: AsyncConnection, attempt_id: str, changes: dict[str, Any]) -> None:
    """Record what became of the call."""
    await connection.execute(update(upstream_attempts).where(upstream_attempts.c.id == attempt_id).values(**changes))


async def list_attempts(connection: AsyncConnection, job_id: str) -> list[dict[str, Any]]:
    """Return the upstream attempts of a job, oldest first."""
    query = select(upstream_attempts).where(upstream_attempts.c.job_id == job_id).order_by(upstream_attempts.c.id)
    return [dict(row._mapping) for row in await connection.execute(query)]


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    values["status"] = JobStatus(values["status"])
    values["step"] = Step(values["step"])
    values["input"] = values["input"] or {}
    if values["error_code"] is not None:
        values["error_code"] = JobFailureCode(values["error_code"])
    if values["input_files"] is not None:
        values["input_files"] = tuple(values["input_files"])
    return Job(**values)
