"""Two API nodes on one database, and on PostgreSQL one broker: they are one server to their callers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

import pytest
from tests.api.asgi import Reply
from tests.api.dojo import PROMPT, RUN, Caller, Dojo
from tests.api.test_events import following
from tests.clock import FakeClock
from tests.conftest import DATABASES
from tests.stores import Stores
from tests.unit.worker.faulty import Fault, FaultyDatabase, away

from pixeldojo.blobs import open_blobs
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import Database, open_database
from pixeldojo.engine import open_engine

IDENTICAL: Final = 50
LONGEST_NEWS_SECONDS: Final = 0.3


@pytest.fixture(params=DATABASES)
def database_address(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(f"{'postgres' if request.param == 'postgresql' else 'sqlite'}_address")
    return address


# One idempotency key


@pytest.fixture
def beside(stores: Stores, catalog: Catalog, settings: Settings) -> Dojo:
    """A second node: it does not know which keys the first is at work on."""
    return Dojo(stores, catalog, settings)


def at(node: Dojo, caller: Caller) -> Caller:
    """Return the caller as it comes to another node."""
    assert caller.key is not None
    return Caller(node, caller.api_key, caller.key)


async def ask(caller: Caller, prompt: str = PROMPT["prompt"]) -> Reply:
    """Run with one key, again as long as the first of them is under way."""
    while True:
        reply = await caller.post(RUN, {"prompt": prompt}, idempotency_key="order-1")
        if reply.status != 409:
            return reply
        assert reply.header("retry-after") == "1"
        await asyncio.sleep(0)


async def test_fifty_identical_posts_at_two_nodes_by_two_keys_are_one_job(
    dojo: Dojo, beside: Dojo, caller: Caller
) -> None:
    colleague = await dojo.caller(account_id=caller.api_key.account_id, granted=0)
    callers = [caller, at(beside, caller), colleague, at(beside, colleague)]
    replies = await asyncio.gather(*(ask(callers[number % 4]) for number in range(IDENTICAL)))
    assert [reply.status for reply in replies] == [202] * IDENTICAL
    assert len({reply.body for reply in replies}) == 1
    assert [reply.header("idempotent-replayed") for reply in replies].count(None) == 1
    assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


async def test_fifty_posts_with_one_key_and_two_bodies_are_one_job_and_refusals(
    dojo: Dojo, beside: Dojo, caller: Caller
) -> None:
    callers = [caller, at(beside, caller)]
    bodies = ["a lantern", "a kite"]
    replies = await asyncio.gather(*(ask(callers[number // 2 % 2], bodies[number % 2]) for number in range(IDENTICAL)))
    assert sorted(reply.status for reply in replies) == [202] * (IDENTICAL // 2) + [422] * (IDENTICAL // 2)
    assert {reply.error["code"] for reply in replies if reply.status == 422} == {"idempotency_mismatch"}
    assert len({reply.json["jobId"] for reply in replies if reply.status == 202}) == 1
    assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


@pytest.mark.parametrize("is_kept", [False, True], ids=["before the commit", "after the commit"])
async def test_a_crash_around_the_commit_and_fifty_repeats_are_one_job(
    database: Database, clock: FakeClock, catalog: Catalog, settings: Settings, is_kept: bool
) -> None:
    """What a caller sees of it is an answer that never came."""
    faulty = FaultyDatabase(database)
    dojo = Dojo(Stores(faulty, clock), catalog, settings)
    caller = await dojo.caller()
    faulty.faults = [Fault(away(), is_kept)]
    assert (await caller.post(RUN, PROMPT, idempotency_key="order-1")).status >= 500
    replies = await asyncio.gather(*(ask(caller) for _ in range(IDENTICAL)))
    assert [reply.status for reply in replies] == [202] * IDENTICAL
    assert len({reply.json["jobId"] for reply in replies}) == 1
    assert [reply.header("idempotent-replayed") for reply in replies].count(None) == (0 if is_kept else 1)
    assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


# What ends on one node is heard of on the other


@pytest.fixture
async def nodes(
    postgres_address: str, valkey_address: str, clock: FakeClock, catalog: Catalog, settings: Settings
) -> AsyncIterator[tuple[Dojo, Dojo]]:
    """Two nodes with connections of their own. Their clock stands still: nobody looks again, so news it must be."""
    async with AsyncExitStack() as stack:
        nodes = []
        blobs = open_blobs("memory://")
        for _ in range(2):
            database, engine = open_database(postgres_address), open_engine(valkey_address)
            stack.push_async_callback(database.close)
            stack.push_async_callback(engine.close)
            await engine.start()
            nodes.append(Dojo(Stores(database, clock, blobs, engine), catalog, settings))
        here, there = nodes
        async with asyncio.timeout(10):
            while not (here.stores.engine.is_hearing and there.stores.engine.is_hearing):
                await here.stores.engine.check()
        yield here, there


async def test_a_stream_on_one_node_tells_at_once_of_a_job_that_ends_on_another(nodes: tuple[Dojo, Dojo]) -> None:
    here, there = nodes
    caller = await here.caller()
    seconds = []
    for _ in range(5):
        job_id = await caller.run()
        async with following(here, caller, job_id) as stream:
            await stream.until(1)
            await there.completed(job_id)
            ended = time.monotonic()
            await stream.until_said("event: done")
            seconds.append(time.monotonic() - ended)
    assert median(seconds) < LONGEST_NEWS_SECONDS
    assert here.clock.monotonic() == 0


async def test_a_caller_who_waits_on_one_node_is_answered_when_the_job_ends_on_another(
    nodes: tuple[Dojo, Dojo],
) -> None:
    here, there = nodes
    caller = await here.caller()
    seconds = []
    for _ in range(5):
        waiting = asyncio.create_task(caller.post(RUN, PROMPT, prefer="wait=30"))
        await here.clock.until_sleeping(2)  # who waits, and who looks for all that wait
        job_id = (await caller.get("/api/v1/jobs?status=pending")).json["jobs"][0]["jobId"]
        await there.completed(job_id)
        ended = time.monotonic()
        async with asyncio.timeout(10):
            reply = await waiting
        seconds.append(time.monotonic() - ended)
        assert (reply.status, reply.json["status"]) == (200, "completed")
    assert median(seconds) < LONGEST_NEWS_SECONDS
    assert here.clock.monotonic() == 0


async def test_of_hundreds_who_listen_only_those_concerned_ask_the_database(
    nodes: tuple[Dojo, Dojo], statements: Sequence[str]
) -> None:
    here, there = nodes
    caller = await here.caller()
    job_ids = [await caller.run() for _ in range(10)]
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(here, caller, job_id)) for job_id in job_ids * 20]
        await asyncio.gather(*(stream.until(1) for stream in streams))
        before = len(statements)
        await there.accepted(job_ids[0])
        mine = streams[::10]
        await asyncio.gather(*(stream.until(2) for stream in mine))
        asked = [one for one in statements[before:] if one.startswith("SELECT") and "jobs" in one]
    # The worker's own statements are a handful.
    assert len(mine) <= len(asked) <= len(mine) + 10
