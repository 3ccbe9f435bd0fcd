"""The step that hands a job to an upstream, at most once unless the upstream proves a repeat harmless.

`submitting` is written before the call. After bytes may have left and no answer came, only an adapter that is
resubmit-safe gets the same attempt again; any other job ends `upstream_unknown`, uncharged, never sent twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode, NotFound
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.places.service import NoPlace
from pixeldojo.jobs.states import Step
from pixeldojo.metrics.meters import Meters
from pixeldojo.providers.contract import (
    Call,
    Finished,
    HttpClient,
    InputFile,
    Operation,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.gate import Gate, Hold
from pixeldojo.worker.handle import Handle
from pixeldojo.worker.handover import MediaHandover
from pixeldojo.worker.inputs import InputCollector, InputNotReady, UnusableInput
from pixeldojo.worker.outage import through_outage
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause, PutAside
from pixeldojo.worker.patience import Patience
from pixeldojo.worker.quoting import without_input
from pixeldojo.worker.route import Route, Router, build_call, next_turn

# Refusals before acceptance that are worth another try: how often each upstream is asked.
_TRIES = 6
_REPEATS = 3
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
        handover: MediaHandover,
        router: Router,
        gate: Gate,
        collect: CollectStep,
        patience: Patience,
        clients: Mapping[str, HttpClient],
        clock: Clock,
        log: FilteringBoundLogger,
        meters: Meters,
        callback_base: str | None = None,
    ) -> None:
        """Make the step; `clients` are the upstreams', by provider, each trusting its own origin alone."""
        self._catalog = catalog
        self._claims = claims
        self._inputs = inputs
        self._handover = handover
        self._router = router
        self._gate = gate
        self._collect = collect
        self._patience = patience
        self._clients = clients
        self._clock = clock
        self._log = log
        self._meters = meters
        self._callback_base = callback_base

    async def run(self, job: Job) -> Outcome:
        """Take the step from `submit`, or from `submitting` when an earlier call got no answer."""
        try:
            job, model, files = await self._prepare(job)
            routes = self._passable(self._router.routes(model, job, files), files)
            chosen = await self._choose(job, model, routes)
        except InputNotReady as error:
            return await self._later(job, str(error))
        except _CannotRun as error:
            return Ended(await self._claims.fail(job, error.failure))
        if isinstance(chosen, Hold):
            return await self._put_aside(job, chosen)
        job, route = replace(job, upstream_index=chosen), routes[chosen]
        with self._gate.passing(job, route):
            try:
                return await self._go(job, model, files, route, routes)
            except NoPlace:
                return await self._put_aside(job, Hold(route.provider.name))

    async def _put_aside(self, job: Job, hold: Hold) -> Outcome:
        if hold.provider is not None:
            self._gate.say_full(hold.provider)
            await self._claims.wait_for_place(job, hold.provider)
        else:
            left = (job.deadline_at - self._clock.now()).total_seconds()
            await self._claims.park(job, min(hold.seconds, left))
        return PutAside()

    async def _go(
        self, job: Job, model: Model, files: tuple[InputFile, ...], route: Route, routes: Sequence[Route]
    ) -> Outcome:
        attempt_id = job.attempt_id or new_id(IdKind.ATTEMPT, self._clock.now())
        # Whatever can go wrong in building the call does so before it counts as made.
        try:
            media_urls = await self._hand_over(route, files)
        except UpstreamError as error:
            job = await self._begin(job, attempt_id, route)
            return await self._refused(job, _without_cost(error), route, routes)
        call = build_call(route, model, job, files, attempt_id, media_urls, self._callback_base)
        return await self._submit(job, call, route, routes)

    async def _hand_over(self, route: Route, files: tuple[InputFile, ...]) -> Mapping[tuple[str, int], str]:
        """Return what stands for each file in the upstream's words; the sandbox reads the files themselves."""
        if route.upstream is None:
            return {}
        client = self._clients[route.provider.name]
        return await self._handover.addresses(files, route.provider, route.endpoint, client)

    def _passable(self, routes: Sequence[Route], files: Sequence[InputFile]) -> Sequence[Route]:
        """Return the routes by which the files can go; which those are is the same each time for the same job."""
        obstacles = [
            None if route.upstream is None else self._handover.obstacle(files, route.provider) for route in routes
        ]
        passable = [route for route, obstacle in zip(routes, obstacles, strict=True) if obstacle is None]
        if routes and not passable:
            raise _CannotRun(JobFailure(JobFailureCode.INVALID_INPUT, str(obstacles[0])))
        return passable

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
            raise _CannotRun(_UNKNOWN if _is_repeat(job) else gone) from error
        except UnusableInput as error:
            raise _CannotRun(JobFailure(JobFailureCode.INVALID_INPUT, str(error))) from error
        return job, model, files

    async def _choose(self, job: Job, model: Model, routes: Sequence[Route]) -> int | Hold:
        """Return which upstream to call, beginning with the one whose turn it is, or what to wait for.

        For a repeat it is the one that may have the work already.
        """
        if _is_repeat(job):
            return await self._choose_again(job, routes)
        if not routes:
            message = f"No upstream of {model.id} is set up on this server; its operator has to add credentials."
            raise _CannotRun(JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, message))
        # Only after a refusal can there be one that wants no more of this job.
        closed = await self._closed(job) if job.failures else frozenset[str]()
        return await self._gate.choose(job, routes, closed)

    async def _closed(self, job: Job) -> frozenset[str]:
        """Return the providers that did not let the operator in."""
        attempts = await self._claims.attempts(job)
        return frozenset(attempt.provider for attempt in attempts if attempt.outcome == UpstreamErrorKind.UNAUTHORIZED)

    async def _choose_again(self, job: Job, routes: Sequence[Route]) -> int:
        attempts = await self._claims.attempts(job)
        asked = {(attempt.provider, attempt.endpoint) for attempt in attempts if attempt.id == job.attempt_id}
        for index, route in enumerate(routes):
            is_harmless = route.provider.is_resubmit_safe and job.failures < _REPEATS
            if is_harmless and (route.provider.name, route.endpoint) in asked:
                return index
        raise _CannotRun(_UNKNOWN)

    async def _submit(self, job: Job, call: Call, route: Route, routes: Sequence[Route]) -> Outcome:
        job = await self._begin(job, call.attempt_id, route)
        try:
            answer = await route.provider.submit(call, self._clients[route.provider.name])
        except UpstreamError as error:
            return await self._refused(job, error, route, routes)
        self._gate.answered(job, route, None)
        if isinstance(answer, Finished):
            return await self._collect.collect(job, answer)
        return await self._accepted(job, answer, route)

    async def _accepted(self, job: Job, operation: Operation, route: Route) -> Outcome:
        handle = Handle(route.provider.name, operation, self._clock.now()).to_json()
        held = await through_outage(self._clock, lambda: self._claims.accept(job, handle, operation.id))
        seconds = self._patience.before_first_look(held, operation, self._clock.now())
        return Pause(held, seconds) if seconds else GoOn(held)

    async def _begin(self, job: Job, attempt_id: str, route: Route) -> Job:
        """Write down that the upstream is about to be called."""
        if _is_repeat(job):
            job = replace(job, failures=job.failures + 1)
        return await self._claims.begin_submit(
            job,
            attempt_id=attempt_id,
            provider=route.provider.name,
            endpoint=route.endpoint,
            upstream_index=job.upstream_index,
        )

    async def _refused(self, job: Job, error: UpstreamError, route: Route, routes: Sequence[Route]) -> Outcome:
        why, provider = without_input(error.message, job.input), route.provider.name
        self._log.warning("upstream refused a submit", job_id=job.id, provider=provider, kind=error.kind, why=why)
        self._gate.answered(job, route, error)
        self._meters.upstream_failed(route.provider.name, "submit", error.kind)
        if error.kind in _FINAL_REFUSALS:
            failure = JobFailure(_FINAL_REFUSALS[error.kind], error.message)
            return Ended(await self._claims.fail(job, failure, upstream_cost=error.upstream_cost))
        if error.is_final:
            failure = JobFailure(JobFailureCode.UPSTREAM_ERROR, error.message)
            return Ended(await self._claims.fail(job, failure, upstream_cost=error.upstream_cost))
        # That a repeat was turned away says nothing about the call before it, whose answer was lost.
        if error.kind == UpstreamErrorKind.UNKNOWN or job.failures:
            return await self._unanswered(job, error, route)
        return await self._elsewhere_or_later(job, error, route, routes)

    async def _elsewhere_or_later(
        self, job: Job, error: UpstreamError, route: Route, routes: Sequence[Route]
    ) -> Outcome:
        """The next upstream's turn: at once, or after a pause where all have been asked in this round."""
        attempts = await self._claims.attempts(job)
        closed = {attempt.provider for attempt in attempts if attempt.outcome == UpstreamErrorKind.UNAUTHORIZED}
        if error.kind == UpstreamErrorKind.UNAUTHORIZED:
            closed.add(route.provider.name)
        turn = job.upstream_index % len(routes)
        following = next_turn(routes, turn, closed)
        job = await self._claims.refuse(
            job, outcome=error.kind, message=error.message, upstream_index=turn if following is None else following
        )
        if following is not None and len(attempts) < _TRIES * len(routes):
            if following > turn:
                return GoOn(job)
            rounds = -(-len(attempts) // len(routes))
            pause = max(_pause_seconds(rounds), error.retry_after_seconds or 0.0)
            if pause < (job.deadline_at - self._clock.now()).total_seconds():
                return Pause(job, pause)
        why = f"No upstream took the job. The last one said: {error.message}"
        return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_UNAVAILABLE, why)))

    async def _later(self, job: Job, why: str) -> Outcome:
        """An input's server did not answer: try again a few times before the job fails for it."""
        if job.failures >= _INPUT_TRIES:
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.INVALID_INPUT, why)))
        job = await self._claims.change(job, failures=job.failures + 1)
        return Pause(job, _pause_seconds(job.failures))

    async def _unanswered(self, job: Job, error: UpstreamError, route: Route) -> Outcome:
        """The upstream may have the work. Repeat only where that is proven harmless."""
        if not route.provider.is_resubmit_safe or job.failures >= _REPEATS:
            return Ended(await self._claims.fail(job, _unknown(error.message)))
        return Pause(job, max(_pause_seconds(job.failures + 1), error.retry_after_seconds or 0.0))


def _unknown(why: str) -> JobFailure:
    """Return the failure of a job that an upstream may have; `why` is what was heard last."""
    return JobFailure(
        JobFailureCode.UPSTREAM_UNKNOWN,
        f"Nobody can tell whether the upstream took the job ({why.rstrip('.')}). "
        "You were not charged; submit again if you still want it.",
    )


_UNKNOWN = _unknown("its answer was lost")


class _CannotRun(Exception):
    """The job ends here, for this reason."""

    def __init__(self, failure: JobFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _without_cost(error: UpstreamError) -> UpstreamError:
    """Return the error of a call that buys nothing: that it may have been taken is no reason not to try again."""
    if error.kind != UpstreamErrorKind.UNKNOWN:
        return error
    return UpstreamError(UpstreamErrorKind.UNAVAILABLE, error.message, retry_after_seconds=error.retry_after_seconds)


def _is_repeat(job: Job) -> bool:
    """Whether an upstream may have the work of this job although no answer came."""
    return job.step == Step.SUBMITTING


def _reason_to_end(job: Job, clock: Clock) -> JobFailure | None:
    """Return why a job should not be sent any more, be it for the first time or again."""
    is_late = clock.now() >= job.deadline_at
    if _is_repeat(job):
        # What an upstream began now nobody would wait for, and by now it may have forgotten the call before.
        return _UNKNOWN if is_late else None
    if job.cancel_requested_at is not None:
        return JobFailure(JobFailureCode.CANCELED, "The job was cancelled before it was submitted.")
    if is_late:
        return JobFailure(JobFailureCode.TIMEOUT, "No upstream took the job in time. You were not charged.")
    return None


def _pause_seconds(failures: int) -> float:
    return float(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** max(failures - 1, 0)))
