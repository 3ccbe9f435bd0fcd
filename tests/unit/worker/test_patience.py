"""When an upstream is looked at: as it suggests, else ever more rarely, and hardly at all where it calls back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.jobs.test_present import JOB, NOW
from tests.unit.worker.workshop import made_up_catalog

from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job
from pixeldojo.providers.contract import Operation
from pixeldojo.worker.handle import Handle
from pixeldojo.worker.patience import PACES, USUAL_PACE, Pace, Patience

PATIENCE = Patience(made_up_catalog())
MODELS = {"picture": PACES["image"], "clip": USUAL_PACE, "taken out": USUAL_PACE}
models = pytest.mark.parametrize(("model_id", "pace"), MODELS.items())


def a_job(model_id: str, *, job_id: str = "job_1", seconds: float = 3_600.0) -> Job:
    return replace(JOB, id=job_id, model_id=model_id, deadline_at=NOW + timedelta(seconds=seconds))


def looks(job: Job, operation: Operation) -> list[float]:
    """Return the pauses before each look at work that is never done, up to its deadline."""
    handle, now = Handle("fal", operation, NOW), NOW
    pauses = [PATIENCE.before_first_look(job, operation, now)]
    while (now := now + timedelta(seconds=pauses[-1])) < job.deadline_at:
        pauses.append(PATIENCE.before_next_look(job, handle, None, now))
    return pauses


@models
def test_without_a_suggestion_pauses_grow_by_a_factor_to_a_bound(model_id: str, pace: Pace) -> None:
    first, *others = looks(a_job(model_id), Operation("up"))
    assert pace.first <= first <= pace.first * 1.1
    growing = [pause for pause in others[:-1] if pause < pace.longest * 0.9]
    for before, after in zip([first, *growing], growing, strict=False):
        assert 1.2 < after / before < 1.45
    # The last ends at the deadline.
    assert all(pace.longest <= pause <= pace.longest * 1.1 for pause in others[len(growing) + 2 : -1])


@given(st.floats(0.5, 30.0), st.floats(0, 3_000))
def test_a_suggestion_is_kept(seconds: float, spent: float) -> None:
    job, now = a_job("clip"), NOW + timedelta(seconds=spent)
    assert PATIENCE.before_first_look(job, Operation("up", poll_after_seconds=seconds), NOW) == seconds
    assert PATIENCE.before_next_look(job, Handle("fal", Operation("up"), NOW), seconds, now) == seconds


def test_work_that_may_be_done_is_looked_at_now() -> None:
    for calls_back in (False, True):
        operation = Operation("up", poll_after_seconds=0.0, calls_back=calls_back)
        assert PATIENCE.before_first_look(a_job("picture"), operation, NOW) == 0


@models
def test_where_the_service_calls_there_is_a_late_look_and_then_one_when_twice_as_long_has_passed(
    model_id: str, pace: Pace
) -> None:
    pauses = looks(a_job(model_id, seconds=pace.late * 10), Operation("up", calls_back=True))
    assert pace.late <= pauses[0] <= pace.late * 1.1
    *planned, last = pauses
    assert len(planned) == 4
    assert all(sum(planned[:n]) <= planned[n] <= sum(planned[:n]) * 1.1 for n in range(1, 4))
    assert sum(pauses) == pytest.approx(pace.late * 10)
    assert last > 0


@models
def test_a_call_that_is_not_the_end_is_followed_by_one_look_more_and_then_the_late_one(
    model_id: str, pace: Pace
) -> None:
    job, handle = a_job(model_id), Handle("fal", Operation("up", calls_back=True), NOW)
    now = NOW + timedelta(seconds=20)
    assert PATIENCE.before_next_look(job, handle, None, now) <= pace.longest * 1.1
    left = PATIENCE.before_next_look(replace(job, failures=1), handle, None, now)
    assert pace.late <= 20 + left <= pace.late * 1.1


def test_a_cancel_that_was_asked_for_is_watched() -> None:
    job = replace(a_job("clip"), cancel_requested_at=NOW, failures=1)
    handle = Handle("fal", Operation("up", calls_back=True), NOW)
    assert PATIENCE.before_next_look(job, handle, None, NOW + timedelta(seconds=9)) < USUAL_PACE.longest


@given(st.text(min_size=1), st.floats(0, 10_000), st.booleans(), st.none() | st.floats(-1, 10**6))
def test_no_pause_ends_after_the_deadline(job_id: str, spent: float, calls_back: bool, suggested: float | None) -> None:
    job = a_job("picture", job_id=job_id, seconds=600)
    now = NOW + timedelta(seconds=spent)
    handle = Handle("fal", Operation("up", calls_back=calls_back), NOW)
    pause = PATIENCE.before_next_look(job, handle, suggested, now)
    assert 0.02 <= pause <= max(0.02, 600.0 - spent) + 1e-6  # a moment is kept to the microsecond


def test_jobs_that_came_together_are_not_looked_at_together() -> None:
    pauses = {PATIENCE.before_first_look(a_job("clip", job_id=f"job_{n}"), Operation("up"), NOW) for n in range(50)}
    assert len(pauses) == 50


def test_a_handle_comes_back_from_the_row_as_it_was_written() -> None:
    operation = Operation("up", {"app": ["a"]}, can_cancel=True, poll_after_seconds=None, calls_back=True)
    handle = Handle("fal", operation, NOW)
    assert Handle.of(replace(JOB, operation=handle.to_json())) == handle


def test_a_handle_that_an_earlier_version_wrote_is_as_old_as_the_job() -> None:
    kept: JsonObject = {
        "id": "up",
        "data": {},
        "can_cancel": True,
        "poll_after_seconds": 1.0,
        "calls_back": False,
        "provider": "x",
    }
    handle = Handle.of(replace(JOB, operation=kept))
    assert (handle.provider, handle.operation.id, handle.accepted_at) == ("x", "up", JOB.created_at)
