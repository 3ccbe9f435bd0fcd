"""The worker: claims the jobs that hints announce, carries each through its steps, keeps their leases.

A job's short pauses are waited out in memory, so that a poll costs no query; in long ones nobody holds it. A worker
that was paused past its lease finds its fence outdated at the next write and drops the job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.claims import JobClaims, LeaseLost
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause, PutAside

StepFunction = Callable[[Job], Awaitable[Outcome]]

# Longer pauses are not worth a lease: the job goes back to the table and the sweep brings it again.
_LONGEST_WAIT_SECONDS = 60.0
_FAULTS_BEFORE_FAILING = 8
_LONGEST_FAULT_PAUSE_SECONDS = 60.0
_RENEWALS_PER_LEASE = 3
# Hints that wait for a slot; those beyond are left to the sweep, so that hints of other kinds get through.
_WAITING_LIMIT = 32
# What only an upstream's first answer can tell must not be cut off; all else can be done again by others.
_ONLY_ONCE = frozenset({Step.SUBMIT, Step.SUBMITTING})
_REPEATABLE_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class _Carried:
    """A job in this worker's hands."""

    fence: int
    step: Step
    task: asyncio.Task[None]
    is_waiting: bool = False
    is_cancel_known: bool = False
    is_hinted: bool = False


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
        self._coming: set[str] = set()
        self._waiting_count = 0
        self._is_stopping = False

    @property
    def job_count(self) -> int:
        """How many jobs this worker has in its hands."""
        return len(self._carried)

    async def take(self, job_id: str) -> None:
        """Take in the job that a hint announced; do nothing when another worker has it or it has ended."""
        if job_id in self._carried:
            self._carried[job_id].is_hinted = True
            return
        if self._is_stopping:
            await self._leave_to_others(job_id)
            return
        if self._waiting_count >= _WAITING_LIMIT:
            return
        self._waiting_count += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting_count -= 1
        is_taken = False
        self._coming.add(job_id)
        try:
            is_taken = await self._claim(job_id)
        finally:
            self._coming.discard(job_id)
            if not is_taken:
                self._slots.release()

    async def _claim(self, job_id: str) -> bool:
        if self._is_stopping:
            await self._leave_to_others(job_id)
            return False
        job = await self._claims.claim(job_id, self._owner, self._lease_seconds)
        if job is None or job_id in self._carried:
            return False
        task = asyncio.create_task(self._carry(job), name=f"carry {job_id}")
        self._carried[job_id] = _Carried(job.fence, job.step, task)
        return True

    async def keep_leases(self) -> None:
        """Renew the leases of all jobs in hand until cancelled; drop the jobs that are no longer ours."""
        while True:
            await self._clock.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
            before = dict(self._carried)
            try:
                ours = await self._claims.renew_leases(self._owner, self._lease_seconds)
                await self._give_back_strays(ours)
            except Exception:  # noqa: BLE001  the database may be away; fences keep us honest meanwhile
                self._log.exception("leases could not be renewed")
                continue
            self._compare(before, ours)

    def take_no_more(self) -> None:
        """Leave every hint from now on to other workers, those that wait for a slot too.

        Call it once the engine receives no more: a hint left to others must not come back.
        """
        self._is_stopping = True
        for _ in range(self._waiting_count):
            self._slots.release()

    async def _leave_to_others(self, job_id: str) -> None:
        await self._engine.announce(Hint.JOB, job_id)

    async def stop(self, seconds: float) -> None:
        """Take nothing more in, let submits under way finish for that many seconds, and give every job back.

        Jobs that only wait go back at once, and what another worker can do again after a moment, so that others need
        not wait for the submits.
        """
        self.take_no_more()
        carried = dict(self._carried)
        waiting = {job_id for job_id, it in carried.items() if it.is_waiting}
        repeatable = {job_id for job_id, it in carried.items() if it.step not in _ONLY_ONCE} - waiting
        await self._hand_over(carried, waiting, 0)
        await self._hand_over(carried, repeatable, min(seconds, _REPEATABLE_GRACE_SECONDS))
        await _end([it.task for it in carried.values()], seconds)
        await self._give_back(None)

    async def _hand_over(self, carried: Mapping[str, _Carried], job_ids: Iterable[str], seconds: float) -> None:
        ids = list(job_ids)
        await _end([carried[job_id].task for job_id in ids], seconds)
        await self._give_back(ids)

    async def _give_back(self, job_ids: list[str] | None) -> None:
        """Give back some jobs, or all."""
        if job_ids == []:
            return
        try:
            if job_ids is None:
                count = await self._claims.release_leases(self._owner)
            else:
                count = await self._claims.give_back(self._owner, job_ids)
        except Exception:  # noqa: BLE001  with the database away the leases run out by themselves
            self._log.exception("jobs could not be given back")
        else:
            if count:
                self._log.info("jobs given back", count=count)

    async def _give_back_strays(self, ours: Iterable[str]) -> None:
        """Give back jobs whose lease is ours and that nobody here carries: a fault made us drop them."""
        strays = [job_id for job_id in ours if job_id not in self._carried and job_id not in self._coming]
        if strays and await self._claims.give_back(self._owner, strays):
            self._log.warning("jobs given back that nobody carried", count=len(strays))

    def _compare(self, before: Mapping[str, _Carried], ours: Mapping[str, tuple[int, bool]]) -> None:
        for job_id, carried in before.items():
            if self._carried.get(job_id) is not carried:
                continue
            fence, is_cancel_wished = ours.get(job_id, (None, False))
            if fence != carried.fence or (is_cancel_wished and not carried.is_cancel_known):
                carried.is_cancel_known = is_cancel_wished
                # It is looked up again, and dropped where it is no longer ours.
                self._engine.notify(job_id)

    async def _carry(self, job: Job) -> None:
        said = {"job_id": job.id, "model": job.model_id, "request_id": job.request_id}
        with structlog.contextvars.bound_contextvars(**said):
            try:
                await self._carry_through(job)
            except LeaseLost:
                self._log.info("job dropped: another has it, or it has ended")
            except Exception:  # noqa: BLE001  not even the fault could be written down; whoever comes later goes on
                self._log.exception("job dropped")
                await self._put_aside(job)
            finally:
                del self._carried[job.id]
                self._slots.release()

    async def _put_aside(self, job: Job) -> None:
        try:
            await self._claims.park(job, _LONGEST_FAULT_PAUSE_SECONDS)
        except LeaseLost:
            return
        except Exception:  # noqa: BLE001  it is a stray now, which is found when leases are renewed
            self._log.exception("job could not be put aside")

    async def _carry_through(self, job: Job) -> None:
        async with self._engine.listen(job.id) as changed:
            while not self._is_stopping:
                outcome = await self._take_step(job)
                match outcome:
                    case Ended(ended):
                        self._log.info("job ended", status=str(ended.status), error=ended.error_code)
                        return
                    case GoOn(moved):
                        job = moved
                    case PutAside():
                        return
                    case Pause(paused, seconds) if seconds > _LONGEST_WAIT_SECONDS and not changed.is_set():
                        called = await self._park(paused, changed, seconds)
                        if called is None:
                            return
                        job = called
                    case Pause(paused, seconds):
                        job = await self._wait(paused, changed, seconds)

    async def _park(self, job: Job, changed: asyncio.Event, seconds: float) -> Job | None:
        """Hand the job back until later. Where somebody calls for it meanwhile, return it: its step is due now."""
        carried = self._carried[job.id]
        carried.is_hinted = False
        if not await self._claims.park_unless_called(job, seconds):
            changed.clear()
            return await self._claims.reload(job)
        # Whoever called after that was heard by us, since it is still in our hands, and by no other worker.
        if not (changed.is_set() or carried.is_hinted):
            return None
        changed.clear()
        taken = await self._claims.claim(job.id, self._owner, self._lease_seconds)
        if taken is not None:
            carried.fence = taken.fence
        return taken

    async def _wait(self, job: Job, changed: asyncio.Event, seconds: float) -> Job:
        carried = self._carried[job.id]
        carried.is_waiting = True
        try:
            is_woken = await self._clock.wait(changed, seconds)
        finally:
            carried.is_waiting = False
        if not is_woken:
            return job
        # Before looking: what changes while we look wakes us once more.
        changed.clear()
        return await self._claims.reload(job)

    async def _take_step(self, job: Job) -> Outcome:
        self._carried[job.id].step = job.step
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


async def _end(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Let tasks go on for that many seconds, then cancel those left; return when they are gone."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
