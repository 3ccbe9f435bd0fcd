"""What Runware says in its own ways: results that come one by one, codes without statuses, calls without signatures."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonObject, JsonValue
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
from pixeldojo.providers.runware import RunwareProvider

PROVIDER = RunwareProvider("key")
ID = "6ce4a2f8-8f5b-4c3a-9d1e-0123456789ab"
OPERATION = Operation(ID, {"kind": "image", "count": 2})
CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="m",
    task="text-to-image",
    endpoint="maker:1@1",
    arguments={"taskType": "imageInference", "positivePrompt": "a lantern", "numberResults": 2},
    input={},
    output={"kind": "image"},
    callback_url="https://dojo.test/api/v1/callbacks/runware/job_1",
)


def _answer(body: JsonObject, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


def _item(number: int, **more: JsonValue) -> JsonObject:
    url = f"https://files.test/{number}.png"
    done: JsonObject = {
        "status": "success",
        "imageURL": url,
        "resultIndex": number,
        "cost": 0.0013,
        "NSFWContent": False,
    }
    return {"taskType": "imageInference", "taskUUID": ID, **done, **more}


def _waiting(**more: JsonValue) -> JsonObject:
    return {"taskType": "imageInference", "taskUUID": ID, "status": "processing", **more}


def _failed(code: str) -> JsonObject:
    return {"taskType": "imageInference", "taskUUID": ID, "status": "error", "error": {"code": code, "message": "why"}}


def _error(code: str, **more: JsonValue) -> JsonObject:
    return {"code": code, "message": "why", **more}


async def _check(*items: JsonObject, errors: list[JsonValue] | None = None, status: int = 200) -> Running | Finished:
    body: JsonObject = {"data": [*items]} if errors is None else {"data": [*items], "errors": errors}
    return await PROVIDER.check(OPERATION, Scripted(_answer(body, status)))


async def _trouble_of(*items: JsonObject, errors: list[JsonValue] | None = None, status: int = 200) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await _check(*items, errors=errors, status=status)
    return raised.value


async def _sent(call: Call) -> JsonObject:
    """Return the one task that is sent for a call whose answer is lost."""
    http = Scripted(_answer({}))
    with pytest.raises(UpstreamError):
        await PROVIDER.submit(call, http)
    [task] = json.loads(http.bodies[0] or b"")
    assert isinstance(task, dict)
    return task


async def test_an_attempt_has_one_id_however_often_it_is_sent() -> None:
    first, again, other = [await _sent(call) for call in (CALL, CALL, replace(CALL, attempt_id="att_2"))]
    assert first["taskUUID"] == again["taskUUID"] != other["taskUUID"]
    assert UUID(str(first["taskUUID"])).version == 4


async def test_a_conflict_says_that_the_work_was_taken_before() -> None:
    sent = await _sent(CALL)
    accepted = await PROVIDER.submit(CALL, Scripted(_answer({"errors": [_error("conflictTaskUUID")]}, 400)))
    assert isinstance(accepted, Operation)
    assert (accepted.id, accepted.data["count"], accepted.calls_back) == (sent["taskUUID"], 2, True)


@pytest.mark.parametrize("status", [200, 400])
async def test_a_task_that_is_named_was_taken_whatever_else_is_said(status: int) -> None:
    first = await PROVIDER.submit(CALL, Scripted(_answer({"errors": [_error("conflictTaskUUID")]}, 400)))
    assert isinstance(first, Operation)
    named: JsonObject = {"taskType": "imageInference", "taskUUID": first.id}
    both: JsonObject = {"data": [named], "errors": [_error("providerError", taskUUID=first.id)]}
    assert await PROVIDER.submit(CALL, Scripted(_answer(both, status))) == first


async def test_an_acknowledgement_of_something_else_is_none() -> None:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.submit(CALL, Scripted(_answer({"data": [{"taskType": "imageInference", "taskUUID": ID}]})))
    assert raised.value.kind == UpstreamErrorKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "insufficientCredits", UpstreamErrorKind.OVER_LIMIT),
        (429, "rateLimitExceeded", UpstreamErrorKind.OVER_LIMIT),
        (200, "requestRateLimit", UpstreamErrorKind.OVER_LIMIT),
        (400, "providerContentPolicyViolation", UpstreamErrorKind.REFUSED_CONTENT),
        (400, "promptBlocked", UpstreamErrorKind.REFUSED_CONTENT),
        (400, "invalidProviderContent", UpstreamErrorKind.REFUSED_CONTENT),
        (401, "invalidApiKey", UpstreamErrorKind.UNAUTHORIZED),
        (403, "accountSuspended", UpstreamErrorKind.UNAUTHORIZED),
        (400, "tokenExpired", UpstreamErrorKind.UNAUTHORIZED),
        (504, "timeoutProvider", UpstreamErrorKind.UNKNOWN),
        (500, "internalServerError", UpstreamErrorKind.UNKNOWN),
        (503, "serviceUnavailable", UpstreamErrorKind.UNAVAILABLE),
        (400, "modelNotReady", UpstreamErrorKind.UNAVAILABLE),
        (404, "modelNotFound", UpstreamErrorKind.UNAVAILABLE),
        (400, "invalidModel", UpstreamErrorKind.REJECTED_INPUT),
        (400, "missingPositivePrompt", UpstreamErrorKind.REJECTED_INPUT),
        (400, "unknownParameter", UpstreamErrorKind.REJECTED_INPUT),
        (400, "somethingNew", UpstreamErrorKind.REJECTED_INPUT),
        (200, "somethingNew", UpstreamErrorKind.UNKNOWN),
    ],
)
@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_code_says_what_the_status_does_not(
    status: int, code: str, kind: UpstreamErrorKind, is_alone: bool
) -> None:
    body: JsonObject = {"error": _error(code)} if is_alone else {"errors": [_error(code)]}
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.submit(CALL, Scripted(_answer(body, status)))
    assert (raised.value.kind, raised.value.is_final) == (kind, False)


@pytest.mark.parametrize(
    ("items", "progress"),
    [
        ([], None),
        ([_waiting()], None),
        ([_waiting(progress=50), _waiting(progress=10)], 0.3),
        ([_item(0), _waiting(progress=50)], 0.75),
        ([_item(0)], None),
        ([_failed("inferenceError"), _waiting()], None),
    ],
)
async def test_it_runs_until_every_result_is_there(items: list[JsonObject], progress: float | None) -> None:
    assert await _check(*items) == Running(progress)


async def test_the_results_in_order_and_what_they_cost() -> None:
    done = await _check(_item(1), _item(0))
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == ["https://files.test/0.png", "https://files.test/1.png"]
    assert done.upstream_cost == "0.0026 USD"


@pytest.mark.parametrize(
    "items", [[_item(1), _failed("inferenceError")], [_item(0, NSFWContent=True), _item(1)]], ids=["failed", "flagged"]
)
async def test_a_part_is_delivered(items: list[JsonObject]) -> None:
    done = await _check(*items)
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == ["https://files.test/1.png"]


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([_item(0, NSFWContent=True), _item(1, NSFWContent=True)], UpstreamErrorKind.REFUSED_CONTENT),
        ([_failed("nsfwContentDetected")], UpstreamErrorKind.REFUSED_CONTENT),
        ([_failed("invalidSeedImage")], UpstreamErrorKind.REJECTED_INPUT),
        ([_failed("timeoutProvider")], UpstreamErrorKind.UNAVAILABLE),
        ([_failed("insufficientCredits")], UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_how_work_ended_badly(items: list[JsonObject], kind: UpstreamErrorKind) -> None:
    trouble = await _trouble_of(*items)
    assert (trouble.kind, trouble.is_final) == (kind, True)


@pytest.mark.parametrize(
    ("error", "status", "is_final"),
    [
        (_error("providerError", taskType="imageInference"), 200, True),
        (_error("taskFailedOrNotFound", taskType="getResponse"), 400, True),
        (_error("internalServerError", taskType="getResponse"), 200, False),
        (_error("rateLimitExceeded"), 429, False),
        (_error("invalidApiKey"), 401, False),
        (_error("internalServerError", taskType="imageInference"), 500, False),
    ],
)
async def test_an_error_of_the_question_is_none_of_the_work(error: JsonObject, status: int, is_final: bool) -> None:
    assert (await _trouble_of(errors=[error], status=status)).is_final is is_final


async def test_a_callback_proves_itself_by_the_token_of_its_job() -> None:
    address, _, token = str((await _sent(CALL))["webhookURL"]).partition("?token=")
    assert address == CALL.callback_url
    at = datetime(2026, 5, 4, 12, tzinfo=UTC)
    PROVIDER.verify_callback(Callback({}, b"{}", at, "job_1", token), ())
    for job_id, given in (("job_2", token), ("job_1", ""), ("job_1", "ü"), ("job_1", token.upper())):
        with pytest.raises(ForgedCallback):
            PROVIDER.verify_callback(Callback({}, b"{}", at, job_id, given), ())
    with pytest.raises(ForgedCallback):
        RunwareProvider("another").verify_callback(Callback({}, b"{}", at, "job_1", token), ())
