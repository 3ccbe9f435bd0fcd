"""Uploaded files on both databases: what crashes leave behind, what is deleted when, and bounds that hold at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest
from tests.stores import LARGEST_UPLOAD, LINGER, MOST_UPLOADED, RETENTION, Stores
from tests.unit.worker.faulty import Crash, Fault, FaultyDatabase, away

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import BlobMissing
from pixeldojo.core.errors import Conflict, Expired, IdempotencyMismatch, PixelDojoError
from pixeldojo.db.tables import files, idempotency_keys
from pixeldojo.files import service
from pixeldojo.files.service import TakenIn

PNG: Final = b"\x89PNG\r\n\x1a\n"
HOUR: Final = 3_600


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key()


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


async def upload(stores: Stores, key: ApiKey, content: bytes = PNG, idempotency_key: str | None = None) -> TakenIn:
    return await stores.files.take_in(key.account_id, pieces(content), idempotency_key)


def name_of(taken: TakenIn) -> str:
    return str(taken.answer["url"]).rpartition("/")[2]


async def left(stores: Stores) -> int:
    return len([blob async for blob in stores.blobs.list_blobs()])


async def until_blobs_are_old(stores: Stores) -> None:
    """Blobs bear the time of the machine, not of the test's clock."""
    stores.clock.advance((datetime.now(UTC) - stores.clock.now()).total_seconds() + 3 * HOUR)


async def test_a_file_is_kept_with_its_facts(stores: Stores, key: ApiKey) -> None:
    taken = await upload(stores, key, PNG + b"more")
    file = await stores.files.open_file(name_of(taken))
    assert (file.account_id, file.content_type, file.size_bytes) == (key.account_id, "image/png", 12)
    assert (file.created_at, file.expires_at) == (stores.clock.now(), stores.clock.now() + RETENTION)
    assert await stores.blobs.read_whole(file.blob_key, max_bytes=100) == PNG + b"more"
    assert stores.files.own_file_name(stores.files.url(file)) == file.file_name
    assert stores.files.own_file_name(f"https://example.com/files/{file.file_name}") is None


# Bounds


async def test_of_many_at_once_as_many_are_kept_as_there_is_room_for(stores: Stores, key: ApiKey) -> None:
    whole = PNG + bytes(LARGEST_UPLOAD - len(PNG))
    outcomes = await asyncio.gather(*(upload(stores, key, whole) for _ in range(7)), return_exceptions=True)
    kept = [outcome for outcome in outcomes if isinstance(outcome, TakenIn)]
    assert len(kept) == MOST_UPLOADED // LARGEST_UPLOAD
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome not in kept)
    assert await left(stores) == await stores.count(files) == len(kept)


async def test_of_many_at_once_under_one_key_one_is_kept_and_all_get_its_answer(stores: Stores, key: ApiKey) -> None:
    taken = await asyncio.gather(*(upload(stores, key, idempotency_key="k") for _ in range(7)))
    assert len({str(one.answer) for one in taken}) == 1
    assert [one.is_replay for one in taken].count(False) == 1
    assert await left(stores) == await stores.count(files) == 1


async def test_of_two_files_at_once_under_one_key_one_is_refused(stores: Stores, key: ApiKey) -> None:
    contents = (PNG, PNG + b"other")
    outcomes = await asyncio.gather(
        *(upload(stores, key, content, "k") for content in contents), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {TakenIn, IdempotencyMismatch}
    assert await left(stores) == 1


# Crashes


@pytest.mark.parametrize("error", [Crash(), away()], ids=["crash", "database away"])
async def test_a_blob_whose_row_was_not_written_is_deleted_as_a_stray(
    stores: Stores, key: ApiKey, error: BaseException
) -> None:
    database = FaultyDatabase(stores.database)
    database.faults = [Fault(error)]
    with pytest.raises(type(error)):
        await upload(Stores(database, stores.clock, stores.blobs, stores.engine), key, idempotency_key="k")
    assert (await left(stores), await stores.count(files), await stores.count(idempotency_keys)) == (1, 0, 0)

    kept = await upload(stores, key, idempotency_key="k")
    assert not kept.is_replay, "the key is still free"
    assert await stores.files.delete_strays() == 0, "it may be on its way"
    await until_blobs_are_old(stores)
    assert await stores.files.delete_strays() == 1
    assert await left(stores) == 1


@pytest.mark.parametrize("error", [Crash(), away()], ids=["crash", "database away"])
async def test_an_upload_whose_answer_was_lost_is_there_for_whoever_asks_again(
    stores: Stores, key: ApiKey, error: BaseException
) -> None:
    database = FaultyDatabase(stores.database)
    database.faults = [Fault(error, is_kept=True)]
    with pytest.raises(type(error)):
        await upload(Stores(database, stores.clock, stores.blobs, stores.engine), key, idempotency_key="k")

    again = await upload(stores, key, idempotency_key="k")
    assert again.is_replay
    await stores.blobs.head((await stores.files.open_file(name_of(again))).blob_key)
    assert await left(stores) == 1


async def test_a_crash_between_the_blobs_and_their_rows_is_made_good_by_the_next_sweep(
    stores: Stores, key: ApiKey
) -> None:
    taken = await upload(stores, key)
    stores.clock.advance((RETENTION + LINGER).total_seconds())
    database = FaultyDatabase(stores.database)
    database.faults = [Fault(Crash())]
    with pytest.raises(Crash):
        await Stores(database, stores.clock, stores.blobs, stores.engine).files.purge_expired(10)
    assert await left(stores) == 0

    assert await stores.files.purge_expired(10) == 1
    assert await stores.files.purge_expired(10) == 0
    with pytest.raises(Expired):
        await stores.files.open_file(name_of(taken))


# The end


async def test_an_expired_file_is_there_for_jobs_that_were_submitted_before_and_then_for_nobody(
    stores: Stores, key: ApiKey
) -> None:
    name, submitted_at = name_of(await upload(stores, key)), stores.clock.now()
    stores.clock.advance(RETENTION.total_seconds())
    with pytest.raises(Expired, match="Upload it again"):
        await stores.files.open_file(name)
    assert await stores.files.purge_expired(10) == 0
    file = await stores.files.open_file(name, at=submitted_at)
    await stores.blobs.head(file.blob_key)

    stores.clock.advance(LINGER.total_seconds())
    assert await stores.files.purge_expired(10) == 1
    with pytest.raises(Expired):
        await stores.files.open_file(name, at=submitted_at)
    with pytest.raises(BlobMissing):
        await stores.blobs.head(file.blob_key)


async def test_no_more_are_deleted_at_a_time_than_asked_for(stores: Stores, key: ApiKey) -> None:
    for _ in range(3):
        await upload(stores, key)
    stores.clock.advance((RETENTION + LINGER).total_seconds())
    assert [await stores.files.purge_expired(2) for _ in range(3)] == [2, 1, 0]


async def test_strays_beyond_a_batch_are_all_found_and_what_is_kept_stays(
    stores: Stores, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_STRAY_BATCH", 2)
    await upload(stores, key)
    for number in range(5):
        await stores.blobs.put(f"files/file_{number}.png", PNG)
    await stores.blobs.put("inputs/job_1/0.png", PNG)
    stores.clock.advance(-HOUR)
    assert await stores.files.delete_strays() == 0
    await until_blobs_are_old(stores)

    assert await stores.files.delete_strays() == 5
    assert await left(stores) == 2


async def test_a_refused_upload_leaves_nothing_behind(stores: Stores, key: ApiKey) -> None:
    await upload(stores, key, idempotency_key="k")
    for content in (b"", b"<html>", PNG + bytes(LARGEST_UPLOAD), PNG + b"other"):
        with pytest.raises(PixelDojoError):
            await upload(stores, key, content, "k")
    assert (await left(stores), await stores.count(files), await stores.count(idempotency_keys)) == (1, 1, 1)
