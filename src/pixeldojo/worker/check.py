"""The step that asks an upstream how a job goes, until it is done, fails, is cancelled or runs out of time.

Asking is free and may be repeated; so trouble on the way is waited out until the job's deadline. How soon to ask again
is `patience`'s.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.job import Job
from pixeldojo.metrics.meters import Meters
from pixeldojo.providers.contract import (
    CancelOutcome,
    Finished,
    HttpClient,
    Operation,
    Provider,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.handle import Handle
from pixeldojo.worker.outcome import Ended, Outcome, Pause
from pixeldojo.worker.patience import Patience, within
from pixeldojo.worker.quoting import without_input

_LEAST_CHECK_SECONDS = 30.0
_TROUBLE_PAUSE_SECONDS = 0.5

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
        patience: Patience,
        clients: Mapping[str, HttpClient],
        clock: Clock,
        log: FilteringBoundLogger,
        meters: Meters,
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
        self._patience = patience
        self._clients = clients
        self._clock = clock
        self._log = log
        self._meters = meters
        self._least_check_seconds = least_check_seconds

    async def run(self, job: Job) -> Outcome:
        """Take the step."""
        handle = Handle.of(job)
        operation, provider = handle.operation, self._providers.get(handle.provider)
        if provider is None:
            gone = f"The upstream {handle.provider!r} that has this job is no longer set up on this server."
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, gone)))
        if job.cancel_requested_at is not None and await self._cancel(job, provider, operation):
            return Ended(await self._claims.fail(job, _CANCELED))
        try:
            answer = await self._ask(job, provider, operation)
        except UpstreamError as error:
            return await self._troubled(job, provider, operation, error)
        if isinstance(answer, Finished):
            return await self._collect.collect(job, answer)
        if answer is None or self._clock.now() >= job.deadline_at:
            return await self._time_out(job, provider, operation)
        if answer.progress not in {None, job.progress}:
            job = await self._claims.change(job, progress=answer.progress)
        seconds = self._patience.before_next_look(job, handle, answer.poll_after_seconds, self._clock.now())
        # A call that was not the end counts as a failure, until the next.
        return Pause(replace(job, failures=int(operation.calls_back)), seconds)

    async def _ask(self, job: Job, provider: Provider, operation: Operation) -> Running | Finished | None:
        """Return the upstream's answer; None where it takes longer than the job may.

        Raises:
            UpstreamError: as the adapter does; and where a time of its own ran out, which is not the job's.
        """
        left = (job.deadline_at - self._clock.now()).total_seconds()
        deadline = asyncio.timeout(max(self._least_check_seconds, left))
        try:
            async with deadline:
                return await provider.check(operation, self._clients[provider.name])
        except TimeoutError as error:
            if deadline.expired():
                return None
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "the upstream did not answer in time") from error

    async def _troubled(self, job: Job, provider: Provider, operation: Operation, error: UpstreamError) -> Outcome:
        why = without_input(error.message, job.input)
        self._log.warning("upstream check failed", job_id=job.id, provider=provider.name, kind=error.kind, why=why)
        self._meters.upstream_failed(provider.name, "check", error.kind)
        if error.is_final and job.cancel_requested_at is not None:
            return Ended(await self._claims.fail(job, _CANCELED))
        if error.is_final:
            failure = JobFailure(_FAILURE_CODES.get(error.kind, JobFailureCode.UPSTREAM_ERROR), error.message)
            return Ended(await self._claims.fail(job, failure, upstream_cost=error.upstream_cost))
        if self._clock.now() >= job.deadline_at:
            return await self._time_out(job, provider, operation)
        # Counted in memory only: what the row counts at this step are tries to copy the outputs.
        job = replace(job, failures=job.failures + 1)
        pause = max(_TROUBLE_PAUSE_SECONDS * 2 ** min(job.failures, 10), error.retry_after_seconds or 0.0)
        return Pause(job, within(job, self._clock.now(), pause))

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
            why = without_input(error.message, job.input) if isinstance(error, UpstreamError) else "no answer in time"
            kind = error.kind if isinstance(error, UpstreamError) else UpstreamErrorKind.UNAVAILABLE
            self._meters.upstream_failed(provider.name, "cancel", kind)
            self._log.warning("upstream cancel failed", job_id=job.id, provider=provider.name, why=why)
            return False
        return outcome == CancelOutcome.CANCELED
