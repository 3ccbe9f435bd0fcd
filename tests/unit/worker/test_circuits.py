"""Upstreams that fail are left alone, tried by one job at a time, and taken back when they work."""

from typing import Final

import pytest
import structlog
from structlog.testing import LogCapture
from tests.clock import FakeClock

from pixeldojo.worker.circuits import (
    FAILURES,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PROBE_SECONDS,
    WINDOW_SECONDS,
    Circuits,
)

FAL: Final = "fal"


@pytest.fixture
def captured() -> LogCapture:
    return LogCapture()


@pytest.fixture
def circuits(clock: FakeClock, captured: LogCapture) -> Circuits:
    return Circuits(clock, structlog.wrap_logger(None, processors=[captured]))


def fail(circuits: Circuits, *endpoints: str, times: int = FAILURES) -> None:
    for number in range(times):
        circuits.failed(FAL, endpoints[number % len(endpoints)], f"job_{number}")


def test_an_endpoint_is_left_alone_after_failures_in_a_row(circuits: Circuits, captured: LogCapture) -> None:
    fail(circuits, "flux", times=FAILURES - 1)
    assert circuits.seconds_left(FAL, "flux") == 0
    fail(circuits, "flux", times=1)
    assert circuits.seconds_left(FAL, "flux") == FIRST_PAUSE_SECONDS
    assert circuits.seconds_left(FAL, "veo") == circuits.seconds_left("replicate", "flux") == 0
    [line] = captured.entries
    assert (line["event"], line["provider"], line["endpoint"]) == ("upstream is left alone", FAL, "flux")


def test_an_account_is_left_alone_when_several_endpoints_fail(circuits: Circuits, captured: LogCapture) -> None:
    fail(circuits, "flux", "veo")
    assert circuits.seconds_left(FAL, "never asked") == FIRST_PAUSE_SECONDS
    assert circuits.seconds_left("replicate", "flux") == 0
    assert [line["endpoint"] for line in captured.entries] == ["all"]


def test_what_works_in_between_ends_the_row(circuits: Circuits) -> None:
    for _ in range(3):
        fail(circuits, "flux", "veo", times=FAILURES - 1)
        circuits.worked(FAL, "flux")
        circuits.worked(FAL, "veo")
    assert circuits.seconds_left(FAL, "flux") == 0


def test_failures_far_apart_are_no_row(circuits: Circuits, clock: FakeClock) -> None:
    for _ in range(FAILURES * 3):
        fail(circuits, "flux", times=1)
        clock.advance(WINDOW_SECONDS / (FAILURES - 1) + 0.1)
    assert circuits.seconds_left(FAL, "flux") == 0


def test_one_job_tries_and_the_others_wait(circuits: Circuits, clock: FakeClock) -> None:
    fail(circuits, "flux")
    clock.advance(FIRST_PAUSE_SECONDS)
    assert circuits.seconds_left(FAL, "flux") == 0
    circuits.enter(FAL, "flux", "job_a")
    assert circuits.seconds_left(FAL, "flux") == PROBE_SECONDS
    circuits.leave(FAL, "flux", "job_b")
    assert circuits.seconds_left(FAL, "flux") == PROBE_SECONDS
    circuits.leave(FAL, "flux", "job_a")
    assert circuits.seconds_left(FAL, "flux") == 0


def test_a_try_that_works_ends_it(circuits: Circuits, clock: FakeClock, captured: LogCapture) -> None:
    fail(circuits, "flux")
    clock.advance(FIRST_PAUSE_SECONDS)
    circuits.enter(FAL, "flux", "job_a")
    circuits.worked(FAL, "flux")
    assert circuits.seconds_left(FAL, "flux") == 0
    fail(circuits, "flux", times=FAILURES - 1)
    assert circuits.seconds_left(FAL, "flux") == 0
    assert captured.entries[-1]["event"] == "upstream is back"


def test_tries_that_fail_lengthen_the_pause_to_a_bound(circuits: Circuits, clock: FakeClock) -> None:
    fail(circuits, "flux")
    pauses = []
    for _ in range(6):
        pauses.append(circuits.seconds_left(FAL, "flux"))
        clock.advance(pauses[-1])
        circuits.enter(FAL, "flux", "job_a")
        circuits.failed(FAL, "flux", "job_a")
    assert pauses == [15.0, 30.0, 60.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause(circuits: Circuits, clock: FakeClock) -> None:
    fail(circuits, "flux")
    clock.advance(FIRST_PAUSE_SECONDS - 1)
    fail(circuits, "flux", times=20)
    assert circuits.seconds_left(FAL, "flux") == 1
