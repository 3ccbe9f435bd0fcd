"""POST /jobs/{jobId}/webhook, and GET and POST /webhooks/secret."""

import base64
from datetime import timedelta

from tests.api.dojo import PROMPT, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.core.clock import iso_utc
from pixeldojo.webhooks.store import Attempt


async def ended(dojo: Dojo, caller: Caller) -> str:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    await dojo.completed(job_id)
    return job_id


async def deliver(dojo: Dojo, job_id: str, status: int) -> str:
    """Make the attempt that is due and return the delivery's id."""
    webhooks = dojo.stores.webhooks
    delivery = (await webhooks.find_deliveries([job_id]))[job_id]
    claimed = await webhooks.claim(delivery.id, "worker_1", 15.0)
    assert claimed is not None
    attempt = Attempt(claimed.attempt_count + 1, dojo.clock.now(), 0.1, status, None)
    await webhooks.record(claimed, attempt, None)
    return delivery.id


async def test_a_job_shows_how_its_webhook_fares(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    target = f"/api/v1/jobs/{job_id}"
    assert (await caller.get(target)).json["webhook"]["status"] == "waiting"
    await dojo.completed(job_id)
    pending = (await caller.get(target)).json["webhook"]
    delivery_id = await deliver(dojo, job_id, 500)
    assert pending == {
        "url": HOOK,
        "status": "pending",
        "deliveryId": delivery_id,
        "attempts": 0,
        "nextAttemptAt": iso_utc(dojo.clock.now()),
        "deliveredAt": None,
    }
    refused = (await caller.get(target)).json["webhook"]
    assert (refused["status"], refused["attempts"]) == ("pending", 1)
    assert refused["nextAttemptAt"] > iso_utc(dojo.clock.now())
    dojo.clock.advance(60)
    await deliver(dojo, job_id, 204)
    delivered = (await caller.get(target)).json["webhook"]
    assert (delivered["status"], delivered["attempts"], delivered["nextAttemptAt"]) == ("delivered", 2, None)
    assert delivered["deliveredAt"] == iso_utc(dojo.clock.now())


async def test_the_webhook_of_an_ended_job_is_sent_again_with_the_same_id(dojo: Dojo, caller: Caller) -> None:
    job_id = await ended(dojo, caller)
    delivery_id = await deliver(dojo, job_id, 200)
    dojo.clock.advance(60)
    job = (await caller.get(f"/api/v1/jobs/{job_id}")).json
    reply = await caller.post(f"/api/v1/jobs/{job_id}/webhook")
    assert reply.status == 202
    assert reply.json == {
        "deliveryId": delivery_id,
        "jobId": job_id,
        "event": "job.completed",
        "url": HOOK,
        "status": "pending",
        "attempts": 1,
        "nextAttemptAt": iso_utc(dojo.clock.now()),
        "createdAt": job["completedAt"],
        "deliveredAt": job["webhook"]["deliveredAt"],
    }
    await deliver(dojo, job_id, 200)
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).json["webhook"]["attempts"] == 2


async def test_a_failed_jobs_webhook_can_be_sent_again_too(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    await dojo.failed(job_id)
    assert (await caller.post(f"/api/v1/jobs/{job_id}/webhook")).status == 202


async def test_while_the_job_runs_there_is_nothing_to_send_again(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    for status in ("pending", "processing"):
        reply = await caller.post(f"/api/v1/jobs/{job_id}/webhook")
        assert (reply.status, reply.error["code"]) == (409, "conflict")
        assert f"still {status}" in reply.error["message"]
        if status == "pending":
            await dojo.accepted(job_id)


async def test_a_job_without_a_webhook_url_says_how_to_give_one(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    for _ in range(2):
        reply = await caller.post(f"/api/v1/jobs/{job_id}/webhook")
        assert (reply.status, reply.error["code"]) == (400, "validation_error")
        assert "without a webhook_url" in reply.error["message"]
        assert "Give `webhook_url` beside the inputs" in reply.error["message"]
        if (await caller.get(f"/api/v1/jobs/{job_id}")).json["status"] == "pending":
            await dojo.completed(job_id)


async def test_the_secret_is_the_accounts_and_never_stored_on_the_way(dojo: Dojo, caller: Caller) -> None:
    reply = await caller.get("/api/v1/webhooks/secret")
    assert (reply.status, set(reply.json), reply.json["activeSecrets"]) == (200, {"secret", "activeSecrets"}, 1)
    assert reply.header("cache-control") == "no-store"
    assert 24 <= len(base64.b64decode(reply.json["secret"].removeprefix("whsec_"), validate=True)) <= 64
    colleague = await dojo.caller(account_id=caller.api_key.account_id)
    assert (await colleague.get("/api/v1/webhooks/secret")).json == reply.json
    stranger = await dojo.caller()
    assert (await stranger.get("/api/v1/webhooks/secret")).json["secret"] != reply.json["secret"]


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(dojo: Dojo, caller: Caller) -> None:
    old = (await caller.get("/api/v1/webhooks/secret")).json["secret"]
    reply = await caller.post("/api/v1/webhooks/secret")
    assert reply.status == 201
    assert reply.header("cache-control") == "no-store"
    assert reply.json["secret"] != old
    assert (reply.json["activeSecrets"], reply.json["overlapHours"]) == (2, 24)
    shown = await caller.get("/api/v1/webhooks/secret")
    assert shown.json == {"secret": reply.json["secret"], "activeSecrets": 2}
    secrets = await dojo.stores.accounts.webhook_secrets(caller.api_key.account_id)
    assert list(secrets) == [reply.json["secret"], old]
    dojo.clock.advance(timedelta(hours=24).total_seconds())
    assert (await caller.get("/api/v1/webhooks/secret")).json == {"secret": reply.json["secret"], "activeSecrets": 1}


async def test_the_same_idempotency_key_rotates_once_and_says_so(caller: Caller) -> None:
    first = await caller.post("/api/v1/webhooks/secret", idempotency_key="rotate-1")
    again = await caller.post("/api/v1/webhooks/secret", idempotency_key="rotate-1")
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (None, "true")
    assert again.header("cache-control") == "no-store"
    assert (await caller.get("/api/v1/webhooks/secret")).json["activeSecrets"] == 2


async def test_the_idempotency_key_of_a_run_is_none_for_a_rotation(caller: Caller) -> None:
    await caller.run(idempotency_key="order-1")
    reply = await caller.post("/api/v1/webhooks/secret", idempotency_key="order-1")
    assert (reply.status, reply.error["code"]) == (422, "idempotency_mismatch")
    malformed = await caller.post("/api/v1/webhooks/secret", idempotency_key="two words")
    assert (malformed.status, malformed.error["code"]) == (400, "validation_error")
    assert malformed.error["message"].startswith("The header Idempotency-Key cannot be used: must be 1 to 255 visible")
    assert malformed.member("header.Idempotency-Key")
    assert (await caller.get("/api/v1/webhooks/secret")).json["activeSecrets"] == 1


async def test_only_so_many_secrets_sign_at_a_time(dojo: Dojo, caller: Caller) -> None:
    seen = [(await caller.post("/api/v1/webhooks/secret")).json["activeSecrets"] for _ in range(4)]
    assert seen == [2, 3, 4, 5]
    refused = await caller.post("/api/v1/webhooks/secret")
    assert (refused.status, refused.error["code"]) == (409, "conflict")
    assert f"ends at {iso_utc(dojo.clock.now() + timedelta(hours=24))}; rotate again then" in refused.error["message"]
    assert (await caller.get("/api/v1/webhooks/secret")).json["activeSecrets"] == 5
