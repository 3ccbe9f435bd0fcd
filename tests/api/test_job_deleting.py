"""DELETE /jobs/{jobId}: what callers see before and after, and who may. What is deleted is for tests/contract."""

import pytest
from tests.api.dojo import PNG, PROMPT, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode


@pytest.fixture
async def job_id(dojo: Dojo, caller: Caller) -> str:
    """A completed job with a webhook that is still to be sent."""
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK}, idempotency_key="order-1")
    await dojo.completed(job_id)
    return job_id


async def delete(caller: Caller, job_id: str) -> tuple[int, bytes]:
    reply = await caller.send("DELETE", f"/api/v1/jobs/{job_id}")
    return reply.status, reply.body


async def test_a_deleted_job_is_gone_from_every_address_and_costs_what_it_cost(
    dojo: Dojo, caller: Caller, job_id: str
) -> None:
    kept = await caller.run()
    file = (await caller.get(f"/api/v1/jobs/{job_id}")).json["output"]["images"][0].removeprefix("http://dojo.test")
    assert (await dojo.stranger.get(file)).body == PNG
    credits = (await caller.get("/api/v1/credits")).json

    assert await delete(caller, job_id) == (204, b"")

    for method, target in (
        ("GET", f"/api/v1/jobs/{job_id}"),
        ("GET", f"/api/v1/jobs/{job_id}/events"),
        ("POST", f"/api/v1/jobs/{job_id}/cancel"),
        ("POST", f"/api/v1/jobs/{job_id}/webhook"),
        ("DELETE", f"/api/v1/jobs/{job_id}"),
        ("GET", file),
    ):
        reply = await caller.send(method, target)
        assert (reply.status, reply.error["code"]) == (410, "expired"), f"{method} {target}"
        assert "expired or was deleted" in reply.error["message"]
    assert (await dojo.stranger.head(file)).status == 410
    assert [job["jobId"] for job in (await caller.get("/api/v1/jobs")).json["jobs"]] == [kept]
    assert (await caller.get("/api/v1/credits")).json == credits
    assert [blob.key async for blob in dojo.stores.blobs.list_blobs()] == []


async def test_its_idempotency_key_makes_no_second_job(caller: Caller, job_id: str) -> None:
    await delete(caller, job_id)
    assert await caller.run({**PROMPT, "webhook_url": HOOK}, idempotency_key="order-1") == job_id
    assert (await caller.traces())[2] == 1


async def test_a_job_that_goes_on_is_cancelled_first(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    target = f"/api/v1/jobs/{job_id}"
    reply = await caller.send("DELETE", target)
    assert (reply.status, reply.error["code"]) == (409, "conflict")
    assert f"POST {target}/cancel" in reply.error["message"]
    assert (await caller.get(target)).json["status"] == "pending"
    await caller.post(f"{target}/cancel")
    assert (await delete(caller, job_id))[0] == 204


async def test_nobody_deletes_what_is_anothers_or_of_the_other_mode(dojo: Dojo, caller: Caller, job_id: str) -> None:
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    for other in (await dojo.caller(), live):
        assert (await delete(other, job_id))[0] == 404
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).json["assets"]
