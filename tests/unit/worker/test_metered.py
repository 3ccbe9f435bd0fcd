"""The worker's figures: steps by how they went, jobs by their end, calls, webhooks, the proof of the ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from tests.clock import FakeClock

from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.job import Job
from pixeldojo.metrics.meters import OPEN_CIRCUITS, Meters
from pixeldojo.providers.contract import HttpAnswer, UpstreamError, UpstreamErrorKind
from pixeldojo.worker.circuits import FAILURES, Circuits
from pixeldojo.worker.metered import MeteredClient, metered_step
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause
from pixeldojo.worker.proof import LedgerProof


def figures(meters: Meters) -> dict[tuple[str, ...], float]:
    """Return our own figures by name and the values of their labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(meters.text().decode())
        for sample in family.samples
        if sample.name.startswith("pixeldojo_") and not sample.name.endswith(("_bucket", "_created"))
    }


def job(status: str, error: str | None = None) -> Job:
    return cast(Job, SimpleNamespace(mode="test", status=status, error_code=error))


@pytest.fixture
def meters() -> Meters:
    return Meters("1.2.3")


async def test_a_step_is_counted_by_how_it_went_and_how_long_it_took(meters: Meters, clock: FakeClock) -> None:
    outcomes: list[Outcome | Exception] = [
        GoOn(job("processing")),
        Pause(job("processing"), 5.0),
        Ended(job("completed")),
        Ended(job("failed", "timeout")),
        LeaseLost("job_1"),
        RuntimeError("a fault"),
    ]

    async def run(_job: Job) -> Outcome:
        clock.advance(0.25)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    step = metered_step("check", run, meters, clock)
    for _ in range(4):
        await step(job("processing"))
    for kind in (LeaseLost, RuntimeError):
        with pytest.raises(kind):
            await step(job("processing"))

    told = figures(meters)
    name = "pixeldojo_job_step_duration_seconds"
    counts = {outcome: told[f"{name}_count", outcome, "check"] for outcome in ("went on", "waits", "lost", "broke")}
    assert counts == {"went on": 1, "waits": 1, "lost": 1, "broke": 1}
    assert (told[f"{name}_count", "ended", "check"], told[f"{name}_sum", "ended", "check"]) == (2, 0.5)
    assert told["pixeldojo_jobs_ended_total", "none", "test", "completed"] == 1
    assert told["pixeldojo_jobs_ended_total", "timeout", "test", "failed"] == 1


class _Upstream:
    """Answers, or fails, as the test says."""

    def __init__(self, clock: FakeClock, *answers: int | UpstreamErrorKind) -> None:
        self._clock = clock
        self._answers = list(answers)

    async def request(self, method: str, url: str, **given: Any) -> HttpAnswer:
        assert (method, url, given["timeout_seconds"]) == ("POST", "https://up.test/", 7.0)
        self._clock.advance(2)
        answer = self._answers.pop(0)
        if isinstance(answer, UpstreamErrorKind):
            raise UpstreamError(answer, "no answer")
        return HttpAnswer(answer, {}, b"")


async def test_calls_to_an_upstream_are_counted_by_what_came_of_them(meters: Meters, clock: FakeClock) -> None:
    upstream = _Upstream(clock, 200, 404, 429, 503, UpstreamErrorKind.UNAVAILABLE, UpstreamErrorKind.UNKNOWN)
    client = MeteredClient("fal", upstream, meters, clock)
    content: JsonObject = {"prompt": "a"}
    headers: Mapping[str, str] = {"a": "b"}
    for status in (200, 404, 429, 503):
        answer = await client.request("POST", "https://up.test/", headers=headers, json=content, timeout_seconds=7.0)
        assert answer.status == status
    for kind in (UpstreamErrorKind.UNAVAILABLE, UpstreamErrorKind.UNKNOWN):
        with pytest.raises(UpstreamError) as caught:
            await client.request("POST", "https://up.test/", timeout_seconds=7.0)
        assert caught.value.kind == kind
    told = figures(meters)
    name = "pixeldojo_upstream_request_duration_seconds"
    results = {key[2]: value for key, value in told.items() if key[0] == f"{name}_count"}
    assert results == {"2xx": 1, "4xx": 1, "429": 1, "5xx": 1, "unavailable": 1, "unknown": 1}
    assert told[f"{name}_sum", "fal", "2xx"] == 2


async def test_the_ledger_is_proved_once_a_day_and_before_that_nothing_is_said(
    meters: Meters, clock: FakeClock
) -> None:
    faults: list[str] = []
    has_read = asyncio.Event()

    class Books:
        @property
        def audit(self) -> "Books":
            return self

        async def faults(self) -> AsyncIterator[str]:
            for fault in list(faults):
                yield fault
            has_read.set()

    log: list[Any] = []
    logger = structlog.wrap_logger(
        SimpleNamespace(error=log.append), processors=[lambda _, __, entry: str(entry["what"])]
    )
    proof = LedgerProof(Books(), meters, clock, logger)
    proof.start()
    await clock.until_sleeping()
    assert ("pixeldojo_ledger_faults",) not in figures(meters)
    for found in ([], ["Entry 1 is wrong.", "Entry 2 is wrong."], []):
        faults[:] = found
        has_read.clear()
        clock.advance(24 * 3_600)
        await has_read.wait()
        await clock.until_sleeping()
        told = figures(meters)
        assert told["pixeldojo_ledger_faults",] == len(found)
        assert told["pixeldojo_ledger_proved_timestamp_seconds",] == clock.now().timestamp()
    assert log == ["Entry 1 is wrong.", "Entry 2 is wrong."]
    await proof.stop()


async def test_open_circuits_are_told_by_provider_and_closed_ones_as_zero(meters: Meters, clock: FakeClock) -> None:
    circuits = Circuits(clock, structlog.wrap_logger(None, processors=[lambda *_: ""]))
    meters.watch_each(OPEN_CIRCUITS, "provider", circuits.open_counts)
    circuits.worked("fal", "a")
    for number in range(FAILURES):
        circuits.failed("replicate", "b", f"job_{number}")
    told = {key: value for key, value in figures(meters).items() if key[0] == OPEN_CIRCUITS[0]}
    assert told == {(OPEN_CIRCUITS[0], "fal"): 0, (OPEN_CIRCUITS[0], "replicate"): 1}


async def test_a_webhook_is_counted_with_how_late_it_was(meters: Meters) -> None:
    meters.webhook_attempted("delivered", 0.5, 3.0)
    meters.webhook_attempted("pending", 15.0, -1.0)
    told = figures(meters)
    assert told["pixeldojo_webhook_attempt_duration_seconds_sum", "delivered"] == 0.5
    assert told["pixeldojo_webhook_attempt_duration_seconds_sum", "pending"] == 15
    assert told["pixeldojo_webhook_lateness_seconds_count",] == 2
    assert told["pixeldojo_webhook_lateness_seconds_sum",] == 3
