"""Live jobs: the next upstream, cancelling, media that nobody else can fetch, and whose key goes where."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.emulators.emulator import Emulator, Work
from tests.emulators.samples import CONTENT_TYPES, Samples
from tests.emulators.trouble import Trouble, Wish
from tests.providers.pairs import PAIRS, Pair
from tests.providers.stand import Stand, open_stand

from pixeldojo.providers.contract import InputFile, TakesUploads

BY_NAME = {pair.name: pair for pair in PAIRS}
FAL, REPLICATE = BY_NAME["fal"], BY_NAME["replicate"]
UPLOADING = [pair for pair in PAIRS if issubclass(pair.adapter, TakesUploads) and pair.other_file is None]
OTHERS = [pair for pair in PAIRS if pair.other_file is not None]
ASKED = [pair for pair in PAIRS if not pair.answers_at_once]
CANCELLING = [pair for pair in ASKED if pair.can_cancel]
ENCODED = base64.b64encode(Samples().image).decode()
SMALL = InputFile("image_url", 0, None, "inputs/1", "image", "image/png", len(Samples().image), 64, 64)


def _uploads_all(pair: Pair) -> bool:
    """Whether the service wants even small files uploaded."""
    provider = pair.provider(pair.open_emulator())
    return isinstance(provider, TakesUploads) and provider.wants_upload(SMALL)


INLINE = [pair.taking_a_picture() for pair in PAIRS if not _uploads_all(pair)]


@pytest.fixture
async def stand(pair: Pair, sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stand]:
    async with open_stand([pair], sqlite_address, clock, tmp_path) as stand:
        yield stand


@pytest.fixture
async def both(sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stand]:
    async with open_stand([FAL, REPLICATE], sqlite_address, clock, tmp_path) as stand:
        yield stand


def _paid(stand: Stand) -> dict[str, int]:
    return {name: len(emulator.paid) for name, emulator in stand.emulators.items()}


async def _asked_first(stand: Stand) -> str:
    """Return the service that the catalog names first."""
    job_id, _ = await stand.order(FAL)
    await stand.carry(job_id)
    return next(name for name, count in _paid(stand).items() if count)


# The next upstream


@pytest.mark.parametrize("trouble", [Trouble.AWAY, Trouble.BUSY, Trouble.QUOTA, Trouble.WRONG_KEY])
async def test_the_next_service_takes_what_the_first_did_not(both: Stand, trouble: Trouble) -> None:
    first = await _asked_first(both)
    other = ({FAL.name, REPLICATE.name} - {first}).pop()
    before = _paid(both)
    both.emulators[other].is_deaf_to_troubles = True
    job_id, key = await both.order(FAL, prompt=f"a lantern, trouble:{trouble}*99")
    await both.carry(job_id)
    assert await both.ending(key, job_id) == ("completed", None, (await both.job(job_id)).quoted)
    assert _paid(both) == {first: before[first], other: before[other] + 1}
    assert {name for name, _ in await both.attempts(job_id)} == {first, other}


async def test_what_may_have_been_taken_is_not_sent_to_the_next(both: Stand) -> None:
    first = await _asked_first(both)
    both.emulators[first].is_deaf_to_troubles = False
    job_id, key = await both.order(FAL, prompt=f"a lantern, trouble:{Trouble.ACCEPTED_CUT_OFF}")
    await both.carry(job_id)
    assert (await both.ending(key, job_id))[:2] == ("failed", "upstream_unknown")
    assert sorted(_paid(both).values()) == [0, 2]


# Cancelling


@pytest.mark.parametrize("pair", CANCELLING, ids=lambda pair: pair.name)
async def test_a_wish_to_cancel_reaches_the_service(stand: Stand, pair: Pair) -> None:
    job_id, key = await stand.order(pair, prompt=f"a lantern, trouble:{Trouble.ENDLESS}")
    await stand.carry(job_id, pauses=1)
    await stand.stores.jobs.cancel(key, job_id)
    await stand.stores.claims.release_leases(None)
    await stand.carry(job_id, "worker_2")
    assert await stand.ending(key, job_id) == ("failed", "canceled", 0)
    assert [work.is_canceled for work in stand.emulators[pair.name].paid] == [True]


@pytest.mark.parametrize("pair", [p for p in ASKED if not p.can_cancel], ids=lambda pair: pair.name)
async def test_what_cannot_be_cancelled_is_delivered(stand: Stand, pair: Pair) -> None:
    job_id, key = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    await stand.stores.jobs.cancel(key, job_id)
    await stand.stores.claims.release_leases(None)
    await stand.carry(job_id, "worker_2")
    assert await stand.ending(key, job_id) == ("completed", None, (await stand.job(job_id)).quoted)


@pytest.mark.parametrize("pair", ASKED, ids=lambda pair: pair.name)
async def test_what_is_done_before_the_wish_arrives_is_delivered(stand: Stand, pair: Pair) -> None:
    job_id, key = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    [work] = stand.emulators[pair.name].paid
    stand.emulators[pair.name].finish(work)
    await stand.stores.jobs.cancel(key, job_id)
    await stand.stores.claims.release_leases(None)
    await stand.carry(job_id, "worker_2")
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert not work.is_canceled


# Media that only we can fetch


@pytest.mark.parametrize("pair", INLINE, ids=lambda pair: pair.name)
async def test_media_without_a_public_address_go_inside_the_request(stand: Stand, pair: Pair) -> None:
    job_id, key = await stand.order(pair, **pair.with_picture(f"data:image/png;base64,{ENCODED}"))
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    [work] = stand.emulators[pair.name].paid
    assert str(work.arguments).count(ENCODED) == 1
    assert stand.emulators[pair.name].uploads == {}


@pytest.mark.parametrize("pair", INLINE, ids=lambda pair: pair.name)
async def test_media_at_a_private_address_go_inside_the_request(
    stand: Stand, pair: Pair, emulator_elsewhere: Emulator
) -> None:
    # Its files stand for a server in the operator's network.
    picture = Work("picture", "", "image", {}, Wish(), None, 1)
    emulator_elsewhere.accepted[picture.id] = picture
    [url] = emulator_elsewhere.file_urls(picture)
    assert url.startswith("http://127.0.0.1:")
    job_id, key = await stand.order(pair, **pair.with_picture(url))
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert str(stand.emulators[pair.name].paid[0].arguments).count(ENCODED) == 1


@pytest.mark.parametrize(
    ("pair", "content"),
    [(pair, Samples().large_image) for pair in UPLOADING]
    + [(pair, Samples().image) for pair in UPLOADING if pair not in INLINE],
    ids=lambda value: value.name if isinstance(value, Pair) else f"{len(value)} bytes",
)
async def test_media_are_uploaded_where_the_service_wants_that(stand: Stand, pair: Pair, content: bytes) -> None:
    picture = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    job_id, key = await stand.order(pair, **pair.with_picture(picture))
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    emulator = stand.emulators[pair.name]
    [(file_id, uploaded)] = emulator.uploads.items()
    assert uploaded == content
    assert any(file_id in str(value) for value in emulator.paid[0].arguments.values())
    assert not any(str(value).startswith("data:") for value in emulator.paid[0].arguments.values())


@pytest.mark.parametrize("pair", UPLOADING, ids=lambda pair: pair.name)
async def test_an_upload_that_went_wrong_is_tried_again(stand: Stand, pair: Pair) -> None:
    emulator = stand.emulators[pair.name]
    emulator.failing_uploads = 2
    picture = f"data:image/png;base64,{base64.b64encode(Samples().large_image).decode()}"
    job_id, key = await stand.order(pair, **pair.with_picture(picture))
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert await stand.attempts(job_id) == [(pair.name, "unavailable")] * 2 + [(pair.name, "finished")]
    assert len(emulator.paid) == 1


@pytest.mark.parametrize("pair", OTHERS, ids=lambda pair: pair.name)
async def test_files_are_uploaded_that_cannot_stand_in_the_request(stand: Stand, pair: Pair) -> None:
    other, emulator = pair.other_file, stand.emulators[pair.name]
    assert other is not None
    content = Samples().of(other.kind)
    address = f"data:{CONTENT_TYPES[other.kind]};base64,{base64.b64encode(content).decode()}"
    asked = replace(pair, model_id=other.model_id, given={**other.given, other.parameter: address})
    emulator.failing_uploads = 1
    job_id, key = await stand.order(asked)
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert await stand.attempts(job_id) == [(pair.name, "unavailable"), (pair.name, "finished")]
    [(file_id, uploaded)] = emulator.uploads.items()
    assert uploaded == content
    assert str(emulator.paid[0].arguments).count(file_id) == 1
    assert address not in str(emulator.paid[0].arguments)


# Whose key goes where


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
async def test_the_key_goes_to_the_service_and_nowhere_else(
    stand: Stand, pair: Pair, emulator_elsewhere: Emulator
) -> None:
    emulator = stand.emulators[pair.name]
    # Every address that answers name leads to another server, which would answer.
    emulator_elsewhere.accepted = emulator.accepted
    emulator.named_url = emulator_elsewhere.url
    job_id, key = await stand.order(pair)
    await stand.carry(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert {seen.path.split("/")[1] for seen in emulator_elsewhere.log} == ({"files"} if pair.names_files else set())
    assert not any(_carries(seen.headers, emulator.key) for seen in emulator_elsewhere.log)
    assert all(_carries(seen.headers, emulator.key) for seen in emulator.log)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
@pytest.mark.parametrize("trouble", [None, Trouble.WRONG_KEY, Trouble.BAD_INPUT, Trouble.FAILED, Trouble.ASKED_BROKEN])
async def test_the_key_is_neither_logged_nor_told(stand: Stand, pair: Pair, trouble: Trouble | None) -> None:
    job_id, _ = await stand.order(pair, prompt=f"a lantern, trouble:{trouble}" if trouble else "a lantern")
    await stand.carry(job_id)
    emulator = stand.emulators[pair.name]
    job = await stand.job(job_id)
    told = f"{stand.captured.entries} {job} {stand.clients}"
    assert emulator.key not in told
    assert emulator.url not in (job.error_message or "")


@pytest.fixture
async def emulator_elsewhere(pair: Pair) -> AsyncIterator[Emulator]:
    async with pair.open_emulator() as emulator:
        yield emulator


def _carries(headers: object, key: str) -> bool:
    return key in str(headers)
