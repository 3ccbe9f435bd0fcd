"""Webhook deliveries: written when a job ends, claimed and recorded by the worker, replayed on request."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Expired, NotFound
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.db.engine import Database
from pixeldojo.webhooks import store
from pixeldojo.webhooks.schedule import next_attempt_at
from pixeldojo.webhooks.store import Attempt, Claim, Delivery, DeliveryFilter, Plan, Record
from pixeldojo.webhooks.together import Together

_HTTP_GONE = 410


class WebhooksService:
    """Keeps deliveries and decides what follows from each attempt; the worker does the sending."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._random = SystemRandom()
        self._finds = Together(self._find_all)
        self._claims = Together(self._claim_all)
        self._records = Together(self._record_all)

    def new_delivery(
        self, *, account_id: str, job_id: str, url: str, event_type: str, expires_at: datetime
    ) -> Delivery:
        """Return a delivery to be made at once, its body still empty."""
        now = self._clock.now()
        return Delivery(
            id=new_id(IdKind.DELIVERY, now),
            account_id=account_id,
            job_id=job_id,
            url=url,
            event_type=event_type,
            body="",
            status="pending",
            attempt_count=0,
            schedule_position=0,
            next_attempt_at=now,
            lease_owner=None,
            lease_until=None,
            fence=0,
            created_at=now,
            delivered_at=None,
            expires_at=expires_at,
        )

    async def add(self, connection: AsyncConnection, delivery: Delivery) -> None:
        """Write a delivery, as part of the transaction that ends the job: so it cannot be lost."""
        await store.insert_delivery(connection, delivery)

    async def find_deliveries(self, job_ids: Sequence[str]) -> dict[str, Delivery]:
        """Return the deliveries of several jobs, by job."""
        if not job_ids:
            return {}
        async with self._database.read() as connection:
            return await store.find_deliveries(connection, job_ids)

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery."""
        return await self._finds.ask(delivery_id)

    async def _find_all(self, delivery_ids: Sequence[str]) -> Sequence[Delivery | None]:
        async with self._database.read() as connection:
            found = await store.find_by_id(connection, delivery_ids)
        return [found.get(delivery_id) for delivery_id in delivery_ids]

    async def get(self, account_id: str, mode: str, delivery_id: str) -> tuple[Delivery, list[Attempt]]:
        """Return a delivery of an account and mode, and its attempts, oldest first.

        Raises:
            NotFound: if there is none, or it is another account's.
            Expired: if its job's time is over.
        """
        async with self._database.read() as connection:
            delivery = await store.find_delivery_of(connection, account_id, mode, delivery_id)
            attempts = [] if delivery is None else await store.list_attempts(connection, delivery_id)
        if delivery is None:
            raise NotFound(f"There is no such delivery in this account's {mode} mode. Its id begins with whd_.")
        if not delivery.body or delivery.expires_at <= self._clock.now():
            raise Expired("The job of this delivery has expired or was deleted, and its webhook with it.")
        return delivery, attempts

    async def list_page(self, account_id: str, mode: str, wanted: DeliveryFilter) -> tuple[list[Delivery], str | None]:
        """Return one page of an account's deliveries in a mode, newest first, and the next page's cursor."""
        async with self._database.read() as connection:
            found = await store.list_deliveries(connection, account_id, mode, wanted)
        page = found[: wanted.limit]
        return page, page[-1].id if len(found) > wanted.limit else None

    async def replay(self, delivery_id: str) -> Delivery | None:
        """Plan a new attempt now, with the same `webhook-id` and body; None when the job's time is over."""
        now = self._clock.now()
        return await self._database.write(lambda connection: store.restart(connection, delivery_id, now))

    async def claim(self, delivery_id: str, owner: str, lease_seconds: float) -> Delivery | None:
        """Take a delivery whose attempt is due; None if there is nothing to do."""
        now = self._clock.now()
        return await self._claims.ask(Claim(delivery_id, owner, now, now + timedelta(seconds=lease_seconds)))

    async def _claim_all(self, claims: Sequence[Claim]) -> Sequence[Delivery | None]:
        return await self._database.write(lambda connection: store.claim(connection, claims))

    async def record(self, delivery: Delivery, attempt: Attempt, retry_after_seconds: float | None) -> str:
        """Record an attempt, plan the next one, and return the delivery's new status. Harmless to repeat."""
        now = self._clock.now()
        made = delivery.schedule_position + 1
        if attempt.status is not None and 200 <= attempt.status < 300:
            status, following = "delivered", None
        elif attempt.status == _HTTP_GONE:
            status, following = "failed", None
        else:
            following = next_attempt_at(
                attempts_made=made,
                now=now,
                expires_at=delivery.expires_at,
                retry_after_seconds=retry_after_seconds,
                random=self._random.random,
            )
            status = "failed" if following is None else "pending"
        plan = Plan(status, made, following)
        delivered_at = now if status == "delivered" else delivery.delivered_at
        await self._records.ask(Record(delivery, attempt, delivered_at, plan))
        return status

    async def _record_all(self, records: Sequence[Record]) -> Sequence[bool]:
        return await self._database.write(lambda connection: store.record_attempts(connection, records))

    async def due(self, limit: int) -> Sequence[str]:
        """Return the ids of deliveries whose attempt is due."""
        async with self._database.read() as connection:
            return await store.due_delivery_ids(connection, self._clock.now(), limit)

    async def release_leases(self, owner: str | None) -> int:
        """Give back the deliveries of a worker that stops, or of all workers."""
        # A claim that is just being made would be left behind.
        await self._claims.until_idle()
        return await self._database.write(lambda connection: store.release_leases(connection, owner))

    async def end_deliveries(self, connection: AsyncConnection, job_ids: Sequence[str]) -> None:
        """Plan no further attempt for jobs whose time is over, and forget the bodies."""
        await store.end_deliveries(connection, job_ids)
