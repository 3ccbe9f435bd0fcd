"""A call from an upstream is never slept through, whenever it comes and although no news reaches the worker.

The call is taken in by another process, of which this worker hears nothing but what stands in the row.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import Stores
from tests.unit.worker.workshop import TICK, Workshop, open_workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import Database
from pixeldojo.engine import Hint
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import Operation, Running


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


@pytest.fixture
async def elsewhere(database: Database, clock: FakeClock) -> AsyncIterator[Stores]:
    """The other process."""
    other = Stores(database, clock)
    yield other
    await other.engine.close()


async def run_until_put_aside(shop: Workshop, key: ApiKey, point: str, call: Callable[[str], Awaitable[object]]) -> str:
    """Let the upstream call at that point; return the job's id once the worker has it no longer. No time passes."""
    job_id = await shop.submit(key)

    async def now() -> None:
        await call(job_id)

    async def next_write() -> None:
        shop.database.after_write = now

    async def accept() -> Operation:
        match point:
            case "before the answer":
                await now()
            case "when the answer was written":
                shop.database.after_write = now
            case "when the job was put aside":
                shop.database.after_write = next_write
        return Operation("up_1", calls_back=True)

    shop.upstream.to_submit = [accept]
    worker = shop.worker()
    shop.stores.engine.handle(Hint.JOB, worker.take)
    await worker.take(job_id)
    await shop.until_dropped(worker)
    return job_id


async def has_ended(shop: Workshop, key: ApiKey, job_id: str) -> bool:
    """Whether the job is completed; either way the upstream was asked at most once for what it was paid once."""
    assert len(shop.upstream.calls) == 1
    assert len(shop.upstream.checked) <= 1
    return await shop.ending(key, job_id) == ("completed", None, 1500)


@pytest.mark.parametrize("point", ["before the answer", "when the answer was written"])
async def test_a_call_before_the_job_is_put_aside_is_found_in_the_row(
    shop: Workshop, key: ApiKey, elsewhere: Stores, point: str
) -> None:
    job_id = await run_until_put_aside(shop, key, point, elsewhere.claims.call_for)
    assert await has_ended(shop, key, job_id)


@pytest.mark.parametrize("point", ["when the job was put aside", "later"])
async def test_a_call_after_that_makes_the_job_due_at_once(
    shop: Workshop, key: ApiKey, elsewhere: Stores, point: str
) -> None:
    job_id = await run_until_put_aside(shop, key, point, elsewhere.claims.call_for)
    assert not await has_ended(shop, key, job_id)
    if point == "later":
        assert await elsewhere.claims.due(10) == []
        await elsewhere.claims.call_for(job_id)
    assert await elsewhere.claims.due(10) == [job_id]
    await shop.carry(job_id, "worker_2")
    assert await has_ended(shop, key, job_id)


@pytest.mark.parametrize("way", ["news", "a hint"])
async def test_a_call_that_is_heard_while_the_job_is_still_in_hand_needs_no_sweep(
    shop: Workshop, key: ApiKey, way: str
) -> None:
    async def call(job_id: str) -> None:
        await shop.stores.claims.call_for(job_id)
        if way == "news":
            shop.stores.engine.notify(job_id)
        else:
            await shop.stores.engine.announce(Hint.JOB, job_id)
            await asyncio.sleep(0)

    job_id = await run_until_put_aside(shop, key, "when the job was put aside", call)
    assert await has_ended(shop, key, job_id)


async def test_a_wish_to_cancel_that_comes_just_then_is_found_too(
    shop: Workshop, key: ApiKey, elsewhere: Stores
) -> None:
    async def cancel(job_id: str) -> None:
        await elsewhere.jobs.cancel(key, job_id)

    job_id = await shop.submit(key)

    async def accept() -> Operation:
        shop.database.after_write = lambda: cancel(job_id)
        return Operation("up_1", can_cancel=True, calls_back=True)

    shop.upstream.to_submit = [accept]
    worker = shop.worker()
    await worker.take(job_id)
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)


async def test_a_call_that_was_not_the_end_does_not_keep_the_job_from_being_put_aside(
    shop: Workshop, key: ApiKey, elsewhere: Stores
) -> None:
    job_id = await shop.submit(key)

    async def accept() -> Operation:
        await elsewhere.claims.call_for(job_id)
        return Operation("up_1", calls_back=True)

    shop.upstream.to_submit = [accept]
    shop.upstream.to_check = [Running(), Running()]
    worker = shop.worker()
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.clock.until_sleeping(7)
        await shop.pass_time(TICK)
        await shop.until_dropped(worker)
        job = await shop.job(job_id)
    assert (job.step, job.lease_owner, len(shop.upstream.checked)) == (Step.CHECK, None, 2)
    assert (job.next_step_at - shop.clock.now()).total_seconds() > 60


async def test_renewing_a_lease_keeps_the_call(shop: Workshop, key: ApiKey, elsewhere: Stores) -> None:
    job = await shop.stores.at(key, Step.CHECK)
    await elsewhere.claims.call_for(job.id)
    shop.clock.advance(TICK)
    await shop.stores.claims.renew_leases("worker_1", 15.0)
    assert not await shop.stores.claims.park_unless_called(job, 300)
    assert await shop.stores.claims.park_unless_called(job, 300)
