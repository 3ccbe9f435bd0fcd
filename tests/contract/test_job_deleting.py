"""A caller deletes a job: what goes at once, what stays, and that no crash on the way leaves anything behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
from sqlalchemy import select
from tests.stores import HOOK, Stores
from tests.unit.worker.faulty import Crash, Fault, FaultyDatabase

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.assets.service import inline_blob_key, sandbox_folder
from pixeldojo.blobs import BlobInfo, Blobs, BlobsUnavailable
from pixeldojo.core.errors import Conflict, Expired
from pixeldojo.credits.store import Balance
from pixeldojo.db.tables import deliveries, jobs, settlements
from pixeldojo.jobs.job import Job, JobFilter
from pixeldojo.jobs.states import Step

_DIES: Final = Fault(Crash())
_DIES_AFTER: Final = Fault(Crash(), is_kept=True)


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=10_000)


@pytest.fixture
async def job(stores: Stores, key: ApiKey) -> Job:
    """A completed job with an output, an input, a line in the sandbox's books and a webhook that is due."""
    job = await stores.at(key, Step.COLLECT, webhook_url=HOOK, inline_files={"ab": b"picture"})
    await stores.blobs.put(stores.asset(job).blob_key, b"png")
    await stores.blobs.put(f"{sandbox_folder(job.id)}/call-1", b"{}")
    return await stores.claims.complete(job, [stores.asset(job)], 1_000)


async def left(stores: Stores) -> list[str]:
    return [blob.key async for blob in stores.blobs.list_blobs()]


async def test_files_input_and_webhook_go_at_once_and_the_ledger_stays(stores: Stores, key: ApiKey, job: Job) -> None:
    other = await stores.at(key, Step.ENDED, inline_files={"ab": b"picture"})
    assert len(await left(stores)) == 4

    await stores.jobs.delete(key, job.id)

    assert await left(stores) == [inline_blob_key(other.id, "ab")]
    async with stores.database.read() as connection:
        row = (await connection.execute(select(jobs).where(jobs.c.id == job.id))).one()
        delivery = (await connection.execute(select(deliveries))).one()
    assert (row.input, row.input_files, row.operation, row.webhook_url) == (None, None, None, None)
    assert row.purged_at == stores.clock.now()
    assert (delivery.body, delivery.status, delivery.next_attempt_at) == ("", "failed", None)
    assert await stores.webhooks.due(10) == []
    assert await stores.count(settlements) == 2
    assert await stores.credits.balance(key.account_id, "test") == Balance(8_000, captured=2_000, granted=10_000)
    assert await stores.faults() == []


@pytest.mark.parametrize("step", [Step.SUBMIT, Step.SUBMITTING, Step.CHECK, Step.COLLECT])
async def test_a_job_that_goes_on_is_not_deleted(stores: Stores, key: ApiKey, step: Step) -> None:
    job = await stores.at(key, step, inline_files={"ab": b"picture"})

    with pytest.raises(Conflict, match=rf"still {job.status}\. Cancel it first \(POST /api/v1/jobs/{job.id}/cancel\)"):
        await stores.jobs.delete(key, job.id)

    assert await stores.jobs.get(key, job.id) == job
    assert await left(stores) == [inline_blob_key(job.id, "ab")]


async def test_of_many_who_delete_one_succeeds_and_the_others_hear_that_it_is_gone(
    stores: Stores, key: ApiKey, job: Job
) -> None:
    outcomes = await asyncio.gather(*(stores.jobs.delete(key, job.id) for _ in range(6)), return_exceptions=True)

    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, Expired) for outcome in outcomes if outcome is not None)
    assert await left(stores) == []


class _Away(Blobs):
    """A media store that does not answer."""

    def __init__(self) -> None: ...

    def list_blobs(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        raise BlobsUnavailable(prefix)


async def assert_gone(stores: Stores, key: ApiKey, job: Job) -> None:
    """Whatever is left of a job, nobody gets at it."""
    for ask in (stores.jobs.get, stores.jobs.delete, stores.jobs.cancel, stores.jobs.replay_webhook):
        with pytest.raises(Expired, match="expired or was deleted"):
            await ask(key, job.id)
    with pytest.raises(Expired, match="expired or was deleted"):
        await stores.assets.open_asset((await stores.assets.list_assets([job.id]))[job.id][0].file_name)
    assert await stores.jobs.list_page(key, JobFilter()) == ([], None)
    assert await stores.webhooks.due(10) == []
    assert await stores.faults() == []


async def test_deleted_while_the_media_store_is_away_a_job_is_gone_and_its_files_go_with_the_next_sweep(
    stores: Stores, key: ApiKey, job: Job
) -> None:
    """As good as a crash between the first transaction and the files."""
    with pytest.raises(BlobsUnavailable):
        await Stores(stores.database, stores.clock, _Away(), stores.engine).jobs.delete(key, job.id)

    await assert_gone(stores, key, job)
    assert len(await left(stores)) == 3
    assert await stores.ending.purge_expired(10) == 1
    assert await left(stores) == []
    assert await stores.ending.purge_expired(10) == 0


@pytest.mark.parametrize("faults", [[_DIES], [_DIES_AFTER], [None, _DIES], [None, _DIES_AFTER]])
async def test_a_crash_at_any_write_leaves_the_whole_job_or_what_the_sweep_deletes(
    stores: Stores, key: ApiKey, job: Job, faults: list[Fault | None]
) -> None:
    database = FaultyDatabase(stores.database)
    database.faults = list(faults)
    with pytest.raises(Crash):
        await Stores(database, stores.clock, stores.blobs, stores.engine).jobs.delete(key, job.id)

    if faults == [_DIES]:
        assert await stores.jobs.get(key, job.id) == job
        assert len(await left(stores)) == 3
        await stores.jobs.delete(key, job.id)
    await assert_gone(stores, key, job)
    await stores.ending.purge_expired(10)
    assert await left(stores) == []
    assert await stores.ending.purge_expired(10) == 0
    await assert_gone(stores, key, job)


async def test_a_replay_asked_for_in_the_same_moment_sends_nothing(stores: Stores, key: ApiKey, job: Job) -> None:
    """The job was looked at before it was deleted, the delivery is restarted after."""
    delivery = (await stores.webhooks.find_deliveries([job.id]))[job.id]
    await stores.jobs.delete(key, job.id)

    assert await stores.webhooks.replay(delivery.id) is None
    assert await stores.webhooks.due(10) == []
