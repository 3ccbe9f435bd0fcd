"""The sandbox as an upstream: it takes a moment, draws, counts each call once, and goes wrong on request."""

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.unit.providers.sandbox_kit import (
    AUDIO_OUTPUT,
    VIDEO_OUTPUT,
    Ledger,
    NoHttp,
    Studio,
    call,
    image_file,
    video_file,
)

from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.sandbox import DrawingFailed, SandboxProvider

HTTP = NoHttp()


class Bench:
    """A sandbox with everything around it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.studio = Studio()
        self.ledger = Ledger()
        self.announced: list[str] = []
        self.sandbox = SandboxProvider(
            draw=self.studio.draw,
            open_input=self.studio.open_input,
            ledger=self.ledger,
            clock=self.clock,
            announce=self._announce,
        )

    async def _announce(self, job_id: str) -> None:
        self.announced.append(job_id)

    async def submit(self, asked: Call) -> Operation:
        """Submit and take the operation through JSON, as a worker keeps it."""
        answer = await self.sandbox.submit(asked, HTTP)
        assert isinstance(answer, Operation)
        return Operation(**json.loads(json.dumps(asdict(answer))))

    async def refusal(self, asked: Call) -> UpstreamError:
        with pytest.raises(UpstreamError) as refused:
            await self.sandbox.submit(asked, HTTP)
        return refused.value

    async def finish(self, operation: Operation) -> Finished:
        self.clock.advance(60)
        answer = await self.sandbox.check(operation, HTTP)
        assert isinstance(answer, Finished)
        return answer


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_job_runs_for_a_moment_and_then_has_its_files(bench: Bench) -> None:
    operation = await bench.submit(call({"num_outputs": 2}))
    assert operation.poll_after_seconds == pytest.approx(0.05)
    running = await bench.sandbox.check(operation, HTTP)
    assert isinstance(running, Running)
    assert running.progress == 0.0
    assert running.poll_after_seconds == pytest.approx(0.05)
    bench.clock.advance(0.05)
    finished = await bench.sandbox.check(operation, HTTP)
    assert isinstance(finished, Finished)
    assert finished.outputs == (OutputFile(path=Path("made-0")), OutputFile(path=Path("made-1")))
    assert bench.studio.orders[0]["operation"] == "generate"


async def test_a_video_takes_longer(bench: Bench) -> None:
    operation = await bench.submit(call(task="text-to-video", output=VIDEO_OUTPUT))
    bench.clock.advance(0.1)
    running = await bench.sandbox.check(operation, HTTP)
    assert isinstance(running, Running)
    assert running.progress == 0.5
    assert running.poll_after_seconds == pytest.approx(0.1)


async def test_any_worker_can_go_on_with_an_operation(bench: Bench) -> None:
    operation = await bench.submit(call(files=[image_file()], task="image-edit"))
    other = SandboxProvider(
        draw=bench.studio.draw, open_input=bench.studio.open_input, ledger=Ledger(), clock=bench.clock
    )
    bench.clock.advance(1)
    assert isinstance(await other.check(operation, HTTP), Finished)


async def test_input_files_are_open_while_it_draws_and_closed_after(bench: Bench) -> None:
    files = [image_file("image_urls", 0), image_file("image_urls", 1)]
    await bench.finish(await bench.submit(call(files=files, task="image-edit")))
    assert bench.studio.inputs == [[Path("inputs-image_urls-0"), Path("inputs-image_urls-1")]]
    assert bench.studio.open_now == set()


async def test_inputs_are_closed_when_drawing_fails(bench: Bench) -> None:
    operation = await bench.submit(call(files=[image_file()], task="image-edit"))
    bench.clock.advance(1)
    bench.studio.failure = DrawingFailed("the picture is broken")
    with pytest.raises(UpstreamError, match="the picture is broken") as failed:
        await bench.sandbox.check(operation, HTTP)
    assert failed.value.is_final


async def test_a_repeated_attempt_is_the_same_work_and_counted_once(bench: Bench) -> None:
    assert bench.sandbox.is_resubmit_safe
    first, second = [await bench.submit(call()) for _ in range(2)]
    assert first == second
    assert bench.ledger.paid_calls == ["call-attempt_1"]
    await bench.submit(call(attempt_id="attempt_2"))
    assert len(bench.ledger.paid_calls) == 2


async def test_what_cannot_be_drawn_is_rejected_uncounted(bench: Bench) -> None:
    asked = call({"duration": 10_000}, task="music", output=AUDIO_OUTPUT)
    refused = await bench.refusal(asked)
    assert refused.kind is UpstreamErrorKind.REJECTED_INPUT
    assert "at most 600" in refused.message
    assert bench.ledger.paid_calls == []


@pytest.mark.parametrize("kind", UpstreamErrorKind)
async def test_each_kind_of_refusal(bench: Bench, kind: UpstreamErrorKind) -> None:
    refused = await bench.refusal(call(rehearsal=f"fail={kind}"))
    assert (refused.kind, refused.is_final) == (kind, False)
    assert bench.ledger.paid_calls == []


@pytest.mark.parametrize("kind", UpstreamErrorKind)
async def test_each_kind_of_failure_after_acceptance(bench: Bench, kind: UpstreamErrorKind) -> None:
    operation = await bench.submit(call(rehearsal=f"fail-later={kind}"))
    assert isinstance(await bench.sandbox.check(operation, HTTP), Running)
    bench.clock.advance(1)
    with pytest.raises(UpstreamError) as failed:
        await bench.sandbox.check(operation, HTTP)
    assert (failed.value.kind, failed.value.is_final) == (kind, True)
    assert len(bench.ledger.paid_calls) == 1
    assert bench.studio.orders == []


async def test_moderation_refuses(bench: Bench) -> None:
    assert (await bench.refusal(call({"prompt": "a boat [sandbox: refuse]"}))).kind is UpstreamErrorKind.REFUSED_CONTENT


async def test_slow_takes_its_time(bench: Bench) -> None:
    operation = await bench.submit(call(rehearsal="slow=30"))
    bench.clock.advance(29)
    assert isinstance(await bench.sandbox.check(operation, HTTP), Running)
    bench.clock.advance(1)
    assert isinstance(await bench.sandbox.check(operation, HTTP), Finished)


async def test_a_node_whose_clock_is_behind_a_little_shows_no_progress_below_nothing(bench: Bench) -> None:
    operation = await bench.submit(call())
    bench.clock.set_back(timedelta(seconds=2))
    running = await bench.sandbox.check(operation, HTTP)
    assert isinstance(running, Running)
    assert running.progress == 0.0
    assert running.poll_after_seconds == pytest.approx(0.05)


async def test_a_clock_that_was_set_back_is_not_waited_for(bench: Bench) -> None:
    operation = await bench.submit(call())
    bench.clock.set_back(timedelta(hours=1))
    assert isinstance(await bench.sandbox.check(operation, HTTP), Finished)


async def test_hang_never_ends_but_can_be_cancelled(bench: Bench) -> None:
    operation = await bench.submit(call(rehearsal="hang"))
    bench.clock.advance(1_000_000)
    assert isinstance(await bench.sandbox.check(operation, HTTP), Running)
    assert operation.can_cancel
    assert await bench.sandbox.cancel(operation, HTTP) is CancelOutcome.CANCELED


async def test_cancelling_wins_while_it_runs_and_is_too_late_after(bench: Bench) -> None:
    operation = await bench.submit(call(rehearsal="slow=5"))
    assert await bench.sandbox.cancel(operation, HTTP) is CancelOutcome.CANCELED
    bench.clock.advance(5)
    assert await bench.sandbox.cancel(operation, HTTP) is CancelOutcome.TOO_LATE


async def test_twice_announces_the_end_twice(bench: Bench) -> None:
    await bench.finish(await bench.submit(call(rehearsal="twice", job_id="job_7")))
    assert bench.announced == ["job_7", "job_7"]


async def test_other_jobs_are_not_announced(bench: Bench) -> None:
    await bench.finish(await bench.submit(call()))
    assert bench.announced == []


async def test_a_lost_answer_is_found_by_the_same_attempt(bench: Bench) -> None:
    asked = call(rehearsal="lose-answer")
    assert (await bench.refusal(asked)).kind is UpstreamErrorKind.UNKNOWN
    operation = await bench.submit(asked)
    assert await bench.finish(operation)
    assert bench.ledger.paid_calls == ["call-attempt_1"]


async def test_an_answer_lost_for_good_stays_lost_and_is_one_call(bench: Bench) -> None:
    asked = call(rehearsal="unknown")
    for _ in range(3):
        assert (await bench.refusal(asked)).kind is UpstreamErrorKind.UNKNOWN
    assert bench.ledger.paid_calls == ["call-attempt_1"]


async def test_flaky_refuses_so_often_and_then_accepts(bench: Bench) -> None:
    for number in range(2):
        refused = await bench.refusal(call(rehearsal="flaky=2", attempt_id=f"attempt_{number}"))
        assert refused.kind is UpstreamErrorKind.UNAVAILABLE
    assert bench.ledger.paid_calls == []
    await bench.submit(call(rehearsal="flaky=2", attempt_id="attempt_3"))
    assert (await bench.refusal(call(rehearsal="flaky=2", job_id="job_2"))).kind is UpstreamErrorKind.UNAVAILABLE


async def test_a_broken_file_is_ordered_cut_short(bench: Bench) -> None:
    await bench.finish(await bench.submit(call(rehearsal="broken-file")))
    assert bench.studio.orders[0]["cut_short"] is True


async def test_wrong_type_answers_with_a_page(bench: Bench) -> None:
    finished = await bench.finish(await bench.submit(call({"num_outputs": 3}, rehearsal="wrong-type")))
    assert len(finished.outputs) == 3
    assert all(output.content and output.content.startswith(b"<!doctype html>") for output in finished.outputs)


async def test_a_header_that_is_not_understood_is_the_callers_mistake(bench: Bench) -> None:
    refused = await bench.refusal(call(rehearsal="explode"))
    assert refused.kind is UpstreamErrorKind.REJECTED_INPUT
    assert "it knows slow=SECONDS" in refused.message


async def test_two_workers_that_submit_one_attempt_at_once_are_one_call(bench: Bench) -> None:
    asked = call(files=[video_file()], task="video-edit", output=VIDEO_OUTPUT)
    first, second = await asyncio.gather(bench.sandbox.submit(asked, HTTP), bench.sandbox.submit(asked, HTTP))
    assert first == second
    assert len(bench.ledger.paid_calls) == 1
