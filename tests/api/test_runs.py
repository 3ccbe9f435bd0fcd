"""POST /models/{apiId}/run: what is accepted, what is kept of it, and what the 202 says."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from tests.api.dojo import ALL_PROVIDERS, PNG, PROMPT, RUN, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode, SpendCap, SpendCapPeriod
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.clock import iso_utc


async def test_an_accepted_run_says_where_to_look_what_it_costs_and_what_is_left(dojo: Dojo, caller: Caller) -> None:
    reply = await caller.post(RUN, PROMPT)
    assert reply.status == 202
    job_id = reply.json["jobId"]
    assert reply.json == {
        "jobId": job_id,
        "status": "pending",
        "statusUrl": f"http://dojo.test/api/v1/jobs/{job_id}",
        "creditCost": 1,
        "creditsRemaining": 99,
        "expiresAt": iso_utc(dojo.clock.now() + timedelta(hours=24)),
    }
    assert reply.header("location") == reply.json["statusUrl"]
    assert reply.header("idempotent-replayed") is None
    assert reply.header("preference-applied") is None
    assert b'"creditCost":1,' in reply.body, "a whole number of credits is written as an integer"
    polled = await caller.get(f"/api/v1/jobs/{job_id}")
    assert (polled.status, polled.json["status"]) == (200, "pending")


async def test_the_price_is_held_to_the_thousandth(caller: Caller) -> None:
    reply = await caller.post(
        "/api/v1/models/p-image-edit/run", {**PROMPT, "image_urls": ["https://example.com/a.png"]}
    )
    assert (reply.json["creditCost"], reply.json["creditsRemaining"]) == (0.25, 99.75)
    assert (await caller.traces())[:2] == (99_750, 250)


@pytest.mark.parametrize(
    ("model", "content", "cost"),
    [
        ("flux-2-pro", {"prompt": "a", "resolution": "4 MP"}, 2),
        ("nano-banana-2", {"prompt": "a", "resolution": "4K"}, None),
        ("wan-2.6-standard", {"prompt": "a", "duration": 10, "resolution": "1080p"}, 30),
        ("veo-3.1-fast", {"prompt": "a"}, None),
        ("hailuo-standard", {"prompt": "a"}, None),
        ("text-to-music", {"prompt": "a"}, None),
        ("hunyuan-3d", {"image_url": "https://example.com/a.png"}, None),
        ("video-upscaler", {"video_url": "https://example.com/a.mp4"}, 10),
    ],
)
async def test_every_kind_of_model_runs_at_the_price_the_catalog_shows(
    dojo: Dojo, model: str, content: dict[str, Any], cost: float | None
) -> None:
    rich = await dojo.caller(granted=1_000_000)
    detail = (await rich.get(f"/api/v1/models/{model}")).json
    reply = await rich.post(f"/api/v1/models/{model}/run", content)
    assert reply.status == 202, reply.body
    expected = cost if cost is not None else reply.json["creditCost"]
    assert reply.json["creditCost"] == expected
    assert reply.json["creditCost"] >= min(1, detail["creditCost"]["default"])
    assert reply.json["creditsRemaining"] == pytest.approx(1_000 - expected, abs=1e-9)


async def test_the_job_shows_the_input_in_canonical_names_with_defaults(caller: Caller) -> None:
    job_id = await caller.run({"prompt": "a", "aspectRatio": "16:9", "image": "https://example.com/a.png", "seed": 7.0})
    shown = (await caller.get(f"/api/v1/jobs/{job_id}")).json["input"]
    assert shown["aspect_ratio"] == "16:9"
    assert shown["image_url"] == "https://example.com/a.png"
    assert (shown["seed"], type(shown["seed"])) == (7, int)
    assert shown["output_format"] == "webp"
    assert not {"aspectRatio", "image", "webhook_url"} & shown.keys()


async def test_inline_media_is_taken_out_of_the_job_and_kept_for_the_worker(dojo: Dojo, caller: Caller) -> None:
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    job_id = await caller.run({**PROMPT, "image_url": uri})
    digest = hashlib.sha256(PNG).hexdigest()
    shown = (await caller.get(f"/api/v1/jobs/{job_id}")).json["input"]["image_url"]
    assert shown == f"data:image/png;sha256={digest};size={len(PNG)}"
    kept = await dojo.stores.blobs.read_whole(f"inputs/{job_id}/inline-{digest}", max_bytes=1_000)
    assert kept == PNG


async def test_inline_media_of_a_run_that_is_refused_is_not_kept(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=0)
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert (await poor.post(RUN, {**PROMPT, "image_url": uri})).status == 402
    assert [blob.key async for blob in dojo.stores.blobs.list_blobs()] == []


async def test_text_of_every_script_comes_back_as_it_was_given(caller: Caller) -> None:
    prompt = "Café 東京 🦊 \u202e עברית \x7f \u2028 \\ \" ' <script> ${x} %s {} '; DROP TABLE jobs;--"
    job_id = await caller.run({"prompt": prompt})
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).json["input"]["prompt"] == prompt


@pytest.mark.parametrize("address", [HOOK, "https://bücher.example/h", "https://example.com:8443/a?b=c#d", None])
async def test_a_webhook_url_on_the_public_internet_is_taken_as_given(caller: Caller, address: str | None) -> None:
    job_id = await caller.run({**PROMPT, "webhook_url": address})
    shown = (await caller.get(f"/api/v1/jobs/{job_id}")).json["webhook"]
    if address is None:
        assert shown is None
    else:
        assert shown == {"url": address, "status": "waiting", "deliveryId": None, "attempts": 0}


async def test_the_last_credit_can_be_spent_and_not_one_thousandth_more(dojo: Dojo) -> None:
    exact = await dojo.caller(granted=2_000)
    first, second, third = [await exact.post(RUN, PROMPT) for _ in range(3)]
    assert [first.json["creditsRemaining"], second.json["creditsRemaining"]] == [1, 0]
    assert third.status == 402
    assert "costs 1 credits and 0 are available in test mode" in third.error["message"]


async def test_a_spend_cap_is_403_and_says_what_was_spent(dojo: Dojo) -> None:
    capped = await dojo.caller(spend_cap=SpendCap(1_500, SpendCapPeriod.DAY))
    await capped.run()
    reply = await capped.post(RUN, PROMPT, idempotency_key="k")
    assert (reply.status, reply.error["code"]) == (403, "forbidden")
    assert "may spend 1.5 credits today (UTC) and has spent 1; this job costs 1" in reply.error["message"]
    dojo.clock.advance(24 * 3_600)
    assert (await capped.post(RUN, PROMPT, idempotency_key="k")).status == 202


async def test_test_and_live_are_charged_apart(dojo: Dojo, caller: Caller) -> None:
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE, granted=5_000)
    dojo.build(live_providers=frozenset({"fal"}))
    accepted = await live.post(RUN, {**PROMPT, "output_format": "png"})
    assert (accepted.status, accepted.json["creditsRemaining"]) == (202, 4)
    assert (await caller.traces())[0] == 100_000
    edit = {**PROMPT, "image_urls": ["https://example.com/a.png"]}
    elsewhere = await live.post("/api/v1/models/p-image-edit/run", edit)
    assert elsewhere.error["code"] == "service_unavailable"
    assert "A pd_test_ key runs it on the sandbox" in elsewhere.error["message"]
    assert int(elsewhere.header("retry-after") or 0) > 0


async def test_an_input_that_no_upstream_set_up_here_takes_is_refused_before_it_costs(dojo: Dojo) -> None:
    dojo.build(live_providers=frozenset({"fal"}))
    live = await dojo.caller(mode=KeyMode.LIVE)
    before = await live.traces()
    target = "/api/v1/models/flux-2-pro/run"
    refused = await live.post(target, {**PROMPT, "output_format": "webp"})
    assert (refused.status, refused.error["code"]) == (503, "service_unavailable")
    assert "takes this input; nothing was charged" in refused.error["message"]
    assert await live.traces() == before
    assert (await live.post(target, {**PROMPT, "output_format": "png"})).status == 202


async def test_a_sandbox_only_model_tells_live_keys_why_and_charges_nothing(dojo: Dojo) -> None:
    spicy = load_catalog().find("z-image-spicy")
    dojo.build(catalog=Catalog((spicy,)), live_providers=ALL_PROVIDERS)
    live = await dojo.caller(mode=KeyMode.LIVE)
    before = await live.traces()
    refused = await live.post("/api/v1/models/z-image-spicy/run", PROMPT)
    assert (refused.status, refused.error["code"]) == (403, "forbidden")
    assert str(spicy.sandbox_only) in refused.error["message"]
    assert await live.traces() == before
    (shown,) = (await live.get("/api/v1/models")).json["models"]
    assert shown["sandboxOnly"] is True
    caller = await dojo.caller()
    assert (await caller.post("/api/v1/models/z-image-spicy/run", PROMPT)).status == 202


@pytest.mark.parametrize("order", ["slow=5", "slow=5, twice", "fail=unavailable", "refuse"])
async def test_a_test_key_can_order_trouble_to_rehearse(dojo: Dojo, caller: Caller, order: str) -> None:
    job_id = await caller.run(x_pixeldojo_sandbox=order)
    job = await dojo.stores.claim(job_id)
    assert job.rehearsal == order


@pytest.mark.parametrize("order", ["explode", "slow=soon", "slow", "fail=everything", "x" * 2_000])
async def test_trouble_that_the_sandbox_does_not_know_is_refused_and_names_what_it_knows(
    caller: Caller, order: str
) -> None:
    reply = await caller.post(RUN, PROMPT, x_pixeldojo_sandbox=order)
    assert reply.error["code"] == "validation_error"
    assert reply.member("header.X-PixelDojo-Sandbox")
    assert (await caller.traces())[2] == 0


async def test_a_live_key_cannot_order_trouble(dojo: Dojo, caller: Caller) -> None:
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    dojo.build(live_providers=ALL_PROVIDERS)
    reply = await live.post(RUN, PROMPT, x_pixeldojo_sandbox="slow=5")
    assert "works only with a pd_test_ key" in reply.member("header.X-PixelDojo-Sandbox")
