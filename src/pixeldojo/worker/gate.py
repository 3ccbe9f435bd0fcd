"""Which of a job's upstreams it may go to now: whose circuit is closed, and who has a place for it.

Test jobs pass: the sandbox has no limits, and its troubles are rehearsed. Leaves the counting of places to `jobs`.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.providers.contract import UpstreamError, UpstreamErrorKind
from pixeldojo.worker.circuits import Circuits
from pixeldojo.worker.route import Route

_TROUBLES = frozenset({UpstreamErrorKind.UNAVAILABLE, UpstreamErrorKind.UNAUTHORIZED, UpstreamErrorKind.UNKNOWN})
_SAY_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Hold:
    """No upstream takes the job now: it waits for a place at `provider`, or where that is None for some seconds."""

    provider: str | None
    seconds: float = 0.0


class Gate:
    """Lets jobs through to upstreams, and hears how they fared."""

    def __init__(self, circuits: Circuits, places: UpstreamPlaces, clock: Clock, log: FilteringBoundLogger) -> None:
        self._circuits = circuits
        self._places = places
        self._clock = clock
        self._log = log
        self._said_at: dict[str, float] = {}

    async def choose(self, job: Job, routes: Sequence[Route], closed: Collection[str]) -> int | Hold:
        """Return the index of the first upstream that may be called, beginning with the job's; or what to wait for.

        Args:
            closed: Providers that this job has no business with any more.
        """
        turn = job.upstream_index % len(routes)
        full: str | None = None
        waits: list[float] = []
        for distance in range(len(routes)):
            index = (turn + distance) % len(routes)
            route = routes[index]
            name = route.provider.name
            if index != turn and name in closed:
                continue
            if route.upstream is None:
                return index
            seconds = self._circuits.seconds_left(name, route.endpoint)
            if seconds:
                waits.append(seconds)
            elif await self._places.is_free(job, name):
                return index
            else:
                full = full or name
        if full is not None:
            return Hold(full)
        return Hold(None, min(waits))

    @contextmanager
    def passing(self, job: Job, route: Route) -> Iterator[None]:
        """Be on the way to an upstream, until it answered or the job turned back."""
        if route.upstream is None:
            yield
            return
        self._circuits.enter(route.provider.name, route.endpoint, job.id)
        try:
            yield
        finally:
            self._circuits.leave(route.provider.name, route.endpoint, job.id)

    def answered(self, job: Job, route: Route, error: UpstreamError | None) -> None:
        """Note how an upstream answered a submit; no error where it took the work."""
        if route.upstream is None:
            return
        if error is not None and not error.is_final and error.kind in _TROUBLES:
            self._circuits.failed(route.provider.name, route.endpoint, job.id)
        elif error is None or error.kind != UpstreamErrorKind.OVER_LIMIT:
            self._circuits.worked(route.provider.name, route.endpoint)

    def say_full(self, provider: str) -> None:
        """Tell the operator, now and then, that jobs wait for a place."""
        now = self._clock.monotonic()
        if now - self._said_at.get(provider, -_SAY_AGAIN_SECONDS) >= _SAY_AGAIN_SECONDS:
            self._said_at[provider] = now
            self._log.info("jobs wait for a place at an upstream", provider=provider)
