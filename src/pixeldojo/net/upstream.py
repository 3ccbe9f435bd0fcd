"""The client an adapter is handed: one call to an upstream, with the error sorted by what it means for money.

Owns the decision whose address it is (the operator's, where the key may go, or one that an answer named, where it may
not), the deadline, the bound on the answer, and the line between `UNAVAILABLE` (surely nothing was sent) and `UNKNOWN`
(it may have been). Retrying, polling and redirects are nobody's here: one call, one answer.
"""

import asyncio
import json as jsonlib
import zlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import aiohttp
from yarl import URL

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.json_types import JsonObject
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress, as_given
from pixeldojo.net.failures import describe_failure, note_failure
from pixeldojo.net.sessions import Errand, Sending, Sessions
from pixeldojo.providers.contract import HttpAnswer, UpstreamError, UpstreamErrorKind

MAX_ANSWER_BYTES: Final = 20_000_000
_HARMLESS_HEADERS: Final = frozenset(
    {
        *("accept", "accept-language", "content-type", "user-agent"),
        # Part of what Google's storage signs: how long an upload may be (docs.cloud.google.com, XML API headers).
        "x-goog-content-length-range",
    }
)
"""All that may go to an address that an answer named. Upstreams call their keys by too many names to list those."""

_READ_BYTES: Final = 64 * 1024
_LEAST_SENT_BYTES_PER_SECOND: Final = 250_000
"""What a body may take to leave comes on top of a call's time: pictures inside a request are megabytes."""
_ZLIB_OR_GZIP: Final = zlib.MAX_WBITS | 32


Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host, port."""


def trusted_origins(base_urls: Iterable[str]) -> frozenset[Origin]:
    """Return the origins of upstream addresses that the operator configured.

    Raises:
        ConfigurationError: if one of them is no http or https URL, or carries a user name or password.
    """
    return frozenset(_configured_origin(base_url) for base_url in base_urls)


class UpstreamClient:
    """`providers.contract.HttpClient` over the connections we have."""

    def __init__(
        self,
        sessions: Sessions,
        policy: AddressPolicy,
        origins: frozenset[Origin],
        *,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Trust these origins (see `trusted_origins`), which the operator configured, and no others."""
        self._sessions = sessions
        self._policy = policy
        self._origins = origins
        self._max_answer_bytes = max_answer_bytes

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpAnswer:
        """Make one call and return its answer, whatever its status; redirects are answers like others.

        An address outside the trusted origins is held to the address policy and gets no headers that could carry a
        key: with such headers the call is not made.

        Raises:
            UpstreamError: `UNAVAILABLE` when surely nothing was sent, `UNKNOWN` when bytes may have left and no
                whole answer came.
        """
        if json is not None and body is not None:
            raise ValueError("give json or body, not both")
        sent_headers = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            body = jsonlib.dumps(json, separators=(",", ":"), allow_nan=False).encode()
            sent_headers.setdefault("content-type", "application/json")
        session, target = self._zone_of(method, url, sent_headers)
        sending = Sending()
        sending_seconds = len(body or b"") / _LEAST_SENT_BYTES_PER_SECOND
        try:
            async with (
                asyncio.timeout(timeout_seconds + sending_seconds),
                session.request(
                    method,
                    target,
                    headers=sent_headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=sending,
                ) as response,
            ):
                return await self._read(response)
        except RefusedAddress as error:
            raise _refused(error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(error, sending) from None

    def _zone_of(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[aiohttp.ClientSession, URL]:
        """Return the session for an address, and the address as it will be dialled."""
        if origin_of(url) in self._origins:
            return self._sessions.upstream(method), as_given(url, URL(url))
        try:
            target = self._policy.check_url(url)
        except RefusedAddress as error:
            raise _refused(error) from None
        if not headers.keys() <= _HARMLESS_HEADERS:
            raise UpstreamError(
                UpstreamErrorKind.UNAVAILABLE,
                "the upstream named an address outside its own origin; credentials are not sent there",
            )
        return self._sessions.guarded(target.scheme, Errand.CALL), target

    async def _read(self, response: aiohttp.ClientResponse) -> HttpAnswer:
        body = await read_bounded(response, self._max_answer_bytes + 1)
        body = _decoded(body, response.headers.get("Content-Encoding", ""), self._max_answer_bytes + 1)
        if len(body) > self._max_answer_bytes:
            raise _unknown(f"answered with more than {self._max_answer_bytes:,} bytes")
        return HttpAnswer(response.status, lower_case_headers(response), body)


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body as it came over the wire, or its first `max_bytes` bytes."""
    body = bytearray()
    while len(body) < max_bytes:
        chunk = await response.content.read(min(_READ_BYTES, max_bytes - len(body)))
        if not chunk:
            break
        body += chunk
    return bytes(body)


def lower_case_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers by lower-case name; values that came several times are joined by commas.

    Bytes that are no UTF-8 become `?`, so that the text can be stored and sent on.
    """
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key, text = name.lower(), value.encode(errors="replace").decode()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _decoded(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo an encoding that was not asked for, to `max_bytes` at most: some servers do not read Accept-Encoding."""
    if encoding.lower() in {"", "identity"}:
        return body
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        raise _unknown("answered in an encoding that was not asked for")
    decoder = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        decoded = decoder.decompress(body, max_bytes)
    except zlib.error as error:
        raise _unknown("answered with broken compression") from error
    if not decoder.eof and len(decoded) < max_bytes:
        raise _unknown("answered with broken compression")
    return decoded


def _parsed(url: str) -> URL | None:
    try:
        return URL(url)
    except ValueError:
        return None


def _configured_origin(base_url: str) -> Origin:
    parsed = _parsed(base_url)
    if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.raw_host:
        raise ConfigurationError(f"{base_url!r} is no upstream address; an example is https://api.example.com/v1")
    origin = origin_of(base_url)
    if origin is None:
        raise ConfigurationError("an upstream address carries no user name or password; set the upstream's key instead")
    return origin


def origin_of(url: str) -> Origin | None:
    """Return the origin of an address; None for what is none, and for one that carries a user name or password."""
    parsed = _parsed(url)
    if parsed is None or not parsed.raw_host or parsed.port is None:
        return None
    if parsed.user is not None or parsed.password is not None:
        return None
    return parsed.scheme, parsed.raw_host, parsed.port


def _refused(error: RefusedAddress) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.UNAVAILABLE, f"the upstream named an address we do not call: {error}")


def _failed(error: aiohttp.ClientError | OSError, sending: Sending) -> UpstreamError:
    if sending.may_have_left:
        return note_failure(_unknown(describe_failure(error)), error)
    what = "did not accept a connection in time" if isinstance(error, TimeoutError) else describe_failure(error)
    failed = UpstreamError(UpstreamErrorKind.UNAVAILABLE, f"the upstream {what}; nothing was sent")
    return note_failure(failed, error)


def _unknown(what: str) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.UNKNOWN, f"the upstream {what}")
