"""Cancelling against everything else: exactly one side wins, and the winner decides the charge."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.unit.worker.workshop import Workshop, accepted, finished, open_workshop, picture, refused

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import Conflict
from pixeldojo.db.engine import Database
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.service import CancelResult
from pixeldojo.providers.contract import CancelOutcome, Finished, Operation, Running, UpstreamErrorKind


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


async def cancel(shop: Workshop, key: ApiKey, job_id: str) -> CancelResult:
    return (await shop.stores.jobs.cancel(key, job_id))[1]


async def test_a_job_that_no_upstream_has_seen_ends_at_once(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    assert await cancel(shop, key, job_id) == CancelResult.CANCELED
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    worker = shop.worker()
    await worker.take(job_id)
    assert (worker.job_count, shop.upstream.calls) == (0, [])


async def test_a_job_whose_inputs_are_being_gathered_ends_at_once(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, "edit", image_urls=[shop.fetcher.put("1.png", picture())])

    async def cancel_meanwhile() -> None:
        assert await cancel(shop, key, job_id) == CancelResult.CANCELED

    shop.media.before_next = cancel_meanwhile
    with pytest.raises(LeaseLost):
        await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert shop.upstream.calls == []


async def test_a_job_that_waits_for_a_busy_upstream_ends_at_once(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.OVER_LIMIT, later=30)]
    await worker.take(job_id)
    await shop.clock.until_sleeping()
    assert await cancel(shop, key, job_id) == CancelResult.CANCELED
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.calls) == 1


async def test_a_wish_while_the_upstream_is_called_is_acted_on_after_its_answer(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def cancel_meanwhile() -> Operation:
        assert await cancel(shop, key, job_id) == CancelResult.REQUESTED
        return accepted(can_cancel=True)

    shop.upstream.to_submit = [cancel_meanwhile]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert (len(shop.upstream.canceled), shop.upstream.checked) == (1, [])
    assert await shop.attempts(job_id) == [("sandbox", "canceled")]


async def test_a_wish_while_the_upstream_turns_us_away_ends_the_job(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def cancel_meanwhile() -> Operation:
        await cancel(shop, key, job_id)
        raise refused(UpstreamErrorKind.OVER_LIMIT)

    shop.upstream.to_submit = [cancel_meanwhile]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.calls) == 1


async def test_what_is_finished_at_once_was_too_late_to_cancel(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def cancel_meanwhile() -> Finished:
        await cancel(shop, key, job_id)
        return finished()

    shop.upstream.to_submit = [cancel_meanwhile]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


async def test_an_upstream_that_stops_in_time_costs_nothing(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(), Running()]
    await shop.carry(job_id, pauses=1)
    assert await cancel(shop, key, job_id) == CancelResult.REQUESTED
    await taken_over(shop, job_id)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.checked) == 1


@pytest.mark.parametrize(
    "to_cancel",
    [CancelOutcome.TOO_LATE, CancelOutcome.NOT_SUPPORTED, refused(UpstreamErrorKind.UNAVAILABLE)],
    ids=str,
)
async def test_an_upstream_that_does_not_stop_decides_the_charge(
    shop: Workshop, key: ApiKey, to_cancel: CancelOutcome | Exception
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running()]
    shop.upstream.to_cancel = [to_cancel]
    await shop.carry(job_id, pauses=1)
    await cancel(shop, key, job_id)
    await taken_over(shop, job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


async def test_an_upstream_that_could_not_be_reached_is_asked_to_stop_again(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(), Running()]
    shop.upstream.to_cancel = [refused(UpstreamErrorKind.UNAVAILABLE), CancelOutcome.CANCELED]
    await shop.carry(job_id, pauses=1)
    await cancel(shop, key, job_id)
    await taken_over(shop, job_id)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.canceled) == 2


async def test_where_nothing_can_be_cancelled_the_answer_says_so_and_the_outcome_decides(
    shop: Workshop, key: ApiKey
) -> None:
    shop.upstream.can_cancel = False
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running()]
    await shop.carry(job_id, pauses=1)
    assert await cancel(shop, key, job_id) == CancelResult.NOT_SUPPORTED
    await taken_over(shop, job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.upstream.canceled == []


async def test_a_job_that_has_ended_cannot_be_cancelled(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    await shop.carry(job_id)
    with pytest.raises(Conflict):
        await cancel(shop, key, job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


@pytest.mark.parametrize("round_number", range(3))
async def test_cancelling_and_completing_have_one_winner(shop: Workshop, key: ApiKey, round_number: int) -> None:
    """Both start from where the job has not been submitted, and run side by side."""
    ids = [await shop.submit(key) for _ in range(4)]
    shop.upstream.to_check = [Running(poll_after_seconds=0.02) for _ in range(round_number * 2)]
    worker = shop.worker()

    async def wish(job_id: str) -> CancelResult | None:
        try:
            return await cancel(shop, key, job_id)
        except Conflict:
            return None

    async def carry(job_id: str) -> None:
        await worker.take(job_id)

    results = (await asyncio.gather(*(carry(job_id) for job_id in ids), *(wish(job_id) for job_id in ids)))[4:]
    async with asyncio.timeout(10):
        while worker.job_count:
            shop.clock.advance(0.02)
            await shop.job(ids[0])
    cost = 0
    for job_id, result in zip(ids, results, strict=True):
        job = await shop.job(job_id)
        assert (job.status, job.error_code, job.cost) in {("failed", "canceled", 0), ("completed", None, 1500)}
        assert job.status == "failed" or result != CancelResult.CANCELED
        assert job.cost is not None
        cost += job.cost
    balance = await shop.stores.credits.balance(key.account_id, key.mode)
    assert (balance.captured, balance.held) == (cost, 0)
    assert await shop.stores.faults() == []


async def taken_over(shop: Workshop, job_id: str) -> None:
    """Let another worker find the job as its row stands, and carry it to its end."""
    shop.clock.advance(60)
    await shop.carry(job_id, "worker_2")
