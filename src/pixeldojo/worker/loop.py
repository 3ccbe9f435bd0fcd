"""The worker: claims the jobs that hints announce, carries each through its steps, keeps their leases.

A job's pauses are waited out in memory, so that a poll costs no query; one statement renews all leases. A worker
that was paused past its lease finds its fence outdated at the next write and drops the job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog
from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.engine import Engine
from pixeldojo.jobs.claims import JobClaims, LeaseLost
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause

StepFunction = Callable[[Job], Awaitable[Outcome]]

# Longer pauses are not worth a lease: the job goes back to the table and the sweep brings it again.
_LONGEST_WAIT_SECONDS = 60.0
_FAULTS_BEFORE_FAILING = 8
_LONGEST_FAULT_PAUSE_SECONDS = 60.0
_RENEWALS_PER_LEASE = 3


@dataclass(slots=True)
class _Carried:
    """A job in this worker's hands."""

    fence: int
    task: asyncio.Task[None]
    is_waiting: bool = False
    is_cancel_known: bool = False


class Worker:
    """Carries jobs."""

    def __init__(
        self,
        *,
        claims: JobClaims,
        steps: Mapping[Step, StepFunction],
        engine: Engine,
        clock: Clock,
        log: FilteringBoundLogger,
        owner: str,
        lease_seconds: float,
        max_jobs: int,
    ) -> None:
        self._claims = claims
        self._steps = steps
        self._engine = engine
        self._clock = clock
        self._log = log
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._slots = asyncio.Semaphore(max_jobs)
        self._carried: dict[str, _Carried] = {}
        self._is_stopping = False

    @property
    def job_count(self) -> int:
        """How many jobs this worker has in its hands."""
        return len(self._carried)

    async def take(self, job_id: str) -> None:
        """Take in the job that a hint announced; do nothing when another worker has it or it has ended."""
        if self._is_stopping or job_id in self._carried:
            return
        await self._slots.acquire()
        try:
            job = None if self._is_stopping else await self._claims.claim(job_id, self._owner, self._lease_seconds)
        except BaseException:
            self._slots.release()
            raise
        if job is None or job_id in self._carried:
            self._slots.release()
            return
        task = asyncio.create_task(self._carry(job), name=f"carry {job_id}")
        self._carried[job_id] = _Carried(job.fence, task)

    async def keep_leases(self) -> None:
        """Renew the leases of all jobs in hand until cancelled; drop the jobs that are no longer ours."""
        while True:
            await self._clock.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
            if not self._carried:
                continue
            try:
                ours = await self._claims.renew_leases(self._owner, self._lease_seconds)
            except Exception:  # noqa: BLE001  the database may be away; fences keep us honest meanwhile
                self._log.exception("leases could not be renewed")
                continue
            self._compare(ours)

    async def stop(self, seconds: float) -> None:
        """Take nothing more in, let calls under way finish for that many seconds, and give every job back."""
        self._is_stopping = True
        for carried in list(self._carried.values()):
            if carried.is_waiting:
                carried.task.cancel()
        tasks = [carried.task for carried in self._carried.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with suppress(Exception):
            given_back = await self._claims.release_leases(self._owner)
            if given_back:
                self._log.info("jobs given back", count=given_back)

    def _compare(self, ours: Mapping[str, tuple[int, bool]]) -> None:
        for job_id, carried in list(self._carried.items()):
            fence, is_cancel_wished = ours.get(job_id, (None, False))
            if fence is not None and fence != carried.fence:
                self._log.warning("lease lost", job_id=job_id)
                carried.task.cancel()
            elif is_cancel_wished and not carried.is_cancel_known:
                carried.is_cancel_known = True
                self._engine.notify(job_id)

    async def _carry(self, job: Job) -> None:
        with structlog.contextvars.bound_contextvars(job_id=job.id, model=job.model_id):
            try:
                await self._carry_through(job)
            except LeaseLost:
                self._log.info("job dropped: another has it, or it has ended")
            except asyncio.CancelledError:
                if not self._is_stopping:
                    self._log.info("job dropped: its lease is lost")
            finally:
                del self._carried[job.id]
                self._slots.release()

    async def _carry_through(self, job: Job) -> None:
        async with self._engine.listen(job.id) as changed:
            while not self._is_stopping:
                changed.clear()
                outcome = await self._take_step(job)
                match outcome:
                    case Ended(ended):
                        self._log.info("job ended", status=str(ended.status), error=ended.error_code)
                        return
                    case GoOn(moved):
                        job = moved
                    case Pause(paused, seconds) if seconds > _LONGEST_WAIT_SECONDS:
                        await self._claims.park(paused, seconds)
                        return
                    case Pause(paused, seconds):
                        job = await self._wait(paused, changed, seconds)

    async def _wait(self, job: Job, changed: asyncio.Event, seconds: float) -> Job:
        carried = self._carried[job.id]
        carried.is_waiting = True
        try:
            is_woken = await self._clock.wait(changed, seconds)
        finally:
            carried.is_waiting = False
        return await self._claims.reload(job) if is_woken else job

    async def _take_step(self, job: Job) -> Outcome:
        try:
            return await self._steps[job.step](job)
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001  a fault of ours must not lose the job: it is logged and tried again
            self._log.exception("step failed", step=str(job.step), failures=job.failures + 1)
        # The step may have moved the job before it broke.
        job = await self._claims.reload(job)
        if job.failures + 1 >= _FAULTS_BEFORE_FAILING:
            fault = JobFailure(
                JobFailureCode.UPSTREAM_ERROR,
                "The job could not be carried out because of a fault on our side. You were not charged.",
            )
            return Ended(await self._claims.fail(job, fault))
        job = await self._claims.change(job, failures=job.failures + 1)
        return Pause(job, min(_LONGEST_FAULT_PAUSE_SECONDS, 0.5 * 2**job.failures))
