"""GET /jobs/{jobId} and POST /jobs/{jobId}/cancel: the job in each state, whose it is, and what stopping it does."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.dojo import PNG, PROMPT, RUN, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import JobFailureCode

DAY = timedelta(hours=24)


async def seen(caller: Caller, job_id: str) -> dict[str, Any]:
    reply = await caller.get(f"/api/v1/jobs/{job_id}")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


async def test_a_job_in_each_of_its_states_has_every_member_and_no_other(dojo: Dojo, caller: Caller) -> None:
    created = dojo.clock.now()
    job_id = await caller.run({**PROMPT, "seed": 7})
    pending = await seen(caller, job_id)
    assert pending == {
        "jobId": job_id,
        "status": "pending",
        "model": "flux-1.1-pro",
        "mode": "test",
        "input": pending["input"],
        "output": None,
        "assets": [],
        "creditCost": 1,
        "error": None,
        "webhook": None,
        "createdAt": iso_utc(created),
        "startedAt": None,
        "completedAt": None,
        "expiresAt": iso_utc(created + DAY),
    }
    assert pending["input"]["seed"] == 7

    dojo.clock.advance(2)
    claimed = await dojo.stores.claim(job_id)
    assert await seen(caller, job_id) == pending
    job = await dojo.stores.submitted(claimed)
    processing = {**pending, "status": "processing", "startedAt": iso_utc(created + timedelta(seconds=2))}
    assert await seen(caller, job_id) == processing
    job = await dojo.stores.claims.accept(job, {"id": "up_1"}, "up_1")
    assert await seen(caller, job_id) == processing
    job = await dojo.stores.claims.begin_collect(job, None)
    assert await seen(caller, job_id) == processing

    dojo.clock.advance(3)
    asset = dojo.stores.asset(job)
    await dojo.stores.claims.complete(job, [asset], 1_000)
    url = f"http://dojo.test/assets/{asset.file_name}"
    assert await seen(caller, job_id) == {
        **processing,
        "status": "completed",
        "output": {"images": [url]},
        "assets": [
            {
                "url": url,
                "kind": "image",
                "contentType": "image/png",
                "sizeBytes": 3,
                "sha256": "0" * 64,
                "width": 1024,
                "height": 768,
                "durationSeconds": None,
            }
        ],
        "completedAt": iso_utc(created + timedelta(seconds=5)),
        "expiresAt": iso_utc(created + timedelta(seconds=5) + DAY),
    }


@pytest.mark.parametrize("code", list(JobFailureCode))
async def test_a_failed_job_costs_nothing_and_says_why(dojo: Dojo, caller: Caller, code: JobFailureCode) -> None:
    job_id = await caller.run()
    await dojo.failed(job_id, code)
    job = await seen(caller, job_id)
    assert (job["status"], job["creditCost"], job["output"], job["assets"]) == ("failed", 0, None, [])
    assert job["error"] == {"code": code, "message": "The upstream refused the prompt."}
    assert job["completedAt"] is not None
    assert (await caller.traces())[:2] == (100_000, 0)


async def test_a_job_shows_what_was_captured_and_not_what_was_held(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    await dojo.completed(job_id, captured=125)
    assert (await seen(caller, job_id))["creditCost"] == 0.125


@pytest.mark.parametrize(
    ("contents", "member", "count"),
    [
        ({"image.png": b"a"}, "images", 1),
        ({"image.webp": b"a", "image.png": b"b"}, "images", 2),
        ({"video.mp4": b"a"}, "video", None),
        ({"audio.mp3": b"a"}, "audio", None),
        ({"model3d.glb": b"a"}, "model", None),
    ],
)
async def test_output_is_named_by_its_kind(
    dojo: Dojo, caller: Caller, contents: dict[str, bytes], member: str, count: int | None
) -> None:
    job_id = await caller.run()
    await dojo.completed(job_id, contents)
    job = await seen(caller, job_id)
    urls = [asset["url"] for asset in job["assets"]]
    assert job["output"] == {member: urls if count else urls[0]}
    assert len(urls) == (count or 1)
    for url, content in zip(urls, contents.values(), strict=True):
        assert (await dojo.stranger.get(url.removeprefix("http://dojo.test"))).body == content


async def test_another_accounts_job_is_404_and_not_403(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    stranger = await dojo.caller()
    unknown = await stranger.get(f"/api/v1/jobs/job_{'0' * 32}")
    for reply in (
        await stranger.get(f"/api/v1/jobs/{job_id}"),
        await stranger.post(f"/api/v1/jobs/{job_id}/cancel"),
        await stranger.post(f"/api/v1/jobs/{job_id}/webhook"),
    ):
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert reply.error["message"] == unknown.error["message"], "nobody learns that the job exists"
    assert (await seen(caller, job_id))["status"] == "pending"


async def test_a_job_of_the_other_mode_is_404_and_says_that_the_key_decides(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    reply = await live.get(f"/api/v1/jobs/{job_id}")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert "no such job in this account's live mode" in reply.error["message"]
    assert "which key you use" in reply.error["message"]


@pytest.mark.parametrize(
    "job_id", ["job_1", "x", "..", "%00", "%ff", "job_%27%20OR%201=1--", "JOB_" + "0" * 32, "j" * 5_000]
)
@pytest.mark.parametrize("rest", ["", "/cancel", "/webhook"])
async def test_what_is_no_job_is_404(caller: Caller, job_id: str, rest: str) -> None:
    reply = await caller.send("POST" if rest else "GET", f"/api/v1/jobs/{job_id}{rest}")
    assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_an_expired_job_is_410_before_and_after_the_sweep(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
    await dojo.completed(job_id)
    dojo.clock.advance(DAY.total_seconds() - 1)
    assert (await seen(caller, job_id))["status"] == "completed"
    dojo.clock.advance(1)
    for _ in range(2):
        for reply in (
            await caller.get(f"/api/v1/jobs/{job_id}"),
            await caller.post(f"/api/v1/jobs/{job_id}/cancel"),
            await caller.post(f"/api/v1/jobs/{job_id}/webhook"),
        ):
            assert (reply.status, reply.error["code"]) == (410, "expired")
            assert "its input and assets are gone" in reply.error["message"]
        await dojo.stores.ending.purge_expired(10)


async def test_a_job_that_never_ended_does_not_expire(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    dojo.clock.advance(2 * DAY.total_seconds())
    assert (await seen(caller, job_id))["status"] == "pending"


# Cancelling


async def cancel(caller: Caller, job_id: str, status: int = 202) -> Any:
    reply = await caller.post(f"/api/v1/jobs/{job_id}/cancel")
    assert reply.status == status, reply.body
    return reply.json if status == 202 else reply.error


async def test_a_job_that_no_upstream_has_is_cancelled_at_once_and_costs_nothing(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    said = await cancel(caller, job_id)
    assert (said["jobId"], said["status"], said["cancel"]) == (job_id, "failed", "canceled")
    assert "nothing was charged" in said["message"]
    job = await seen(caller, job_id)
    assert (job["status"], job["error"]["code"], job["creditCost"]) == ("failed", "canceled", 0)
    assert (await caller.traces())[:2] == (100_000, 0)


async def test_a_job_that_a_worker_has_but_no_upstream_is_cancelled_at_once_too(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    await dojo.stores.claim(job_id)
    assert (await cancel(caller, job_id))["cancel"] == "canceled"


async def test_a_job_that_an_upstream_has_is_asked_to_stop_and_goes_on_until_then(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    job = await dojo.accepted(job_id)
    said = await cancel(caller, job_id)
    assert (said["status"], said["cancel"]) == ("processing", "requested")
    assert "asked to stop" in said["message"]
    assert (await dojo.stores.claims.reload(job)).cancel_requested_at == dojo.clock.now()
    assert (await seen(caller, job_id))["status"] == "processing"
    assert (await cancel(caller, job_id))["cancel"] == "requested"


async def test_where_the_upstream_cannot_stop_the_answer_says_so(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    await dojo.accepted(job_id, can_cancel=False)
    said = await cancel(caller, job_id)
    assert (said["status"], said["cancel"]) == ("processing", "not_supported")
    assert "cannot be stopped" in said["message"]


@pytest.mark.parametrize("end", ["completed", "failed", "canceled"])
async def test_a_job_that_has_ended_cannot_be_cancelled(dojo: Dojo, caller: Caller, end: str) -> None:
    job_id = await caller.run()
    if end == "canceled":
        await cancel(caller, job_id)
    else:
        await (dojo.completed(job_id) if end == "completed" else dojo.failed(job_id))
    before = await caller.traces()
    error = await cancel(caller, job_id, 409)
    assert error["code"] == "conflict"
    assert f"it is {'completed' if end == 'completed' else 'failed'}" in error["message"]
    assert await caller.traces() == before


async def test_cancelling_frees_the_credits_for_the_next_run(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=1_000)
    job_id = await poor.run()
    assert (await poor.post(RUN, PROMPT)).status == 402
    await cancel(poor, job_id)
    assert (await poor.post(RUN, PROMPT)).status == 202


async def test_a_body_that_nobody_asked_for_does_no_harm(caller: Caller) -> None:
    job_id = await caller.run()
    reply = await caller.send("POST", f"/api/v1/jobs/{job_id}/cancel", body=PNG, headers={"content-type": "image/png"})
    assert reply.status == 202
