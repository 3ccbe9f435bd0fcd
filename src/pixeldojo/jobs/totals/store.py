"""All SQL that adds jobs up. Changes nothing, and reads no more rows than lie in the span or are still open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Label, RowMapping, case, func, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.ids import IdKind, id_span
from pixeldojo.db.tables import jobs
from pixeldojo.jobs.states import Step

_DAY_MICROSECONDS: Final = 86_400_000_000


class Grouping(StrEnum):
    """What usage can be told apart by."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Jobs that are alike, counted.

    Attributes:
        group: What they have in common, by grouping: a `date` (UTC, of when they were submitted), ids, a status.
        credits: What was charged for them, in millicredits.
        held: What is held for those that have not ended, in millicredits.
    """

    group: dict[Grouping, str | date]
    count: int
    credits: int
    held: int


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """Jobs that have not ended, of one mode and status; `oldest_at` is when the first of them was submitted."""

    mode: str
    status: str
    count: int
    oldest_at: datetime


async def usage(
    connection: AsyncConnection,
    account_id: str,
    mode: str,
    *,
    after: datetime,
    before: datetime,
    groupings: Sequence[Grouping],
    limit: int,
) -> list[UsageRow]:
    """Add up the jobs of an account and mode that were submitted between two times; at most `limit` rows.

    Ids sort by time, so the index on account and id finds the span.
    """
    first, last = id_span(IdKind.JOB, after, before)
    groups = [_GROUPS[grouping] for grouping in groupings]
    has_ended = jobs.c.step == Step.ENDED
    query = (
        select(
            *groups,
            func.count().label("count"),
            func.coalesce(func.sum(case((has_ended, jobs.c.cost))), 0).label("credits"),
            func.coalesce(func.sum(case((~has_ended, jobs.c.quoted))), 0).label("held"),
        )
        .where(
            jobs.c.account_id == account_id,
            jobs.c.mode == mode,
            jobs.c.id >= first,
            jobs.c.id < last,
            jobs.c.created_at > after,
            jobs.c.created_at < before,
        )
        .group_by(*groups)
        .order_by(*groups)
        .limit(limit)
    )
    return [_usage_row(row._mapping, groupings) for row in await connection.execute(query)]


def _usage_row(values: RowMapping, groupings: Sequence[Grouping]) -> UsageRow:
    group = {grouping: values[grouping] for grouping in groupings}
    if Grouping.DAY in group:
        group[Grouping.DAY] = date(1970, 1, 1) + timedelta(days=group[Grouping.DAY])
    # PostgreSQL adds big integers up to a Decimal, which is exact.
    return UsageRow(group, values["count"], int(values["credits"]), int(values["held"]))


_GROUPS: dict[Grouping, Label[Any]] = {
    # Both databases divide integers downwards, and no job was made before 1970.
    Grouping.DAY: (type_coerce(jobs.c.created_at, BigInteger) // _DAY_MICROSECONDS).label(Grouping.DAY),
    Grouping.MODEL: jobs.c.model_id.label(Grouping.MODEL),
    Grouping.KEY: jobs.c.key_id.label(Grouping.KEY),
    Grouping.STATUS: jobs.c.status.label(Grouping.STATUS),
}


async def open_jobs(connection: AsyncConnection) -> list[OpenJobs]:
    """Count the jobs of all accounts that have not ended, by mode and status."""
    query = (
        select(jobs.c.mode, jobs.c.status, func.count(), func.min(jobs.c.created_at))
        .where(jobs.c.step != Step.ENDED)
        .group_by(jobs.c.mode, jobs.c.status)
    )
    return [OpenJobs(*row) for row in await connection.execute(query)]


async def oldest_due(connection: AsyncConnection, now: datetime) -> datetime | None:
    """Return since when the step waits that has been due longest and that no living worker holds; None if none is."""
    is_free: ColumnElement[bool] = or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < now)
    query = (
        select(jobs.c.next_step_at)
        .where(jobs.c.step != Step.ENDED, jobs.c.next_step_at <= now, is_free)
        .order_by(jobs.c.next_step_at)
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()
