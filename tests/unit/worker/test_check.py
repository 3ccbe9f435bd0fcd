"""Asking an upstream how it goes: how often, for how long, and what each answer leads to."""

import asyncio
from typing import NoReturn

import pytest
from tests.unit.worker.faulty import Crash
from tests.unit.worker.workshop import ScriptedProvider, Workshop, finished, refused

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.providers.contract import CancelOutcome, Running, UpstreamErrorKind

KINDS = list(UpstreamErrorKind)


async def test_progress_is_kept_and_silence_does_not_undo_it(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    seen = []

    async def look() -> Running:
        seen.append((await shop.job(job_id)).progress)
        return Running(None)

    shop.upstream.to_check = [Running(0.25), look, refused(UpstreamErrorKind.UNAVAILABLE), look, Running(0.5), look]
    await shop.carry(job_id)
    assert seen == [0.25, 0.25, 0.5]
    assert (await shop.job(job_id)).progress == 1.0


async def test_the_upstream_says_when_to_look_again_within_bounds(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=seconds) for seconds in (5.0, 0.0, -1.0, 0.001, 3600.0, 0.3)]
    await shop.carry(job_id)
    assert shop.pauses == [5.0, 0.02, 0.02, 0.02, 30.0, 0.3]


async def test_the_last_look_comes_at_the_deadline(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, timeout_seconds=40)
    shop.upstream.to_check = [Running(poll_after_seconds=25.0) for _ in range(9)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert shop.pauses == [25.0, 15.0]


async def test_a_look_that_brings_nothing_new_writes_nothing(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    writes = []

    async def look() -> Running:
        writes.append(shop.database.write_count)
        return Running(0.5)

    trouble = refused(UpstreamErrorKind.UNAVAILABLE)
    shop.upstream.to_check = [Running(0.5), look, look, trouble, look]
    await shop.carry(job_id)
    assert writes[0] == writes[1] == writes[2]


# Trouble while asking


@pytest.mark.parametrize("kind", KINDS)
async def test_trouble_while_asking_is_waited_out(shop: Workshop, key: ApiKey, kind: UpstreamErrorKind) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [refused(kind) for _ in range(9)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "finished")]


async def test_an_answer_ends_the_trouble(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    trouble = refused(UpstreamErrorKind.UNAVAILABLE)
    shop.upstream.to_check = [trouble, trouble, Running(poll_after_seconds=3.0), trouble]
    await shop.carry(job_id)
    assert shop.pauses == [1.0, 2.0, 3.0, 1.0]


async def test_the_pause_an_upstream_asks_for_is_kept(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    busy = UpstreamErrorKind.OVER_LIMIT
    shop.upstream.to_check = [refused(busy, later=12.0), refused(busy, later=0.1), refused(busy, later=999.0)]
    await shop.carry(job_id)
    assert shop.pauses == [12.0, 2.0, 30.0]


async def test_trouble_that_lasts_to_the_deadline_times_out(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, timeout_seconds=60)
    shop.upstream.to_check = [refused(UpstreamErrorKind.UNAVAILABLE) for _ in range(50)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert len(shop.upstream.canceled) == 1
    assert await shop.attempts(job_id) == [("sandbox", "timeout")]


# The end


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UpstreamErrorKind.REJECTED_INPUT, "invalid_input"),
        (UpstreamErrorKind.REFUSED_CONTENT, "content_rejected"),
        (UpstreamErrorKind.OVER_LIMIT, "upstream_error"),
        (UpstreamErrorKind.UNAUTHORIZED, "upstream_error"),
        (UpstreamErrorKind.UNAVAILABLE, "upstream_error"),
        (UpstreamErrorKind.UNKNOWN, "upstream_error"),
    ],
)
async def test_work_that_failed_upstream_fails_the_job(
    shop: Workshop, key: ApiKey, kind: UpstreamErrorKind, code: str
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(), refused(kind, is_final=True)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", code, 0)
    assert (await shop.job(job_id)).error_message == f"because: {kind}"
    assert (len(shop.upstream.calls), len(shop.upstream.checked)) == (1, 2)
    assert await shop.attempts(job_id) == [("sandbox", code)]


@pytest.mark.parametrize(
    "to_cancel", [CancelOutcome.CANCELED, CancelOutcome.TOO_LATE, refused(UpstreamErrorKind.UNAVAILABLE)], ids=str
)
async def test_at_the_deadline_the_upstream_is_asked_to_stop(
    shop: Workshop, key: ApiKey, to_cancel: CancelOutcome | Exception
) -> None:
    job_id = await shop.submit(key, timeout_seconds=10)
    shop.upstream.to_check = [Running(poll_after_seconds=10.0), Running()]
    shop.upstream.to_cancel = [to_cancel]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert shop.upstream.canceled == shop.upstream.checked[:1]


async def _hang() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def test_an_upstream_that_does_not_answer_past_the_deadline_ends_the_job(shop: Workshop, key: ApiKey) -> None:
    shop.least_check_seconds = 0.02
    job_id = await shop.submit(key, timeout_seconds=0.01)
    shop.upstream.to_check = [_hang]
    async with asyncio.timeout(10):
        await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert len(shop.upstream.canceled) == 1
    assert await shop.attempts(job_id) == [("sandbox", "timeout")]


async def test_a_time_that_ran_out_inside_an_adapter_is_not_the_jobs_deadline(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [TimeoutError(), TimeoutError("the service's own")]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert (shop.pauses, shop.upstream.canceled) == ([1.0, 2.0], [])


async def test_an_upstream_that_does_not_answer_when_told_to_stop_holds_up_nothing(shop: Workshop, key: ApiKey) -> None:
    shop.least_check_seconds = 0.02
    job_id = await shop.submit(key, timeout_seconds=0.01)
    shop.upstream.to_check = [_hang]
    shop.upstream.to_cancel = [_hang]
    async with asyncio.timeout(10):
        await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    [warning] = [line for line in shop.captured.entries if line["event"] == "upstream cancel failed"]
    assert warning["why"] == "no answer in time"


async def test_an_upstream_that_cannot_cancel_is_not_asked_to(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.can_cancel = False
    job_id = await shop.submit(key, timeout_seconds=10)
    shop.upstream.to_check = [Running(poll_after_seconds=10.0), Running()]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert shop.upstream.canceled == []


async def test_what_is_finished_when_the_deadline_is_looked_at_counts(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, timeout_seconds=10)
    shop.upstream.to_check = [Running(poll_after_seconds=10.0), finished()]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


async def test_an_upstream_that_is_no_longer_set_up_ends_its_jobs(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Crash()]
    await shop.crashed(job_id)
    shop.set_up(ScriptedProvider("other"))
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unavailable", 0)
    assert "'sandbox'" in ((await shop.job(job_id)).error_message or "")


async def test_another_worker_goes_on_asking_with_the_same_handle(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(0.5), Crash()]
    await shop.crashed(job_id)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1
    [first, *others] = shop.upstream.checked
    assert all(other == first for other in others)


async def test_a_worker_that_lost_the_job_while_asking_cannot_end_it(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def another_ends_it() -> Running:
        shop.clock.advance(60)
        theirs = await shop.stores.claim(job_id, "worker_2")
        await shop.stores.claims.fail(theirs, JobFailure(JobFailureCode.TIMEOUT, "late"))
        raise refused(UpstreamErrorKind.REFUSED_CONTENT, is_final=True)

    shop.upstream.to_check = [another_ends_it]
    with pytest.raises(LeaseLost):
        await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
