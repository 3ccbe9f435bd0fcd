"""The delivery log: what was posted, each attempt, sending again; and nobody sees another's."""

from typing import Any

import pytest
from tests.api.dojo import PROMPT, Caller, Dojo
from tests.stores import HOOK, RETENTION

from pixeldojo.accounts.keys import KeyMode, Scope
from pixeldojo.webhooks.store import Attempt

DELIVERIES = "/api/v1/webhooks/deliveries"


async def ended(dojo: Dojo, caller: Caller) -> str:
    """End a job that has a webhook; return its delivery's id."""
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    await dojo.failed(job_id)
    dojo.clock.advance(1)
    job = (await caller.get(f"/api/v1/jobs/{job_id}")).json
    delivery_id: str = job["webhook"]["deliveryId"]
    return delivery_id


async def attempted(dojo: Dojo, delivery_id: str, status: int | None, error: str | None = None) -> None:
    """Play a worker that posts it once."""
    webhooks = dojo.stores.webhooks
    claimed = await webhooks.claim(delivery_id, "worker_1", 60)
    assert claimed is not None
    attempt = Attempt(claimed.attempt_count + 1, dojo.clock.now(), 0.1234, status, error)
    await webhooks.record(claimed, attempt, None)


async def log(caller: Caller, delivery_id: str) -> Any:
    reply = await caller.get(f"{DELIVERIES}/{delivery_id}")
    assert reply.status == 200, reply.body
    return reply.json


async def test_a_delivery_tells_of_each_attempt(dojo: Dojo, caller: Caller) -> None:
    delivery_id = await ended(dojo, caller)
    fresh = await log(caller, delivery_id)
    assert (fresh["status"], fresh["attempts"], fresh["attemptLog"]) == ("pending", 0, [])
    await attempted(dojo, delivery_id, None, "Connection refused.")
    dojo.clock.advance(10)
    await attempted(dojo, delivery_id, 204)

    told = await log(caller, delivery_id)

    assert (told["status"], told["attempts"], told["nextAttemptAt"]) == ("delivered", 2, None)
    assert (told["event"], told["url"], told["deliveryId"]) == ("job.failed", HOOK, delivery_id)
    assert told["deliveredAt"] is not None
    first, second = told["attemptLog"]
    assert (first["number"], first["status"], first["error"]) == (1, None, "Connection refused.")
    assert (second["number"], second["status"], second["error"]) == (2, 204, None)
    assert first["durationSeconds"] == 0.123
    assert first["at"] < second["at"]


async def test_the_list_is_paged_newest_first_and_filtered(dojo: Dojo, caller: Caller) -> None:
    made = [await ended(dojo, caller) for _ in range(5)][::-1]
    await attempted(dojo, made[1], 200)
    await attempted(dojo, made[3], 410)

    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await caller.get(f"{DELIVERIES}?limit=2{cursor}")).json
        seen += [one["deliveryId"] for one in page["deliveries"]]
        cursor = f"&cursor={page['nextCursor']}"

    assert (seen, page["nextCursor"]) == (made, None)
    for status, those in {"delivered": [made[1]], "failed": [made[3]], "pending": [made[0], made[2], made[4]]}.items():
        page = (await caller.get(f"{DELIVERIES}?status={status}")).json
        assert [one["deliveryId"] for one in page["deliveries"]] == those
        assert "attemptLog" not in page["deliveries"][0]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=nonsense", "cursor=job_1", "status=lost"])
async def test_a_wrong_question_is_told_what_is_right(caller: Caller, query: str) -> None:
    reply = await caller.get(f"{DELIVERIES}?{query}")
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert reply.member(query.partition("=")[0])


async def test_a_failed_delivery_is_sent_again_with_the_same_id(dojo: Dojo, caller: Caller) -> None:
    delivery_id = await ended(dojo, caller)
    await attempted(dojo, delivery_id, 410)
    assert (await log(caller, delivery_id))["status"] == "failed"

    reply = await caller.post(f"{DELIVERIES}/{delivery_id}/retry")

    assert (reply.status, reply.json["deliveryId"], reply.json["status"]) == (202, delivery_id, "pending")
    await attempted(dojo, delivery_id, 200)
    told = await log(caller, delivery_id)
    assert (told["status"], [one["status"] for one in told["attemptLog"]]) == ("delivered", [410, 200])


@pytest.mark.parametrize("whose", ["another account", "the other mode"])
async def test_nobody_sees_what_is_not_theirs(dojo: Dojo, caller: Caller, whose: str) -> None:
    delivery_id = await ended(dojo, caller)
    if whose == "another account":
        other = await dojo.caller()
    else:
        other = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    assert (await other.get(DELIVERIES)).json == {"deliveries": [], "nextCursor": None}
    assert (await other.get(f"{DELIVERIES}/{delivery_id}")).status == 404
    assert (await other.post(f"{DELIVERIES}/{delivery_id}/retry")).status == 404
    assert (await log(caller, delivery_id))["attempts"] == 0


async def test_a_key_needs_the_scope(dojo: Dojo, caller: Caller) -> None:
    delivery_id = await ended(dojo, caller)
    account_id = caller.api_key.account_id
    reader = await dojo.caller(account_id=account_id, scopes=frozenset({Scope.JOBS_READ}), granted=0)
    writer = await dojo.caller(account_id=account_id, scopes=frozenset({Scope.JOBS_WRITE}), granted=0)
    assert (await reader.get(f"{DELIVERIES}/{delivery_id}")).status == 200
    assert (await reader.post(f"{DELIVERIES}/{delivery_id}/retry")).status == 403
    assert (await writer.get(DELIVERIES)).status == 403
    assert (await writer.post(f"{DELIVERIES}/{delivery_id}/retry")).status == 202


async def test_a_delivery_ends_with_its_job(dojo: Dojo, caller: Caller) -> None:
    delivery_id = await ended(dojo, caller)
    dojo.clock.advance(RETENTION.total_seconds())
    assert (await caller.get(f"{DELIVERIES}/{delivery_id}")).status == 410
    await dojo.stores.ending.purge_expired(10)
    assert (await caller.get(f"{DELIVERIES}/{delivery_id}")).status == 410
    assert (await caller.post(f"{DELIVERIES}/{delivery_id}/retry")).status == 410
    assert (await caller.get(DELIVERIES)).json["deliveries"] == []
