"""What callers send: bodies, forms, headers, addresses and data, and the only errors each may be refused with."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import Any, Final

from fastapi import Request
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError
from tests.fuzz.target import Target, finished
from tests.fuzz.text import ODD, any_text, as_header, edited, header_text, json_bytes, json_values, spliced
from yarl import URL

from pixeldojo.accounts.keys import hash_key, is_well_formed, public_prefix
from pixeldojo.api.idempotency import key_violations
from pixeldojo.api.key_bodies import KeyChangesBody, NewKeyBody, read_key_body
from pixeldojo.api.limits import counted_address
from pixeldojo.api.moments import Moment
from pixeldojo.api.multipart import read_file
from pixeldojo.api.published import is_known
from pixeldojo.api.request_body import read_json_object
from pixeldojo.api.stored_files import asked_span
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.errors import InvalidJson, UnsupportedMediaType, ValidationError
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.settings import read_settings
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.net.data_uri import InvalidDataUri, read_data_uri
from pixeldojo.providers.sandbox.rehearsal import find_rehearsal, parse_rehearsal

_NOW: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
_MODELS: Final = ("flux-1.1-pro", "p-image-edit", "wan-2.6-standard", "video-upscaler", "text-to-music", "hunyuan-3d")
_INPUTS: Final = (
    *("prompt", "seed", "width", "aspect_ratio", "aspectRatio", "image_url", "image_urls", "images", "duration"),
    *("resolution", "num_outputs", "video_url", "webhook_url", "loras", "path", "scale", "output_format", "elements"),
)
_WORDS: Final[tuple[JsonValue, ...]] = (
    "1:1",
    "16:9",
    "1080p",
    "png",
    "https://example.com/a.png",
    "data:image/png;base64,AAAA",
    5,
    1024,
    0.5,
)
_KEY_MEMBERS: Final = ("name", "scopes", "ratePerMinute", "spendCap", "amount", "period", "expiresAt", "mode")
_KEY_WORDS: Final[tuple[JsonValue, ...]] = (
    "jobs:read",
    "keys",
    "day",
    "total",
    "test",
    "2026-07-01T12:00:00Z",
    7.5,
    60,
)
_LONGEST_ANSWER: Final = 100_000
_TRUSTING: Final = read_settings(trusted_proxies="198.51.100.0/24")


@cache
def _catalog() -> Catalog:
    return load_catalog()


def _request(headers: dict[str, str] | None = None, body: bytes = b"", client: str = "198.51.100.7") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": sent, "client": (client, 50_000)}
    return Request(scope, receive)


# Bodies


def _read_json(what: tuple[str, bytes]) -> None:
    content_type, body = what
    with suppress(InvalidJson, UnsupportedMediaType):
        read = finished(read_json_object(_request({"content-type": content_type}, body)))
        assert json.loads(json.dumps(read)) is not None


def _read_run(what: tuple[str, bytes]) -> None:
    model = _catalog().find(what[0])
    try:
        given = finished(read_json_object(_request(None, what[1])))
        read = read_input(model, given)
    except InvalidJson:
        return
    except ValidationError as error:
        _check_refusal(error)
        return
    assert read_input(model, read) == read


def _check_refusal(error: ValidationError) -> None:
    """It is sent on as UTF-8, and not a thousandfold."""
    told = json.dumps([[detail.path, detail.message] for detail in error.details], ensure_ascii=False)
    assert len((error.message + told).encode()) < _LONGEST_ANSWER


def _read_key(what: tuple[bool, bytes]) -> None:
    with suppress(InvalidJson, ValidationError):
        body = finished(read_json_object(_request(None, what[1])))
        read_key_body(NewKeyBody if what[0] else KeyChangesBody, body, _NOW).given()


def _read_form(what: tuple[str, list[bytes]]) -> None:
    content_type, pieces = what

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read() -> int:
        return sum([len(piece) async for piece in read_file(body(), content_type)])

    with suppress(ValidationError):
        assert finished(read()) <= sum(map(len, pieces))


_FORM: Final = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    b"\x89PNG\r\n--b-\r\n--\r\n--b--\r\n"
)
_FORM_TYPES: Final = spliced("multipart/form-data", ";", " boundary=", "b", '"', "\\", "=", "boundary*0=b", "charset=")
_FORM_PIECES: Final = (edited(st.just(_FORM)) | st.just(_FORM)).flatmap(
    lambda form: st.lists(st.integers(0, len(form)), max_size=6).map(
        lambda cuts: [form[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(form)], strict=True)]
    )
)


# Addresses and data


def _read_address(text: str) -> None:
    with suppress(RefusedAddress):
        _check_accepted(AddressPolicy().check_url(text))


def _check_accepted(url: URL) -> None:
    assert url.scheme == "https"
    assert url.user is None
    host = url.raw_host or ""
    assert host
    with suppress(ValueError):
        assert ip_address(host).is_global, host
    # What was checked is what is dialled: reading it again changes nothing.
    assert AddressPolicy().check_url(str(url)) == url


_ADDRESSES: Final = spliced(
    *(
        "https://",
        "http://",
        "HTTPS:",
        "//",
        "example.com",
        "@",
        ":",
        "443",
        "0",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "127.1",
    ),
    *(
        "[::ffff:10.0.0.1]",
        "localhost",
        "xn--",
        ".",
        "%2e",
        "\\",
        "?",
        "#",
        "/",
        "a=b",
        "2130706433",
        "0x7f",
        "\t",
        "。",
    ),
)


def _read_data(text: str) -> None:
    with suppress(InvalidDataUri):
        content, media_type = read_data_uri(text, 100)
        assert 0 < len(content) <= 100
        assert media_type == media_type.lower()


_DATA: Final = spliced("data:", "image/png", ";", "base64", ",", "AAAA", "=", "charset=utf-8", '"', "text/plain")


# Headers and queries


class _File:
    """Ten bytes."""

    file_name = "a.png"
    content_type = "image/png"
    size_bytes = 10
    sha256 = "0" * 64
    blob_key = "a"
    expires_at = _NOW


def _read_range(what: tuple[str, str | None]) -> None:
    condition = {} if what[1] is None else {"if-range": what[1]}
    span = asked_span(_request({"range": what[0], **condition}), _File())
    assert span is None or 0 <= span.start <= span.end <= _File.size_bytes


def _read_headers(what: tuple[str, str]) -> None:
    one, other = what
    request = _request({"if-none-match": one, "x-forwarded-for": other, "idempotency-key": one})
    assert is_known(request, '"tag"') in {True, False}
    for violation in key_violations(request, one):
        assert violation.message
    assert len(counted_address(request, _TRUSTING)) <= 64
    if is_well_formed(one):
        assert hash_key(one, b"secret") != one
    assert len(public_prefix(one)) <= len(one)


def _read_moment(text: str) -> None:
    with suppress(PydanticError):
        moment = TypeAdapter(Moment).validate_python(text)
        assert moment.tzinfo is not None


def _read_rehearsal(text: str) -> None:
    find_rehearsal(text, None)
    with suppress(ValueError):
        read = parse_rehearsal(text)
        assert read.from_json(read.to_json()) == read


TARGETS: Final[tuple[Target[Any], ...]] = (
    Target(
        "json-body",
        st.tuples(
            st.sampled_from(["application/json", "", "application/json; charset=utf-8"]) | header_text,
            json_bytes(json_values(_INPUTS)),
        ),
        _read_json,
    ),
    Target("run-input", st.tuples(st.sampled_from(_MODELS), json_bytes(json_values(_INPUTS, _WORDS))), _read_run),
    Target("key-body", st.tuples(st.booleans(), json_bytes(json_values(_KEY_MEMBERS, _KEY_WORDS))), _read_key),
    Target(
        "form", st.tuples(st.just("multipart/form-data; boundary=b") | as_header(_FORM_TYPES), _FORM_PIECES), _read_form
    ),
    Target("address", _ADDRESSES | any_text, _read_address),
    Target("data-uri", _DATA | any_text, _read_data),
    Target(
        "range",
        st.tuples(
            header_text | st.from_regex(r"\Abytes=[0-9,\- ]{0,24}\Z") | st.sampled_from(["bytes=" + "9" * 5_000 + "-"]),
            st.none() | header_text,
        ),
        _read_range,
    ),
    Target(
        "headers",
        st.tuples(
            header_text | st.from_regex(r'\A(W/)?"[a-z]*"(, *"tag")*\Z') | st.from_regex(r"\Apd_test_[0-9a-z_]{60}\Z"),
            header_text | st.from_regex(r"\A[0-9.:, \[\]]*\Z"),
        ),
        _read_headers,
    ),
    Target(
        "moment",
        any_text
        | st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat())
        | spliced(
            "2026-07-01", "T", "12:00:00", "Z", "+", " ", "24:00", "-99:99", ".", "123456789", "0000", "9999-12-31"
        ),
        _read_moment,
    ),
    Target(
        "rehearsal",
        spliced("slow", "=", "5", "hang", "flaky", "fail", "refused_content", ",", " ", "[sandbox:", "]", "inf", "-1")
        | st.sampled_from(ODD),
        _read_rehearsal,
    ),
)
