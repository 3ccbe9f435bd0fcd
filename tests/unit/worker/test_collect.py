"""Making outputs ours: what is kept, what is charged, what is tried again, and that nothing is left lying about."""

import asyncio
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore
from tests.stores import Stores
from tests.unit.worker.faulty import Crash, Fault, away
from tests.unit.worker.workshop import BROKEN, LARGEST_FILE, Workshop, clip, finished, picture

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import Blobs, BlobsUnavailable
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.states import Step
from pixeldojo.media.facts import EXTENSIONS
from pixeldojo.net.fetch import FetchErrorKind, FetchFailed
from pixeldojo.providers.contract import Finished, OutputFile, Running

NETWORK = FetchFailed(FetchErrorKind.NETWORK, "the server closed the connection")
MISSING = FetchFailed(FetchErrorKind.HTTP_STATUS, "the server answered 404", status=404)


class FlakyBlobs(Blobs):
    """Blobs in memory that refuse the next writes."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.refusals = 0

    async def put(self, key: str, content: object) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BlobsUnavailable(f"writing {key} failed: connection refused")
        await super().put(key, content)  # type: ignore[arg-type]  # passed on as it came


@pytest.fixture
def blobs(shop: Workshop) -> FlakyBlobs:
    flaky = FlakyBlobs()
    shop.stores = Stores(shop.stores.database, shop.clock, flaky, shop.stores.engine)
    return flaky


async def content_of(shop: Workshop, blob_key: str) -> bytes:
    return await shop.stores.blobs.read_whole(blob_key, max_bytes=LARGEST_FILE)


def files_on_disk(shop: Workshop, *contents: bytes) -> Finished:
    """Return the answer of an upstream that works on this machine."""
    shop.scratch.mkdir(exist_ok=True)
    paths = [shop.scratch / f"made-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Finished(tuple(OutputFile(path=path) for path in paths))


# What is kept


async def test_an_output_is_kept_whole_with_its_measures(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [finished(picture(width=1024, height=768))]
    job = await shop.carry(job_id)
    [asset] = await shop.assets(job_id)
    content = picture(width=1024, height=768)
    assert await content_of(shop, asset.blob_key) == content
    assert (asset.kind, asset.content_type, asset.extension) == ("image", "image/png", "png")
    assert (asset.width, asset.height, asset.duration_seconds) == (1024, 768, None)
    assert (asset.size_bytes, asset.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (asset.position, asset.account_id, asset.expires_at) == (0, key.account_id, job.expires_at)


async def test_outputs_come_as_addresses_bytes_or_files_and_keep_their_order(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, num_outputs=3)
    url = shop.fetcher.put("result.png", picture(width=1))
    [made] = files_on_disk(shop, picture(width=3)).outputs
    shop.upstream.to_check = [Finished((OutputFile(url=url), OutputFile(content=picture(width=2)), made))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 4500)
    assert [asset.width for asset in await shop.assets(job_id)] == [1, 2, 3]
    assert shop.fetcher.fetched == [url]
    assert shop.left_behind == []


async def test_what_the_upstream_says_it_costs_is_noted(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Finished(finished().outputs, upstream_cost="0.04 USD")]
    await shop.carry(job_id)
    assert await shop.upstream_costs(job_id) == ["0.04 USD"]


# How many


async def test_more_than_was_asked_for_is_neither_kept_nor_charged(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, num_outputs=2)
    shop.upstream.to_check = [files_on_disk(shop, *(picture(width=width) for width in (1, 2, 3, 4)))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 3000)
    assert [asset.width for asset in await shop.assets(job_id)] == [1, 2]
    assert shop.left_behind == []


async def test_a_surplus_file_is_not_looked_at(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [finished(picture(), BROKEN)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.media.measured == 1


async def test_fewer_than_was_asked_for_cost_less(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, num_outputs=4)
    shop.upstream.to_check = [finished(picture(), picture(), picture())]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 4500)
    assert len(await shop.assets(job_id)) == 3


async def test_none_at_all_fails_the_job(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Finished(())]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert "without an output" in ((await shop.job(job_id)).error_message or "")


# Charged by the second


@pytest.mark.parametrize(
    ("given", "lengths", "cost"),
    [
        ({}, [4.0], 2000),
        ({}, [4.04], 2000),
        ({}, [4.05], 2050),
        ({}, [0.01], 50),
        ({}, [30.4], 15000),
        ({"video_duration": 5}, [12.0], 2500),
        ({"video_duration": 5}, [3.0], 1500),
        ({"num_outputs": 2}, [4.0, 6.0], 5000),
        ({"num_outputs": 2, "video_duration": 5}, [4.0, 4.0], 4000),
        ({"num_outputs": 2}, [4.0], 2000),
        ({}, [None], 15000),
    ],
)
async def test_the_measured_length_is_charged_up_to_the_quote(
    shop: Workshop, key: ApiKey, given: dict[str, Any], lengths: list[float | None], cost: int
) -> None:
    shop.fetcher.put("clip.mp4", clip(3.0))
    job_id = await shop.submit(key, "clip", **given)
    shop.upstream.to_check = [finished(*(clip(length) for length in lengths))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, cost)


# Charged by the area of the result


@pytest.mark.parametrize(
    ("resolution", "sides", "cost"),
    [
        ("follow", (100, 100), 1000),
        ("follow", (101, 100), 4000),
        ("follow", (900, 900), 4000),
        ("large", (100, 100), 4000),
        ("small", (200, 200), 1000),
    ],
)
async def test_the_measured_area_is_charged_where_no_size_was_named(
    shop: Workshop, key: ApiKey, resolution: str, sides: tuple[int, int], cost: int
) -> None:
    job_id = await shop.submit(key, "sized", resolution=resolution)
    shop.upstream.to_check = [finished(picture(width=sides[0], height=sides[1]))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, cost)


# What is not what was promised


@pytest.mark.parametrize(
    ("content", "why"),
    [(BROKEN, "it is HTML"), (clip(3.0), "video/mp4, and this model makes image")],
    ids=["broken", "of another kind"],
)
async def test_a_file_that_is_not_what_was_promised_fails_the_job(
    shop: Workshop, key: ApiKey, content: bytes, why: str
) -> None:
    job_id = await shop.submit(key, num_outputs=2)
    shop.upstream.to_check = [files_on_disk(shop, picture(), content)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert why in ((await shop.job(job_id)).error_message or "")
    assert (await shop.assets(job_id), shop.left_behind) == ([], [])
    assert len(shop.upstream.checked) == 1
    assert await shop.attempts(job_id) == [("sandbox", "upstream_error")]


@pytest.mark.parametrize(
    "error",
    [
        FetchFailed(FetchErrorKind.REFUSED, "its address is not on the public internet"),
        FetchFailed(FetchErrorKind.TOO_LARGE, "the file is over the limit"),
    ],
    ids=lambda error: error.kind,
)
async def test_what_cannot_get_better_is_not_tried_again(shop: Workshop, key: ApiKey, error: FetchFailed) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Finished((OutputFile(url=shop.fetcher.put("a.png", error)),))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert len(shop.fetcher.fetched) == 1


# What is tried again


@pytest.mark.parametrize("error", [NETWORK, MISSING], ids=lambda error: error.kind)
async def test_an_output_that_cannot_be_fetched_is_asked_for_again(
    shop: Workshop, key: ApiKey, error: FetchFailed
) -> None:
    job_id = await shop.submit(key)
    answers = [
        Finished((OutputFile(url=shop.fetcher.put(name, turn)),)) for name, turn in (("old", error), ("new", picture()))
    ]
    shop.upstream.to_check = list(answers)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert [url.rpartition("/")[2] for url in shop.fetcher.fetched] == ["old", "new"]
    assert (len(shop.upstream.calls), shop.pauses) == (1, [2.0])
    assert shop.left_behind == []


async def test_an_output_that_never_comes_fails_the_job(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    answer = Finished((OutputFile(url=shop.fetcher.put("a.png", NETWORK)),))
    shop.upstream.to_check = [answer for _ in range(99)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert len(shop.fetcher.fetched) == 6
    assert shop.pauses == [2.0, 4.0, 8.0, 16.0, 30.0]


async def test_tries_to_copy_are_not_counted_anew_after_trouble_on_the_way(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    answer = Finished((OutputFile(url=shop.fetcher.put("a.png", NETWORK)),))
    shop.upstream.to_check = [turn for _ in range(50) for turn in (Crash(), answer)]
    while not (await shop.job(job_id)).status.is_terminal:
        await shop.crashed(job_id, or_ended=True)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert len(shop.fetcher.fetched) == 6


async def test_what_came_with_the_answer_itself_is_fetched_again_at_once(shop: Workshop, key: ApiKey) -> None:
    """There is nothing to ask again: the upstream gave an address and no handle."""
    job_id = await shop.submit(key)
    url = shop.fetcher.put("a.png", [NETWORK, NETWORK, picture()])
    shop.upstream.to_submit = [Finished((OutputFile(url=url),))]
    carrying = asyncio.create_task(shop.carry(job_id))
    for pause in (2.0, 4.0):
        await shop.clock.until_sleeping()
        shop.clock.advance(pause)
    await carrying
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert (len(shop.upstream.calls), len(shop.fetcher.fetched)) == (1, 3)


async def test_what_came_with_the_answer_itself_and_cannot_be_fetched_fails_the_job(
    shop: Workshop, key: ApiKey
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [Finished((OutputFile(url=shop.fetcher.put("a.png", MISSING)),))]
    carrying = asyncio.create_task(shop.carry(job_id))
    for pause in (2.0, 4.0, 8.0, 16.0, 30.0):
        await shop.clock.until_sleeping()
        shop.clock.advance(pause)
    await carrying
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert len(shop.fetcher.fetched) == 6


async def test_an_output_is_not_lost_while_our_store_is_away(shop: Workshop, key: ApiKey, blobs: FlakyBlobs) -> None:
    job_id = await shop.submit(key, timeout_seconds=600)
    shop.upstream.to_check = [files_on_disk(shop, picture()) for _ in range(1)]
    blobs.refusals = 12
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.pauses == [2.0, 4.0, 8.0, 16.0, *[30.0] * 8]
    assert len(shop.upstream.calls) == 1


async def test_a_store_that_stays_away_past_the_deadline_fails_the_job(
    shop: Workshop, key: ApiKey, blobs: FlakyBlobs
) -> None:
    job_id = await shop.submit(key, timeout_seconds=100)
    blobs.refusals = 99
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert sum(shop.pauses) >= 100
    assert "connection refused" not in ((await shop.job(job_id)).error_message or "")


# When workers die or lose the job


async def test_a_worker_that_died_while_copying_leaves_the_outputs_to_the_next(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    url = shop.fetcher.put("a.png", picture())

    async def die_while_copying() -> Finished:
        shop.break_writes(None, Fault(Crash()))
        return Finished((OutputFile(url=url),))

    shop.upstream.to_check = [die_while_copying]
    await shop.crashed(job_id)
    assert (await shop.job(job_id)).step == Step.COLLECT
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert (len(shop.upstream.calls), len(shop.upstream.checked)) == (1, 2)


async def test_an_answer_that_died_with_its_worker_is_not_paid_by_the_caller(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def die_while_copying() -> Finished:
        shop.break_writes(None, Fault(Crash()))
        return finished()

    shop.upstream.to_submit = [die_while_copying]
    await shop.crashed(job_id)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 1


@pytest.mark.parametrize("is_kept", [False, True], ids=["not written", "written, and the answer lost"])
async def test_copied_outputs_are_not_lost_when_the_database_is_away(
    shop: Workshop, key: ApiKey, is_kept: bool
) -> None:
    job_id = await shop.submit(key)

    async def finish() -> Finished:
        shop.break_writes(Fault(away()), None, Fault(away(), is_kept))
        return finished()

    shop.upstream.to_submit = [finish]
    carrying = asyncio.create_task(shop.carry(job_id))
    for _ in range(2):
        await shop.clock.until_sleeping()
        shop.clock.advance(0.5)
    if is_kept:
        with pytest.raises(LeaseLost):
            await carrying
    else:
        await carrying
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(await shop.assets(job_id)) == 1


@pytest.mark.parametrize("moment", ["before copying", "before completing"])
async def test_a_worker_that_lost_the_job_shows_nothing_and_leaves_nothing(
    shop: Workshop, key: ApiKey, moment: str
) -> None:
    job_id = await shop.submit(key)

    async def another_ends_it() -> None:
        shop.clock.advance(60)
        theirs = await shop.stores.claim(job_id, "worker_2")
        await shop.stores.claims.fail(theirs, JobFailure(JobFailureCode.TIMEOUT, "late"))

    async def finish() -> Finished:
        answer = files_on_disk(shop, picture())
        if moment == "before copying":
            await another_ends_it()
        else:
            shop.media.before_next = another_ends_it
        return answer

    shop.upstream.to_check = [finish]
    with pytest.raises(LeaseLost):
        await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert (await shop.assets(job_id), shop.left_behind) == ([], [])


async def test_a_worker_that_is_stopped_while_copying_leaves_no_files(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    async def finish() -> Finished:
        shop.media.before_next = hang
        return files_on_disk(shop, picture())

    shop.upstream.to_check = [finish]
    carrying = asyncio.create_task(shop.carry(job_id))
    await reached.wait()
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert shop.left_behind == []
    assert (await shop.job(job_id)).step == Step.COLLECT


async def test_files_of_a_purged_job_are_gone_also_those_of_failed_tries(
    shop: Workshop, key: ApiKey, blobs: FlakyBlobs
) -> None:
    job_id = await shop.submit(key, num_outputs=2)

    async def refuse_the_second() -> Finished:
        shop.media.before_next = allow_one
        return finished(picture(), picture())

    async def allow_one() -> None:
        shop.media.before_next = refuse

    async def refuse() -> None:
        blobs.refusals = 1

    shop.upstream.to_check = [refuse_the_second, Running(), finished(picture(), picture())]
    await shop.carry(job_id)
    assert len([blob async for blob in blobs.list_blobs(f"assets/{job_id}")]) == 3
    shop.clock.advance(25 * 3600)
    assert await shop.stores.ending.purge_expired(10) == 1
    assert [blob async for blob in blobs.list_blobs(f"assets/{job_id}")] == []


def test_every_type_that_is_known_has_an_extension() -> None:
    sniff = find_spec("pixeldojo.media.sniff")
    assert sniff is not None
    assert sniff.origin is not None
    named = set(re.findall(r'"((?:image|video|audio|model)/[a-z0-9.+-]+)"', Path(sniff.origin).read_text()))
    sound_only = {name.replace("video/", "audio/") for name in named}
    assert "video/mp4" in named
    assert named | sound_only <= EXTENSIONS.keys()
