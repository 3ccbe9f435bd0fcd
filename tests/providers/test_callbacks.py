"""Services that call back: who proves to be the service wakes the job, nobody else does, and a lost call costs time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.emulators.emulator import Emulator, Work
from tests.emulators.trouble import Trouble
from tests.providers.pairs import PAIRS, Pair, whole_catalog
from tests.providers.stand import CALLBACKS, Stand, open_stand

from pixeldojo.providers.contract import CallsBack
from pixeldojo.worker.loop import Worker
from pixeldojo.worker.patience import PACES, USUAL_PACE

CALLING = [pair for pair in PAIRS if issubclass(pair.adapter, CallsBack)]
every_caller = pytest.mark.parametrize("pair", CALLING, ids=lambda pair: pair.name)
every_giver_of_keys = pytest.mark.parametrize(
    "pair", [pair for pair in CALLING if pair.hands_out_keys], ids=lambda pair: pair.name
)


@pytest.fixture
async def stand(pair: Pair, sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stand]:
    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        return await opened.post(url, headers, body)

    async with open_stand([pair], sqlite_address, clock, tmp_path, post=post) as opened:
        opened.callback_base = CALLBACKS
        yield opened


@pytest.fixture
def emulator(stand: Stand, pair: Pair) -> Emulator:
    return stand.emulators[pair.name]


async def _parked(stand: Stand, emulator: Emulator, worker: Worker) -> Work:
    """Return the work once the worker has handed the job back to wait for the callback."""
    work = await emulator.until_accepted()
    await stand.until_dropped(worker)
    return work


@every_caller
async def test_a_callback_ends_the_job_and_nothing_was_asked_meanwhile(
    stand: Stand, pair: Pair, emulator: Emulator
) -> None:
    worker = stand.worker()
    async with stand.running(worker):
        job_id, key = await stand.order(pair)
        work = await _parked(stand, emulator, worker)
        assert work.polls == 0
        await emulator.finish_and_call_back(work)
        await stand.until_ended_by_itself(job_id)
    assert await stand.ending(key, job_id) == ("completed", None, (await stand.job(job_id)).quoted)
    assert emulator.callback_statuses == [204]
    # The look that the callback led to.
    assert work.polls == 1
    assert str(work.callback_url).partition("?")[0] == f"{CALLBACKS}/{pair.name}/{job_id}"


@every_caller
async def test_a_callback_that_comes_twice_ends_the_job_once(stand: Stand, pair: Pair, emulator: Emulator) -> None:
    worker = stand.worker()
    async with stand.running(worker):
        job_id, key = await stand.order(pair, prompt=f"trouble:{Trouble.CALLED_TWICE}")
        await emulator.finish_and_call_back(await _parked(stand, emulator, worker))
        await stand.until_ended_by_itself(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert emulator.callback_statuses == [204, 204]
    assert len(emulator.paid) == 1


@every_caller
async def test_a_callback_before_the_answer_is_not_lost(stand: Stand, pair: Pair, emulator: Emulator) -> None:
    async with stand.running(stand.worker()):
        job_id, key = await stand.order(pair, prompt=f"trouble:{Trouble.CALLED_EARLY}")
        await stand.until_ended_by_itself(job_id)
    assert (await stand.ending(key, job_id))[0] == "completed"
    assert emulator.callback_statuses == [204]


@pytest.mark.parametrize(
    ("pair", "trouble"),
    [
        (pair, trouble)
        for pair in CALLING
        for trouble in (Trouble.CALLED_BY_ANOTHER, Trouble.CALLED_LATE_CLOCK)
        if trouble not in pair.lacks
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_a_callback_that_proves_nothing_does_nothing(
    stand: Stand, pair: Pair, emulator: Emulator, trouble: Trouble
) -> None:
    worker = stand.worker()
    async with stand.running(worker):
        job_id, _ = await stand.order(pair, prompt=f"trouble:{trouble}")
        work = await _parked(stand, emulator, worker)
        await emulator.finish_and_call_back(work)
        assert emulator.callback_statuses == [403]
        assert (await stand.job(job_id)).status == "processing"
        assert worker.job_count == 0
    assert len(stand.logged("callback refused")) == 1


@every_caller
async def test_a_lost_callback_is_made_good_by_a_late_look(stand: Stand, pair: Pair, emulator: Emulator) -> None:
    job_id, key = await stand.order(pair, prompt=f"trouble:{Trouble.NOT_CALLED}")
    await stand.carry(job_id, pauses=1)
    await emulator.finish_and_call_back(emulator.paid[0])
    stand.clock.advance(stand.pauses[-1])
    await stand.carry(job_id, "worker_2")
    kind = whole_catalog().find(pair.model_id).output.kind
    late = PACES.get(kind, USUAL_PACE).late
    assert late <= stand.pauses[0] <= 1.1 * late
    assert emulator.callback_statuses == []
    assert (await stand.ending(key, job_id))[0] == "completed"


@every_giver_of_keys
async def test_forgers_do_not_make_us_ask_for_keys_again_and_again(
    stand: Stand, pair: Pair, emulator: Emulator
) -> None:
    job_id, _ = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    work = emulator.paid[0]
    for _ in range(5):
        headers, body = emulator.sign(work, stand.clock.now(), forged=True)
        assert await stand.post(f"{CALLBACKS}/{pair.name}/{job_id}", headers, body) == 403
    assert emulator.keys_given == 1


@every_giver_of_keys
async def test_new_keys_are_found(stand: Stand, pair: Pair, emulator: Emulator) -> None:
    job_id, _ = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    url, work = f"{CALLBACKS}/{pair.name}/{job_id}", emulator.paid[0]
    assert await stand.post(url, *emulator.sign(work, stand.clock.now())) == 204
    emulator.renew_keys()
    stand.clock.advance(61)
    assert await stand.post(url, *emulator.sign(work, stand.clock.now())) == 204
    assert emulator.keys_given == 2


@every_giver_of_keys
async def test_while_the_keys_cannot_be_had_the_service_is_told_to_call_again(
    stand: Stand, pair: Pair, emulator: Emulator
) -> None:
    job_id, _ = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    url, work = f"{CALLBACKS}/{pair.name}/{job_id}", emulator.paid[0]
    await emulator.close()
    assert await stand.post(url, *emulator.sign(work, stand.clock.now())) == 503


@every_giver_of_keys
async def test_callbacks_at_the_same_time_fetch_the_keys_once(stand: Stand, pair: Pair, emulator: Emulator) -> None:
    job_id, _ = await stand.order(pair)
    await stand.carry(job_id, pauses=1)
    url, work = f"{CALLBACKS}/{pair.name}/{job_id}", emulator.paid[0]
    signed = emulator.sign(work, stand.clock.now())
    assert await asyncio.gather(*(stand.post(url, *signed) for _ in range(5))) == [204] * 5
    assert emulator.keys_given == 1
