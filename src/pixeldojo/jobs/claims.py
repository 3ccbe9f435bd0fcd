"""A worker's hold on jobs: claim, lease, fence, and the moves it makes while it holds them.

Every move is one transaction and carries the fence of the claim; it raises `LeaseLost` when another worker has
claimed the job since, or when it has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.assets.store import Asset
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure
from pixeldojo.core.json_types import JsonObject
from pixeldojo.db.engine import Database
from pixeldojo.jobs import store
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.job import HINT_GRACE, Job
from pixeldojo.jobs.places import store as place_store
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.jobs.states import JobStatus, Step

_LEASES_AT_ONCE = 250


class LeaseLost(Exception):
    """Another worker has claimed the job since, or it has ended: whoever gets this drops the job."""


@dataclass(frozen=True, slots=True)
class UpstreamAttempt:
    """One submit of a job; `outcome` is None while no answer is known."""

    id: str
    provider: str
    endpoint: str
    outcome: str | None


class JobClaims:
    """What workers do with jobs."""

    def __init__(self, database: Database, ending: JobEnding, places: UpstreamPlaces, clock: Clock) -> None:
        self._database = database
        self._ending = ending
        self._places = places
        self._clock = clock

    async def claim(self, job_id: str, owner: str, lease_seconds: float) -> Job | None:
        """Take a job for a worker; None when it has ended or another worker has it."""
        now = self._clock.now()
        until = now + timedelta(seconds=lease_seconds)
        return await self._database.write(lambda connection: store.claim(connection, job_id, owner, now, until))

    async def renew_leases(self, owner: str, lease_seconds: float) -> dict[str, tuple[int, bool]]:
        """Renew all leases of a worker; return, by job, its fence and whether its cancelling is wished.

        Some at a time: in one statement, ten thousand would hold up everything else in the process.
        """
        async with self._database.read() as connection:
            job_ids = await store.held_job_ids(connection, owner)
        renewed: dict[str, tuple[int, bool]] = {}
        for start in range(0, len(job_ids), _LEASES_AT_ONCE):
            some = job_ids[start : start + _LEASES_AT_ONCE]
            until = self._clock.now() + timedelta(seconds=lease_seconds)
            renewed |= await self._database.write(
                partial(store.renew_leases, owner=owner, job_ids=some, lease_until=until)
            )
        return renewed

    async def release_leases(self, owner: str | None) -> int:
        """Give back the jobs of a worker that stops; of all workers, where none can be alive."""
        now = self._clock.now()
        return await self._database.write(lambda connection: store.release_leases(connection, owner, now))

    async def give_back(self, owner: str, job_ids: Sequence[str]) -> int:
        """Give back some of a worker's jobs, to be taken up at once by whoever is there; return how many."""
        now = self._clock.now()
        return await self._database.write(lambda connection: store.release_jobs(connection, owner, job_ids, now))

    async def park(self, job: Job, seconds: float, *, failures: int | None = None) -> None:
        """Give a job back, to be taken up again after that many seconds or when a hint says so."""
        changes: dict[str, Any] = {
            "lease_owner": None,
            "lease_until": None,
            "waits_for": None,
            "next_step_at": self._clock.now() + timedelta(seconds=seconds),
        }
        if failures is not None:
            changes["failures"] = failures
        if not await self._database.write(lambda connection: store.change(connection, job, changes)):
            raise LeaseLost(job.id)

    async def park_unless_called(self, job: Job, seconds: float) -> bool:
        """Give a job back as `park` does, unless it was called for since it was claimed; say whether it was given back.

        One transaction decides, so that a call is either found here or finds the job given back.
        """
        until = self._clock.now() + timedelta(seconds=seconds)
        held = await self._database.write(lambda connection: store.park_unless_called(connection, job, until))
        if held is None:
            raise LeaseLost(job.id)
        return not held

    async def wait_for_place(self, job: Job, provider: str) -> None:
        """Give a job back until an upstream has a place for it, or until its deadline."""
        if not await self._database.write(lambda connection: place_store.wait(connection, job, provider)):
            raise LeaseLost(job.id)
        # There may be one by now, or others who have waited longer.
        self._places.note_freed()

    async def call_for(self, job_id: str) -> None:
        """Note that an accepted job's next step is due now, whoever holds it or is about to give it back."""
        now = self._clock.now()
        await self._database.write(lambda connection: store.call_for(connection, job_id, now))

    async def due(self, limit: int) -> Sequence[str]:
        """Return jobs whose next step is due and that nobody holds, and leave them be for a while."""
        now = self._clock.now()
        async with self._database.read() as connection:
            job_ids = await store.due_job_ids(connection, now, limit)
        if job_ids:
            await self._database.write(lambda connection: store.postpone(connection, job_ids, now, now + HINT_GRACE))
        return job_ids

    async def begin_submit(
        self, job: Job, *, attempt_id: str, provider: str, endpoint: str, upstream_index: int
    ) -> Job:
        """Write down that an upstream is about to be called, before a byte leaves.

        With the attempt that the job already has, the call is a repeat, and `failures` goes on counting.

        Raises:
            NoPlace: if the upstream has as many jobs as it may have.
        """
        now = self._clock.now()
        is_new = attempt_id != job.attempt_id

        async def work(connection: AsyncConnection) -> Job | None:
            changes: dict[str, Any] = {
                "status": JobStatus.PROCESSING,
                "started_at": job.started_at or now,
                "attempt_id": attempt_id,
                "upstream_index": upstream_index,
                "waits_for": None,
                "failures": 0 if is_new else job.failures,
            }
            if is_new:
                await self._places.take(connection, job, provider)
            # What we believe may be older than the row: an attempt under way must not be followed by another.
            came_from = Step.SUBMIT if is_new else Step.SUBMITTING
            moved = await store.move(connection, job, Step.SUBMITTING, changes, only_from=came_from)
            if moved is not None and is_new:
                await store.insert_attempt(
                    connection,
                    attempt_id=attempt_id,
                    job_id=job.id,
                    provider=provider,
                    endpoint=endpoint,
                    now=now,
                )
            return moved

        held = self._held(await self._database.write(work), job)
        if held.status != job.status:
            self._ending.tell(job.id)
        return held

    async def accept(self, job: Job, operation: JsonObject, upstream_id: str) -> Job:
        """Keep the handle of work that the upstream accepted."""

        async def work(connection: AsyncConnection) -> Job | None:
            changes: dict[str, Any] = {"operation": operation, "failures": 0}
            moved = await store.move(connection, job, Step.CHECK, changes)
            if moved is not None and job.attempt_id is not None:
                changes = {"upstream_id": upstream_id, "outcome": "accepted"}
                await store.update_attempt(connection, job.attempt_id, changes)
            return moved

        return self._held(await self._database.write(work), job)

    async def refuse(self, job: Job, *, outcome: str, message: str, upstream_index: int) -> Job:
        """Note that the upstream surely did not take the work, so that it may be submitted again."""
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> Job | None:
            changes: dict[str, Any] = {
                "attempt_id": None,
                "upstream_index": upstream_index,
                "failures": job.failures + 1,
            }
            moved = await store.move(connection, job, Step.SUBMIT, changes)
            if moved is not None and job.attempt_id is not None:
                changes = {"outcome": outcome, "message": message, "ended_at": now}
                await store.update_attempt(connection, job.attempt_id, changes)
            return moved

        held = self._held(await self._database.write(work), job)
        self._places.note_freed()
        return held

    async def begin_collect(self, job: Job, upstream_cost: str | None) -> Job:
        """Note that the upstream is done and its outputs are being copied; `failures` counts the tries to copy."""
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> Job | None:
            moved = await store.move(connection, job, Step.COLLECT, {"progress": 1.0})
            if moved is not None and job.attempt_id is not None:
                changes = {"outcome": "finished", "upstream_cost": upstream_cost, "ended_at": now}
                await store.update_attempt(connection, job.attempt_id, changes)
            return moved

        held = self._held(await self._database.write(work), job)
        self._places.note_freed()
        self._ending.tell(job.id)
        return held

    async def change(self, job: Job, **changes: Any) -> Job:
        """Keep what a worker found out on the way: `input_files`, `progress`, `failures`."""
        if not await self._database.write(lambda connection: store.change(connection, job, changes)):
            raise LeaseLost(job.id)
        if "progress" in changes:
            self._ending.tell(job.id)
        return replace(job, **changes)

    async def attempts(self, job: Job) -> list[UpstreamAttempt]:
        """Return every submit of a job, oldest first."""
        async with self._database.read() as connection:
            rows = await store.list_attempts(connection, job.id)
        return [UpstreamAttempt(row["id"], row["provider"], row["endpoint"], row["outcome"]) for row in rows]

    async def reload(self, job: Job) -> Job:
        """Return the job as it stands now."""
        async with self._database.read() as connection:
            now = await store.find_job(connection, job.id)
        if now is None or now.fence != job.fence or now.step == Step.ENDED:
            raise LeaseLost(job.id)
        return now

    async def ask_again(self, job: Job) -> Job:
        """Go back from collecting to asking the upstream: whoever began to collect did not finish."""
        return self._held(await self._database.write(lambda connection: store.move(connection, job, Step.CHECK)), job)

    async def complete(self, job: Job, assets: Sequence[Asset], captured: int) -> Job:
        """End a job well: status, settlement, assets and webhook in one transaction."""
        return await self._end(job, JobStatus.COMPLETED, None, assets, captured)

    async def fail(self, job: Job, failure: JobFailure, *, upstream_cost: str | None = None) -> Job:
        """End a job badly: status, release of the whole hold and webhook in one transaction.

        Args:
            upstream_cost: What the upstream says it charges the operator although it failed.
        """
        return await self._end(job, JobStatus.FAILED, failure, (), 0, upstream_cost)

    async def _end(
        self,
        job: Job,
        status: JobStatus,
        failure: JobFailure | None,
        assets: Sequence[Asset],
        captured: int,
        upstream_cost: str | None = None,
    ) -> Job:
        changes = self._ending.changes(status, failure, captured)

        async def work(connection: AsyncConnection) -> tuple[Job | None, str | None]:
            ended = await store.move(connection, job, Step.ENDED, changes)
            if ended is None:
                return None, None
            if failure is not None and job.attempt_id is not None:
                attempt = {"outcome": str(failure.code), "message": failure.message}
                if upstream_cost is not None:
                    attempt["upstream_cost"] = upstream_cost
                await store.update_attempt(connection, job.attempt_id, {**attempt, "ended_at": ended.completed_at})
            return ended, await self._ending.settle(connection, ended, assets, captured)

        ended, delivery_id = await self._database.write(work)
        held = self._held(ended, job)
        self._places.note_freed()
        await self._ending.announce(job.id, delivery_id)
        return held

    @staticmethod
    def _held(moved: Job | None, job: Job) -> Job:
        if moved is None:
            raise LeaseLost(job.id)
        return moved
