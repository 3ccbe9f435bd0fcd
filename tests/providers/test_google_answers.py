"""Google's adapter: what its answers mean, how files go along, and whose callbacks are believed."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.emulators.emulator import Work
from tests.emulators.google import GoogleEmulator
from tests.emulators.samples import Samples
from tests.emulators.trouble import Wish
from tests.providers.scripted import Scripted
from tests.providers.stand import LOOPBACK

from pixeldojo.core.json_types import JsonValue
from pixeldojo.net.client import OutboundClient
from pixeldojo.providers.contract import (
    Call,
    Callback,
    Finished,
    ForgedCallback,
    HttpAnswer,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.google import GoogleProvider

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ENCODED = base64.b64encode(Samples().image).decode()
PICTURE = f"data:image/png;base64,{ENCODED}"
DRAW = "models/gemini-3-pro-image:generateContent"
FILM = "models/veo-3.1-generate-001:predictLongRunning"
BASE = "https://generativelanguage.googleapis.com/v1beta"
REFUSED_CONTENT = UpstreamErrorKind.REFUSED_CONTENT
UNAUTHORIZED = UpstreamErrorKind.UNAUTHORIZED
CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="veo-3.1-standard",
    task="text-to-video",
    endpoint=DRAW,
    arguments={"contents": [{"parts": [{"text": "a lantern"}]}]},
    input={"prompt": "a lantern"},
    output={"kind": "image"},
)


def _scripted(body: JsonValue, status: int = 200) -> Scripted:
    return Scripted(HttpAnswer(status, {}, json.dumps(body).encode()))


async def _drawn(body: JsonValue) -> Finished:
    finished = await GoogleProvider("AIza-secret").submit(CALL, _scripted(body))
    assert isinstance(finished, Finished)
    return finished


async def _checked(body: JsonValue) -> Running | Finished:
    operation = Operation("op1", {"model": "models/veo-3.1-generate-001"})
    http = _scripted(body)
    answer = await GoogleProvider("AIza-secret").check(operation, http)
    assert http.urls == [f"{BASE}/models/veo-3.1-generate-001/operations/op1"]
    return answer


# Requests


async def _taken(endpoint: str, **arguments: JsonValue) -> tuple[Operation | Finished, Work]:
    """Return the answer to a submit, and what the service made of it."""
    http = OutboundClient(LOOPBACK)
    async with GoogleEmulator({DRAW: "image", FILM: "video"}) as emulator:
        provider = GoogleProvider(emulator.key, f"{emulator.url}/v1beta")
        call = replace(CALL, endpoint=endpoint, arguments=arguments)
        answer = await provider.submit(call, http.for_provider(provider))
        await http.close()
        return answer, emulator.paid[0]


async def test_a_picture_is_drawn_from_another() -> None:
    answer, work = await _taken(
        DRAW,
        contents=[{"role": "user", "parts": [{"text": "Make it night"}, {"inlineData": {"data": PICTURE}}]}],
        generationConfig={"responseModalities": ["IMAGE"], "imageConfig": {"imageSize": "2K"}},
    )
    assert isinstance(answer, Finished)
    # The answer holds two: the first is a thought.
    assert [file.content for file in answer.outputs] == [Samples().image]
    assert work.arguments["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": ENCODED}}


async def test_a_clip_begins_with_a_picture() -> None:
    answer, work = await _taken(FILM, instances=[{"prompt": "a lantern", "image": {"bytesBase64Encoded": PICTURE}}])
    assert isinstance(answer, Operation)
    assert answer.id == work.id
    assert work.arguments["instances"][0]["image"] == {"mimeType": "image/png", "bytesBase64Encoded": ENCODED}


async def test_a_picture_that_is_only_an_address_is_not_sent() -> None:
    http = Scripted()
    address: dict[str, JsonValue] = {"instances": [{"image": {"bytesBase64Encoded": "https://files.test/a.png"}}]}
    with pytest.raises(UpstreamError, match="nothing was sent"):
        await GoogleProvider("AIza-secret").submit(replace(CALL, endpoint=FILM, arguments=address), http)
    assert http.urls == []


# Errors


@pytest.mark.parametrize(
    ("status", "name", "details", "expected"),
    [
        (400, "INVALID_ARGUMENT", [], UpstreamErrorKind.REJECTED_INPUT),
        (400, "INVALID_ARGUMENT", [{"reason": "API_KEY_INVALID"}], UNAUTHORIZED),
        (400, "FAILED_PRECONDITION", [], UNAUTHORIZED),
        (403, "PERMISSION_DENIED", [], UNAUTHORIZED),
        (404, "NOT_FOUND", [], UpstreamErrorKind.UNAVAILABLE),
        (429, "RESOURCE_EXHAUSTED", [], UpstreamErrorKind.OVER_LIMIT),
        (500, "INTERNAL", [], UpstreamErrorKind.UNKNOWN),
        (503, "UNAVAILABLE", [], UpstreamErrorKind.UNAVAILABLE),
        (504, "DEADLINE_EXCEEDED", [], UpstreamErrorKind.UNKNOWN),
    ],
)
async def test_an_error_means(status: int, name: str, details: list[JsonValue], expected: UpstreamErrorKind) -> None:
    error: JsonValue = {"code": status, "message": "No, AIza-secret.", "status": name, "details": details}
    with pytest.raises(UpstreamError) as raised:
        await GoogleProvider("AIza-secret").submit(CALL, _scripted({"error": error}, status))
    assert raised.value.kind == expected
    assert "AIza-secret" not in raised.value.message


async def test_the_wait_stands_among_the_details() -> None:
    details: JsonValue = [{"@type": "…QuotaFailure", "violations": []}, {"@type": "…RetryInfo", "retryDelay": "34.4s"}]
    for ask in ("submit", "check"):
        provider, http = GoogleProvider("AIza-secret"), _scripted({"error": {"details": details}}, 429)
        with pytest.raises(UpstreamError) as raised:
            await (provider.submit(CALL, http) if ask == "submit" else provider.check(Operation("op1"), http))
        assert raised.value.retry_after_seconds == 34.4


# Pictures


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"promptFeedback": {"blockReason": "OTHER"}}, REFUSED_CONTENT),
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, REFUSED_CONTENT),
        ({"candidates": [{"finishReason": "IMAGE_RECITATION", "content": {}}]}, REFUSED_CONTENT),
        ({"candidates": [{"finishReason": "IMAGE_OTHER"}]}, REFUSED_CONTENT),
        ({"candidates": [{"finishReason": "NO_IMAGE"}]}, REFUSED_CONTENT),
        # Not moderation: the model drew nothing.
        ({"candidates": [{"finishReason": "OTHER"}]}, None),
        ({"candidates": [{"content": {"parts": [{"text": "I cannot."}]}, "finishReason": "STOP"}]}, None),
    ],
)
async def test_an_answer_without_a_picture(body: JsonValue, kind: UpstreamErrorKind | None) -> None:
    if kind is None:
        assert (await _drawn(body)).outputs == ()
        return
    with pytest.raises(UpstreamError) as raised:
        await _drawn(body)
    assert (raised.value.kind, raised.value.is_final) == (kind, True)


async def test_a_picture_counts_whatever_the_reason_to_end() -> None:
    content: JsonValue = {"parts": [{"inlineData": {"data": "AAAA"}}]}
    body: JsonValue = {
        "candidates": [{"content": content, "finishReason": "SAFETY"}],
        "usageMetadata": {"totalTokenCount": 9},
    }
    finished = await _drawn(body)
    assert [file.content for file in finished.outputs] == [b"\0\0\0"]
    assert finished.upstream_cost == "9 tokens"


# Clips


@pytest.mark.parametrize("body", [{}, {"done": False}, {"name": "models/a/operations/b", "metadata": {}}])
async def test_a_clip_that_is_not_done(body: JsonValue) -> None:
    assert await _checked(body) == Running()


@pytest.mark.parametrize("host", ["generativelanguage.googleapis.com", "evil.test"])
async def test_a_clip_is_downloaded_with_the_key_from_our_address_of_google_alone(host: str) -> None:
    video: JsonValue = {"uri": f"https://{host}/v1beta/files/abc123:download?alt=media"}
    finished = await _checked(_done({"generatedSamples": [{"video": video}]}))
    assert isinstance(finished, Finished)
    [file] = finished.outputs
    assert file.url == f"{BASE}/files/abc123:download?alt=media"
    assert file.headers == {"x-goog-api-key": "AIza-secret"}
    assert "AIza-secret" not in repr(file)


async def test_a_clip_that_lies_elsewhere_gets_no_key() -> None:
    finished = await _checked(_done({"generatedSamples": [{"video": {"uri": "https://files.test/a.mp4"}}]}))
    assert isinstance(finished, Finished)
    [file] = finished.outputs
    assert (file.url, file.headers) == ("https://files.test/a.mp4", {})


@pytest.mark.parametrize(
    ("body", "expected", "is_final"),
    [
        ({"raiMediaFilteredCount": 1}, REFUSED_CONTENT, True),
        ({"raiMediaFilteredReasons": ["Sorry, we can't create videos of real people."]}, REFUSED_CONTENT, True),
        ({"code": 3, "message": "Unsupported duration."}, UpstreamErrorKind.REJECTED_INPUT, True),
        ({"code": 3, "message": "The prompt violates Google's Responsible AI practices."}, REFUSED_CONTENT, True),
        ({"code": 13, "message": "Internal."}, UpstreamErrorKind.UNAVAILABLE, True),
        ({"code": 8}, UpstreamErrorKind.UNAVAILABLE, True),
    ],
)
async def test_a_clip_that_ends_badly(body: dict[str, JsonValue], expected: UpstreamErrorKind, is_final: bool) -> None:
    told: JsonValue = {"done": True, "error": body} if "code" in body else _done(body)
    with pytest.raises(UpstreamError) as raised:
        await _checked(told)
    assert (raised.value.kind, raised.value.is_final) == (expected, is_final)


def _done(response: JsonValue) -> JsonValue:
    return {"done": True, "response": {"generateVideoResponse": response}}


# Callbacks


def _callback(headers: dict[str, str], at: datetime = NOW) -> Callback:
    return Callback({name.lower(): value for name, value in headers.items()}, b"{}", at)


def _signed(emulator: GoogleEmulator, **changed: Any) -> dict[str, str]:
    work = Work("w1", FILM, "video", {}, Wish(), "https://dojo.test/back", 1)
    headers, _ = emulator.sign(work, changed.pop("at", NOW), **changed)
    return dict(headers)


async def _keys(emulator: GoogleEmulator) -> list[bytes]:
    http = OutboundClient(LOOPBACK)
    async with emulator:
        provider = GoogleProvider("k", f"{emulator.url}/v1beta", f"{emulator.url}/.well-known/jwks.json")
        keys = await provider.callback_keys(http.for_provider(provider))
        await http.close()
    return list(keys)


async def test_a_token_of_googles_is_believed_and_no_other() -> None:
    emulator, provider = GoogleEmulator({}), GoogleProvider("k")
    keys = await _keys(emulator)
    good = _signed(emulator)
    provider.verify_callback(_callback(good), keys)
    head, claims, signature = good["webhook-signature"].split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg": "none"}').decode().rstrip("=")
    hashed = base64.urlsafe_b64encode(b'{"alg": "HS256"}').decode().rstrip("=")
    tokens = (
        _signed(emulator, forged=True)["webhook-signature"],
        f"{head}.{claims[:-2]}AA.{signature}",
        f"{unsigned}.{claims}.",
        f"{hashed}.{claims}.{signature}",
        "v1,AAAA",
        "",
    )
    for token in tokens:
        with pytest.raises(ForgedCallback):
            provider.verify_callback(_callback({**good, "webhook-signature": token}), keys)
    with pytest.raises(ForgedCallback):
        provider.verify_callback(_callback(good), [])


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_an_old_token_is_not_believed_whatever_the_headers_say(seconds: int) -> None:
    emulator, provider = GoogleEmulator({}), GoogleProvider("k")
    keys = await _keys(emulator)
    headers = {**_signed(emulator), "webhook-timestamp": str(int(NOW.timestamp()) + seconds)}
    with pytest.raises(ForgedCallback, match="time"):
        provider.verify_callback(_callback(headers, NOW + timedelta(seconds=seconds)), keys)
