"""A worker's hold on jobs, on both databases: one holder at a time, and whoever lost it cannot move the job."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest
from tests.stores import LEASE_SECONDS, Stores
from tests.unit.worker.faulty import FaultyDatabase

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs import store
from pixeldojo.jobs.claims import JobClaims, LeaseLost
from pixeldojo.jobs.job import HINT_GRACE, Job
from pixeldojo.jobs.states import Step

FAILURE: Final = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")

Move = Callable[[JobClaims, Job], Awaitable[object]]


async def submit(claims: JobClaims, job: Job) -> object:
    attempt_id = job.attempt_id or "attempt_2"
    return await claims.begin_submit(job, attempt_id=attempt_id, provider="p", endpoint="e", upstream_index=0)


# Every method that writes with a claim, and from which step it may be called.
MOVES: Final[dict[str, tuple[Step, Move]]] = {
    "begin_submit": (Step.SUBMIT, submit),
    "begin_submit again": (Step.SUBMITTING, submit),
    "accept": (Step.SUBMITTING, lambda claims, job: claims.accept(job, {"id": "up"}, "up")),
    "refuse": (
        Step.SUBMITTING,
        lambda claims, job: claims.refuse(job, outcome="over_limit", message="later", upstream_index=1),
    ),
    "begin_collect": (Step.CHECK, lambda claims, job: claims.begin_collect(job, "0.04 USD")),
    "ask_again": (Step.COLLECT, lambda claims, job: claims.ask_again(job)),
    "complete": (Step.COLLECT, lambda claims, job: claims.complete(job, [], 500)),
    "fail": (Step.CHECK, lambda claims, job: claims.fail(job, FAILURE)),
    "change": (Step.CHECK, lambda claims, job: claims.change(job, progress=0.5)),
    "reload": (Step.CHECK, lambda claims, job: claims.reload(job)),
    "park": (Step.CHECK, lambda claims, job: claims.park(job, 30)),
    "wait_for_place": (Step.SUBMIT, lambda claims, job: claims.wait_for_place(job, "p")),
    "park_unless_called": (Step.CHECK, lambda claims, job: claims.park_unless_called(job, 30)),
}


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=100_000)


def test_every_method_that_takes_a_claimed_job_is_among_the_moves() -> None:
    takes_a_job = {
        name
        for name, method in vars(JobClaims).items()
        if not name.startswith("_") and "job" in getattr(method, "__annotations__", {})
    }

    only_reads_history = {"attempts"}
    assert takes_a_job - only_reads_history == {name.split()[0] for name in MOVES}


# Who holds a job.


async def test_of_many_workers_one_gets_the_job(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)

    claimed = await asyncio.gather(*(stores.claims.claim(job_id, f"worker_{n}", LEASE_SECONDS) for n in range(10)))

    (job,) = [job for job in claimed if job is not None]
    assert job.fence == 1
    assert job.lease_until == stores.clock.now() + timedelta(seconds=LEASE_SECONDS)


async def test_a_lease_keeps_others_out_until_it_has_run_out(stores: Stores, key: ApiKey) -> None:
    job = await stores.claimed(key)

    stores.clock.advance(LEASE_SECONDS)
    assert await stores.claims.claim(job.id, "worker_2", LEASE_SECONDS) is None
    stores.clock.advance(0.001)
    taken_over = await stores.claim(job.id, "worker_2")

    assert (taken_over.lease_owner, taken_over.fence) == ("worker_2", job.fence + 1)


async def test_an_unknown_or_ended_job_cannot_be_claimed(stores: Stores, key: ApiKey) -> None:
    job = await stores.claims.fail(await stores.claimed(key), FAILURE)

    assert await stores.claims.claim(job.id, "worker_2", LEASE_SECONDS) is None
    assert await stores.claims.claim("job_unknown", "worker_2", LEASE_SECONDS) is None


@pytest.mark.parametrize("name", MOVES)
async def test_each_move_is_made_by_the_worker_that_holds_the_job(stores: Stores, key: ApiKey, name: str) -> None:
    step, move = MOVES[name]

    await move(stores.claims, await stores.at(key, step))


@pytest.mark.parametrize("name", MOVES)
async def test_a_worker_whose_job_was_taken_over_cannot_move_it(stores: Stores, key: ApiKey, name: str) -> None:
    step, move = MOVES[name]
    lost = await stores.at(key, step)
    stores.clock.advance(LEASE_SECONDS + 1)
    theirs = await stores.claim(lost.id, "worker_2")
    before = await stores.credits.balance(key.account_id, "test")

    with pytest.raises(LeaseLost):
        await move(stores.claims, lost)

    assert await stores.claims.reload(theirs) == theirs
    assert await stores.credits.balance(key.account_id, "test") == before


@pytest.mark.parametrize("name", MOVES)
async def test_a_job_that_has_ended_cannot_be_moved(stores: Stores, key: ApiKey, name: str) -> None:
    step, move = MOVES[name]
    job = await stores.at(key, step)
    ended = await stores.claims.fail(job, FAILURE)

    with pytest.raises(LeaseLost):
        await move(stores.claims, job)

    assert await stores.jobs.get(key, job.id) == ended


async def test_a_worker_may_come_back_late_as_long_as_nobody_took_over(stores: Stores, key: ApiKey) -> None:
    """A pause of the whole process costs nothing by itself: the fence decides, not the clock."""
    job = await stores.at(key, Step.SUBMITTING)
    stores.clock.advance(LEASE_SECONDS * 10)

    assert (await stores.claims.accept(job, {"id": "up"}, "up")).step == Step.CHECK


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("accept", Step.SUBMIT),
        ("refuse", Step.CHECK),
        ("begin_collect", Step.SUBMIT),
        ("ask_again", Step.SUBMIT),
        ("begin_submit", Step.CHECK),
    ],
)
async def test_a_move_that_the_table_does_not_allow_is_not_made(
    stores: Stores, key: ApiKey, name: str, wrong: Step
) -> None:
    job = await stores.at(key, wrong)

    with pytest.raises(LeaseLost):
        await MOVES[name][1](stores.claims, job)

    assert await stores.claims.reload(job) == job


# Leases.


async def test_renewing_keeps_all_jobs_of_a_worker_and_tells_which_should_stop(stores: Stores, key: ApiKey) -> None:
    mine = [await stores.claimed(key) for _ in range(3)]
    theirs = await stores.claimed(key, "worker_2")
    await stores.claims.fail(mine.pop(), FAILURE)
    await stores.submitted(mine[0])
    await stores.jobs.cancel(key, mine[0].id)
    stores.clock.advance(10)

    renewed = await stores.claims.renew_leases("worker_1", LEASE_SECONDS)

    assert renewed == {mine[0].id: (1, True), mine[1].id: (1, False)}
    stores.clock.advance(10)
    assert await stores.claims.claim(mine[1].id, "worker_3", LEASE_SECONDS) is None
    assert await stores.claims.claim(theirs.id, "worker_3", LEASE_SECONDS) is not None


async def test_a_worker_that_stops_gives_its_jobs_back_at_once(stores: Stores, key: ApiKey) -> None:
    mine, theirs = await stores.claimed(key), await stores.claimed(key, "worker_2")
    ended = await stores.claims.fail(await stores.claimed(key), FAILURE)

    assert await stores.claims.release_leases("worker_1") == 1

    assert await stores.claims.due(10) == [mine.id]
    assert (await stores.claim(mine.id, "worker_3")).fence == 2
    assert await stores.claims.reload(theirs) == theirs
    assert await stores.jobs.get(key, ended.id) == ended


async def test_a_worker_can_give_some_of_its_jobs_back_and_none_of_anothers(stores: Stores, key: ApiKey) -> None:
    kept, given = await stores.claimed(key), await stores.claimed(key)
    theirs = await stores.claimed(key, "worker_2")

    assert await stores.claims.give_back("worker_1", [given.id, theirs.id]) == 1

    assert await stores.claims.due(10) == [given.id]
    assert await stores.claims.reload(kept) == kept
    assert await stores.claims.reload(theirs) == theirs


async def test_after_a_crash_of_the_only_process_all_jobs_are_given_back(stores: Stores, key: ApiKey) -> None:
    jobs = {(await stores.claimed(key, f"worker_{number}")).id for number in range(3)}

    assert await stores.claims.release_leases(None) == 3
    assert set(await stores.claims.due(10)) == jobs


async def test_a_parked_job_is_due_again_when_its_time_has_come(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.CHECK)
    await stores.claims.park(job, 90, failures=2)

    stores.clock.advance(89)
    assert await stores.claims.due(10) == []
    stores.clock.advance(1)
    assert await stores.claims.due(10) == [job.id]

    again = await stores.claim(job.id)
    assert (again.step, again.failures, again.fence) == (Step.CHECK, 2, job.fence + 1)


# What the sweep finds.


async def test_a_job_in_a_living_workers_hands_is_not_due(stores: Stores, key: ApiKey) -> None:
    job = await stores.claimed(key)

    stores.clock.advance(LEASE_SECONDS)
    assert await stores.claims.due(10) == []
    stores.clock.advance(1)

    assert await stores.claims.due(10) == [job.id]


async def test_what_was_announced_again_is_left_be_for_a_while(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)
    grace = HINT_GRACE.total_seconds()
    stores.clock.advance(grace)

    assert await stores.claims.due(10) == [job_id]
    stores.clock.advance(grace - 1)
    assert await stores.claims.due(10) == []
    stores.clock.advance(1)
    assert await stores.claims.due(10) == [job_id]


async def test_the_longest_overdue_come_first_and_no_more_than_asked_for(stores: Stores, key: ApiKey) -> None:
    jobs = []
    for _ in range(5):
        jobs.append(await stores.create(key))
        stores.clock.advance(1)
    stores.clock.advance(60)

    assert await stores.claims.due(3) == jobs[:3]
    assert await stores.claims.due(3) == jobs[3:]


async def test_a_job_claimed_while_the_sweep_looked_keeps_its_lease(stores: Stores, key: ApiKey) -> None:
    job = await stores.claimed(key)
    now = stores.clock.now()

    await stores.database.write(lambda c: store.postpone(c, [job.id], now, now + HINT_GRACE))

    assert (await stores.claims.reload(job)).next_step_at == job.next_step_at


async def test_a_lease_taken_over_between_the_two_looks_of_a_renewal_is_not_renewed(
    stores: Stores, key: ApiKey
) -> None:
    job, database = await stores.claimed(key), FaultyDatabase(stores.database)

    async def take_over() -> None:
        stores.clock.advance(LEASE_SECONDS + 1)
        await stores.claim(job.id, "worker_2")

    database.after_read = take_over
    slow = Stores(database, stores.clock, stores.blobs, stores.engine)
    assert await slow.claims.renew_leases("worker_1", 10 * LEASE_SECONDS) == {}

    stores.clock.advance(LEASE_SECONDS + 1)
    assert await stores.claims.due(10) == [job.id], "its lease is as long as worker_2 asked for"


async def test_a_call_for_a_job_that_no_upstream_has_brings_it_no_sooner(stores: Stores, key: ApiKey) -> None:
    """It waits for its turn, or for an upstream that refused it to recover: what called means an attempt of before."""
    job = await stores.claimed(key)
    await stores.claims.park(job, 300)

    await stores.claims.call_for(job.id)

    assert await stores.claims.due(10) == []
    stores.clock.advance(300)
    assert await stores.claims.due(10) == [job.id]
