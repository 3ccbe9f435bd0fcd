"""All SQL on webhook deliveries and their attempts. Writes of a worker carry the fence of its claim."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.columns import UtcTime
from pixeldojo.db.dialect import insert_for, url_host
from pixeldojo.db.tables import deliveries, delivery_attempts, jobs

_OVERDUE_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook to deliver: its body is fixed, its attempts are not.

    Attributes:
        status: `pending`, `delivered` or `failed`.
        schedule_position: Attempts of the schedule made since the delivery or its last replay began.
        next_attempt_at: None when no further attempt is planned.
    """

    id: str
    account_id: str
    job_id: str
    url: str
    event_type: str
    body: str
    status: str
    attempt_count: int
    schedule_position: int
    next_attempt_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    created_at: datetime
    delivered_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver: the receiver's status, or why there was none."""

    number: int
    started_at: datetime
    duration_seconds: float
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from an attempt: the delivery's status, where in the schedule it is, and when it is tried again."""

    status: str
    schedule_position: int
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish to take a delivery whose attempt is due at `now`, and to hold it until then."""

    delivery_id: str
    owner: str
    now: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """An attempt that was made, and what follows from it."""

    delivery: Delivery
    attempt: Attempt
    delivered_at: datetime | None
    plan: Plan


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a page shows: `cursor` is the id of the last one of the page before."""

    limit: int
    cursor: str | None = None
    status: str | None = None


async def insert_delivery(connection: AsyncConnection, delivery: Delivery) -> None:
    """Add a delivery."""
    values = {column.name: getattr(delivery, column.name) for column in deliveries.c}
    await connection.execute(insert(deliveries).values(**values))


async def find_by_id(connection: AsyncConnection, delivery_ids: Sequence[str]) -> dict[str, Delivery]:
    """Return those of these deliveries that there are, by id."""
    query = select(deliveries).where(deliveries.c.id.in_(delivery_ids))
    return {row.id: _delivery(row) for row in await connection.execute(query)}


async def find_delivery_of(
    connection: AsyncConnection, account_id: str, mode: str, delivery_id: str
) -> Delivery | None:
    """Return a delivery of an account and mode."""
    mine = (deliveries.c.id == delivery_id, deliveries.c.account_id == account_id, jobs.c.mode == mode)
    row = (await connection.execute(_with_job().where(*mine))).one_or_none()
    return None if row is None else _delivery(row)


async def list_deliveries(
    connection: AsyncConnection, account_id: str, mode: str, wanted: DeliveryFilter
) -> list[Delivery]:
    """Return one page and one delivery more, newest first, without those whose job's time is over."""
    conditions: list[ColumnElement[bool]] = [
        deliveries.c.account_id == account_id,
        # Who is over has none; written out, so that the index of the others is found by it.
        deliveries.c.body != literal_column("''"),
        jobs.c.mode == mode,
    ]
    if wanted.cursor is not None:
        conditions.append(deliveries.c.id < wanted.cursor)
    if wanted.status is not None:
        conditions.append(deliveries.c.status == wanted.status)
    query = _with_job().where(*conditions).order_by(deliveries.c.id.desc()).limit(wanted.limit + 1)
    return [_delivery(row) for row in await connection.execute(query)]


def _with_job() -> Select[Any]:
    return select(deliveries).join(jobs, jobs.c.id == deliveries.c.job_id)


async def find_deliveries(connection: AsyncConnection, job_ids: Sequence[str]) -> dict[str, Delivery]:
    """Return the deliveries of several jobs, by job."""
    query = select(deliveries).where(deliveries.c.job_id.in_(job_ids))
    return {row.job_id: _delivery(row) for row in await connection.execute(query)}


async def list_attempts(connection: AsyncConnection, delivery_id: str) -> list[Attempt]:
    """Return the attempts of a delivery, oldest first."""
    query = (
        select(
            delivery_attempts.c.number,
            delivery_attempts.c.started_at,
            delivery_attempts.c.duration_seconds,
            delivery_attempts.c.status,
            delivery_attempts.c.error,
        )
        .where(delivery_attempts.c.delivery_id == delivery_id)
        .order_by(delivery_attempts.c.number)
    )
    return [Attempt(*row) for row in await connection.execute(query)]


async def restart(connection: AsyncConnection, delivery_id: str, now: datetime) -> Delivery | None:
    """Plan a new attempt at once and the whole schedule behind it; the id and the body stay. None without a body."""
    statement = (
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.body != "")
        .values(status="pending", schedule_position=0, next_attempt_at=now)
        .returning(*deliveries.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _delivery(row)


async def claim(connection: AsyncConnection, claims: Sequence[Claim]) -> list[Delivery | None]:
    """Take the leases of deliveries whose attempt is due; None for each that another has, or that is not due."""
    taken: dict[tuple[str, str], Delivery] = {}
    # Of one worker, who asked last has the latest time: they waited for one another for a moment.
    for owner, latest in {one.owner: one for one in claims}.items():
        wanted = [one.delivery_id for one in claims if one.owner == owner]
        statement = (
            update(deliveries)
            .where(deliveries.c.id.in_(_claimable(wanted, latest.now)))
            .values(lease_owner=owner, lease_until=latest.until, fence=deliveries.c.fence + 1)
            .returning(*deliveries.c)
        )
        taken |= {(row.id, owner): _delivery(row) for row in await connection.execute(statement)}
    # Whoever asks for one twice gets it once.
    return [taken.pop((one.delivery_id, one.owner), None) for one in claims]


def _claimable(delivery_ids: Sequence[str], now: datetime) -> Select[Any]:
    # Who is just being claimed by another is left to it, so that two who claim many never wait for one another.
    return (
        select(deliveries.c.id)
        .where(
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.status == "pending",
            deliveries.c.next_attempt_at <= now,
            or_(deliveries.c.lease_owner.is_(None), deliveries.c.lease_until < now),
        )
        .with_for_update(skip_locked=True)
    )


async def record_attempts(connection: AsyncConnection, records: Sequence[Record]) -> list[bool]:
    """Record tries and the plans that follow; False for each whose delivery another claimed since.

    Recording the same try again changes nothing. A replay asked for, or an end put to the delivery, while the attempt
    was under way stays as it is: it changed `next_attempt_at`, and the plan of the attempt is dropped.
    """
    # In one order everywhere, so that two who record do not wait for one another.
    in_order = sorted(records, key=lambda one: one.delivery.id)
    # Built once for all: that takes as long as running it.
    statement = _moving_on()
    ours = {
        (one.delivery.id, one.delivery.fence): one
        for one in in_order
        if (await connection.execute(statement, _moves(one))).rowcount
    }
    if ours:
        kept = insert_for(connection, delivery_attempts).on_conflict_do_nothing()
        rows = [{"delivery_id": one.delivery.id, **asdict(one.attempt)} for one in ours.values()]
        await connection.execute(kept, rows)
    return [(one.delivery.id, one.delivery.fence) in ours for one in records]


def _moving_on() -> Update:
    was_due_at = bindparam("was_due_at", type_=UtcTime)

    def planned(column: Column[Any]) -> ColumnElement[Any]:
        is_as_it_was = deliveries.c.next_attempt_at == was_due_at
        return case((is_as_it_was, bindparam(f"planned_{column.name}", type_=column.type)), else_=column)

    return (
        update(deliveries)
        .where(
            deliveries.c.id == bindparam("the_id"),
            deliveries.c.fence == bindparam("our_fence", type_=deliveries.c.fence.type),
        )
        .values(
            lease_owner=None,
            lease_until=None,
            attempt_count=bindparam("number", type_=deliveries.c.attempt_count.type),
            delivered_at=bindparam("success_at", type_=UtcTime),
            status=planned(deliveries.c.status),
            schedule_position=planned(deliveries.c.schedule_position),
            next_attempt_at=planned(deliveries.c.next_attempt_at),
        )
    )


def _moves(record: Record) -> dict[str, Any]:
    return {
        "the_id": record.delivery.id,
        "our_fence": record.delivery.fence,
        "was_due_at": record.delivery.next_attempt_at,
        "number": record.attempt.number,
        "success_at": record.delivered_at,
        "planned_status": record.plan.status,
        "planned_schedule_position": record.plan.schedule_position,
        "planned_next_attempt_at": record.plan.next_attempt_at,
    }


async def release_leases(connection: AsyncConnection, owner: str | None) -> int:
    """Give back the deliveries of a worker, or of all workers."""
    held = deliveries.c.lease_owner.is_not(None) if owner is None else deliveries.c.lease_owner == owner
    result = await connection.execute(update(deliveries).where(held).values(lease_owner=None, lease_until=None))
    return result.rowcount


async def due_delivery_ids(connection: AsyncConnection, now: datetime, limit: int) -> Sequence[str]:
    """Return deliveries whose attempt is due and that no living worker holds.

    Hosts take turns, an account's own each and each with its longest overdue first: many deliveries to one dead
    receiver must not keep others from being found. Looked at are those that are longest overdue and those that have
    just come due, so that a backlog hides nothing new either.
    """
    host = url_host(connection, deliveries.c.url).label("host")
    due = select(deliveries.c.id, deliveries.c.account_id, deliveries.c.next_attempt_at, host).where(
        deliveries.c.status == "pending",
        deliveries.c.next_attempt_at <= now,
        or_(deliveries.c.lease_owner.is_(None), deliveries.c.lease_until < now),
    )
    ends = [
        select(due.order_by(order).limit(_OVERDUE_LOOKED_AT).subquery())
        for order in (deliveries.c.next_attempt_at, deliveries.c.next_attempt_at.desc())
    ]
    overdue = union(*ends).subquery()
    turn = func.row_number().over(
        partition_by=(overdue.c.account_id, overdue.c.host), order_by=overdue.c.next_attempt_at
    )
    query = select(overdue.c.id).order_by(turn, overdue.c.next_attempt_at).limit(limit)
    return (await connection.execute(query)).scalars().all()


async def pending_deliveries(connection: AsyncConnection, now: datetime) -> tuple[int, datetime | None]:
    """Return how many deliveries of all accounts will be attempted again, and since when the longest overdue waits.

    None where none is due that no living worker holds.
    """
    is_free = or_(deliveries.c.lease_owner.is_(None), deliveries.c.lease_until < now)
    is_overdue = (deliveries.c.next_attempt_at <= now) & is_free
    query = select(func.count(), func.min(case((is_overdue, deliveries.c.next_attempt_at)))).where(
        deliveries.c.status == "pending"
    )
    count, since = (await connection.execute(query)).one()
    return count, since


async def end_deliveries(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Plan no further attempt for jobs whose time is over, and forget the bodies: the jobs' inputs are in them."""
    of_these = deliveries.c.job_id.in_(job_ids)
    await connection.execute(update(deliveries).where(of_these).values(body=""))
    await connection.execute(
        update(deliveries)
        .where(of_these, deliveries.c.status == "pending")
        .values(status="failed", next_attempt_at=None)
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._mapping)
