"""The ways through the API that lean on the database most, on SQLite and on PostgreSQL."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text
from tests.api.dojo import PNG, PROMPT, RUN, Caller, Dojo
from tests.clock import FakeClock
from tests.conftest import DATABASES
from tests.postgres import PostgresServer
from tests.stores import HOOK, Stores

from pixeldojo.catalog.load import Catalog
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import Database, open_database


@pytest.fixture(params=DATABASES)
def database_address(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(f"{'postgres' if request.param == 'postgresql' else 'sqlite'}_address")
    return address


async def test_one_job_from_its_run_to_its_end(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK}, idempotency_key="order-1")
    assert await caller.run({**PROMPT, "webhook_url": HOOK}, idempotency_key="order-1") == job_id
    assert (await caller.post(RUN, {"prompt": "b"}, idempotency_key="order-1")).status == 422
    assert (await caller.get("/api/v1/credits")).json["held"] == 1
    await dojo.completed(job_id)
    job = (await caller.get(f"/api/v1/jobs/{job_id}")).json
    assert (job["status"], job["webhook"]["status"]) == ("completed", "pending")
    target = job["output"]["images"][0].removeprefix("http://dojo.test")
    assert (await dojo.stranger.get(target)).body == PNG
    assert (await caller.post(f"/api/v1/jobs/{job_id}/webhook")).status == 202
    assert (await caller.post(f"/api/v1/jobs/{job_id}/cancel")).status == 409
    assert (await caller.get("/api/v1/credits")).json["available"] == 99
    dojo.clock.advance(24 * 3_600)
    assert await dojo.stores.ending.purge_expired(10) == 1
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).status == 410
    assert (await dojo.stranger.get(target)).status == 410


async def test_pages_and_filters(dojo: Dojo, caller: Caller) -> None:
    made = []
    for _ in range(5):
        dojo.clock.advance(1)
        made.append(await caller.run())
    await dojo.failed(made[0])
    first = (await caller.get("/api/v1/jobs?limit=3&status=pending")).json
    rest = (await caller.get(f"/api/v1/jobs?limit=3&status=pending&cursor={first['nextCursor']}")).json
    assert [job["jobId"] for job in first["jobs"] + rest["jobs"]] == made[:0:-1]
    assert rest["nextCursor"] is None


async def test_many_runs_at_once_never_spend_more_than_there_is(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=5_000)
    replies = await asyncio.gather(*(poor.post(RUN, PROMPT) for _ in range(12)))
    assert sorted(reply.status for reply in replies) == [202] * 5 + [402] * 7
    assert (await poor.traces())[:3] == (0, 5_000, 5)


async def test_one_idempotency_key_at_once_makes_one_job(caller: Caller) -> None:
    replies = await asyncio.gather(*(caller.post(RUN, PROMPT, idempotency_key="order-1") for _ in range(8)))
    assert len({reply.json["jobId"] for reply in replies if reply.status == 202}) == 1
    assert (await caller.traces())[2] == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/v1/jobs/%00", 404),
        ("/api/v1/jobs/job_%00%00", 404),
        ("/assets/%00.png", 404),
        ("/assets/asset_%00.png", 404),
        ("/api/v1/jobs?model=%00", 400),
        ("/api/v1/jobs?cursor=%00", 400),
        ("/api/v1/models/%00", 404),
        ("/api/v1/models?q=%00", 200),
        ("/api/v1/jobs/%ff%fe", 404),
        ("/api/v1/jobs?created_after=0001-01-01T00:00:00%2B14:00", 400),
        ("/api/v1/jobs?created_before=9999-12-31T23:59:59-14:00", 400),
    ],
)
async def test_characters_and_times_that_a_database_may_not_take(caller: Caller, target: str, status: int) -> None:
    assert (await caller.get(target)).status == status


@pytest.mark.parametrize("name", ["prompt", "webhook_url", "image_url"])
@pytest.mark.parametrize("bad", ["\0", "\ud800"])
async def test_texts_that_a_database_may_not_take(caller: Caller, name: str, bad: str) -> None:
    assert (await caller.post(RUN, {**PROMPT, name: f"https://example.com/{bad}"})).status == 400


async def test_while_postgresql_takes_nobody_requests_are_503_and_then_go_on(
    postgres: PostgresServer, postgres_address: str, clock: FakeClock, catalog: Catalog, settings: Settings
) -> None:
    name = postgres_address.partition("@/")[2].partition("?")[0]
    async with AsyncExitStack() as stack:
        database, beside = open_database(postgres_address), open_database(postgres.address("postgres"))
        for opened in (database, beside):
            stack.push_async_callback(opened.close)
        dojo = Dojo(Stores(database, clock), catalog, settings)
        caller = await dojo.caller()
        assert (await caller.get("/api/v1/jobs")).status == 200
        await execute(beside, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await execute(beside, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        for target in ("/api/v1/jobs", "/api/v1/credits", "/assets/a.png"):
            reply = await caller.get(target)
            assert (reply.status, reply.error["code"]) == (503, "service_unavailable")
            assert int(reply.header("retry-after") or "") > 0
        refused = await caller.post(RUN, PROMPT, idempotency_key="order-1")
        assert refused.status in {500, 503}
        assert (await caller.get("/readyz")).json["checks"]["database"] == "unavailable"
        await execute(beside, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        accepted = await caller.post(RUN, PROMPT, idempotency_key="order-1")
        assert (accepted.status, accepted.header("idempotent-replayed")) == (202, None)
        assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


async def execute(database: Database, statement: str) -> None:
    await database.write(lambda connection: connection.execute(text(statement)))
