"""Counting what the worker does, around the steps and clients themselves, which know nothing of it."""

from collections.abc import Mapping

from pixeldojo.core.clock import Clock
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.job import Job
from pixeldojo.metrics.meters import Meters
from pixeldojo.providers.contract import HttpAnswer, HttpClient, UpstreamError
from pixeldojo.worker.loop import StepFunction
from pixeldojo.worker.outcome import Ended, GoOn, Outcome

_TOO_MANY = 429


def metered_step(name: str, run: StepFunction, meters: Meters, clock: Clock) -> StepFunction:
    """Return a step whose turns are counted by how they went: `ended`, `went on`, `waits`, `lost` or `broke`."""

    async def metered(job: Job) -> Outcome:
        started = clock.monotonic()
        went = "broke"
        try:
            outcome = await run(job)
            went = _word(outcome)
        except LeaseLost:
            went = "lost"
            raise
        finally:
            meters.step_taken(name, went, clock.monotonic() - started)
        if isinstance(outcome, Ended):
            meters.job_ended(outcome.job.mode, outcome.job.status, outcome.job.error_code)
        return outcome

    return metered


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Ended):
        return "ended"
    return "went on" if isinstance(outcome, GoOn) else "waits"


class MeteredClient:
    """An outbound client whose requests to one upstream are counted."""

    def __init__(self, provider: str, client: HttpClient, meters: Meters, clock: Clock) -> None:
        self._provider = provider
        self._client = client
        self._meters = meters
        self._clock = clock

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpAnswer:
        """As `HttpClient` says."""
        started = self._clock.monotonic()
        result = "broke"
        try:
            answer = await self._client.request(
                method, url, headers=headers, json=json, body=body, timeout_seconds=timeout_seconds
            )
            result = str(_TOO_MANY) if answer.status == _TOO_MANY else f"{answer.status // 100}xx"
            return answer
        except UpstreamError as error:
            result = str(error.kind)
            raise
        finally:
            self._meters.upstream_called(self._provider, result, self._clock.monotonic() - started)
