"""How every job ends: status, settlement, assets and webhook, all in the transaction of the caller. And what is
deleted when its time is over, by itself or because its owner says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.assets.service import AssetsService
from pixeldojo.assets.store import Asset
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure
from pixeldojo.credits.service import CreditsService
from pixeldojo.db.answers import extend_answers, forget_answers
from pixeldojo.db.engine import Database
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs import store
from pixeldojo.jobs.job import Job, moved
from pixeldojo.jobs.present import job_json, webhook_body
from pixeldojo.jobs.states import JobStatus
from pixeldojo.webhooks.service import WebhooksService

# No submit and no copy takes as long: what has no job by then never gets one.
_STRAY_AFTER = timedelta(hours=2)
_STRAY_BATCH = 500


class JobEnding:
    """What belongs to the end of a job, whoever ends it."""

    def __init__(
        self,
        *,
        database: Database,
        credits: CreditsService,
        assets: AssetsService,
        webhooks: WebhooksService,
        engine: Engine,
        clock: Clock,
        retention: timedelta,
    ) -> None:
        self._database = database
        self._credits = credits
        self._assets = assets
        self._webhooks = webhooks
        self._engine = engine
        self._clock = clock
        self._retention = retention

    def changes(self, status: JobStatus, failure: JobFailure | None, captured: int) -> dict[str, Any]:
        """Return the columns that change when a job ends now."""
        now = self._clock.now()
        return {
            "status": status,
            "cost": captured,
            "error_code": None if failure is None else failure.code,
            "error_message": None if failure is None else failure.message,
            "completed_at": now,
            "expires_at": now + self._retention,
            "lease_owner": None,
            "lease_until": None,
        }

    async def settle(self, connection: AsyncConnection, job: Job, assets: Sequence[Asset], captured: int) -> str | None:
        """Settle an ended job, keep its assets and write its webhook; return the delivery's id, if there is one.

        Runs inside the transaction that ended the job.
        """
        now = self._clock.now()
        await self._credits.settle(
            connection,
            job_id=job.id,
            account_id=job.account_id,
            key_id=job.key_id,
            mode=job.mode,
            held=job.quoted,
            captured=captured,
            held_at=job.created_at,
        )
        kept = [replace(asset, expires_at=job.expires_at) for asset in assets]
        await self._assets.register(connection, kept, now)
        await extend_answers(connection, job.id, job.expires_at)
        if job.webhook_url is None:
            return None
        delivery = self._webhooks.new_delivery(
            account_id=job.account_id,
            job_id=job.id,
            url=job.webhook_url,
            event_type=f"job.{job.status}",
            expires_at=job.expires_at,
        )
        shown = job_json(job, kept, delivery, self._assets.url)
        body = webhook_body(delivery.event_type, now, shown)
        await self._webhooks.add(connection, replace(delivery, body=body))
        return delivery.id

    async def announce(self, job_id: str, delivery_id: str | None) -> None:
        """Tell those who wait for the job, and the worker that delivers its webhook; after the commit."""
        self._engine.notify(job_id)
        self.tell(job_id)
        if delivery_id is not None:
            await self._engine.announce(Hint.DELIVERY, delivery_id)

    def tell(self, job_id: str) -> None:
        """Tell those who follow the job that its status or progress changed; after the commit."""
        self._engine.notify(moved(job_id))

    async def purge_expired(self, limit: int) -> int:
        """Delete files, input and pending webhooks of jobs whose time is over; return how many jobs."""
        now = self._clock.now()
        async with self._database.read() as connection:
            expired = await store.expired_jobs(connection, now, limit)
        job_ids = [job.id for job in expired]
        if job_ids:
            await self._purge(job_ids)
        return len(job_ids)

    async def delete(self, job: Job) -> bool:
        """Let the time of an ended job be over now, and delete its files; False when it was over already.

        Once the first transaction is there, nobody gets at the job any more. Whoever dies after it, or finds the media
        store away, leaves an expired job like any other, whose files the next sweep deletes.

        Raises:
            BlobsUnavailable: the job is gone, and its files go as soon as the media store answers.
        """
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> bool:
            is_first = await store.end_time(connection, job.id, now)
            if is_first:
                await self._close(connection, [job.id])
            return is_first

        is_first = await self._database.write(work)
        if is_first:
            await self._purge([job.id])
        return is_first

    async def _purge(self, job_ids: Sequence[str]) -> None:
        """Delete what belongs to jobs whose time is over; one whose files cannot be deleted holds up no other.

        Raises:
            BlobsUnavailable: files of a job are left, for the next sweep.
        """
        # Files first: if we die in between, the next sweep finds the rows again.
        left = await self._assets.delete_files(job_ids)
        deleted = [job_id for job_id in job_ids if job_id not in left]
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> None:
            await self._close(connection, deleted)
            await store.mark_purged(connection, deleted, now)

        if deleted:
            await self._database.write(work)
        for error in left.values():
            raise error

    async def _close(self, connection: AsyncConnection, job_ids: Sequence[str]) -> None:
        """Let nobody get at the files any more, nor any receiver hear of the jobs."""
        await self._assets.mark_deleted(connection, job_ids)
        await self._webhooks.end_deliveries(connection, job_ids)

    async def delete_strays(self) -> int:
        """Delete files that belong to no job, or to a purged one; return of how many jobs.

        A process that dies, or loses its lease, between writing a file and writing the row leaves such files.
        """
        count = 0
        async for job_ids in self._assets.files_older_than(self._clock.now() - _STRAY_AFTER, _STRAY_BATCH):
            async with self._database.read() as connection:
                strays = job_ids - await store.unpurged_jobs(connection, job_ids)
            left = await self._assets.delete_files(sorted(strays))
            count += len(strays) - len(left)
        return count

    async def forget_answers(self) -> None:
        """Delete idempotency keys whose time is over."""
        now = self._clock.now()
        await self._database.write(lambda connection: forget_answers(connection, now))
