"""fal's adapter: what its answers mean for money, and where moderation shows."""

import json
from typing import Any

import pytest
from tests.providers.scripted import Scripted

from pixeldojo.providers.contract import Call, Finished, HttpAnswer, Operation, UpstreamError, UpstreamErrorKind
from pixeldojo.providers.fal import FalProvider

CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="flux",
    task="text-to-image",
    endpoint="fal-ai/flux/dev",
    arguments={"prompt": "a lantern"},
    input={"prompt": "a lantern"},
    output={"kind": "image"},
)
OPERATION = Operation("abc", {"app": "fal-ai/flux", "kind": "image"})
UNKNOWN, UNAVAILABLE = UpstreamErrorKind.UNKNOWN, UpstreamErrorKind.UNAVAILABLE
REFUSED_CONTENT, REJECTED_INPUT = UpstreamErrorKind.REFUSED_CONTENT, UpstreamErrorKind.REJECTED_INPUT


def _answer(status: int, body: object, **headers: str) -> HttpAnswer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, sent, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "error_type", "request_id", "kind"),
    [
        (503, "", "", UNAVAILABLE),
        (503, "runner_scheduling_failure", "", UNAVAILABLE),
        # It has given the request an id, and so may have queued it.
        (503, "runner_scheduling_failure", "req_1", UNKNOWN),
        (500, "internal_error", "", UNKNOWN),
        (502, "runner_incomplete_response", "", UNKNOWN),
        (504, "request_timeout", "", UNKNOWN),
        (504, "", "", UNKNOWN),
        (499, "client_disconnected", "", UNKNOWN),
        (429, "", "", UpstreamErrorKind.OVER_LIMIT),
    ],
)
async def test_a_submit_that_the_queue_may_have_taken_is_unknown(
    status: int, error_type: str, request_id: str, kind: UpstreamErrorKind
) -> None:
    headers = {"x_fal_error_type": error_type, "x_fal_request_id": request_id}
    answer = _answer(status, {"detail": "no"}, **{name: value for name, value in headers.items() if value})
    with pytest.raises(UpstreamError) as raised:
        await FalProvider("key").submit(CALL, Scripted(answer))
    assert (raised.value.kind, raised.value.is_final) == (kind, False)


def _detail(kind: str) -> dict[str, Any]:
    return {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": kind}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "is_final"),
    [
        (422, _detail("content_policy_violation"), REFUSED_CONTENT, True),
        (422, _detail("image_too_small"), REJECTED_INPUT, True),
        (422, _detail("downstream_service_error"), UNAVAILABLE, True),
        (500, {"detail": "no", "error_type": "internal_error"}, UNAVAILABLE, True),
        (504, {"detail": "no", "error_type": "request_timeout"}, UNAVAILABLE, True),
        # Nothing of the request's own: only that the answer cannot be had now.
        (502, "<html>", UNKNOWN, False),
        (401, {"detail": "no"}, UpstreamErrorKind.UNAUTHORIZED, False),
        (429, {"detail": "no"}, UpstreamErrorKind.OVER_LIMIT, False),
    ],
)
async def test_a_result_that_is_an_error_is_the_end_where_fal_says_why(
    status: int, body: object, kind: UpstreamErrorKind, is_final: bool
) -> None:
    done = _answer(200, {"status": "COMPLETED"})
    with pytest.raises(UpstreamError) as raised:
        await FalProvider("key").check(OPERATION, Scripted(done, _answer(status, body)))
    assert (raised.value.kind, raised.value.is_final) == (kind, is_final)


@pytest.mark.parametrize("member", ["has_nsfw_concepts", "nsfw_content_detected"])
async def test_pictures_that_moderation_blanked_are_left_out(member: str) -> None:
    pictures = [{"url": f"https://files.test/{number}.png"} for number in range(3)]
    done = _answer(200, {"status": "COMPLETED", "metrics": {"inference_time": 1.5}})
    result = _answer(200, {"images": pictures, member: [True, False, True]})
    finished = await FalProvider("key").check(OPERATION, Scripted(done, result))
    assert isinstance(finished, Finished)
    assert [file.url for file in finished.outputs] == ["https://files.test/1.png"]
    assert finished.upstream_cost == "1.5 s of inference"
    all_blank = _answer(200, {"images": pictures, member: [True, True, True]})
    with pytest.raises(UpstreamError) as raised:
        await FalProvider("key").check(OPERATION, Scripted(done, all_blank))
    assert (raised.value.kind, raised.value.is_final) == (REFUSED_CONTENT, True)
    assert raised.value.upstream_cost == "1.5 s of inference"
