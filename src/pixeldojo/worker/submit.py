"""The step that hands a job to an upstream, at most once unless the upstream proves a repeat harmless.

`submitting` is written before the call. After bytes may have left and no answer came, only an adapter that is
resubmit-safe gets the same attempt again; any other job ends `upstream_unknown`, uncharged, never sent twice.
"""

from dataclasses import asdict

from structlog.typing import FilteringBoundLogger

from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode, NotFound
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.json_types import JsonValue
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import (
    Finished,
    HttpClient,
    InputFile,
    Operation,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.inputs import InputCollector, InputNotReady, UnusableInput
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause
from pixeldojo.worker.route import Route, Router, build_call

# Refusals before acceptance that are worth another try, and how many tries all upstreams share.
_TRIES = 6
_RESUBMITS = 3
_INPUT_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0

_FINAL_REFUSALS = {
    UpstreamErrorKind.REJECTED_INPUT: JobFailureCode.INVALID_INPUT,
    UpstreamErrorKind.REFUSED_CONTENT: JobFailureCode.CONTENT_REJECTED,
}


class SubmitStep:
    """Fetches the inputs, chooses the upstream, calls it once and keeps its handle."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        claims: JobClaims,
        inputs: InputCollector,
        router: Router,
        collect: CollectStep,
        http: HttpClient,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._catalog = catalog
        self._claims = claims
        self._inputs = inputs
        self._router = router
        self._collect = collect
        self._http = http
        self._clock = clock
        self._log = log

    async def run(self, job: Job) -> Outcome:
        """Take the step from `submit`, or from `submitting` when an earlier call got no answer."""
        try:
            job, model, files = await self._prepare(job)
            routes = self._router.routes(model, job, files)
            route = _choose(job, model, routes)
        except InputNotReady as error:
            return await self._later(job, str(error))
        except _CannotRun as error:
            return Ended(await self._claims.fail(job, error.failure))
        return await self._submit(job, model, files, route, len(routes))

    async def _prepare(self, job: Job) -> tuple[Job, Model, tuple[InputFile, ...]]:
        """Return the job with its model and its files, ready to be sent."""
        early = _reason_to_end(job, self._clock)
        if early is not None:
            raise _CannotRun(early)
        try:
            model = self._catalog.find(job.model_id)
            job, files = await self._inputs.collect(job, model)
        except NotFound as error:
            gone = JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, "This model is no longer offered here.")
            raise _CannotRun(gone) from error
        except UnusableInput as error:
            raise _CannotRun(JobFailure(JobFailureCode.INVALID_INPUT, str(error))) from error
        return job, model, files

    async def _submit(
        self, job: Job, model: Model, files: tuple[InputFile, ...], route: Route, route_count: int
    ) -> Outcome:
        attempt_id = job.attempt_id or new_id(IdKind.ATTEMPT, self._clock.now())
        job = await self._claims.begin_submit(
            job,
            attempt_id=attempt_id,
            provider=route.provider.name,
            endpoint=route.endpoint,
            upstream_index=job.upstream_index,
        )
        media_urls = self._inputs.media_urls(files)
        try:
            call = build_call(route, model, job, files, attempt_id, media_urls)
            answer = await route.provider.submit(call, self._http)
        except UpstreamError as error:
            return await self._refused(job, error, route, route_count)
        if isinstance(answer, Finished):
            return await self._collect.collect(job, answer)
        return GoOn(await self._claims.accept(job, _operation_json(answer, route), answer.id))

    async def _refused(self, job: Job, error: UpstreamError, route: Route, route_count: int) -> Outcome:
        self._log.warning(
            "upstream refused a submit", job_id=job.id, provider=route.provider.name, kind=error.kind, why=error.message
        )
        if error.kind in _FINAL_REFUSALS:
            failure = JobFailure(_FINAL_REFUSALS[error.kind], error.message)
            return Ended(await self._claims.fail(job, failure))
        if error.kind == UpstreamErrorKind.UNKNOWN:
            return await self._unanswered(job, route)
        if error.is_final:
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_ERROR, error.message)))
        following = job.upstream_index + 1
        job = await self._claims.refuse(
            job, outcome=error.kind, message=error.message, upstream_index=following % route_count
        )
        is_last = error.kind == UpstreamErrorKind.UNAUTHORIZED and following >= route_count
        if is_last or job.failures >= _TRIES * route_count:
            spent = JobFailure(
                JobFailureCode.UPSTREAM_UNAVAILABLE, f"No upstream took the job. The last one said: {error.message}"
            )
            return Ended(await self._claims.fail(job, spent))
        if following < route_count:
            return GoOn(job)
        return Pause(job, max(_pause_seconds(job.failures), error.retry_after_seconds or 0.0))

    async def _later(self, job: Job, why: str) -> Outcome:
        """An input's server did not answer: try again a few times before the job fails for it."""
        if job.failures >= _INPUT_TRIES:
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.INVALID_INPUT, why)))
        job = await self._claims.change(job, failures=job.failures + 1)
        return Pause(job, _pause_seconds(job.failures))

    async def _unanswered(self, job: Job, route: Route) -> Outcome:
        """The upstream may have the work. Repeat only where that is proven harmless."""
        if not route.provider.is_resubmit_safe or job.failures >= _RESUBMITS:
            return Ended(await self._claims.fail(job, _UNKNOWN))
        job = await self._claims.change(job, failures=job.failures + 1)
        return Pause(job, _pause_seconds(job.failures))


_UNKNOWN = JobFailure(
    JobFailureCode.UPSTREAM_UNKNOWN,
    "The connection to the upstream broke before it answered, so nobody can tell whether it took the job. "
    "You were not charged; submit again if you still want it.",
)


class _CannotRun(Exception):
    """The job ends here, for this reason."""

    def __init__(self, failure: JobFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _reason_to_end(job: Job, clock: Clock) -> JobFailure | None:
    """Return why a job that no upstream has seen should not be sent any more."""
    if job.step == Step.SUBMITTING:
        return None
    if job.cancel_requested_at is not None:
        return JobFailure(JobFailureCode.CANCELED, "The job was cancelled before it was submitted.")
    if clock.now() >= job.deadline_at:
        return JobFailure(JobFailureCode.TIMEOUT, "No upstream took the job in time. You were not charged.")
    return None


def _choose(job: Job, model: Model, routes: tuple[Route, ...]) -> Route:
    """Return the upstream whose turn it is."""
    if not routes:
        message = f"No upstream of {model.id} is set up on this server; its operator has to add credentials."
        raise _CannotRun(JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, message))
    route = routes[job.upstream_index % len(routes)]
    is_repeat = job.step == Step.SUBMITTING
    if is_repeat and (not route.provider.is_resubmit_safe or job.failures > _RESUBMITS):
        raise _CannotRun(_UNKNOWN)
    return route


def _operation_json(operation: Operation, route: Route) -> dict[str, JsonValue]:
    return {**asdict(operation), "provider": route.provider.name}


def _pause_seconds(failures: int) -> float:
    return float(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** max(failures - 1, 0)))
