"""Places at an upstream: never more than there are, none left empty, and no account waits for another's whole queue."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from tests.clock import FakeClock
from tests.stores import LEASE_SECONDS, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import open_blobs
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.db.engine import Database
from pixeldojo.engine import Hint, open_engine
from pixeldojo.jobs.job import HINT_GRACE, Job
from pixeldojo.jobs.places.service import NoPlace
from pixeldojo.jobs.service import CancelResult

FAL: Final = "fal"
PLACES: Final = 3
FAILURE: Final = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")


@pytest.fixture
async def stores(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stores]:
    built = Stores(database, clock, open_blobs("memory://", scratch=tmp_path), open_engine(None), {FAL: PLACES})
    yield built
    await built.engine.close()


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=1_000_000)


async def begin(stores: Stores, job: Job, provider: str = FAL) -> Job:
    attempt_id = new_id(IdKind.ATTEMPT, stores.clock.now())
    return await stores.claims.begin_submit(
        job, attempt_id=attempt_id, provider=provider, endpoint="e", upstream_index=0
    )


async def fill(stores: Stores, key: ApiKey) -> list[Job]:
    return [await begin(stores, await stores.claimed(key)) for _ in range(PLACES)]


async def wait(stores: Stores, key: ApiKey) -> str:
    """Let a job wait for a place, and return its id; ids of a millisecond are in no order."""
    stores.clock.advance(0.001)
    job = await stores.claimed(key)
    await stores.claims.wait_for_place(job, FAL)
    return job.id


async def called_up(stores: Stores) -> list[str]:
    """Return the jobs that are called up now, in order."""
    heard = list[str]()

    async def hear(job_id: str) -> None:
        heard.append(job_id)

    stores.engine.handle(Hint.JOB, hear)
    await stores.places.call_up()
    await asyncio.sleep(0)
    return heard


async def test_there_is_no_place_above_the_limit_until_a_job_is_through(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    late = await stores.claimed(key)
    with pytest.raises(NoPlace):
        await begin(stores, late)
    assert not await stores.places.is_free(late, FAL)
    assert (await stores.claims.attempts(late), (await stores.claims.reload(late)).step) == ([], "submit")

    await stores.claims.fail(first, FAILURE)

    assert await stores.places.is_free(late, FAL)
    await begin(stores, late)


async def test_other_upstreams_have_places_of_their_own(stores: Stores, key: ApiKey) -> None:
    await fill(stores, key)
    for _ in range(PLACES + 1):
        await begin(stores, await stores.claimed(key), "replicate")


@pytest.mark.parametrize("way", ["refused", "copied", "failed"])
async def test_a_place_is_free_as_soon_as_the_upstream_is_done(stores: Stores, key: ApiKey, way: str) -> None:
    first, *_ = await fill(stores, key)
    late = await stores.claimed(key)
    match way:
        case "refused":
            await stores.claims.refuse(first, outcome="over_limit", message="later", upstream_index=0)
        case "copied":
            accepted = await stores.claims.accept(first, {"id": "up"}, "up")
            assert not await stores.places.is_free(late, FAL)
            await stores.claims.begin_collect(accepted, None)
        case "failed":
            await stores.claims.fail(first, FAILURE)
    await begin(stores, late)


async def test_submits_at_the_same_time_take_no_more_places_than_there_are(stores: Stores, key: ApiKey) -> None:
    jobs = [await stores.claimed(key) for _ in range(PLACES * 3)]
    results = await asyncio.gather(*(begin(stores, job) for job in jobs), return_exceptions=True)
    assert Counter(type(result) for result in results) == {Job: PLACES, NoPlace: PLACES * 2}


async def test_who_waits_is_held_by_nobody_and_due_at_the_deadline(stores: Stores, key: ApiKey) -> None:
    await fill(stores, key)
    job_id = await wait(stores, key)
    job = await stores.jobs.get(key, job_id)
    assert (job.lease_owner, job.lease_until, job.next_step_at) == (None, None, job.deadline_at)
    assert await called_up(stores) == []
    stores.clock.advance(60)
    assert job_id not in await stores.claims.due(10)


async def test_accounts_are_called_up_in_turn_and_each_ones_jobs_in_order(stores: Stores) -> None:
    many, few = [await stores.new_key(granted=1_000_000) for _ in range(2)]
    taken = await fill(stores, many)
    waiting = {key.account_id: [await wait(stores, key) for _ in range(count)] for key, count in ((many, 6), (few, 2))}
    order = list[str]()
    for _ in range(4):
        for job in taken:
            await stores.claims.fail(job, FAILURE)
        found = await called_up(stores)
        order += found
        taken = [await begin(stores, await stores.claim(job_id)) for job_id in found]
    account_of = {job_id: account for account, ids in waiting.items() for job_id in ids}
    assert [job_id for job_id in order if account_of[job_id] == many.account_id] == waiting[many.account_id]
    assert [job_id for job_id in order if account_of[job_id] == few.account_id] == waiting[few.account_id]
    # The second account's two jobs are among the first four, though six of the other came before them.
    assert {job_id for job_id in order[:4] if account_of[job_id] == few.account_id} == set(waiting[few.account_id])


async def test_a_place_is_kept_for_who_was_called_up(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    ids = [await wait(stores, key) for _ in range(3)]
    await stores.claims.fail(first, FAILURE)
    assert await called_up(stores) == ids[:1]
    assert await called_up(stores) == []
    with pytest.raises(NoPlace):
        await begin(stores, await stores.claimed(key))
    await begin(stores, await stores.claim(ids[0]))


async def test_who_comes_now_does_not_pass_those_who_wait(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    await wait(stores, key)
    await stores.claims.fail(first, FAILURE)
    with pytest.raises(NoPlace):
        await begin(stores, await stores.claimed(key))


async def test_a_call_that_nobody_hears_is_found_by_the_sweep(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    job_id = await wait(stores, key)
    await stores.claims.fail(first, FAILURE)
    await stores.places.call_up()
    stores.clock.advance(HINT_GRACE.total_seconds())
    assert await stores.claims.due(10) == [job_id]


async def test_who_was_called_up_and_goes_elsewhere_leaves_the_place(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    ids = [await wait(stores, key) for _ in range(2)]
    await stores.claims.fail(first, FAILURE)
    assert await called_up(stores) == ids[:1]
    await stores.claims.park(await stores.claim(ids[0]), 30)
    assert await called_up(stores) == ids[1:]


async def test_who_is_cancelled_while_waiting_is_not_called_up(stores: Stores, key: ApiKey) -> None:
    first, *_ = await fill(stores, key)
    ids = [await wait(stores, key) for _ in range(2)]
    _, result = await stores.jobs.cancel(key, ids[0])
    assert result == CancelResult.CANCELED
    await stores.claims.fail(first, FAILURE)
    assert await called_up(stores) == ids[1:]


async def test_of_two_processes_that_call_up_each_job_is_called_once(
    stores: Stores, key: ApiKey, database: Database, clock: FakeClock
) -> None:
    for job in await fill(stores, key):
        await stores.claims.fail(job, FAILURE)
    ids = [await wait(stores, key) for _ in range(PLACES * 2)]
    other = Stores(database, clock, limits={FAL: PLACES})
    heard = list[str]()

    async def hear(job_id: str) -> None:
        heard.append(job_id)

    for engine in (stores.engine, other.engine):
        engine.handle(Hint.JOB, hear)
    await asyncio.gather(stores.places.call_up(), other.places.call_up())
    await asyncio.sleep(0)
    await other.engine.close()
    assert sorted(heard) == sorted(ids[:PLACES])
    assert all([await stores.claims.claim(job_id, "worker_2", LEASE_SECONDS) for job_id in heard])
