"""GET /jobs: pages, filters and cursors."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.dojo import ALL_PROVIDERS, PROMPT, Caller, Dojo

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.core.clock import iso_utc


async def page(caller: Caller, query: str = "") -> tuple[list[str], str | None]:
    reply = await caller.get(f"/api/v1/jobs?{query}")
    assert reply.status == 200, reply.body
    assert set(reply.json) == {"jobs", "nextCursor"}
    return [job["jobId"] for job in reply.json["jobs"]], reply.json["nextCursor"]


async def run_some(dojo: Dojo, caller: Caller, count: int) -> list[str]:
    """Run jobs a second apart; the newest comes first."""
    made = []
    for _ in range(count):
        dojo.clock.advance(1)
        made.append(await caller.run())
    return made[::-1]


async def test_the_newest_come_first_each_as_it_is_shown_alone(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 3)
    await dojo.completed(made[1])
    await dojo.failed(made[0])
    reply = await caller.get("/api/v1/jobs")
    assert [job["jobId"] for job in reply.json["jobs"]] == made
    assert reply.json["nextCursor"] is None
    for job in reply.json["jobs"]:
        assert job == (await caller.get(f"/api/v1/jobs/{job['jobId']}")).json


async def test_an_account_without_jobs_has_an_empty_page(caller: Caller) -> None:
    assert await page(caller) == ([], None)


async def test_a_page_holds_20_unless_asked_for_1_to_100(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 22)
    found, cursor = await page(caller)
    assert (found, cursor) == (made[:20], made[19])
    assert await page(caller, "limit=1") == (made[:1], made[0])
    assert await page(caller, "limit=22") == (made, None)
    assert await page(caller, "limit=100") == (made, None)


async def test_pages_neither_repeat_nor_miss_a_job_while_new_ones_come(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 7)
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        found, cursor = await page(caller, "limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += found
        await run_some(dojo, caller, 1)
    assert seen == made


async def test_filters_narrow_the_list_together(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 4)
    await dojo.completed(made[1])
    await dojo.failed(made[2])
    dojo.clock.advance(1)
    music = await caller.run(PROMPT, target="/api/v1/models/text-to-music/run")
    started = dojo.clock.now() - timedelta(seconds=5)
    assert (await page(caller, "status=pending"))[0] == [music, made[0], made[3]]
    assert (await page(caller, "status=completed"))[0] == [made[1]]
    assert (await page(caller, "status=failed"))[0] == [made[2]]
    assert (await page(caller, "status=processing"))[0] == []
    assert (await page(caller, "model=text-to-music"))[0] == [music]
    assert (await page(caller, "model=hunyuan-3d"))[0] == []
    after = iso_utc(started + timedelta(seconds=3))
    assert (await page(caller, f"created_after={after}"))[0] == [music, made[0]]
    assert (await page(caller, f"created_before={after}"))[0] == [made[2], made[3]]
    assert (await page(caller, f"created_before={after}&status=failed"))[0] == [made[2]]
    found, cursor = await page(caller, "status=pending&limit=1&model=flux-1.1-pro")
    assert found == [made[0]]
    assert (await page(caller, f"status=pending&limit=1&model=flux-1.1-pro&cursor={cursor}")) == ([made[3]], None)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-05-04T12:00:02Z",
        "2026-05-04t12:00:02z",
        "2026-05-04T14:00:02%2B02:00",
        "2026-05-04T14:00:02+02:00",
        "2026-05-04T12:00:02.000",
        "2026-05-04T12:00:02",
    ],
)
async def test_a_time_is_taken_with_its_zone_and_without_one_for_utc(dojo: Dojo, caller: Caller, moment: str) -> None:
    made = await run_some(dojo, caller, 3)
    assert (await page(caller, f"created_after={moment}"))[0] == [made[0]]
    assert (await page(caller, f"created_before={moment}"))[0] == [made[2]]


async def test_times_at_the_ends_of_the_calendar_are_times(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 1)
    assert (await page(caller, "created_after=0001-01-01T00:00:00Z"))[0] == made
    assert (await page(caller, "created_before=9999-12-31T23:59:59Z"))[0] == made
    for beyond in ("created_after=0001-01-01T00:00:00%2B14:00", "created_before=9999-12-31T23:59:59-14:00"):
        assert (await caller.get(f"/api/v1/jobs?{beyond}")).status == 400


@pytest.mark.parametrize(
    ("query", "path", "says"),
    [
        ("limit=0", "limit", 'must be 1 or more (it was "0")'),
        ("limit=101", "limit", 'must be 100 or less (it was "101")'),
        ("limit=ten", "limit", "must be a whole number"),
        ("limit=", "limit", "must be a whole number"),
        ("limit=1.5", "limit", "must be a whole number"),
        ("limit=" + "9" * 5_000, "limit", ""),
        ("status=done", "status", "'pending', 'processing', 'completed' or 'failed' (it was \"done\")"),
        ("status=Pending", "status", "'completed' or 'failed'; did you mean \"pending\"?"),
        ("status=complete", "status", 'did you mean "completed"?'),
        ("model=flux-1.1-prp", "model", 'GET /api/v1/models; did you mean "flux-1.1-pro"?'),
        ("model=zzzz", "model", "must be a model id of GET /api/v1/models."),
        ("model=", "model", "must be a model id"),
        ("model=%00", "model", "must be a model id"),
        ("model=" + "x" * 9_000, "model", "must be a model id"),
        ("cursor=job_1", "cursor", "must be the nextCursor of an earlier page, unchanged"),
        ("cursor=%27%20OR%201=1", "cursor", "must be the nextCursor"),
        ("cursor=", "cursor", "must be the nextCursor"),
        ("created_after=yesterday", "created_after", "2026-07-01T12:00:00Z"),
        ("created_after=2026-13-01T00:00:00Z", "created_after", "2026-07-01T12:00:00Z"),
        ("created_before=0", "created_before", "2026-07-01T12:00:00Z"),
        ("created_before=1e400", "created_before", "2026-07-01T12:00:00Z"),
        ("created_before=2026-05-04", "created_before", "2026-07-01T12:00:00Z"),
        ("created_before=2026-05-04T12:00:60Z", "created_before", "2026-07-01T12:00:00Z"),
        ("created_before=2026-W01-1T12:00:00Z", "created_before", "2026-07-01T12:00:00Z"),
    ],
    ids=lambda value: value[:32],
)
async def test_a_bad_query_is_400_and_names_the_parameter(caller: Caller, query: str, path: str, says: str) -> None:
    reply = await caller.get(f"/api/v1/jobs?{query}")
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.member(path)
    assert path in reply.error["message"]
    assert len(reply.body) < 1_000


async def test_several_bad_parameters_are_told_at_once(caller: Caller) -> None:
    reply = await caller.get("/api/v1/jobs?limit=0&status=done&created_after=x")
    assert {detail["path"] for detail in reply.error["details"]} == {"limit", "status", "created_after"}


async def test_each_account_and_mode_sees_its_own_jobs_only(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 2)
    dojo.build(live_providers=ALL_PROVIDERS)
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    live_job = await live.run()
    stranger = await dojo.caller()
    assert await page(caller) == (made, None)
    assert await page(live) == ([live_job], None)
    assert await page(stranger) == ([], None)
    assert await page(stranger, f"cursor={made[0]}") == ([], None)


async def test_jobs_whose_time_is_over_are_left_out(dojo: Dojo, caller: Caller) -> None:
    made = await run_some(dojo, caller, 2)
    await dojo.completed(made[1])
    dojo.clock.advance(24 * 3_600)
    assert (await page(caller))[0] == [made[0]]
    await dojo.stores.ending.purge_expired(10)
    assert (await page(caller))[0] == [made[0]]


async def test_a_page_costs_the_same_few_queries_however_many_jobs_it_has(
    dojo: Dojo, caller: Caller, statements: list[str]
) -> None:
    made = await run_some(dojo, caller, 5)
    for job_id in made:
        await dojo.completed(job_id)
    counts: list[int] = []
    for limit in (1, 5):
        statements.clear()
        await page(caller, f"limit={limit}")
        counts.append(sum(statement.startswith("SELECT") for statement in statements))
    assert counts[0] == counts[1] <= 4


async def test_unknown_query_parameters_are_ignored(caller: Caller) -> None:
    found: Any = await page(caller, "colour=red&limit=5")
    assert found == ([], None)
