"""`Prefer: wait=N` on a run: the job itself where it ends in time, the 202 otherwise."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from tests.api.asgi import Reply
from tests.api.dojo import PROMPT, RUN, Caller, Dojo
from tests.stores import Stores

from pixeldojo.core.errors import Expired, JobFailure, JobFailureCode
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.service import JobsService


async def begin(dojo: Dojo, caller: Caller, prefer: str, **headers: str) -> tuple[asyncio.Task[Reply], str]:
    """Start a run that waits; return it, and its job's id once it does wait."""
    waiting = asyncio.create_task(caller.post(RUN, PROMPT, prefer=prefer, **headers))
    await dojo.clock.until_sleeping()
    job_id: str = (await caller.get("/api/v1/jobs?limit=1")).json["jobs"][0]["jobId"]
    return waiting, job_id


async def test_the_answer_is_the_whole_job_as_soon_as_it_has_ended(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=30")
    await dojo.completed(job_id)
    reply = await waiting
    assert reply.status == 200
    assert reply.json == (await caller.get(f"/api/v1/jobs/{job_id}")).json
    assert reply.json["status"] == "completed"
    assert reply.header("preference-applied") == "wait=30"
    assert reply.header("location") == f"http://dojo.test/api/v1/jobs/{job_id}"
    assert dojo.clock.monotonic() == 0, "nobody had to wait longer than the job took"


async def test_a_job_that_failed_in_time_is_shown_failed(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=30")
    await dojo.failed(job_id)
    reply = await waiting
    assert (reply.status, reply.json["status"], reply.json["creditCost"]) == (200, "failed", 0)


async def test_when_the_time_is_over_the_answer_is_the_202(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=2")
    await dojo.accepted(job_id)
    while not waiting.done():
        await dojo.clock.until_sleeping(2)  # who waits, and who looks for all that wait
        dojo.clock.advance(0.25)
        await asyncio.sleep(0)
        if dojo.clock.monotonic() >= 2:
            break
    reply = await waiting
    assert (reply.status, reply.json["jobId"], reply.json["status"]) == (202, job_id, "pending")
    assert reply.header("preference-applied") == "wait=2"
    assert dojo.clock.monotonic() == 2


async def test_a_stopping_server_answers_with_the_202(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=60")
    dojo.app.state.stopping.set()
    async with asyncio.timeout(10):
        reply = await waiting
    assert (reply.status, reply.json["jobId"]) == (202, job_id)
    assert dojo.clock.sleeper_count == 0


class _Blind:
    """Jobs that can be made, and not looked at."""

    def __init__(self, jobs: JobsService, error: Exception) -> None:
        self._jobs = jobs
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def wait(self, *_: object) -> Job:
        raise self._error


@pytest.mark.parametrize("error", [OperationalError("", {}, OSError()), ConnectionError(), KeyError(), Expired("gone")])
async def test_once_the_job_is_accepted_no_trouble_in_looking_at_it_makes_an_error_of_the_answer(
    dojo: Dojo, caller: Caller, error: Exception
) -> None:
    """Its caller would take an error for no job, and send it again."""
    dojo.build(jobs=_Blind(dojo.stores.jobs, error))
    reply = await caller.post(RUN, PROMPT, prefer="wait=30")
    assert reply.status == 202
    assert (await caller.get(f"/api/v1/jobs/{reply.json['jobId']}")).json["status"] == "pending"
    assert [line["job_id"] for line in dojo.log if line["event"] == "wait broke"] == (
        [] if isinstance(error, Expired) else [reply.json["jobId"]]
    )


async def test_a_replay_of_a_job_that_was_deleted_is_the_202_it_always_was(dojo: Dojo, caller: Caller) -> None:
    first = await caller.post(RUN, PROMPT, idempotency_key="order-1")
    await dojo.completed(first.json["jobId"])
    await caller.delete(f"/api/v1/jobs/{first.json['jobId']}")
    again = await caller.post(RUN, PROMPT, idempotency_key="order-1", prefer="wait=30")
    assert (again.status, again.json) == (202, first.json)


async def test_a_change_seen_by_another_node_is_found_within_a_second(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=60")
    elsewhere = Stores(dojo.stores.database, dojo.clock, dojo.stores.blobs)
    claimed = await elsewhere.claims.claim(job_id, "worker_2", 15.0)
    assert claimed is not None
    await elsewhere.claims.fail(claimed, JobFailure(JobFailureCode.TIMEOUT, "Too late."))
    assert not waiting.done()
    dojo.clock.advance(1)
    assert (await waiting).status == 200


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=60", "wait=60"),
        ("wait=61", "wait=60"),
        ("wait=999999", "wait=60"),
        ("respond-async, wait=5", "wait=5"),
        ("respond-async; wait=5", "wait=5"),
        ("WAIT = 5", "wait=5"),
        ('wait="5"', "wait=5"),
    ],
)
async def test_the_time_is_clamped_to_a_minute_and_told(dojo: Dojo, caller: Caller, prefer: str, applied: str) -> None:
    waiting, job_id = await begin(dojo, caller, prefer)
    await dojo.completed(job_id)
    assert (await waiting).header("preference-applied") == applied


@pytest.mark.parametrize(
    "prefer", ["", "wait", "wait=", "wait=0", "wait=-5", "wait=soon", "await=5", "wait=1e9", "return=minimal", "wait=²"]
)
async def test_a_preference_that_is_not_a_time_is_ignored(caller: Caller, prefer: str) -> None:
    reply = await caller.post(RUN, PROMPT, prefer=prefer)
    assert (reply.status, reply.header("preference-applied")) == (202, None)


async def test_the_job_outlives_a_dropped_connection(dojo: Dojo, caller: Caller) -> None:
    waiting, job_id = await begin(dojo, caller, "wait=30")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await dojo.completed(job_id)
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).json["status"] == "completed"
    assert (await caller.traces())[:2] == (99_000, 0)


async def test_a_replay_waits_too_and_shows_how_the_job_stands(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run(idempotency_key="order-1")
    waiting, found = await begin(dojo, caller, "wait=30", idempotency_key="order-1")
    assert found == job_id
    await dojo.completed(job_id)
    reply = await waiting
    assert (reply.status, reply.json["jobId"]) == (200, job_id)
    assert reply.header("idempotent-replayed") == "true"


async def test_a_refused_run_does_not_wait(caller: Caller) -> None:
    assert (await caller.post(RUN, {}, prefer="wait=60")).status == 400


async def test_many_can_wait_for_one_job(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run(idempotency_key="order-1")
    waiting = [
        asyncio.create_task(caller.post(RUN, PROMPT, prefer="wait=30", idempotency_key="order-1")) for _ in range(10)
    ]
    await dojo.clock.until_sleeping(10)
    await dojo.completed(job_id)
    assert {reply.json["status"] for reply in await asyncio.gather(*waiting)} == {"completed"}
