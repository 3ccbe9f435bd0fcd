"""What DashScope says in its own ways: codes, files in several places, parts of what was asked for."""

import json
from dataclasses import replace

import pytest
from tests.emulators.dashscope_requests import AT_ONCE
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpAnswer,
    InputFile,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.dashscope import DashscopeProvider

PROVIDER = DashscopeProvider("sk-key", "https://dashscope.test/api/v1/")
OPERATION = Operation("abc", {"kind": "image"})
FILE = "https://files.test/a.png"
NO_PICTURE: JsonObject = {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."}


def _answer(body: JsonObject, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


def _call(path: str, **given: JsonValue) -> Call:
    return Call(
        job_id="job_1",
        attempt_id="att_1",
        model_id="m",
        task="text-to-image",
        endpoint=f"wan@{path}",
        arguments={"input": given, "parameters": {"n": 1}},
        input={},
        output={"kind": "image"},
    )


def _choices(*contents: JsonObject) -> JsonObject:
    return {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": [*contents]}}]}


async def _check(**output: JsonValue) -> Running | Finished:
    return await PROVIDER.check(OPERATION, Scripted(_answer({"request_id": "r", "output": output})))


async def _ending_of(**output: JsonValue) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await _check(**output)
    return raised.value


async def _refusal_of(answer: HttpAnswer) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.submit(_call("services/tasks"), Scripted(answer))
    return raised.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidParameter", UpstreamErrorKind.REJECTED_INPUT),
        (400, "InvalidURL", UpstreamErrorKind.REJECTED_INPUT),
        (400, "DataInspectionFailed", UpstreamErrorKind.REFUSED_CONTENT),
        (400, "Arrearage", UpstreamErrorKind.OVER_LIMIT),
        (403, "AllocationQuota.FreeTierOnly", UpstreamErrorKind.OVER_LIMIT),
        (401, "InvalidApiKey", UpstreamErrorKind.UNAUTHORIZED),
        (403, "AccessDenied.Unpurchased", UpstreamErrorKind.UNAUTHORIZED),
        (404, "ModelNotFound", UpstreamErrorKind.UNAVAILABLE),
        (429, "Throttling.AllocationQuota", UpstreamErrorKind.OVER_LIMIT),
        (500, "InternalError", UpstreamErrorKind.UNKNOWN),
        (503, "ServiceUnavailable", UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_a_code_says_more_than_the_status(status: int, code: str, kind: UpstreamErrorKind) -> None:
    refused = await _refusal_of(_answer({"code": code, "message": "so it is"}, status))
    assert (refused.kind, refused.is_final) == (kind, False)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DataInspectionFailed", UpstreamErrorKind.REFUSED_CONTENT),
        ("InvalidParameter.DataInspection", UpstreamErrorKind.REJECTED_INPUT),
        ("InvalidURL", UpstreamErrorKind.REJECTED_INPUT),
        ("InternalError.Algo", UpstreamErrorKind.UNAVAILABLE),
        (None, UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_a_failed_task_says_why(code: str | None, kind: UpstreamErrorKind) -> None:
    ending = await _ending_of(task_status="FAILED", code=code, message="the reason")
    assert (ending.kind, ending.is_final) == (kind, True)
    assert "the reason" in ending.message


@pytest.mark.parametrize("status", ["CANCELED", "UNKNOWN"])
async def test_a_task_that_is_no_more_has_ended(status: str) -> None:
    ending = await _ending_of(task_status=status)
    assert (ending.kind, ending.is_final) == (UpstreamErrorKind.UNAVAILABLE, True)


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "SUSPENDED"])
async def test_a_task_that_goes_on_is_asked_after_seldom(status: str) -> None:
    running = _answer({"output": {"task_id": "abc", "task_status": status}})
    assert await PROVIDER.check(replace(OPERATION, data={"kind": "video"}), Scripted(running)) == Running(None, 15.0)


@pytest.mark.parametrize(
    "output",
    [
        {"video_url": FILE},
        {"results": {"video_url": FILE}},
        {"results": [{"url": FILE}]},
        {"results": [NO_PICTURE, {"url": FILE}]},
        _choices({"type": "image", "image": FILE}),
        _choices({"text": "Here it is."}, {"image": FILE}),
    ],
)
async def test_files_are_found_where_each_service_puts_them(output: JsonObject) -> None:
    done = await _check(task_status="SUCCEEDED", **output)
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == [FILE]


async def test_success_without_one_picture_says_why() -> None:
    ending = await _ending_of(task_status="SUCCEEDED", results=[NO_PICTURE, NO_PICTURE])
    assert (ending.kind, ending.is_final) == (UpstreamErrorKind.REFUSED_CONTENT, True)


async def test_what_is_billed_is_kept() -> None:
    usage: JsonObject = {"video_count": 1, "duration": 5, "ratio": "16:9"}
    body: JsonObject = {"output": {"task_status": "SUCCEEDED", "video_url": FILE}, "usage": usage}
    done = await PROVIDER.check(OPERATION, Scripted(_answer(body)))
    assert isinstance(done, Finished)
    assert done.upstream_cost == "video_count 1, duration 5, ratio 16:9"


async def test_one_service_answers_at_once_and_the_others_with_a_task() -> None:
    at_once = Scripted(_answer({"output": _choices({"image": FILE})}))
    done = await PROVIDER.submit(_call(AT_ONCE), at_once)
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == [FILE]
    assert "x-dashscope-async" not in at_once.headers[0]

    later = Scripted(_answer({"output": {"task_id": "abc", "task_status": "PENDING"}}))
    accepted = await PROVIDER.submit(_call("services/aigc/video-generation/video-synthesis"), later)
    assert isinstance(accepted, Operation)
    assert (accepted.id, accepted.can_cancel) == ("abc", True)
    assert later.headers[0]["x-dashscope-async"] == "enable"
    assert later.urls == ["https://dashscope.test/api/v1/services/aigc/video-generation/video-synthesis"]


async def test_stored_files_are_looked_for_only_where_there_are_any() -> None:
    for address, expected in (("oss://a/b.mp4", "enable"), (FILE, None)):
        http = Scripted(_answer({"output": {"task_id": "abc"}}))
        await PROVIDER.submit(_call("services/x", media=[{"type": "video", "url": address}]), http)
        assert http.headers[0].get("x-dashscope-ossresourceresolve") == expected


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (_answer({"request_id": "r"}), CancelOutcome.CANCELED),
        (_answer({"code": "UnsupportedOperation", "message": "It runs."}, 400), CancelOutcome.TOO_LATE),
    ],
)
async def test_only_what_waits_can_be_cancelled(answer: HttpAnswer, outcome: CancelOutcome) -> None:
    assert await PROVIDER.cancel(OPERATION, Scripted(answer)) == outcome


@pytest.mark.parametrize(("content_type", "ending"), [("video/mp4", ".mp4"), ("audio/mpeg", ".mp3")])
async def test_the_storage_gets_the_file_and_no_key(content_type: str, ending: str) -> None:
    granted = {
        "upload_host": "https://storage.test",
        "upload_dir": "lent/1",
        "policy": "p",
        "signature": "s",
        "oss_access_key_id": "k",
        "x_oss_object_acl": "private",
        "x_oss_forbid_overwrite": "true",
    }
    http = Scripted(_answer({"data": granted}), HttpAnswer(200, {}, b""))
    file = InputFile("video_url", 0, None, "inputs/1", "video", content_type, 3)
    address = await PROVIDER.upload(file, b"abc", "wan2.7-videoedit@services/x", http)
    assert address.startswith("oss://lent/1/")
    assert address.endswith(ending)
    assert http.urls == [
        "https://dashscope.test/api/v1/uploads?action=getPolicy&model=wan2.7-videoedit",
        "https://storage.test",
    ]
    assert set(http.headers[1]) == {"content-type"}
