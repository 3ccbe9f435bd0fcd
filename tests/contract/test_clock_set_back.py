"""The clock is set back by an hour: nothing is called or charged twice, nothing is lost, at worst it comes later.

Leases and due times are moments, so what was due after the old time waits until the clock has caught up.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import LEASE_SECONDS
from tests.unit.worker.workshop import Workshop, open_workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import Database
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import Running

HOUR = timedelta(hours=1)


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


async def test_a_worker_goes_on_with_the_job_it_has(shop: Workshop, key: ApiKey, clock: FakeClock) -> None:
    shop.upstream.to_check = [Running(poll_after_seconds=3.0)]
    worker = shop.worker()
    job_id = await shop.submit(key)
    async with shop.running(worker):
        await worker.take(job_id)
        await clock.until_sleeping(5)
        clock.set_back(HOUR)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_dead_workers_job_is_taken_over_once_the_clock_has_caught_up(
    shop: Workshop, key: ApiKey, clock: FakeClock
) -> None:
    shop.upstream.to_check = [Running(poll_after_seconds=20.0)]
    job_id = await shop.submit(key)
    await shop.carry(job_id, "worker_dead", pauses=1)
    clock.set_back(HOUR)
    clock.advance(LEASE_SECONDS + 1)
    claims = shop.stores.claims
    assert await claims.claim(job_id, "worker_2", LEASE_SECONDS) is None, "by the clock its lease still runs"
    assert await claims.due(10) == []
    clock.advance(HOUR.total_seconds())
    assert await claims.due(10) == [job_id]
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_worker_of_before_is_kept_out_by_its_fence_whatever_the_time(
    shop: Workshop, key: ApiKey, clock: FakeClock
) -> None:
    """Set back after another took over, the old lease is valid by the clock again; fences do not ask the clock."""
    shop.upstream.to_check = [Running(poll_after_seconds=20.0)]
    job_id = await shop.submit(key)
    old = await shop.carry(job_id, "worker_old", pauses=1)
    clock.advance(LEASE_SECONDS + 1)
    await shop.carry(job_id, "worker_new")
    clock.set_back(timedelta(seconds=LEASE_SECONDS + 1))
    ended = await shop.job(job_id)
    assert ended.step == Step.ENDED
    assert ended.fence > old.fence
    assert await shop.stores.claims.claim(job_id, "worker_old", LEASE_SECONDS) is None
    assert await shop.stores.claims.renew_leases("worker_old", LEASE_SECONDS) == {}
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_new_job_is_accepted_carried_and_charged_once(shop: Workshop, key: ApiKey, clock: FakeClock) -> None:
    worker = shop.worker()
    clock.set_back(HOUR)
    async with shop.running(worker):
        job_id = await shop.submit(key)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1
