"""Cancelling meets completing wherever they can meet, on both databases: one wins, and decides the charge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import HOOK
from tests.unit.worker.workshop import Workshop, open_workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import Conflict
from pixeldojo.db.engine import Database
from pixeldojo.db.tables import deliveries, settlements
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.service import CancelResult
from pixeldojo.jobs.states import Step

AT_ONCE = 12
WRITES = 5
"""Of a worker, from its claim to the end of a plain job."""


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


async def cancel(shop: Workshop, key: ApiKey, job_id: str) -> CancelResult | None:
    """Wish it; return what came of it, None where the job had ended."""
    try:
        return (await shop.stores.jobs.cancel(key, job_id))[1]
    except Conflict:
        return None


@pytest.mark.parametrize("number", range(WRITES))
async def test_a_wish_after_each_write_of_the_worker_has_one_outcome(shop: Workshop, key: ApiKey, number: int) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    results: list[CancelResult | None] = []
    left = number

    async def wish_when_it_is_time() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            shop.database.after_write = wish_when_it_is_time
        else:
            results.append(await cancel(shop, key, job_id))

    shop.database.after_write = wish_when_it_is_time
    with suppress(LeaseLost):
        await shop.carry(job_id)
    [result] = results
    status, code, cost = await shop.ending(key, job_id)
    # Once an upstream has it, a wish is a question; the workshop's upstream stops when it is asked in time.
    is_stopped = len(shop.upstream.canceled) == 1
    match result:
        case CancelResult.CANCELED:
            assert (status, code, cost, shop.upstream.calls) == ("failed", "canceled", 0, [])
        case CancelResult.REQUESTED if is_stopped:
            assert (status, code, cost) == ("failed", "canceled", 0)
        case _:
            assert (status, code, cost) == ("completed", None, 1500)
    assert (result is None) == (number == WRITES - 1), "the last write is the end"
    assert await shop.stores.count(settlements) == await shop.stores.count(deliveries) == 1


async def test_a_job_that_completes_between_a_wishs_look_and_its_write_stays_completed(
    shop: Workshop, key: ApiKey
) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    shop.database.after_read = lambda: shop.carry(job_id)
    assert await cancel(shop, key, job_id) is None
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert await shop.stores.count(settlements) == await shop.stores.count(deliveries) == 1


async def test_wishes_and_ends_side_by_side_settle_each_job_once(shop: Workshop, key: ApiKey) -> None:
    stores = shop.stores
    jobs = [await stores.at(key, Step.COLLECT, webhook_url=HOOK) for _ in range(AT_ONCE)]
    both = [(cancel(shop, key, job.id), stores.claims.complete(job, [stores.asset(job)], 1_000)) for job in jobs]
    # Each begins half of the time.
    found = await asyncio.gather(*(one for number, pair in enumerate(both) for one in pair[:: 1 if number % 2 else -1]))
    assert CancelResult.CANCELED not in found
    for job in jobs:
        ended = await stores.jobs.get(key, job.id)
        assert (ended.status, ended.cost) == ("completed", 1_000)
    assert await stores.count(settlements) == await stores.count(deliveries) == AT_ONCE
    balance = await stores.credits.balance(key.account_id, key.mode)
    assert (balance.captured, balance.held) == (AT_ONCE * 1_000, 0)
    assert await stores.faults() == []
