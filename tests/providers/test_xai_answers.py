"""xAI's adapter: what its answers mean."""

import json

import pytest
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonValue
from pixeldojo.providers.contract import (
    Call,
    Finished,
    HttpAnswer,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.xai import XaiProvider

CLIP = "https://files.test/a.mp4"
REFUSED = "Content violates usage guidelines. Team: t-1, API key ID: k-1, Failed check: SAFETY_CHECK_TYPE_BIO"
REJECTED = UpstreamErrorKind.REJECTED_INPUT
REFUSED_CONTENT = UpstreamErrorKind.REFUSED_CONTENT
UNAUTHORIZED = UpstreamErrorKind.UNAUTHORIZED


def _call(endpoint: str) -> Call:
    return Call(
        job_id="job_1",
        attempt_id="att_1",
        model_id="xai-image",
        task="text-to-image",
        endpoint=endpoint,
        arguments={"prompt": "a lantern"},
        input={"prompt": "a lantern"},
        output={"kind": "image"},
    )


def _answer(status: int, body: JsonValue) -> Scripted:
    return Scripted(HttpAnswer(status, {}, json.dumps(body).encode()))


async def _submitted(body: JsonValue) -> Operation | Finished:
    return await XaiProvider("xai-secret").submit(_call("grok-imagine-image@images/generations"), _answer(200, body))


async def _checked(status: int, body: bytes) -> Running | Finished:
    return await XaiProvider("xai-secret").check(Operation("r-1"), Scripted(HttpAnswer(status, {}, body)))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"code": "invalid-argument", "error": "Incorrect API key provided: xa***et."}, UNAUTHORIZED),
        (401, {"error": "No API key was provided."}, UNAUTHORIZED),
        (403, {"code": "permission-denied", "error": "The team is blocked."}, UNAUTHORIZED),
        (403, {"code": "permission-denied", "error": REFUSED}, REFUSED_CONTENT),
        (400, {"error": "Generated image rejected by content moderation."}, REFUSED_CONTENT),
        (422, {"error": {"message": "n is too large", "type": "invalid_request_error"}}, REJECTED),
        (415, {"error": "Expected JSON."}, REJECTED),
        (404, {"code": "not-found", "error": "No such model."}, UpstreamErrorKind.UNAVAILABLE),
        (429, {"error": "Too many requests."}, UpstreamErrorKind.OVER_LIMIT),
        (500, {"error": "moderation is down"}, UpstreamErrorKind.UNKNOWN),
        (503, {"error": "At capacity."}, UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_an_error_means(status: int, body: JsonValue, expected: UpstreamErrorKind) -> None:
    with pytest.raises(UpstreamError) as raised:
        await XaiProvider("xai-secret").submit(_call("grok-imagine-video@videos/generations"), _answer(status, body))
    assert raised.value.kind == expected
    # Whose key it was is nobody's business.
    assert "k-1" not in raised.value.message


async def test_pictures_are_those_that_moderation_left() -> None:
    blanked: JsonValue = {"respect_moderation": False}
    finished = await _submitted(
        {
            "data": [{"url": "https://files.test/a.png"}, blanked, {"b64_json": "AAAA", "respect_moderation": True}],
            "usage": {"cost_in_usd_ticks": 7},
        }
    )
    assert isinstance(finished, Finished)
    assert [(file.url, file.content) for file in finished.outputs] == [
        ("https://files.test/a.png", None),
        (None, b"\0\0\0"),
    ]
    assert finished.upstream_cost == "7 ticks of a US dollar"
    with pytest.raises(UpstreamError) as raised:
        await _submitted({"data": [blanked, blanked]})
    assert (raised.value.kind, raised.value.is_final) == (REFUSED_CONTENT, True)


@pytest.mark.parametrize(
    ("status", "body", "progress"),
    [
        (202, b"", None),
        (202, b'{"status": "pending", "progress": 40}', 0.4),
        (200, b'{"status": "pending", "progress": 100}', 1.0),
        (200, b'{"status": "pending", "progress": "much"}', None),
        (200, b'{"status": "pending", "progress": 240}', None),
    ],
)
async def test_a_clip_that_is_not_done(status: int, body: bytes, progress: float | None) -> None:
    assert await _checked(status, body) == Running(progress)


@pytest.mark.parametrize("status", ["done", None])
async def test_a_clip_that_is_done_need_not_say_so(status: str | None) -> None:
    told: dict[str, JsonValue] = {"video": {"url": CLIP}}
    finished = await _checked(200, json.dumps(told | ({"status": status} if status else {})).encode())
    assert isinstance(finished, Finished)
    assert [file.url for file in finished.outputs] == [CLIP]


@pytest.mark.parametrize(
    ("body", "expected", "is_final"),
    [
        ({"status": "done", "video": {"url": CLIP, "respect_moderation": False}}, REFUSED_CONTENT, True),
        ({"status": "failed", "error": {"code": "invalid_argument", "message": "too long"}}, REJECTED, True),
        ({"status": "failed", "error": {"code": "invalid_argument", "message": REFUSED}}, REFUSED_CONTENT, True),
        ({"status": "failed", "error": {"code": "internal_error"}}, UpstreamErrorKind.UNAVAILABLE, True),
        ({"status": "failed"}, UpstreamErrorKind.UNAVAILABLE, True),
        ({"status": "expired"}, UpstreamErrorKind.UNAVAILABLE, True),
        ({"status": "asleep"}, UpstreamErrorKind.UNKNOWN, False),
        ({"video": {}}, UpstreamErrorKind.UNKNOWN, False),
    ],
)
async def test_a_clip_that_ends_badly(body: JsonValue, expected: UpstreamErrorKind, is_final: bool) -> None:
    with pytest.raises(UpstreamError) as raised:
        await _checked(200, json.dumps(body).encode())
    assert (raised.value.kind, raised.value.is_final) == (expected, is_final)
