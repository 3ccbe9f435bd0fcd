"""Input made to hurt, wherever text or JSON is taken: an error that says what is wrong, and never more work than it is.

What a run's inputs may be is in `test_bad_input.py`, what trickles or does not end in `test_patience.py`.
"""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest
from tests.api.dojo import PNG, PROMPT, RUN, Caller, Dojo

from pixeldojo.core.json_types import JsonObject

_ESTIMATE: Final = "/api/v1/models/flux-1.1-pro/estimate"
_KEYS: Final = "/api/v1/keys"
_WITH_BODY: Final = (RUN, _ESTIMATE, _KEYS)
_DEPTHS: Final = (7, 200, 501, 900, 981, 996, 1_011, 100_000)
_BRACKETS: Final = ((b"[", b"]"), (b'{"a":', b"}"))


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + b"1" + closing * depth


@pytest.mark.parametrize("target", _WITH_BODY)
async def test_json_of_any_depth_is_refused_in_any_member(caller: Caller, target: str) -> None:
    before = await caller.traces()
    for depth in _DEPTHS:
        for number, member in enumerate((b"prompt", b"loras", b"name", b"spendCap", b"webhook_url", b"nobody knows")):
            opening, closing = _BRACKETS[(number + depth) % 2]
            body = b'{"%s": %s}' % (member, nested(depth, opening, closing))
            reply = await caller.send("POST", target, body=body)
            assert reply.status == 400, (depth, member)
            assert len(reply.body) < 20_000
    assert await caller.traces() == before


@pytest.mark.parametrize("target", _WITH_BODY)
async def test_objects_of_a_thousand_members_are_refused_in_a_bounded_answer(caller: Caller, target: str) -> None:
    many: JsonObject = {f"field_{number}": number for number in range(1_000)}
    contents: tuple[JsonObject, ...] = (many, {"prompt": many}, {"loras": [many] * 10}, {"name": "a", **many})
    for content in contents:
        reply = await caller.post(target, content)
        assert reply.status == 400
        assert len(reply.error.get("details", [])) <= 100
        assert len(reply.body) < 40_000


async def test_a_name_without_end_is_not_repeated_without_end(caller: Caller) -> None:
    for target in _WITH_BODY:
        reply = await caller.post(target, {"x" * 1_000_000: 1})
        assert reply.status == 400
        assert len(reply.body) < 2_000


_SMALL: Final = {
    "lists": b'{"prompt": [' + b"[]," * 300_000 + b"1]}",
    "objects": b'{"prompt": [' + b"{}," * 300_000 + b"1]}",
    "numbers": b'{"prompt": [' + b"1," * 500_000 + b"1]}",
    "members": b"{" + b",".join(b'"%x":1' % number for number in range(120_000)) + b"}",
}


@pytest.mark.parametrize("what", _SMALL)
async def test_a_long_body_of_small_values_takes_no_more_than_its_own_length(caller: Caller, what: str) -> None:
    tracemalloc.start()
    try:
        reply = await caller.send("POST", RUN, body=_SMALL[what])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (reply.status, reply.error["code"]) == (400, "invalid_json")
    assert "more than 100,000 values" in reply.error["message"]
    assert peak < 2.5 * len(_SMALL[what]) + 1_000_000


async def test_as_many_values_as_are_allowed_are_read(caller: Caller) -> None:
    reply = await caller.send("POST", RUN, body=b'{"prompt": [' + b"1," * 99_998 + b"1]}")
    assert reply.error["code"] == "validation_error"


@pytest.mark.parametrize("coding", ["gzip", "identity, br", "x" * 5_000])
async def test_a_compressed_body_is_415_and_is_not_unpacked(caller: Caller, coding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000), 1)
    before = await caller.traces()
    tracemalloc.start()
    try:
        for target in (*_WITH_BODY, "/api/v1/files", "/api/v1/callbacks/fal/job_1"):
            reply = await caller.send("POST", target, body=bomb, headers={"content-encoding": coding})
            assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type"), target
            assert "not compressed" in reply.error["message"]
            assert reply.header("accept-encoding") == "identity"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
    assert await caller.traces() == before


@pytest.mark.parametrize("coding", ["identity", "IDENTITY", " ", ""])
async def test_a_body_that_says_it_is_not_compressed_is_read(caller: Caller, coding: str) -> None:
    body = json.dumps(PROMPT).encode()
    assert (await caller.send("POST", RUN, body=body, headers={"content-encoding": coding})).status == 202


_ODD: Final = {"NUL": "a\0b", "half a pair": "a\ud800b", "the other half": "\udfff"}
_TEXTS: Final[tuple[tuple[str, Callable[[str], JsonObject]], ...]] = (
    (RUN, lambda text: {"prompt": text}),
    (RUN, lambda text: {**PROMPT, "webhook_url": f"https://example.com/{text}"}),
    (RUN, lambda text: {**PROMPT, "image_url": f"https://example.com/{text}"}),
    (RUN, lambda text: {**PROMPT, "image_url": f"data:image/png;base64,{text}"}),
    (RUN, lambda text: {**PROMPT, "aspect_ratio": text}),
    (RUN, lambda text: {**PROMPT, text: 1}),
    (_ESTIMATE, lambda text: {"prompt": text}),
    (_KEYS, lambda text: {"name": text, "scopes": ["keys"]}),
    (_KEYS, lambda text: {"name": "a", "scopes": [text]}),
    (_KEYS, lambda text: {"name": "a", "scopes": ["keys"], "mode": text}),
    (_KEYS, lambda text: {"name": "a", "scopes": ["keys"], "expiresAt": text}),
    (_KEYS, lambda text: {"name": "a", "scopes": ["keys"], "spendCap": {"amount": 1, "period": text}}),
    (_KEYS, lambda text: {"name": "a", "scopes": ["keys"], text: text}),
)


@pytest.mark.parametrize("odd", _ODD)
async def test_what_is_no_text_is_refused_in_every_member(caller: Caller, odd: str) -> None:
    before = await caller.traces()
    for target, content in _TEXTS:
        reply = await caller.post(target, content(_ODD[odd]))
        assert (reply.status, reply.error["code"]) == (400, "validation_error"), (target, content("…"))
    assert (await caller.traces())[4] == before[4]


_ESCAPED: Final = ("%00", "a%00b", "%ed%a0%80", "%ff", "%c0%af", "%F0%9F", "%0d%0aX-A:%20b", "%7f")


async def test_what_is_no_text_opens_nothing_in_addresses(caller: Caller) -> None:
    of_api = ("jobs/{}", "jobs/{}/events", "models/{}", "models/{}/schema", "keys/{}", "webhooks/deliveries/{}")
    for escaped in _ESCAPED:
        for path in (*(f"/api/v1/{one}" for one in of_api), "/assets/{}", "/files/{}", "/llm/{}.txt"):
            reply = await caller.get(path.format(escaped))
            assert (reply.status, reply.error["code"]) == (404, "not_found"), path
        for path in ("models/{}/run", "models/{}/estimate", "jobs/{}/cancel", "jobs/{}/webhook"):
            reply = await caller.post("/api/v1/" + path.format(escaped), PROMPT)
            assert (reply.status, reply.error["code"]) == (404, "not_found"), path


_QUERIES: Final = (
    *("jobs?cursor={}", "jobs?status={}", "jobs?model={}", "jobs?created_after={}", "models?use_case={}"),
    *("keys?cursor={}", "credits/entries?cursor={}", "webhooks/deliveries?cursor={}", "jobs?limit={}"),
)


async def test_what_is_no_text_is_refused_in_queries(caller: Caller) -> None:
    for escaped in _ESCAPED:
        for query in _QUERIES:
            reply = await caller.get("/api/v1/" + query.format(escaped))
            assert (reply.status, reply.error["code"]) == (400, "validation_error"), query
        assert (await caller.get(f"/api/v1/models?q={escaped}")).json["total"] == 0


_TRICKS: Final = (
    *("..", "../..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/api-key", "%2e%2e%2fapi-key"),
    *("/etc/passwd", "%2fetc%2fpasswd", "..%5c..%5cwindows", "..;/api-key", "%252e%252e%252fapi-key", ".", "%2f"),
    *("a.png%00.html", "%00", "C:%5ca.png", "~root", "a" * 5_000, "%c0%ae%c0%ae/", "%ef%bc%8e%ef%bc%8e/"),
)


async def test_no_name_leads_out_of_where_files_lie(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    await dojo.completed(job_id, {"image.png": PNG})
    for name in _TRICKS:
        for prefix in ("/assets/", "/files/", "/assets/../files/"):
            reply = await caller.get(prefix + name)
            assert (reply.status, reply.error["code"]) == (404, "not_found"), name
            assert (await caller.head(prefix + name)).status == 404


_UNUSABLE: Final = (
    *(("idempotency-key", value) for value in ("a\xe9", "a b", "\x7f", "x" * 256, "")),
    *(("x-pixeldojo-sandbox", value) for value in ("\xff", "slow=" + "9" * 400)),
)


async def test_a_header_that_cannot_be_used_is_named(caller: Caller) -> None:
    for header, value in _UNUSABLE:
        reply = await caller.send("POST", RUN, body=json.dumps(PROMPT).encode(), headers={header: value})
        assert (reply.status, reply.error["code"]) == (400, "validation_error"), (header, value)
        assert [detail["path"].lower() for detail in reply.error["details"]] == [f"header.{header}"]
