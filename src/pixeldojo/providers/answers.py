"""Reading an upstream's answers: what adapters of JSON services over HTTP need alike.

Owns the cautious reading of bodies, the times that an upstream asks to wait, the headers of signed callbacks where
several services have the same, and what a status means for money where the service says nothing more exact. Leaves the
service's own words (error types, states, shapes) to its adapter.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import (
    Callback,
    ForgedCallback,
    HttpAnswer,
    OutputFile,
    UpstreamError,
    UpstreamErrorKind,
)

CALLBACK_TOLERANCE_SECONDS: Final = 300.0
"""How old or how far in the future a signed callback may be."""

_LONGEST_MESSAGE: Final = 300
_ADDRESS = re.compile(r"(?:\b[a-z][a-z0-9+.-]*://|data:[a-z]+/)\S+", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")

_KINDS: Final = {
    401: UpstreamErrorKind.UNAUTHORIZED,
    402: UpstreamErrorKind.OVER_LIMIT,
    403: UpstreamErrorKind.UNAUTHORIZED,
    408: UpstreamErrorKind.UNAVAILABLE,
    429: UpstreamErrorKind.OVER_LIMIT,
    503: UpstreamErrorKind.UNAVAILABLE,
}
_GAVE_UP: Final = 499
_REJECTIONS: Final = frozenset({400, 413, 415, 422})


def read_object(answer: HttpAnswer) -> JsonObject:
    """Return the JSON object of an answer that should hold one.

    Raises:
        UpstreamError: `UNKNOWN` if it holds something else; after a submit nobody can tell what became of it.
    """
    body = find_object(answer)
    if body is None:
        raise UpstreamError(
            UpstreamErrorKind.UNKNOWN, f"the upstream answered {answer.status} with something that is no JSON object"
        )
    return body


def find_object(answer: HttpAnswer) -> JsonObject | None:
    """Return the JSON object of an answer; None if it holds something else, as gateways' pages do."""
    try:
        body: JsonValue = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, Mapping) else None


def object_in(value: JsonValue) -> JsonObject:
    """Return an object that should stand in an answer; an empty one where something else does."""
    return value if isinstance(value, Mapping) else {}


def objects_in(value: JsonValue) -> list[JsonObject]:
    """Return the objects of a list that should stand in an answer; none where something else does."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def read_id(body: JsonObject, member: str) -> str:
    """Return the upstream's id for what it accepted, fit to stand in an address.

    Raises:
        UpstreamError: `UNKNOWN` if there is none: it may have taken the work, and we could never ask for it.
    """
    value = body.get(member)
    if not isinstance(value, str) or not _ID.fullmatch(value) or not value.strip("."):
        raise UpstreamError(UpstreamErrorKind.UNKNOWN, f"the upstream answered without a usable {member!r}")
    return value


def kind_of_status(status: int) -> UpstreamErrorKind:
    """Return what a status means on its own.

    Of the 5xx only 503 says that the request was not handled. Behind a 500, a gateway's 502 and 504, or the 499 of one
    that thinks we have gone, the service may have taken the work, so they are `UNKNOWN`. An address that is not there
    is the operator's trouble or the service's, never the caller's: `UNAVAILABLE`, as is a redirect.
    """
    if status in _REJECTIONS:
        return UpstreamErrorKind.REJECTED_INPUT
    if status in _KINDS:
        return _KINDS[status]
    return UpstreamErrorKind.UNKNOWN if status >= _GAVE_UP else UpstreamErrorKind.UNAVAILABLE


def retry_after_seconds(answer: HttpAnswer) -> float | None:
    """Return the wait that `Retry-After` asks for; a date counts from the answer's own `Date`."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", given):
        return float(given)
    until, now = _moment(given), _moment(answer.headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def read_signed(callback: Callback) -> tuple[bytes, list[str]]:
    """Return what the signatures of a callback are over and the signatures, by the headers of Standard Webhooks 1.0.0.

    How a signature is made from it differs from service to service.

    Raises:
        ForgedCallback: if the headers are missing or broken, or its time is too far from ours.
    """
    names = ("id", "timestamp", "signature")
    webhook_id, timestamp, given = (callback.headers.get(f"webhook-{name}", "") for name in names)
    if not webhook_id or not given or not _UNIX_SECONDS.fullmatch(timestamp):
        raise ForgedCallback("The webhook-… headers are missing or broken.")
    if abs(callback.received_at.timestamp() - int(timestamp)) > CALLBACK_TOLERANCE_SECONDS:
        raise ForgedCallback("The callback's time is too far from ours.")
    return f"{webhook_id}.{timestamp}.".encode() + callback.body, given.split()


def plain(text: JsonValue, *, hide: str) -> str:
    """Return an upstream's sentence as callers may see it: one line, bounded, without addresses and the key."""
    if not isinstance(text, str):
        return ""
    hidden = _ADDRESS.sub("[address]", text.replace(hide, "[key]") if hide else text)
    line = " ".join(_UNPRINTABLE.sub(" ", hidden).split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def output_files(value: JsonValue) -> tuple[OutputFile, ...]:
    """Return the files that a value names: an address, a `data:` URI, an object with a `url`, or a list of those."""
    if isinstance(value, str):
        return _output_file(value)
    if isinstance(value, Mapping):
        return output_files(value.get("url"))
    if isinstance(value, list):
        return tuple(file for item in value for file in output_files(item))
    return ()


def _output_file(address: str) -> tuple[OutputFile, ...]:
    if address.startswith(("https://", "http://")):
        return (OutputFile(url=address),)
    head, comma, encoded = address.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return ()
    return inline_file(encoded)


def inline_file(encoded: JsonValue) -> tuple[OutputFile, ...]:
    """Return the file that base64 stands for; none where it is something else."""
    if not isinstance(encoded, str) or not encoded:
        return ()
    try:
        return (OutputFile(content=base64.b64decode(encoded, validate=True)),)
    except (binascii.Error, ValueError):
        return ()


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
