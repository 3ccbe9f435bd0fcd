"""POST /models/{apiId}/estimate: what a run then holds, told without a trace, and refused as a run is."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from tests.api.asgi import Reply
from tests.api.dojo import PROMPT, Caller, Dojo
from tests.api.test_any_input import many
from tests.catalog.strategies import MODELS, Request, near_inputs, requests, valid_inputs
from tests.stores import HOOK
from tests.unit.worker.workshop import ScriptedProvider

from pixeldojo.accounts.keys import KeyMode, Scope
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.json_types import JsonObject
from pixeldojo.worker.route import Router

CLIP: Final = "https://files.example.com/clip.mp4"
SOURCES: Final[Mapping[str, Any]] = {"image_url": "https://files.example.com/a.png", "video_url": CLIP}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Every model that the strategies make inputs for."""
    return Catalog(MODELS)


@pytest.fixture
async def caller(dojo: Dojo) -> Caller:
    """Someone who can pay for every model."""
    return await dojo.caller(granted=100_000_000)


def address(model_id: str, verb: str) -> str:
    return f"/api/v1/models/{model_id}/{verb}"


def told(reply: Reply) -> Any:
    """Return what an answer says, figures exact; of an error all but the request's id."""
    body = json.loads(reply.body, parse_float=Decimal)
    return {**body["error"], "requestId": ""} if reply.status >= 400 else body


async def compare(caller: Caller, model_id: str, content: JsonObject) -> int:
    """Hold an estimate against the run of the same body; return their status."""
    before = await caller.traces()
    estimate = await caller.post(address(model_id, "estimate"), content)
    assert await caller.traces() == before
    held = before[1]
    run = await caller.post(address(model_id, "run"), content)
    if run.status != 202:
        assert (estimate.status, told(estimate)) == (run.status, told(run))
        return run.status
    quoted = told(estimate)
    assert quoted["creditCost"] == told(run)["creditCost"]
    assert sum(line["amount"] for line in quoted["breakdown"]) == quoted["creditCost"]
    assert quoted["creditCost"] * 1000 == (await caller.traces())[1] - held
    return estimate.status


async def test_every_model_is_estimated_at_what_a_run_of_its_example_holds(caller: Caller) -> None:
    for model in MODELS:
        assert await compare(caller, model.id, model.example) == 200, model.id
        reply = await caller.get(f"/api/v1/models/{model.id}")
        default = json.loads(reply.body, parse_float=Decimal)["creditCost"]["default"]
        estimate = told(await caller.post(address(model.id, "estimate"), model.example))
        assert default == estimate["creditCost"], model.id


@many(80)
@given(request_=requests(valid_inputs) | requests(near_inputs))
async def test_an_estimate_is_what_a_run_holds_or_refused_in_the_same_words(caller: Caller, request_: Request) -> None:
    model, content = request_
    await compare(caller, model.id, content)


async def test_a_price_comes_with_its_lines(caller: Caller) -> None:
    reply = await caller.post(address("hailuo-standard", "estimate"), {**PROMPT, "duration": 10})
    assert reply.json == {
        "creditCost": 12,
        "breakdown": [
            {
                "label": "Video of 10 seconds at 768p",
                "quantity": 1,
                "unit": "output",
                "unitPrice": 12,
                "amount": 12,
                "isMaximum": False,
            }
        ],
        "upstreams": [{"provider": "sandbox", "endpoint": "hailuo-standard"}],
    }


async def test_where_the_result_decides_the_length_the_line_says_that_it_is_the_most(caller: Caller) -> None:
    whole = (await caller.post(address("kling-motion-control", "estimate"), SOURCES)).json
    assert whole["creditCost"] == 90
    [line] = whole["breakdown"]
    assert (line["quantity"], line["unit"], line["isMaximum"]) == (30, "second", True)
    said = {**SOURCES, "video_duration": 7.25}
    less = (await caller.post(address("kling-motion-control", "estimate"), said)).json
    assert (less["creditCost"], less["breakdown"][0]["quantity"]) == (21.9, 7.3)


async def test_a_body_that_would_be_run_is_estimated_with_its_webhook(caller: Caller) -> None:
    reply = await caller.post(address("flux-1.1-pro", "estimate"), {**PROMPT, "webhook_url": HOOK})
    assert reply.status == 200
    refused = await caller.post(address("flux-1.1-pro", "estimate"), {"webhook_url": "http://10.0.0.1/", "colour": 1})
    assert refused.status == 400
    assert {detail["path"] for detail in refused.error["details"]} == {"webhook_url", "prompt", "colour"}


@pytest.mark.parametrize(
    ("given_id", "nearest"),
    [("flux-1.1-prp", "flux-1.1-pro"), ("FLUX-DEV", "flux-dev"), ("runway", "runway-video"), ("omnihumn", "omnihuman")],
)
async def test_a_misspelt_model_is_answered_with_the_nearest(caller: Caller, given_id: str, nearest: str) -> None:
    for verb in ("estimate", "run"):
        reply = await caller.post(address(given_id, verb), PROMPT)
        assert reply.status == 404
        assert f'Did you mean "{nearest}"?' in reply.error["message"]


async def test_it_takes_the_key_that_a_run_takes(dojo: Dojo) -> None:
    assert (await dojo.stranger.post(address("flux-1.1-pro", "estimate"), PROMPT)).status == 401
    reader = await dojo.caller(scopes=frozenset(Scope) - {Scope.JOBS_WRITE})
    assert (await reader.post(address("flux-1.1-pro", "estimate"), PROMPT)).status == 403


async def test_a_price_is_told_to_whoever_cannot_pay_it(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=0)
    assert (await poor.post(address("omnihuman", "run"), dict(PROMPT))).status == 400
    assert (await poor.post(address("flux-1.1-pro", "estimate"), PROMPT)).json["creditCost"] == 1
    assert (await poor.post(address("flux-1.1-pro", "run"), PROMPT)).status == 402


async def test_a_live_key_is_told_that_no_upstream_is_set_up(dojo: Dojo) -> None:
    live = await dojo.caller(mode=KeyMode.LIVE)
    reply = await live.post(address("flux-1.1-pro", "estimate"), PROMPT)
    assert (reply.status, reply.json["creditCost"], reply.json["upstreams"]) == (200, 1, [])
    run = await live.post(address("flux-1.1-pro", "run"), PROMPT)
    assert run.status == 503
    assert reply.json["note"] == f"With this key, a run is answered 503 service_unavailable: {run.error['message']}"
    test = await (await dojo.caller()).post(address("flux-1.1-pro", "estimate"), PROMPT)
    assert "note" not in test.json


async def test_a_live_key_is_told_that_a_model_runs_on_the_sandbox_alone(dojo: Dojo, catalog: Catalog) -> None:
    live = await dojo.caller(mode=KeyMode.LIVE)
    (spicy, *_) = [model for model in catalog.models if model.sandbox_only]
    reply = await live.post(address(spicy.id, "estimate"), spicy.example)
    run = await live.post(address(spicy.id, "run"), spicy.example)
    assert (reply.status, run.status, reply.json["upstreams"]) == (200, 403, [])
    assert reply.json["note"] == f"With this key, a run is answered 403 forbidden: {run.error['message']}"


async def test_the_upstreams_are_those_that_a_worker_would_try_in_its_order(dojo: Dojo) -> None:
    set_up = frozenset({"fal", "dashscope", "wavespeed"})
    dojo.build(live_providers=set_up)
    router = Router({name: ScriptedProvider(name) for name in (*set_up, "sandbox")})
    live = await dojo.caller(mode=KeyMode.LIVE, granted=100_000_000)
    several = 0
    for model in (model for model in MODELS[::3] if model.sandbox_only is None):
        estimate = await live.post(address(model.id, "estimate"), model.example)
        assert ("note" in estimate.json) == (not estimate.json["upstreams"])
        if not estimate.json["upstreams"]:
            assert (await live.post(address(model.id, "run"), model.example)).status == 503
            continue
        job_id = await live.run(model.example, target=address(model.id, "run"))
        routes = router.routes(model, await dojo.stores.claim(job_id), ())
        shown = [(upstream["provider"], upstream["endpoint"]) for upstream in estimate.json["upstreams"]]
        assert shown == [(route.provider.name, route.endpoint) for route in routes], model.id
        several += len(shown) > 1
    assert several > 5
