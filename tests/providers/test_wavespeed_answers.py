"""What WaveSpeed says in its own ways: codes inside answers that look well, moderation, signatures of callbacks."""

import json
from datetime import UTC, datetime

import pytest
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import (
    Call,
    Callback,
    Finished,
    ForgedCallback,
    HttpAnswer,
    InputFile,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.wavespeed import WaveSpeedProvider

PROVIDER = WaveSpeedProvider("wsk_key")
OPERATION = Operation("abc", {"kind": "video"})
CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="m",
    task="text-to-image",
    endpoint="maker/model",
    arguments={"prompt": "a lantern"},
    input={},
    output={"kind": "image"},
    callback_url="https://dojo.test/back?a=1&b=2",
)
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
FILE = "https://files.test/a.mp4"


def _answer(body: JsonObject, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


def _task(**task: JsonValue) -> HttpAnswer:
    return _answer({"code": 200, "message": "success", "data": {"id": "abc", **task}})


async def _ending_of(**task: JsonValue) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.check(OPERATION, Scripted(_task(**task)))
    return raised.value


@pytest.mark.parametrize(
    ("code", "error", "kind"),
    [
        (1200, "", UpstreamErrorKind.REFUSED_CONTENT),
        (1400, "image is missing", UpstreamErrorKind.REJECTED_INPUT),
        (1401, "duration is invalid", UpstreamErrorKind.REJECTED_INPUT),
        (1402, "Failed to download image from the provided URL.", UpstreamErrorKind.REJECTED_INPUT),
        (1403, "could not be completed", UpstreamErrorKind.UNAVAILABLE),
        (5000, "internal error", UpstreamErrorKind.UNAVAILABLE),
        (5003, "unavailable", UpstreamErrorKind.UNAVAILABLE),
        # Older tasks have no code.
        (None, "Content flagged as potentially sensitive.", UpstreamErrorKind.REFUSED_CONTENT),
        (0, "The prompt was stopped by content moderation", UpstreamErrorKind.REFUSED_CONTENT),
        (None, "", UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_a_task_that_failed_has_a_code(code: int | None, error: str, kind: UpstreamErrorKind) -> None:
    ended = await _ending_of(status="failed", code=code, error=error)
    assert (ended.kind, ended.is_final) == (kind, True)
    assert error in ended.message


@pytest.mark.parametrize("status", ["cancelled", "timeout", "deleted"])
async def test_a_task_can_end_without_failing(status: str) -> None:
    ended = await _ending_of(status=status, error="")
    assert (ended.kind, ended.is_final) == (UpstreamErrorKind.UNAVAILABLE, True)
    assert status in ended.message


async def test_a_task_that_outlives_the_wait_inside_a_request_goes_on() -> None:
    answer = _task(status="processing", code=5004, error="timed out")
    assert await PROVIDER.check(OPERATION, Scripted(answer)) == Running(poll_after_seconds=2.0)


async def test_a_flag_alone_refuses_nothing_and_a_flag_without_an_output_does() -> None:
    flagged = _task(status="completed", outputs=[FILE], has_nsfw_contents=[True])
    done = await PROVIDER.check(OPERATION, Scripted(flagged))
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == [FILE]
    ended = await _ending_of(status="completed", outputs=[], has_nsfw_contents=[True])
    assert (ended.kind, ended.is_final) == (UpstreamErrorKind.REFUSED_CONTENT, True)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"code": 401, "message": "unauthorized", "data": None}, UpstreamErrorKind.UNAUTHORIZED),
        (200, {"code": 429, "message": "slow down"}, UpstreamErrorKind.OVER_LIMIT),
        (200, {"code": 400, "message": "bad", "data": None}, UpstreamErrorKind.REJECTED_INPUT),
        # Nobody can tell whether this was taken.
        (200, {"code": 200, "message": "success", "data": None}, UpstreamErrorKind.UNKNOWN),
        (200, {"code": 5000, "message": "internal error"}, UpstreamErrorKind.UNKNOWN),
        (402, {"code": 402, "message": "Insufficient credits. Please top up"}, UpstreamErrorKind.OVER_LIMIT),
        (403, {"code": 403, "message": "Insufficient balance"}, UpstreamErrorKind.OVER_LIMIT),
        (403, {"code": 403, "message": "no access to this model"}, UpstreamErrorKind.UNAUTHORIZED),
        (400, {"code": 1200, "message": "no"}, UpstreamErrorKind.REFUSED_CONTENT),
        (400, {"code": 400, "message": "Content flagged as potentially sensitive."}, UpstreamErrorKind.REFUSED_CONTENT),
    ],
)
async def test_a_submit_that_was_turned_away(status: int, body: JsonObject, kind: UpstreamErrorKind) -> None:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.submit(CALL, Scripted(_answer(body, status)))
    assert (raised.value.kind, raised.value.is_final) == (kind, False)


async def test_the_callback_address_is_one_value_of_the_query() -> None:
    http = Scripted(_task(status="created"))
    operation = await PROVIDER.submit(CALL, http)
    assert operation == Operation("abc", {"kind": "image"}, poll_after_seconds=1.0, calls_back=True)
    quoted = "https%3A%2F%2Fdojo.test%2Fback%3Fa%3D1%26b%3D2"
    assert http.urls == [f"https://api.wavespeed.ai/api/v3/maker/model?webhook={quoted}"]


async def test_what_has_ended_already_is_looked_at_now() -> None:
    operation = await PROVIDER.submit(CALL, Scripted(_task(status="failed", error="no")))
    assert isinstance(operation, Operation)
    assert operation.poll_after_seconds == 0.0


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [
        ("image/jpeg", "jpeg"),
        ("audio/mpeg", "mp3"),
        ("video/x-matroska", "mkv"),
        ("video/quicktime", "mov"),
        ("audio/wav", "wav"),
    ],
)
async def test_uploads_are_named_by_what_they_are(content_type: str, ending: str) -> None:
    sent: list[bytes] = []

    class Listening(Scripted):
        async def request(self, *arguments: object, **options: object) -> HttpAnswer:
            body = options["body"]
            assert isinstance(body, bytes)
            sent.append(body)
            return _answer({"code": 200, "data": {"download_url": "https://static.test/a"}})

    file = InputFile("image_url", 0, None, "inputs/1", content_type.partition("/")[0], content_type, 3)
    assert await PROVIDER.upload(file, b"abc", "maker/model", Listening()) == "https://static.test/a"
    assert f'filename="input.{ending}"\r\nContent-Type: {content_type}'.encode() in sent[0]


# The secret is base64 of something, and its text is the key all the same; signed with openssl.
SECRET: JsonObject = {"code": 200, "data": {"secret": "whsec_c2VjcmV0IG9mIHRoZSBkb2pv"}}
SIGNED = {
    "webhook-id": "msg_1",
    "webhook-timestamp": "1777896000",
    "webhook-signature": "v3,a64bf2bd27211741061f7a2d1ddf4d1791c1dc6235415e12a49417cc50968e1e",
}


async def test_a_signature_is_a_hexadecimal_hmac_with_the_text_of_the_secret() -> None:
    keys = await PROVIDER.callback_keys(Scripted(_answer(SECRET)))
    PROVIDER.verify_callback(Callback(SIGNED, b'{"id":"msg_1"}', AT), keys)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1777896001"}, {"webhook-signature": "v1,abc"}):
        with pytest.raises(ForgedCallback):
            PROVIDER.verify_callback(Callback({**SIGNED, **changed}, b'{"id":"msg_1"}', AT), keys)
    with pytest.raises(ForgedCallback):
        PROVIDER.verify_callback(Callback(SIGNED, b'{"id":"msg_2"}', AT), keys)


async def test_a_secret_in_another_form_signs_nothing() -> None:
    assert await PROVIDER.callback_keys(Scripted(_answer({"code": 200, "data": {"secret": "plain"}}))) == ()
