"""Whatever a service answers, an adapter gives one of its few answers or one of the six errors, and keeps its key."""

import asyncio
import json
from datetime import UTC, datetime
from functools import cache
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.pairs import PAIRS, Pair
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonValue
from pixeldojo.providers.answers import find_object, kind_of_status, output_files, plain, read_id, retry_after_seconds
from pixeldojo.providers.contract import (
    Call,
    Callback,
    CallsBack,
    CancelOutcome,
    Finished,
    ForgedCallback,
    HttpAnswer,
    InputFile,
    Operation,
    Running,
    TakesUploads,
    UpstreamError,
    UpstreamErrorKind,
)

KEY: Final = "canary-5d2e:key"
MEMBERS: Final = (
    *("id", "request_id", "status", "output", "error", "detail", "error_type", "urls", "get", "metrics", "logs"),
    *("images", "image", "video", "url", "has_nsfw_concepts", "keys", "key", "data_removed", "predict_time", "type"),
    *("task_status", "task_id", "results", "choices", "message", "content", "data", "usage", "upload_host"),
    *("errors", "code", "taskUUID", "imageURL", "mediaURL", "progress", "resultIndex", "NSFWContent", "cost"),
)
WORDS: Final = (
    *("COMPLETED", "IN_QUEUE", "IN_PROGRESS", "succeeded", "failed", "starting", "canceled", "aborted"),
    *("https://files.test/a.png", "data:image/png;base64,AAAA", "data:image/png;base64,!", "../..", "whsec_!!", KEY),
    *("\ud800", "\x00", "a" * 5_000, "99%|", "content_policy_violation", "flagged as sensitive (E005)"),
    *("abc", "SUCCEEDED", "FAILED", "PENDING", "success", "processing", "DataInspectionFailed", "conflictTaskUUID"),
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=9)
_BODIES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=12,
)
_STATUSES = st.sampled_from([200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 413, 422, 429, 499, 500, 502, 503])
_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "x-fal-error-type", "content-type"]),
    st.sampled_from(["3", "-1", "soon", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 5_000, "runner_error", ""]),
)
_RAW = _BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=40) | st.just(b"[" * 10_000)
ANSWERS: Final = st.builds(HttpAnswer, _STATUSES, _HEADERS, _RAW)

CALL: Final = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="flux",
    task="text-to-image",
    endpoint="owner/name",
    arguments={"prompt": "a lantern"},
    input={"prompt": "a lantern"},
    output={"kind": "image", "formats": ["png"]},
    callback_url="https://dojo.test/back?a=1&b=ü",
)
OPERATION: Final = Operation("abc", {"app": "owner/name", "kind": "image"})
FILE: Final = InputFile("image_url", 0, None, "inputs/1", "image", "image/png", 3, 1, 1)


@cache
def _adapter(pair: Pair) -> object:
    emulator = pair.open_emulator(key=KEY)
    emulator.url = "http://127.0.0.1:1"
    return pair.provider(emulator)


every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)


@every_pair
@settings(max_examples=100, deadline=None)
@given(first=ANSWERS, second=ANSWERS)
def test_any_answer_is_understood_or_refused(pair: Pair, first: HttpAnswer, second: HttpAnswer) -> None:
    adapter = _adapter(pair)
    assert isinstance(adapter, pair.adapter)

    async def talk() -> None:
        for ask in (adapter.submit(CALL, Scripted(first, second)), adapter.check(OPERATION, Scripted(first, second))):
            try:
                answer = await ask
            except UpstreamError as error:
                check_message(error)
            else:
                assert isinstance(answer, Operation | Running | Finished)
                assert not isinstance(answer, Operation) or "/" not in answer.id
        try:
            assert await adapter.cancel(OPERATION, Scripted(first, second)) in CancelOutcome
        except UpstreamError as error:
            check_message(error)

    asyncio.run(talk())


@every_pair
@settings(max_examples=50, deadline=None)
@given(answer=ANSWERS)
def test_any_answer_to_what_costs_nothing_is_understood_or_refused(pair: Pair, answer: HttpAnswer) -> None:
    adapter = _adapter(pair)

    async def talk() -> None:
        try:
            if isinstance(adapter, CallsBack):
                keys = await adapter.callback_keys(Scripted(answer))
                assert all(isinstance(key, bytes) for key in keys)
            if isinstance(adapter, TakesUploads):
                assert isinstance(await adapter.upload(FILE, b"abc", CALL.endpoint, Scripted(answer)), str)
        except UpstreamError as error:
            check_message(error)

    asyncio.run(talk())


@pytest.mark.parametrize("pair", [p for p in PAIRS if issubclass(p.adapter, CallsBack)], ids=lambda pair: pair.name)
@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.sampled_from(["", "1777896000", "9" * 5_000, "v1,", "v1,AAAA", "ü", "zz"]), min_size=5),
    body=st.binary(max_size=9),
    keys=st.lists(st.binary(max_size=40), max_size=2),
)
def test_no_made_up_callback_is_believed(pair: Pair, values: list[str], body: bytes, keys: list[bytes]) -> None:
    names = (
        *("webhook-id", "webhook-timestamp", "webhook-signature", "x-fal-webhook-request-id"),
        *("x-fal-webhook-user-id", "x-fal-webhook-timestamp", "x-fal-webhook-signature"),
    )
    headers = dict(zip(names, [*values, *values], strict=False))
    adapter = _adapter(pair)
    assert isinstance(adapter, CallsBack)
    with pytest.raises(ForgedCallback):
        adapter.verify_callback(Callback(headers, body, datetime(2026, 5, 4, 12, tzinfo=UTC), "job_1", ""), keys)


def check_message(error: UpstreamError) -> None:
    assert len(error.message) < 1_000
    assert KEY not in error.message
    assert "files.test" not in error.message
    # Kept in the database, and sent on as UTF-8.
    assert error.message.encode()
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in error.message)


# What all adapters read alike


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamErrorKind.REJECTED_INPUT),
        (422, UpstreamErrorKind.REJECTED_INPUT),
        (401, UpstreamErrorKind.UNAUTHORIZED),
        (403, UpstreamErrorKind.UNAUTHORIZED),
        (402, UpstreamErrorKind.OVER_LIMIT),
        (429, UpstreamErrorKind.OVER_LIMIT),
        (503, UpstreamErrorKind.UNAVAILABLE),
        (404, UpstreamErrorKind.UNAVAILABLE),
        (301, UpstreamErrorKind.UNAVAILABLE),
        (499, UpstreamErrorKind.UNKNOWN),
        (500, UpstreamErrorKind.UNKNOWN),
        (502, UpstreamErrorKind.UNKNOWN),
        (504, UpstreamErrorKind.UNKNOWN),
    ],
)
def test_a_status_alone_means(status: int, kind: UpstreamErrorKind) -> None:
    assert kind_of_status(status) == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        # A date counts from the server's own clock: ours may differ.
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon", "date": "today"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_is_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(HttpAnswer(429, headers, b"")) == seconds


@pytest.mark.parametrize("given_id", ["", "..", "a/b", "a?b", "a b", "a\n", "ü", "x" * 201, 7, None, ["a"]])
def test_an_id_that_could_change_an_address_is_none(given_id: JsonValue) -> None:
    with pytest.raises(UpstreamError) as raised:
        read_id({"id": given_id}, "id")
    assert raised.value.kind == UpstreamErrorKind.UNKNOWN


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad  prompt\n at https://internal.test/x?token=1 now", "bad prompt at [address] now"),
        ("see data:image/png;base64,AAAA", "see [address]"),
        (f"the key {KEY} is wrong", "the key [key] is wrong"),
        ("a\x00b\ud800c", "a b c"),
        ("x" * 400, "x" * 300 + "…"),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_sentence_is_made_fit_to_be_shown(text: JsonValue, shown: str) -> None:
    assert plain(text, hide=KEY) == shown


def test_outputs_are_found_in_the_shapes_that_services_use() -> None:
    value: JsonValue = [{"url": "https://a.test/1"}, "https://a.test/2", "data:image/png;base64,AAAA", "text", None, 3]
    files = output_files(value)
    assert [file.url for file in files] == ["https://a.test/1", "https://a.test/2", None]
    assert files[2].content == b"\0\0\0"


def test_an_object_is_an_object() -> None:
    bodies = [b'{"a": 1}', b"[]", b"", b"<html>", b"\xff", b"[" * 100_000]
    assert [find_object(HttpAnswer(200, {}, body)) for body in bodies] == [{"a": 1}, *[None] * 5]
