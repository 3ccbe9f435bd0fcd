"""OpenAI's adapter: what its answers mean, and what its requests look like."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.emulators.samples import Samples
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonValue
from pixeldojo.providers.contract import Call, Finished, HttpAnswer, UpstreamError, UpstreamErrorKind
from pixeldojo.providers.openai import OpenAiProvider

PICTURE = base64.b64encode(Samples().image).decode()
CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="gpt-image-2",
    task="text-to-image",
    endpoint="gpt-image-2@images/generations",
    arguments={"prompt": "a lantern"},
    input={"prompt": "a lantern"},
    output={"kind": "image"},
)


async def _refused(
    status: int, body: JsonValue, headers: Mapping[str, str] | None = None, call: Call = CALL
) -> UpstreamError:
    http = Scripted(HttpAnswer(status, headers or {}, json.dumps(body).encode()))
    with pytest.raises(UpstreamError) as raised:
        await OpenAiProvider("sk-secret").submit(call, http)
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind", "code", "expected"),
    [
        (400, "image_generation_user_error", "moderation_blocked", UpstreamErrorKind.REFUSED_CONTENT),
        (400, "invalid_request_error", "content_policy_violation", UpstreamErrorKind.REFUSED_CONTENT),
        (400, "image_generation_user_error", None, UpstreamErrorKind.REJECTED_INPUT),
        (401, "invalid_request_error", "invalid_api_key", UpstreamErrorKind.UNAUTHORIZED),
        (403, "invalid_request_error", "unsupported_country_region_territory", UpstreamErrorKind.UNAUTHORIZED),
        (404, "invalid_request_error", "model_not_found", UpstreamErrorKind.UNAVAILABLE),
        (429, "requests", "rate_limit_exceeded", UpstreamErrorKind.OVER_LIMIT),
        (429, "insufficient_quota", "insufficient_quota", UpstreamErrorKind.UNAUTHORIZED),
        (429, "insufficient_quota", "project_spend_limit_exceeded", UpstreamErrorKind.UNAUTHORIZED),
        (400, "invalid_request_error", "billing_hard_limit_reached", UpstreamErrorKind.UNAUTHORIZED),
        (500, "server_error", "server_error", UpstreamErrorKind.UNKNOWN),
        (503, "server_error", None, UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_an_error_means(status: int, kind: str, code: str | None, expected: UpstreamErrorKind) -> None:
    error = {"message": "No, sk-secret.", "type": kind, "param": None, "code": code}
    refused = await _refused(status, {"error": error})
    assert refused.kind == expected
    assert "sk-secret" not in refused.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "9", "x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "30s"}, 9.0),
        ({"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "1m30.5s"}, 90.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "250ms"}, 0.25),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2h"}, 7200.0),
        # Only a limit that is reached says when to come back.
        ({"x-ratelimit-remaining-requests": "12", "x-ratelimit-reset-requests": "1m"}, None),
        ({"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "soon"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_is_asked_for(headers: Mapping[str, str], seconds: float | None) -> None:
    assert (await _refused(429, {"error": {"code": "rate_limit_exceeded"}}, headers)).retry_after_seconds == seconds


async def test_pictures_come_with_the_answer() -> None:
    body = {"data": [{"b64_json": PICTURE}, {"b64_json": "no base64!"}, {}, None], "usage": {"total_tokens": 284}}
    answer = HttpAnswer(200, {}, json.dumps(body).encode())
    finished = await OpenAiProvider("sk-secret").submit(CALL, Scripted(answer))
    assert isinstance(finished, Finished)
    assert [output.content for output in finished.outputs] == [Samples().image]
    assert finished.upstream_cost == "284 tokens"


async def test_a_picture_that_is_only_an_address_is_not_sent() -> None:
    arguments: dict[str, JsonValue] = {"prompt": "Make it night", "image": ["https://files.test/a.png"]}
    call = replace(CALL, endpoint="gpt-image-2@images/edits", arguments=arguments)
    http = Scripted()
    with pytest.raises(UpstreamError, match="nothing was sent") as raised:
        await OpenAiProvider("sk-secret").submit(call, http)
    assert raised.value.kind == UpstreamErrorKind.UNAVAILABLE
    assert http.urls == []
