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


async def run_to_the_end(shop: Workshop, key: ApiKey, point: str, call: Callable[[str], Awaitable[object]]) -> float:
    """Let the upstream call at that point; return how many seconds passed until the job was done."""
    started = shop.clock.monotonic()
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
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.until_dropped(worker)
        if point == "later":
            await now()
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert (len(shop.upstream.calls), len(shop.upstream.checked)) == (1, 1)
    return shop.clock.monotonic() - started


@pytest.mark.parametrize("point", ["before the answer", "when the answer was written"])
async def test_a_call_before_the_job_is_put_aside_is_found_in_the_row(
    shop: Workshop, key: ApiKey, elsewhere: Stores, point: str
) -> None:
    assert await run_to_the_end(shop, key, point, elsewhere.claims.call_for) == 0


@pytest.mark.parametrize("point", ["when the job was put aside", "later"])
async def test_a_call_after_that_is_found_by_the_next_sweep(
    shop: Workshop, key: ApiKey, elsewhere: Stores, point: str
) -> None:
    # The sweep finds it at the first tick; that it has ended is seen at the next.
    assert await run_to_the_end(shop, key, point, elsewhere.claims.call_for) <= 2 * TICK


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

    assert await run_to_the_end(shop, key, "when the job was put aside", call) == 0


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
