"""Bad input of every kind to POST /models/{apiId}/run: the right code, a message that helps, no charge, no used key."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from sqlalchemy import delete
from tests.api.asgi import Body, Client, Exchange, Reply, in_parts
from tests.api.dojo import PROMPT, RUN, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode, Scope
from pixeldojo.db.tables import idempotency_keys

_KEY: Final = "the-only-key"
_GOOD: Final = json.dumps(PROMPT).encode()


async def refused(caller: Caller, body: Body, *, target: str = RUN, by: Client | None = None, **headers: str) -> Reply:
    """Send a request that must fail; check that it left no trace and that its idempotency key still works."""
    before = await caller.traces()
    given = {"content-type": "application/json", "idempotency-key": _KEY}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await (by or caller).send("POST", target, body=body, headers=given)
    assert reply.status >= 400, reply.body
    assert await caller.traces() == before
    accepted = await caller.post(RUN, PROMPT, idempotency_key=_KEY)
    assert accepted.status == 202
    assert accepted.header("idempotent-replayed") is None
    return reply


async def refused_input(caller: Caller, content: Mapping[str, Any], *, target: str = RUN) -> Reply:
    reply = await refused(caller, json.dumps(content).encode(), target=target)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    return reply


_DEEP = 100_000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty; send a JSON object"),
        (b" \r\n\t", "empty; send a JSON object"),
        (b"prompt=A+sunset", "not JSON: Expecting value at line 1, column 1"),
        (b'{"prompt": "a",}', "line 1, column 1"),
        (b"{'prompt': 'a'}", "line 1, column 2"),
        (b'{"prompt": "a"} {"prompt": "b"}', "Extra data at line 1, column 17"),
        (b'{"prompt": "a\nb"}', "Invalid control character at line 1"),
        (b'["a sunset"]', "must be a JSON object"),
        (b'"a sunset"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"17", "must be a JSON object"),
        (b'{"seed": NaN}', "NaN is not a JSON number"),
        (b'{"seed": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"prompt": "a", "prompt": "b"}', '"prompt" more than once; give it once'),
        (b'{"prompt": "a", "loras": [{"path": 1, "path": 2}]}', '"path" more than once'),
        (b'{"\\ud800": 1, "\\ud800": 2}', '"\\ud800" more than once'),
        (b'{"prompt": "caf\xe9"}', "not UTF-8: byte 15"),
        (b"\xef\xbb\xbf" + _GOOD, "byte order mark"),
        (_GOOD.decode().encode("utf-16"), "not UTF-8: byte 0"),
        (_GOOD.decode().encode("utf-32-le"), "not JSON"),
        (b'{"seed": ' + b"9" * 5_000 + b"}", "a number of 5,000 digits"),
        (b"[" * _DEEP + b"]" * _DEEP, "nested too deeply"),
        (b'{"a":' * _DEEP + b"1" + b"}" * _DEEP, "nested too deeply"),
        (b"\x1f\x8b\x08\x00", "not UTF-8: byte 1"),
        (b"\0", "not JSON"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
async def test_a_body_that_is_not_a_json_object_is_invalid_json(caller: Caller, body: bytes, says: str) -> None:
    reply = await refused(caller, body)
    assert (reply.status, reply.error["code"]) == (400, "invalid_json")
    assert says in reply.error["message"]


@pytest.mark.parametrize(
    ("content", "path", "says"),
    [
        ({}, "prompt", "prompt is required"),
        ({"prompt": ""}, "prompt", "prompt"),
        ({"prompt": None}, "prompt", "not null"),
        ({"prompt": 7}, "prompt", "must be a string, not the number 7"),
        ({"prompt": True}, "prompt", "not a boolean"),
        ({"prompt": {"text": "a"}}, "prompt", "not an object"),
        ({"prompt": ["a"]}, "prompt", "not an array"),
        ({"prompt": "a\0b"}, "prompt", "NUL"),
        ({"prompt": "x" * 20_001}, "prompt", "at most"),
        ({**PROMPT, "seed": "7"}, "seed", 'must be an integer, not the string "7"'),
        ({**PROMPT, "seed": 7.5}, "seed", "integer"),
        ({**PROMPT, "seed": 10**300}, "seed", "beyond 9007199254740991"),
        ({**PROMPT, "width": 255}, "width", "256 to 1440"),
        ({**PROMPT, "aspect_ratio": "16:10"}, "aspect_ratio", "16:9"),
        ({**PROMPT, "output_format": "png "}, "output_format", '"webp", "jpg" or "png"'),
        ({**PROMPT, "aspectratio": "1:1"}, "aspectratio", 'did you mean "aspect_ratio"?'),
        ({**PROMPT, "webhookUrl": HOOK}, "webhookUrl", "is not an input of this model"),
        ({**PROMPT, "\0": 1}, "\\u0000", "is not an input"),
        ({**PROMPT, "x" * 5_000: 1}, None, "is not an input"),
        ({**PROMPT, "__proto__": {}}, "__proto__", "is not an input"),
        ({**PROMPT, "webhook_url": 5}, "webhook_url", "must be a string such as https://"),
        ({**PROMPT, "webhook_url": [HOOK]}, "webhook_url", "must be a string such as https://"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_breaks_the_models_rules_is_told_by_field_with_what_would_be_right(
    caller: Caller, content: Mapping[str, Any], path: str | None, says: str
) -> None:
    reply = await refused_input(caller, content)
    assert "flux-1.1-pro" in reply.error["message"]
    told = reply.error["details"][0]["message"] if path is None else reply.member(path)
    assert says in told
    assert told[:24] in reply.error["message"]
    assert len(reply.body) < 5_000


async def test_a_number_too_large_to_be_one_is_refused(caller: Caller) -> None:
    reply = await refused(caller, b'{"prompt": "a", "seed": 1e999}')
    assert reply.error["code"] == "validation_error"
    assert "give a finite one" in reply.member("seed")


@pytest.mark.parametrize("place", ["prompt", "webhook_url", "image_url", "nobody knows \ud800"])
async def test_half_a_surrogate_pair_is_refused_wherever_it_stands(caller: Caller, place: str) -> None:
    reply = await refused_input(caller, {**PROMPT, place: "https://example.com/\ud800"})
    assert len(reply.error["details"]) == 1


async def test_every_violation_is_told_at_once_each_with_its_path(caller: Caller) -> None:
    reply = await refused_input(
        caller,
        {
            "prompt": 7,
            "seed": "x",
            "aspectRatio": "2:5",
            "colour": "red",
            "webhook_url": "ftp://example.com",
            "image_url": "https://10.0.0.1/a.png",
        },
    )
    paths = {detail["path"] for detail in reply.error["details"]}
    assert paths >= {"prompt", "seed", "aspectRatio", "colour", "webhook_url"}
    assert "see details" in reply.error["message"]
    assert "aspect_ratio" in reply.member("aspectRatio")


async def test_header_and_body_violations_come_together(caller: Caller) -> None:
    reply = await caller.post(RUN, {}, idempotency_key="two words", x_pixeldojo_sandbox="explode")
    assert {detail["path"] for detail in reply.error["details"]} == {
        "header.Idempotency-Key",
        "header.X-PixelDojo-Sandbox",
        "prompt",
    }


async def test_a_thousand_unknown_fields_do_not_make_a_thousandfold_answer(caller: Caller) -> None:
    reply = await refused_input(caller, {**PROMPT, **{f"field_{number}": number for number in range(1_000)}})
    assert len(reply.error["details"]) == 100


async def test_an_alias_and_its_canonical_name_together_are_refused(caller: Caller) -> None:
    reply = await refused_input(caller, {**PROMPT, "aspect_ratio": "1:1", "aspectRatio": "16:9"})
    assert "same input; give one" in reply.member("aspectRatio")


_REFUSED_ADDRESSES: Final = {
    "http://example.com/hook": "https://",
    "ftp://example.com/hook": "must start with https://",
    "javascript:alert(1)": "must start with https://",
    "//example.com/hook": "must start with https://",
    "example.com/hook": "must start with https://",
    "": "must start with https://",
    "https://": "no host",
    "https:///hook": "no host",
    "https://user:secret@example.com/hook": "user name or password",
    "https://example.com/a b": "spaces",
    "https://example.com\\@evil.example": "backslashes",
    "https://example.com/\r\nX-Evil: 1": "control characters",
    "https://127.0.0.1/hook": "loopback",
    "https://localhost/hook": "this server itself",
    "https://LOCALHOST./hook": "this server itself",
    "https://10.1.2.3/hook": "private",
    "https://172.16.0.1/hook": "private",
    "https://192.168.0.1/hook": "private",
    "https://169.254.169.254/latest/meta-data": "link-local",
    "https://100.64.0.1/hook": "carrier",
    "https://0.0.0.0/hook": "unspecified",
    "https://224.0.0.1/hook": "multicast",
    "https://198.51.100.1/hook": "documentation",
    "https://[::1]/hook": "loopback",
    "https://[::ffff:127.0.0.1]/hook": "not on the public internet",
    "https://[fd00::1]/hook": "private",
    "https://[fe80::1%25eth0]/hook": "",
    "https://2130706433/hook": "plain address",
    "https://0x7f.1/hook": "plain address",
    "https://127.1/hook": "plain address",
    "https://example.com:0/hook": "port 0",
    "https://example.com:99999/hook": "not a valid URL",
    "https://exa mple.com/": "spaces",
    "https://" + "a" * 3_000 + ".com/": "3,013 characters",
}


@pytest.mark.parametrize(("address", "says"), _REFUSED_ADDRESSES.items(), ids=lambda value: value[:40])
async def test_a_webhook_url_that_we_would_not_call_is_refused_at_once(caller: Caller, address: str, says: str) -> None:
    reply = await refused_input(caller, {**PROMPT, "webhook_url": address})
    assert says in reply.member("webhook_url")
    assert "secret" not in reply.body.decode()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/a.png",
        "https://127.0.0.1/a.png",
        "https://169.254.169.254/a.png",
        "https://user@example.com/a.png",
        "data:image/png,plain",
        "data:image/png;base64,####",
        "data:image/png;base64,",
        "data:",
        "file:///etc/passwd",
        "/etc/passwd",
        "",
    ],
)
async def test_a_media_input_that_we_would_not_fetch_is_refused_at_once(caller: Caller, address: str) -> None:
    target = "/api/v1/models/p-image-edit/run"
    reply = await refused_input(caller, {**PROMPT, "image_urls": [address]}, target=target)
    assert [detail["path"] for detail in reply.error["details"]] == ["image_urls[0]"]


async def test_only_the_wrong_one_of_several_media_is_named(caller: Caller) -> None:
    urls = ["https://example.com/a.png", "https://10.0.0.1/b.png", "https://example.com/c.png"]
    reply = await refused_input(caller, {**PROMPT, "image_urls": urls}, target="/api/v1/models/p-image-edit/run")
    assert "private" in reply.member("image_urls[1]")


async def test_inline_media_is_taken_up_to_25_mb_and_not_kept_when_it_is_more(caller: Caller) -> None:
    largest = base64.b64encode(bytes(25_000_000)).decode()
    blobs = caller.dojo.stores.blobs
    refused_one = await caller.post(RUN, {**PROMPT, "image_url": f"data:image/png;base64,AAAA{largest}"})
    assert "over 25,000,000 bytes, which is the limit" in refused_one.member("image_url")
    assert [blob.key async for blob in blobs.list_blobs()] == []
    assert (await caller.post(RUN, {**PROMPT, "image_url": f"data:image/png;base64,{largest}"})).status == 202
    assert [blob.size_bytes async for blob in blobs.list_blobs()] == [25_000_000]


async def test_a_body_over_the_limit_is_refused_unread_by_its_declared_length(dojo: Dojo, caller: Caller) -> None:
    limit = dojo.services.settings.max_body_bytes
    for length in (str(limit + 1), "9" * 30):
        scope = caller._scope("POST", RUN, [("content-length", length), ("idempotency-key", _KEY)], b"")
        exchange = Exchange(scope, in_parts([b"x" * 1_000] * 3))
        await exchange.run(dojo.app)
        reply = exchange.reply()
        assert (reply.status, reply.error["code"]) == (413, "payload_too_large")
        assert f"{limit:,} bytes" in reply.error["message"]
        assert exchange.parts_before_answer == 0


async def test_a_body_of_untold_length_is_refused_once_it_passes_the_limit(dojo: Dojo, caller: Caller) -> None:
    dojo.build(settings=dojo.services.settings.model_copy(update={"max_body_bytes": 10_000}))
    exchange = Exchange(caller._scope("POST", RUN, [], b""), in_parts([b"x" * 1_000] * 1_000))
    await exchange.run(dojo.app)
    assert (exchange.reply().status, exchange.reply().error["code"]) == (413, "payload_too_large")
    assert exchange.parts_before_answer == 11
    assert await caller.traces() == (100_000, 0, 0, 1, 0)


async def test_a_body_just_within_the_limit_is_read(dojo: Dojo, caller: Caller) -> None:
    body = json.dumps(PROMPT).encode()
    dojo.build(settings=dojo.services.settings.model_copy(update={"max_body_bytes": 1_024}))
    padded = body.ljust(1_024)
    assert (await caller.send("POST", RUN, body=padded)).status == 202
    assert (await caller.send("POST", RUN, body=in_parts([padded[:5], padded[5:]]))).status == 202


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "json"],
)
async def test_a_body_of_another_type_is_415_and_says_which_is_right(caller: Caller, content_type: str) -> None:
    reply = await refused(caller, _GOOD, content_type=content_type)
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    assert "'Content-Type: application/json'" in reply.error["message"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json", ""]
)
async def test_json_by_any_of_its_names_is_read(caller: Caller, content_type: str) -> None:
    assert (await caller.send("POST", RUN, body=_GOOD, headers={"content-type": content_type})).status == 202


async def test_wrong_keys_scopes_and_modes_charge_nothing(dojo: Dojo, caller: Caller) -> None:
    account_id = caller.api_key.account_id
    reader = await dojo.caller(account_id=account_id, scopes=frozenset({Scope.JOBS_READ, Scope.BILLING}), granted=0)
    live = await dojo.caller(account_id=account_id, mode=KeyMode.LIVE, granted=0)
    for by, status in ((dojo.stranger, 401), (reader, 403), (live, 503)):
        reply = await refused(caller, _GOOD, by=by)
        assert reply.status == status
        await dojo.stores.database.write(lambda connection: connection.execute(delete(idempotency_keys)))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("flux-1.1-pr\N{CYRILLIC SMALL LETTER O}", 'Did you mean "flux-1.1-pro"?'),
        ("FLUX-1.1-PRO", "GET /api/v1/models lists them all"),
        ("hailuo", 'Did you mean "hailuo-standard"?'),
        ("zzzz", "GET /api/v1/models lists them all"),
        ("x" * 5_000, "GET /api/v1/models lists them all"),
        ("..", "GET /api/v1/models lists them all"),
    ],
)
async def test_an_unknown_model_is_404_and_names_the_nearest(caller: Caller, model: str, says: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in model.encode()) if not model.isascii() else model
    reply = await refused(caller, _GOOD, target=f"/api/v1/models/{quoted}/run")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert says in reply.error["message"]


async def test_too_few_credits_are_told_with_the_price_and_what_there_is(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=17_499)
    reply = await poor.post("/api/v1/models/wan-2.6-standard/run", {**PROMPT, "duration": 15}, idempotency_key=_KEY)
    assert (reply.status, reply.error["code"]) == (402, "insufficient_credits")
    assert "costs 37.5 credits and 17.499 are available" in reply.error["message"]
    assert await poor.traces() == (17_499, 0, 0, 1, 0)
    cheaper = await poor.post("/api/v1/models/wan-2.6-standard/run", {**PROMPT, "duration": 5}, idempotency_key=_KEY)
    assert cheaper.status == 202
    assert (cheaper.json["creditCost"], cheaper.json["creditsRemaining"]) == (12.5, 4.999)
