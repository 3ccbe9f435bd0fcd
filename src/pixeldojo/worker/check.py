"""The step that asks an upstream how a job goes, until it is done, fails, is cancelled or runs out of time.

Asking is free and may be repeated; so trouble on the way is waited out until the job's deadline.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.job import Job
from pixeldojo.providers.contract import (
    CancelOutcome,
    HttpClient,
    Operation,
    Provider,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.outcome import Ended, Outcome, Pause

_LEAST_CHECK_SECONDS = 30.0
_SHORTEST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 30.0
_TROUBLE_PAUSE_SECONDS = 0.5
# Longer than the worker waits in memory: the job is parked, and any worker can take it up when the callback comes.
_LATE_CHECK_SECONDS = 90.0

_CANCELED = JobFailure(JobFailureCode.CANCELED, "The job was cancelled.")

_FAILURE_CODES = {
    UpstreamErrorKind.REJECTED_INPUT: JobFailureCode.INVALID_INPUT,
    UpstreamErrorKind.REFUSED_CONTENT: JobFailureCode.CONTENT_REJECTED,
}


class CheckStep:
    """Polls, cancels on request and at the deadline, and hands finished work to collecting."""

    def __init__(
        self,
        *,
        claims: JobClaims,
        providers: Mapping[str, Provider],
        collect: CollectStep,
        clients: Mapping[str, HttpClient],
        clock: Clock,
        log: FilteringBoundLogger,
        least_check_seconds: float = _LEAST_CHECK_SECONDS,
    ) -> None:
        """Make the step.

        Args:
            clients: Of the upstreams, by provider, each trusting its own origin alone.
            least_check_seconds: What an upstream has to answer in however near the deadline is.
        """
        self._claims = claims
        self._providers = providers
        self._collect = collect
        self._clients = clients
        self._clock = clock
        self._log = log
        self._least_check_seconds = least_check_seconds

    async def run(self, job: Job) -> Outcome:  # noqa: PLR0911  one line for each way a check can end
        """Take the step."""
        operation, name = _read_operation(job.operation or {})
        provider = self._providers.get(name)
        if provider is None:
            gone = f"The upstream {name!r} that has this job is no longer set up on this server."
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, gone)))
        if job.cancel_requested_at is not None and await self._cancel(job, provider, operation):
            return Ended(await self._claims.fail(job, _CANCELED))
        try:
            # An answer that takes longer than the job may is the same as none: the deadline ends the job.
            left = (job.deadline_at - self._clock.now()).total_seconds()
            async with asyncio.timeout(max(self._least_check_seconds, left)):
                answer = await provider.check(operation, self._clients[provider.name])
        except TimeoutError:
            return await self._time_out(job, provider, operation)
        except UpstreamError as error:
            return await self._troubled(job, provider, operation, error)
        if not isinstance(answer, Running):
            return await self._collect.collect(job, answer)
        if self._clock.now() >= job.deadline_at:
            return await self._time_out(job, provider, operation)
        if answer.progress not in {None, job.progress}:
            job = await self._claims.change(job, progress=answer.progress)
        if operation.calls_back:
            return Pause(replace(job, failures=0), self._until_late(job))
        return Pause(replace(job, failures=0), self._within(job, answer.poll_after_seconds))

    async def _troubled(self, job: Job, provider: Provider, operation: Operation, error: UpstreamError) -> Outcome:
        self._log.warning(
            "upstream check failed", job_id=job.id, provider=provider.name, kind=error.kind, why=error.message
        )
        if error.is_final and job.cancel_requested_at is not None:
            return Ended(await self._claims.fail(job, _CANCELED))
        if error.is_final:
            code = _FAILURE_CODES.get(error.kind, JobFailureCode.UPSTREAM_ERROR)
            return Ended(await self._claims.fail(job, JobFailure(code, error.message)))
        if self._clock.now() >= job.deadline_at:
            return await self._time_out(job, provider, operation)
        # Counted in memory only: what the row counts at this step are tries to copy the outputs.
        job = replace(job, failures=job.failures + 1)
        pause = max(_TROUBLE_PAUSE_SECONDS * 2 ** min(job.failures, 10), error.retry_after_seconds or 0.0)
        return Pause(job, self._within(job, pause))

    async def _time_out(self, job: Job, provider: Provider, operation: Operation) -> Outcome:
        await self._cancel(job, provider, operation)
        late = JobFailure(JobFailureCode.TIMEOUT, "The upstream did not finish the job in time. You were not charged.")
        return Ended(await self._claims.fail(job, late))

    async def _cancel(self, job: Job, provider: Provider, operation: Operation) -> bool:
        """Ask the upstream to stop; say whether it surely did."""
        if not operation.can_cancel:
            return False
        try:
            async with asyncio.timeout(self._least_check_seconds):
                outcome = await provider.cancel(operation, self._clients[provider.name])
        except (UpstreamError, TimeoutError) as error:
            why = error.message if isinstance(error, UpstreamError) else "no answer in time"
            self._log.warning("upstream cancel failed", job_id=job.id, provider=provider.name, why=why)
            return False
        return outcome == CancelOutcome.CANCELED

    def _until_late(self, job: Job) -> float:
        """The pause of a job whose upstream calls back: long enough to be parked, in case the callback gets lost."""
        left = (job.deadline_at - self._clock.now()).total_seconds()
        return max(_SHORTEST_PAUSE_SECONDS, min(_LATE_CHECK_SECONDS, left))

    def _within(self, job: Job, seconds: float) -> float:
        """Keep a pause between the bounds, and wake up at the deadline."""
        left = (job.deadline_at - self._clock.now()).total_seconds()
        return max(_SHORTEST_PAUSE_SECONDS, min(seconds, _LONGEST_PAUSE_SECONDS, left))


def _read_operation(kept: JsonObject) -> tuple[Operation, str]:
    values = dict(kept)
    provider = str(values.pop("provider", ""))
    return Operation(**values), provider  # type: ignore[arg-type]  # written by submit.py from an Operation
