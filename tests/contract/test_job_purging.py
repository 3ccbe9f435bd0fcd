"""What is deleted when a job's time is over, and what stays, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Final

import pytest
from sqlalchemy import select
from tests.stores import HOOK, RETENTION, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.assets.service import assets_folder, inline_blob_key
from pixeldojo.blobs import BlobInfo, BlobMissing, Blobs, BlobsUnavailable
from pixeldojo.core.errors import Expired, JobFailure, JobFailureCode
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.credits.store import Balance
from pixeldojo.db.tables import deliveries, jobs, settlements
from pixeldojo.jobs import ending
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step
from pixeldojo.worker.sandbox_upstream import SandboxLedger

FAILURE: Final = JobFailure(JobFailureCode.CONTENT_REJECTED, "The upstream's filter refused it.")
GRANTED: Final = 10_000
QUOTED: Final = 3_000


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=GRANTED)


async def balance(stores: Stores, key: ApiKey) -> Balance:
    assert await stores.faults() == []
    return await stores.credits.balance(key.account_id, "test")


async def purged(stores: Stores, key: ApiKey) -> Job:
    """Return a job whose time has come and whose things were deleted."""
    job = await stores.at(key, Step.COLLECT, webhook_url=HOOK, inline_files={"ab": b"picture"})
    file = stores.asset(job)
    await stores.blobs.put(file.blob_key, b"png")
    job = await stores.claims.complete(job, [file], 1_000)
    stores.clock.advance(RETENTION.total_seconds())
    assert await stores.ending.purge_expired(10) == 1
    return job


async def test_a_job_is_there_until_its_time_is_over(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.ENDED)
    stores.clock.advance(RETENTION.total_seconds() - 1)

    assert await stores.ending.purge_expired(10) == 0
    assert (await stores.jobs.get(key, job.id)).input == job.input
    stores.clock.advance(1)

    with pytest.raises(Expired):
        await stores.jobs.get(key, job.id)
    assert await stores.ending.purge_expired(10) == 1
    assert await stores.ending.purge_expired(10) == 0
    with pytest.raises(Expired):
        await stores.jobs.get(key, job.id)


async def test_a_running_job_never_expires(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.CHECK)
    stores.clock.advance(RETENTION.total_seconds() * 3)

    assert await stores.ending.purge_expired(10) == 0
    assert (await stores.jobs.get(key, job.id)).id == job.id


async def test_purging_deletes_files_inputs_and_whatever_repeats_them(stores: Stores, key: ApiKey) -> None:
    job = await purged(stores, key)

    for blob_key in (stores.asset(job).blob_key, inline_blob_key(job.id, "ab")):
        with pytest.raises(BlobMissing):
            await stores.blobs.head(blob_key)
    async with stores.database.read() as connection:
        row = (await connection.execute(select(jobs))).one()
        bodies = (await connection.execute(select(deliveries.c.body))).scalars().all()
    assert (row.input, row.input_files, row.operation, row.webhook_url) == (None, None, None, None)
    assert "lantern" not in str(row)
    assert bodies == [""]
    assert all(asset.is_deleted for asset in (await stores.assets.list_assets([job.id]))[job.id])


async def test_the_sandbox_s_books_end_with_the_job(stores: Stores, key: ApiKey) -> None:
    ledger = SandboxLedger(stores.blobs)
    job = await stores.at(key, Step.CHECK)
    assert await ledger.record(job.id, "call-attempt_1", b"{}")
    assert await ledger.record(job.id, "refusal-1", b"attempt_1")
    assert not await ledger.record(job.id, "refusal-1", b"attempt_2")
    await stores.claims.fail(job, FAILURE)
    assert len([blob async for blob in stores.blobs.list_blobs("sandbox")]) == 2
    stores.clock.advance(RETENTION.total_seconds())

    assert await stores.ending.purge_expired(10) == 1

    assert [blob.key async for blob in stores.blobs.list_blobs("sandbox")] == []


async def test_purging_ends_the_webhook_and_keeps_the_ledger(stores: Stores, key: ApiKey) -> None:
    job = await purged(stores, key)

    delivery = (await stores.webhooks.find_deliveries([job.id]))[job.id]
    assert (delivery.status, delivery.next_attempt_at) == ("failed", None)
    assert await stores.webhooks.due(10) == []
    assert await stores.count(settlements) == 1
    assert await balance(stores, key) == Balance(9_000, captured=1_000, granted=GRANTED)


async def test_purging_takes_no_more_than_asked_for_the_oldest_first(stores: Stores, key: ApiKey) -> None:
    for _ in range(3):
        await stores.at(key, Step.ENDED)
        stores.clock.advance(1)
    stores.clock.advance(RETENTION.total_seconds())

    assert [await stores.ending.purge_expired(2) for _ in range(3)] == [2, 1, 0]


class _Away(Blobs):
    """A media store that does not answer."""

    def __init__(self) -> None: ...

    def list_blobs(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        raise BlobsUnavailable(prefix)


async def test_when_files_cannot_be_deleted_the_job_is_purged_the_next_time(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.ENDED)
    stores.clock.advance(RETENTION.total_seconds())

    with pytest.raises(BlobsUnavailable):
        await Stores(stores.database, stores.clock, _Away(), stores.engine).ending.purge_expired(10)

    assert await stores.ending.purge_expired(10) == 1
    assert (await stores.assets.list_assets([job.id]))[job.id][0].is_deleted


class _Sticky(Blobs):
    """A media store that deletes nothing of one job."""

    def __init__(self, blobs: Blobs, job_id: str) -> None:
        self._blobs = blobs
        self._job_id = job_id
        self.most_at_once = 0
        self._at_once = 0

    async def list_blobs(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        async for blob in self._blobs.list_blobs(prefix):
            yield blob

    async def delete(self, keys: Iterable[str]) -> None:
        wanted = [*keys]
        if any(self._job_id in key for key in wanted):
            raise BlobsUnavailable("not allowed")
        await self._blobs.delete(wanted)


async def test_a_job_whose_files_cannot_be_deleted_holds_up_no_other(stores: Stores, key: ApiKey) -> None:
    ended = [await stores.at(key, Step.COLLECT, quoted=10, inline_files={"ab": b"picture"}) for _ in range(20)]
    for job in ended:
        await stores.claims.fail(job, FAILURE)
    stores.clock.advance(RETENTION.total_seconds())
    blobs = _Sticky(stores.blobs, ended[0].id)

    for _ in range(2):
        with pytest.raises(BlobsUnavailable, match="not allowed"):
            await Stores(stores.database, stores.clock, blobs, stores.engine).ending.purge_expired(50)

    assert await stores.count(jobs, jobs.c.purged_at.is_(None)) == 1
    assert [blob.key async for blob in stores.blobs.list_blobs()] == [inline_blob_key(ended[0].id, "ab")]
    assert 1 < blobs.most_at_once <= 16, "a store far away is asked for several jobs at a time, and not for all"
    assert await stores.ending.purge_expired(50) == 1


# Strays


async def until_files_are_old(stores: Stores) -> None:
    """Files bear the time of the machine, not of the test's clock."""
    stores.clock.advance((datetime.now(UTC) - stores.clock.now()).total_seconds() + 3 * 3_600)


async def test_files_without_a_job_are_deleted_once_they_are_old(stores: Stores, key: ApiKey) -> None:
    kept = await stores.at(key, Step.CHECK, inline_files={"ab": b"picture"})
    gone = await purged(stores, key)
    never = new_id(IdKind.JOB, stores.clock.now())
    strays = [inline_blob_key(never, "cd"), f"{assets_folder(never)}/0.png", stores.asset(gone).blob_key]
    for blob_key in strays:
        await stores.blobs.put(blob_key, b"left behind")
    assert await stores.ending.delete_strays() == 0
    await until_files_are_old(stores)

    assert await stores.ending.delete_strays() >= 2

    for blob_key in strays:
        with pytest.raises(BlobMissing):
            await stores.blobs.head(blob_key)
    await stores.blobs.head(inline_blob_key(kept.id, "ab"))
    assert await stores.ending.delete_strays() == 0


async def test_more_strays_than_one_batch_are_all_found(
    stores: Stores, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_STRAY_BATCH", 2)
    kept = await stores.at(key, Step.CHECK, inline_files={"ab": b"picture"})
    for _ in range(5):
        await stores.blobs.put(inline_blob_key(new_id(IdKind.JOB, stores.clock.now()), "cd"), b"left behind")
    await until_files_are_old(stores)

    assert await stores.ending.delete_strays() == 5
    await stores.blobs.head(inline_blob_key(kept.id, "ab"))
