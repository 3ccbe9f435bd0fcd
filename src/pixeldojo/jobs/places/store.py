"""SQL of places at upstreams. A place is taken by a submit that has not ended, or kept for a job that was called up.

`waits_for` of a job that no upstream has says whose place it waits for, or that it was called up to one.
"""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.dialect import one_at_a_time
from pixeldojo.db.tables import jobs, upstream_attempts
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step


def called_up(provider: str) -> str:
    """Return what `waits_for` says of a job that a place is kept for."""
    return f"called:{provider}"


async def lock(connection: AsyncConnection, provider: str) -> None:
    """Let no other transaction count the places of an upstream until this one has ended."""
    await one_at_a_time(connection, f"places {provider}")


async def count_taken(connection: AsyncConnection, provider: str, *, but_for: Job | None = None) -> int:
    """Return how many places are taken or kept, but for one that is kept for this job."""
    under_way = select(func.count()).where(
        upstream_attempts.c.provider == provider, upstream_attempts.c.ended_at.is_(None)
    )
    kept = select(func.count()).where(jobs.c.step == Step.SUBMIT, jobs.c.waits_for == called_up(provider))
    if but_for is not None:
        kept = kept.where(jobs.c.id != but_for.id)
    total: int = (await connection.execute(select(under_way.scalar_subquery() + kept.scalar_subquery()))).scalar_one()
    return total


async def is_waited_for(connection: AsyncConnection, provider: str) -> bool:
    """Return whether any job waits for a place."""
    return await next_waiting(connection, provider, "") is not None


async def wait(connection: AsyncConnection, job: Job, provider: str) -> bool:
    """Give a claimed job back until it is called up, or its deadline; False when the claim is no longer ours."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.step == Step.SUBMIT)
        .values(waits_for=provider, lease_owner=None, lease_until=None, next_step_at=jobs.c.deadline_at)
    )
    return (await connection.execute(statement)).rowcount == 1


async def next_waiting(connection: AsyncConnection, provider: str, after_account: str) -> tuple[str, str] | None:
    """Return the account after that one which has jobs waiting, and the oldest of them."""
    query = (
        select(jobs.c.account_id, jobs.c.id)
        .where(jobs.c.step == Step.SUBMIT, jobs.c.waits_for == provider, jobs.c.account_id > after_account)
        .order_by(jobs.c.account_id, jobs.c.id)
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.account_id, row.id)


async def call_up(connection: AsyncConnection, job_id: str, provider: str, due_at: datetime) -> None:
    """Keep a place for a job that waits for one; should it not hear of it, its step is due then."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.waits_for == provider)
        .values(waits_for=called_up(provider), next_step_at=due_at)
    )
    await connection.execute(statement)
