"""The sweep: what no hint announced is found, what is over is ended, and no failure stops it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from obstore.store import MemoryStore
from taskiq import InMemoryBroker
from tests.stores import HOOK, Stores
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.receivers import many_due
from tests.unit.worker.workshop import TICK, Workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import BlobInfo, Blobs
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.job import HINT_GRACE
from pixeldojo.worker.sweep import Sweep

DAY = 24 * 3600
BATCH = 500
"""How many are announced at a time."""


async def ping() -> None:
    """The broker of this process is always there."""


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(InMemoryBroker, ping, is_in_process=True, waiting_hints_limit=3)
    yield engine
    await engine.close()


async def heard(shop: Workshop, kind: Hint) -> list[str]:
    """Return the hints of a kind that one sweep sends."""
    ids: list[str] = []

    async def note(subject_id: str) -> None:
        ids.append(subject_id)

    shop.stores.engine.handle(kind, note)
    await shop.sweep().run_once()
    await settled()
    return ids


async def settled() -> None:
    """Let hints that are on their way inside this process arrive."""
    for _ in range(20):
        await asyncio.sleep(0)


# Lost hints


async def test_a_job_whose_hint_was_lost_is_found_after_its_grace(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    assert await heard(shop, Hint.JOB) == []
    shop.clock.advance(HINT_GRACE.total_seconds())
    assert await heard(shop, Hint.JOB) == [job_id]


async def test_a_job_just_announced_is_left_alone_for_a_while(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.clock.advance(HINT_GRACE.total_seconds())
    assert await heard(shop, Hint.JOB) == [job_id]
    assert await heard(shop, Hint.JOB) == []
    shop.clock.advance(HINT_GRACE.total_seconds())
    assert await heard(shop, Hint.JOB) == [job_id]


async def test_a_webhook_whose_hint_was_lost_is_found(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    await shop.carry(job_id)
    [delivery] = (await shop.stores.webhooks.find_deliveries([job_id])).values()
    assert await heard(shop, Hint.DELIVERY) == [delivery.id]


async def test_a_webhook_that_waits_for_its_turn_is_announced_again_only_after_a_while(
    shop: Workshop, key: ApiKey
) -> None:
    """And those behind it are found meanwhile."""
    ids: list[str] = []

    async def note(delivery_id: str) -> None:
        ids.append(delivery_id)

    shop.stores.engine.handle(Hint.DELIVERY, note)
    await shop.stores.engine.start()
    await settled()
    due = await many_due(shop, key, [HOOK] * (BATCH + 3))
    ids.clear()
    sweep = shop.sweep()
    for expected in (BATCH, BATCH + 3, BATCH + 3):
        await sweep.announce_deliveries()
        await settled()
        assert (len(ids), set(ids) <= set(due)) == (expected, True)
    assert len(set(ids)) == BATCH + 3
    shop.clock.advance(5)
    await sweep.announce_deliveries()
    await settled()
    assert len(ids) == 2 * BATCH + 3


async def test_hints_beyond_the_bound_are_dropped_and_the_sweep_brings_the_jobs(
    shop: Workshop, key: ApiKey, engine: Engine
) -> None:
    shop.stores.engine = engine
    worker = shop.worker()
    ids = [await shop.submit(key) for _ in range(8)]
    announced: list[str] = []

    async def take(job_id: str) -> None:
        announced.append(job_id)
        await worker.take(job_id)

    engine.handle(Hint.JOB, take)
    await engine.start()
    await asyncio.gather(*(engine.announce(Hint.JOB, job_id) for job_id in ids))
    await settled()
    assert announced == ids[:3]
    sweeping = asyncio.create_task(shop.sweep().run_forever())
    for _ in range(10):
        await shop.clock.until_sleeping(4)
        shop.clock.advance(TICK)
        await settled()
    async with asyncio.timeout(10):
        while {(await shop.job(job_id)).status for job_id in ids} != {"completed"}:
            await shop.clock.until_sleeping(4)
            shop.clock.advance(TICK)
    assert len(shop.upstream.calls) == 8
    sweeping.cancel()


# What is over


async def test_jobs_whose_time_is_over_are_purged(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    await shop.carry(job_id)
    await shop.sweep().run_once()
    assert (await shop.job(job_id)).purged_at is None
    shop.clock.advance(DAY)
    await shop.sweep().run_once()
    assert (await shop.job(job_id)).purged_at == shop.clock.now()
    assert [blob async for blob in shop.stores.blobs.list_blobs(f"assets/{job_id}")] == []
    [delivery] = (await shop.stores.webhooks.find_deliveries([job_id])).values()
    assert (delivery.status, delivery.next_attempt_at) == ("failed", None)
    assert [entry["count"] for entry in shop.logged("expired jobs purged")] == [1]


async def test_files_of_no_job_are_looked_for_now_and_then(shop: Workshop, key: ApiKey) -> None:
    shop.clock.advance((datetime.now(UTC) - shop.clock.now()).total_seconds() + DAY)
    sweep = shop.sweep()
    blobs = shop.stores.blobs

    async def leave() -> None:
        await blobs.put("inputs/job_never_stored/inline-ab", b"left behind")

    async def is_there() -> bool:
        return [blob async for blob in blobs.list_blobs("inputs")] != []

    await leave()
    await sweep.delete_strays()
    assert await is_there()
    for pause in (601, 6 * 3_600):
        shop.clock.advance(pause)
        await sweep.delete_strays()
        assert not await is_there()
        await leave()
        await sweep.delete_strays()
        assert await is_there()
    assert [entry["jobs"] for entry in shop.logged("stray files deleted")] == [1, 1]


# Failures


async def test_a_sweep_that_fails_is_logged_and_the_next_one_tries_again(shop: Workshop, key: ApiKey) -> None:
    await shop.submit(key)
    announced = asyncio.Event()

    async def note(job_id: str) -> None:
        announced.set()

    shop.stores.engine.handle(Hint.JOB, note)
    shop.clock.advance(HINT_GRACE.total_seconds())
    shop.break_writes(*[Fault(away())] * 2)
    sweeping = asyncio.create_task(shop.sweep().run_forever())
    await shop.clock.until_sleeping(4)
    assert not announced.is_set()
    assert len(shop.logged("sweep failed")) >= 1
    shop.clock.advance(TICK)
    async with asyncio.timeout(10):
        await announced.wait()
    sweeping.cancel()


async def test_nothing_waits_for_deleting(shop: Workshop, key: ApiKey) -> None:
    """The media store hangs while an expired job's files are deleted: due jobs are announced all the same."""
    expired = await shop.submit(key)
    await shop.carry(expired)
    shop.clock.advance(DAY)
    due = await shop.submit(key)
    shop.clock.advance(HINT_GRACE.total_seconds())
    is_hanging, announced = asyncio.Event(), asyncio.Event()

    class HangingBlobs(Blobs):
        async def list_blobs(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
            is_hanging.set()
            await asyncio.Event().wait()
            yield await self.head(prefix)

    shop.stores = Stores(shop.stores.database, shop.clock, HangingBlobs(MemoryStore()), shop.stores.engine)

    async def note(job_id: str) -> None:
        assert job_id == due
        announced.set()

    shop.stores.engine.handle(Hint.JOB, note)
    sweeping = asyncio.create_task(shop.sweep().run_forever())
    async with asyncio.timeout(10):
        await is_hanging.wait()
        await announced.wait()
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


async def test_a_sweep_ends_when_it_is_cancelled(shop: Workshop) -> None:
    sweep: Sweep = shop.sweep()
    sweeping = asyncio.create_task(sweep.run_forever())
    await shop.clock.until_sleeping(4)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    assert shop.clock.sleeper_count == 0
