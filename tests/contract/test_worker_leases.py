"""Several workers on one database: each job is carried by one, and whoever lost a job changes nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import LEASE_SECONDS
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.workshop import GRANTED, Workshop, accepted, finished, open_workshop, refused

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import Database
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import Finished, Operation, Running, UpstreamErrorKind


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


async def test_of_many_workers_that_hear_of_a_job_one_carries_it(shop: Workshop, key: ApiKey) -> None:
    workers = [shop.worker(f"worker_{number}") for number in range(4)]
    ids = [await shop.submit(key) for _ in range(6)]
    await asyncio.gather(*(worker.take(job_id) for job_id in ids for worker in workers))
    for worker in workers:
        await shop.until_dropped(worker)
    assert sorted(call.job_id for call in shop.upstream.calls) == sorted(ids)
    assert [(await shop.job(job_id)).status for job_id in ids] == ["completed"] * 6
    balance = await shop.stores.credits.balance(key.account_id, key.mode)
    assert (balance.captured, balance.held, balance.available) == (6 * 1500, 0, GRANTED - 6 * 1500)


@pytest.mark.parametrize("answer", ["accepted", "finished", "refused", "busy", "lost"])
async def test_a_worker_that_was_paused_in_a_call_cannot_use_its_answer(
    shop: Workshop, key: ApiKey, answer: str
) -> None:
    """It slept past its lease; another has found the job, and ended it, since nobody could know."""
    is_reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def pause() -> Operation | Finished:
        is_reached.set()
        await may_go_on.wait()
        match answer:
            case "accepted":
                return accepted()
            case "finished":
                return finished()
            case "refused":
                raise refused(UpstreamErrorKind.REFUSED_CONTENT)
            case "busy":
                raise refused(UpstreamErrorKind.OVER_LIMIT)
            case _:
                raise refused(UpstreamErrorKind.UNKNOWN)

    shop.upstream.to_submit = [pause]
    paused, other = shop.worker("worker_1"), shop.worker("worker_2")
    job_id = await shop.submit(key)
    await paused.take(job_id)
    await is_reached.wait()
    shop.clock.advance(LEASE_SECONDS + 1)
    await other.take(job_id)
    await shop.until_dropped(other)
    before = await shop.job(job_id)
    may_go_on.set()
    await shop.until_dropped(paused)
    assert await shop.job(job_id) == before
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert (len(shop.upstream.calls), await shop.assets(job_id)) == (1, [])


async def test_a_worker_that_was_paused_while_waiting_drops_the_job_at_its_next_look(
    shop: Workshop, key: ApiKey
) -> None:
    shop.upstream.to_check = [Running(poll_after_seconds=30.0) for _ in range(3)]
    paused, other = shop.worker("worker_1"), shop.worker("worker_2")
    job_id = await shop.submit(key)
    await paused.take(job_id)
    await shop.clock.until_sleeping()
    shop.clock.advance(LEASE_SECONDS + 1)
    await other.take(job_id)
    await shop.clock.until_sleeping(2)
    keeping = asyncio.create_task(paused.keep_leases())
    await shop.clock.until_sleeping(3)
    shop.clock.advance(LEASE_SECONDS / 3)
    await shop.until_dropped(paused)
    assert (other.job_count, (await shop.job(job_id)).lease_owner) == (1, "worker_2")
    keeping.cancel()
    await other.stop(0)


async def test_a_worker_that_was_paused_but_not_replaced_goes_on(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=20.0)]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.clock.until_sleeping(7)
        shop.clock.advance(LEASE_SECONDS + 100)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_jobs_of_a_dead_worker_are_taken_over_when_its_leases_run_out(shop: Workshop, key: ApiKey) -> None:
    dead = await shop.submit(key)
    await shop.stores.claim(dead, "worker_dead")
    worker = shop.worker()
    async with shop.running(worker):
        await shop.pass_time(10)
        assert (await shop.job(dead)).lease_owner == "worker_dead"
        await shop.until_ended(dead)
    assert await shop.ending(key, dead) == ("completed", None, 1500)


async def test_a_job_that_was_claimed_without_our_hearing_of_it_is_given_back(shop: Workshop, key: ApiKey) -> None:
    """The claim was committed and its answer lost: the lease is ours, and nobody here carries the job."""
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.break_writes(Fault(away(), is_kept=True))
    with pytest.raises(Exception, match="closed the connection"):
        await worker.take(job_id)
    assert (await shop.job(job_id)).lease_owner == "worker_1"
    async with shop.running(worker):
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_job_whose_claim_is_just_being_heard_of_is_no_stray(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    is_claimed, may_hear = asyncio.Event(), asyncio.Event()

    async def dawdle() -> None:
        is_claimed.set()
        await may_hear.wait()

    shop.database.after_write = dawdle
    taking = asyncio.create_task(worker.take(job_id))
    keeping = asyncio.create_task(worker.keep_leases())
    await is_claimed.wait()
    await shop.clock.until_sleeping()
    shop.clock.advance(LEASE_SECONDS / 3)
    await shop.clock.until_sleeping()
    assert (await shop.job(job_id)).lease_owner == "worker_1"
    may_hear.set()
    await taking
    await shop.clock.until_sleeping(2)
    assert (worker.job_count, (await shop.job(job_id)).step) == (1, Step.CHECK)
    keeping.cancel()
    await worker.stop(0)
    assert (await shop.job(job_id)).lease_owner is None
