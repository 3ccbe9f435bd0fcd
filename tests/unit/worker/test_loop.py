"""Carrying jobs: slots, hints, leases, faults of our own, and being woken."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog
from tests.stores import BASE_URL, LEASE_SECONDS, RETENTION
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.workshop import Workshop, accepted, finished, refused

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.engine import open_engine
from pixeldojo.jobs.job import HINT_GRACE
from pixeldojo.jobs.service import CancelResult, JobsService
from pixeldojo.jobs.states import Step
from pixeldojo.jobs.watch import JobWatch
from pixeldojo.providers.contract import Finished, Operation, Running, UpstreamErrorKind


class Gate:
    """Holds calls of an upstream until it is opened."""

    def __init__(self) -> None:
        self.is_reached = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def submit(self) -> Operation | Finished:
        self.is_reached.set()
        await self.may_go_on.wait()
        return finished()


# Hints and slots


async def test_a_hint_brings_a_job_to_its_end(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    await worker.take(job_id)
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    [entry] = shop.logged("job ended")
    assert (entry["status"], entry["error"]) == ("completed", None)


async def test_what_is_logged_of_a_job_names_it_and_the_request_that_made_it(shop: Workshop, key: ApiKey) -> None:
    """Also where the worker came to it in the middle of something else, or after the worker before it died."""
    seen: list[dict[str, object]] = []

    async def note() -> Finished:
        seen.append(structlog.contextvars.get_contextvars())
        return finished()

    shop.upstream.to_submit = [note]
    job_id = await shop.submit(key, request_id="req_1")
    worker = shop.worker()
    with structlog.contextvars.bound_contextvars(request_id="req_of_another"):
        await worker.take(job_id)
    await shop.until_dropped(worker)
    assert seen == [{"job_id": job_id, "model": "picture", "request_id": "req_1"}]


async def test_a_job_announced_often_is_carried_once(shop: Workshop, key: ApiKey) -> None:
    gate = Gate()
    shop.upstream.to_submit = [gate.submit]
    worker = shop.worker(max_jobs=3)
    job_id = await shop.submit(key)
    await asyncio.gather(*(worker.take(job_id) for _ in range(10)))
    await gate.is_reached.wait()
    await worker.take(job_id)
    assert worker.job_count == 1
    gate.may_go_on.set()
    await shop.until_dropped(worker)
    await worker.take(job_id)
    assert (worker.job_count, len(shop.upstream.calls)) == (0, 1)


async def test_a_hint_of_nothing_takes_no_slot(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker(max_jobs=1)
    for _ in range(3):
        await worker.take("job_of_nobody")
    job_id = await shop.submit(key)
    await worker.take(job_id)
    await shop.until_dropped(worker)
    assert (await shop.job(job_id)).status == "completed"


async def test_a_claim_that_fails_takes_no_slot(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker(max_jobs=1)
    job_id = await shop.submit(key)
    shop.break_writes(Fault(away()), Fault(away()))
    for _ in range(2):
        with pytest.raises(Exception, match="closed the connection"):
            await worker.take(job_id)
    await worker.take(job_id)
    await shop.until_dropped(worker)
    assert (await shop.job(job_id)).status == "completed"


async def test_a_worker_carries_no_more_jobs_than_it_has_slots(shop: Workshop, key: ApiKey) -> None:
    gates = [Gate() for _ in range(3)]
    shop.upstream.to_submit = [gate.submit for gate in gates]
    worker = shop.worker(max_jobs=2)
    ids = [await shop.submit(key) for _ in range(3)]
    takes = [asyncio.create_task(worker.take(job_id)) for job_id in ids]
    await asyncio.gather(takes[0], takes[1], gates[0].is_reached.wait(), gates[1].is_reached.wait())
    assert (worker.job_count, takes[2].done()) == (2, False)
    assert (await shop.job(ids[2])).lease_owner is None
    gates[0].may_go_on.set()
    await asyncio.gather(takes[2], gates[2].is_reached.wait())
    assert worker.job_count == 2
    for gate in gates:
        gate.may_go_on.set()
    await shop.until_dropped(worker)
    assert len(shop.upstream.calls) == 3


async def test_hints_that_wait_for_a_slot_do_not_pile_up(shop: Workshop, key: ApiKey) -> None:
    gate = Gate()
    shop.upstream.to_submit = [gate.submit]
    worker = shop.worker(max_jobs=1)
    await worker.take(await shop.submit(key))
    takes = [asyncio.create_task(worker.take(f"job_{number}")) for number in range(500)]
    await gate.is_reached.wait()
    waiting = [take for take in takes if not take.done()]
    assert 0 < len(waiting) < 100
    gate.may_go_on.set()
    await asyncio.gather(*waiting)


# Leases


async def test_leases_are_renewed_together(shop: Workshop, key: ApiKey, statements: Sequence[str]) -> None:
    worker = shop.worker()
    ids = [await shop.submit(key) for _ in range(5)]
    shop.upstream.to_check = [Running(poll_after_seconds=30.0) for _ in ids]
    for job_id in ids:
        await worker.take(job_id)
    await shop.clock.until_sleeping(5)
    keeping = asyncio.create_task(worker.keep_leases())
    await shop.clock.until_sleeping(6)
    before = len(statements)
    shop.clock.advance(LEASE_SECONDS / 3)
    await shop.clock.until_sleeping(6)
    assert [line.split()[0] for line in statements[before:]] == ["SELECT", "UPDATE"]
    for job_id in ids:
        lease = (await shop.job(job_id)).lease_until
        assert lease is not None
        assert (lease - shop.clock.now()).total_seconds() == LEASE_SECONDS
    await worker.stop(0)
    keeping.cancel()


async def test_leases_outlast_a_moment_without_a_database(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.clock.until_sleeping(7)
        shop.break_writes(Fault(away()))
        await shop.pass_time(20, waiting=1)
        lease = (await shop.job(job_id)).lease_until
        assert lease is not None
        assert lease > shop.clock.now()
        assert len(shop.logged("leases could not be renewed")) == 1
        assert worker.job_count == 1
        await shop.until_ended(job_id)
    assert (await shop.ending(key, job_id))[0] == "completed"


async def test_a_long_pause_gives_the_job_back(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.OVER_LIMIT, later=120)]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.until_dropped(worker)
        job = await shop.job(job_id)
        assert (job.lease_owner, (job.next_step_at - shop.clock.now()).total_seconds()) == (None, 120)
        await shop.pass_time(115)
        assert len(shop.upstream.calls) == 1
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


# Faults of our own


async def test_a_fault_is_tried_again_with_growing_pauses(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [KeyError("status") for _ in range(3)]
    await worker.take(job_id)
    for pause in (1.0, 2.0, 4.0):
        await shop.clock.until_sleeping()
        shop.clock.advance(pause - 0.001)
        assert shop.clock.sleeper_count == 1
        shop.clock.advance(0.001)
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert [entry["log_level"] for entry in shop.logged("step failed")] == ["error"] * 3


async def test_a_fault_that_stays_ends_the_job_uncharged(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [KeyError("/secret/path") for _ in range(20)]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_error", 0)
    assert len(shop.upstream.checked) == 8
    message = (await shop.job(job_id)).error_message or ""
    assert "on our side" in message
    assert "secret" not in message


async def test_a_fault_before_the_call_is_no_call(shop: Workshop, key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog breaks while the call is built: no upstream heard of it, so it may be tried again."""
    worker = shop.worker()
    job_id = await shop.submit(key)
    find, faults = shop.catalog.find, [RuntimeError("broken"), RuntimeError("broken")]

    def find_after_faults(model_id: str) -> object:
        if faults:
            raise faults.pop()
        return find(model_id)

    monkeypatch.setattr(type(shop.catalog), "find", lambda _, model_id: find_after_faults(model_id))
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_fault_inside_the_call_may_have_been_a_call(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [KeyError("id")]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.until_ended(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 1


@pytest.mark.parametrize("is_kept", [False, True], ids=["not written", "answer lost"])
@pytest.mark.parametrize("healthy_writes", range(5))
async def test_a_database_that_goes_away_loses_no_job(
    shop: Workshop, key: ApiKey, healthy_writes: int, is_kept: bool
) -> None:
    """Also where not even the fault can be written down: the job is found again, and nobody pays twice."""
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.break_writes(*[None] * healthy_writes, *[Fault(away(), is_kept)] * 7)
    async with shop.running(worker):
        shop.clock.advance(HINT_GRACE.total_seconds())
        await shop.until_ended(job_id)
    status, code, _ = await shop.ending(key, job_id)
    assert (status, code) in {("completed", None), ("failed", "upstream_unknown")}
    assert len(shop.upstream.calls) <= 1


# Being woken


async def test_a_job_that_waits_is_woken_when_its_caller_cancels_it(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    await worker.take(job_id)
    await shop.clock.until_sleeping()
    _, result = await shop.stores.jobs.cancel(key, job_id)
    assert result == CancelResult.REQUESTED
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.canceled) == 1


async def test_a_wish_that_comes_while_a_step_is_taken_is_heard_after_it(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)

    async def cancel_meanwhile() -> Running:
        await shop.stores.jobs.cancel(key, job_id)
        return Running(poll_after_seconds=30.0)

    shop.upstream.to_check = [cancel_meanwhile]
    await worker.take(job_id)
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)


async def test_a_wish_that_comes_while_the_job_is_looked_up_is_heard(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0) for _ in range(3)]
    await worker.take(job_id)
    await shop.clock.until_sleeping()
    shop.database.after_read = lambda: shop.stores.jobs.cancel(key, job_id)
    shop.stores.engine.notify(job_id)
    await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)


async def test_a_wish_told_to_another_node_is_heard_when_leases_are_renewed(shop: Workshop, key: ApiKey) -> None:
    stores = shop.stores
    engine = open_engine(None)
    elsewhere = JobsService(
        database=stores.database,
        credits=stores.credits,
        assets=stores.assets,
        webhooks=stores.webhooks,
        ending=stores.ending,
        engine=engine,
        clock=shop.clock,
        watch=JobWatch(stores.database, engine, shop.clock),
        base_url=BASE_URL,
        retention=RETENTION,
    )
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    async with shop.running(worker):
        await worker.take(job_id)
        await shop.clock.until_sleeping(7)
        await elsewhere.cancel(key, job_id)
        await shop.pass_time(5)
        await shop.until_dropped(worker)
    assert await shop.ending(key, job_id) == ("failed", "canceled", 0)
    assert len(shop.upstream.checked) == 1


# Stopping


async def test_jobs_that_only_wait_are_given_back_before_calls_are_waited_for(shop: Workshop, key: ApiKey) -> None:
    gate = Gate()
    worker = shop.worker()
    waiting, calling = await shop.submit(key), await shop.submit(key)
    shop.upstream.to_submit = [accepted(), gate.submit]
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    await worker.take(waiting)
    await shop.clock.until_sleeping()
    await worker.take(calling)
    await gate.is_reached.wait()
    stopping = asyncio.create_task(worker.stop(60))
    async with asyncio.timeout(10):
        while (await shop.job(waiting)).lease_owner is not None:
            assert not stopping.done()
    assert (await shop.job(calling)).lease_owner == "worker_1"
    assert await shop.stores.claims.claim(waiting, "worker_2", LEASE_SECONDS) is not None
    gate.may_go_on.set()
    await stopping
    job = await shop.job(calling)
    assert (job.status, worker.job_count) == ("completed", 0)


async def test_a_call_under_way_is_finished_and_the_job_given_back(shop: Workshop, key: ApiKey) -> None:
    is_reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def accept() -> Operation:
        is_reached.set()
        await may_go_on.wait()
        return accepted()

    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [accept]
    await worker.take(job_id)
    await is_reached.wait()
    stopping = asyncio.create_task(worker.stop(60))
    may_go_on.set()
    await stopping
    job = await shop.job(job_id)
    assert (job.step, job.lease_owner) == (Step.CHECK, None)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_a_call_that_takes_too_long_is_left_and_the_job_given_back(shop: Workshop, key: ApiKey) -> None:
    gate = Gate()
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [gate.submit]
    await worker.take(job_id)
    await gate.is_reached.wait()
    await worker.stop(0)
    job = await shop.job(job_id)
    assert (job.step, job.lease_owner, worker.job_count) == (Step.SUBMITTING, None, 0)


async def test_what_another_can_do_again_is_not_waited_for(shop: Workshop, key: ApiKey) -> None:
    is_asked = asyncio.Event()

    async def never() -> Running:
        is_asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [accepted()]
    shop.upstream.to_check = [never]
    await worker.take(job_id)
    async with asyncio.timeout(10):
        await is_asked.wait()
        await worker.stop(60)
    job = await shop.job(job_id)
    assert (job.step, job.lease_owner) == (Step.CHECK, None)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1


async def test_nothing_is_taken_after_stopping(shop: Workshop, key: ApiKey) -> None:
    gate = Gate()
    worker = shop.worker(max_jobs=1)
    shop.upstream.to_submit = [gate.submit]
    await worker.take(await shop.submit(key))
    await gate.is_reached.wait()
    other = await shop.submit(key)
    waits_for_a_slot = asyncio.create_task(worker.take(other))
    await worker.stop(0)
    await waits_for_a_slot
    await worker.take(other)
    assert (worker.job_count, (await shop.job(other)).lease_owner) == (0, None)
    assert len(shop.upstream.calls) == 1


async def test_stopping_works_while_the_database_is_away(shop: Workshop, key: ApiKey) -> None:
    worker = shop.worker()
    job_id = await shop.submit(key)
    shop.upstream.to_check = [Running(poll_after_seconds=30.0)]
    await worker.take(job_id)
    await shop.clock.until_sleeping()
    shop.break_writes(Fault(away()), Fault(away()))
    await worker.stop(1)
    assert worker.job_count == 0
