"""A worker that stops, between a real broker and another worker: what it had, and what it was about to get, goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.stores import Stores
from tests.unit.worker.faulty import FaultyDatabase
from tests.unit.worker.receivers import ScriptedReceivers, deliverer
from tests.unit.worker.workshop import Workshop, made_up_catalog

from pixeldojo.blobs import open_blobs
from pixeldojo.db.engine import open_database
from pixeldojo.engine import Hint, open_engine
from pixeldojo.providers.contract import Running
from pixeldojo.worker.team import WorkerTeam

SOON_SECONDS = 4
"""Less than the broker's client waits for a hint that is being taken in."""


@pytest.fixture
async def shop(sqlite_address: str, valkey_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    database, engine = open_database(sqlite_address), open_engine(valkey_address)
    blobs = open_blobs("memory://", scratch=tmp_path)
    yield Workshop(Stores(FaultyDatabase(database), clock, blobs, engine), made_up_catalog(), tmp_path / "scratch")
    await engine.close()
    await database.close()


async def test_a_full_worker_gives_everything_back_at_once(shop: Workshop, valkey_address: str) -> None:
    """Also while a hint waits for one of its slots, and that hint is heard by another worker."""
    key = await shop.key()
    worker = shop.worker(max_jobs=1)
    hints: asyncio.Queue[str] = asyncio.Queue()
    heard_elsewhere: asyncio.Queue[str] = asyncio.Queue()

    async def take(job_id: str) -> None:
        hints.put_nowait(job_id)
        await worker.take(job_id)

    engine = shop.stores.engine
    engine.handle(Hint.JOB, take)
    team = WorkerTeam(
        worker=worker,
        deliverer=deliverer(shop, ScriptedReceivers(shop)),
        sweep=shop.sweep(),
        engine=engine,
        claims=shop.stores.claims,
        webhooks=shop.stores.webhooks,
        pool=shop.media,
    )
    await engine.start()
    team.start()
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    in_hand = await shop.submit(key)
    assert await hints.get() == in_hand
    # The sweep, the leases and the job's own pause.
    await shop.clock.until_sleeping(7)
    waiting = await shop.submit(key)
    assert await hints.get() == waiting

    other = open_engine(valkey_address)
    other.handle(Hint.JOB, heard_elsewhere.put)
    async with asyncio.timeout(SOON_SECONDS):
        await team.stop(60)
    assert (await shop.job(in_hand)).lease_owner is None
    await other.start()
    async with asyncio.timeout(20):
        assert await heard_elsewhere.get() == waiting
    await other.close()
