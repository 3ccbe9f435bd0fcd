"""Downloads from addresses that others named: media inputs, an upstream's results.

Owns everything between such an address and bytes we hold: the policy on every hop, the deadline, the stall limit, the
size limit, the refusal of encodings. It never looks at the bytes; what they are is for `media`, where they go is the
sink's affair, and whether to try again is the worker's.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from pixeldojo.net.addresses import RefusedAddress, as_given
from pixeldojo.net.client import OutboundClient
from pixeldojo.net.failures import describe_failure, note_failure
from pixeldojo.net.sessions import CONNECT_SECONDS, Errand
from pixeldojo.net.upstream import Origin, origin_of

MAX_REDIRECTS: Final = 3
CHUNK_BYTES: Final = 512 * 1024
_OK: Final = 200
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Sink: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes the next `CHUNK_BYTES` bytes (the last time fewer); nothing more is read until it returns."""


class FetchErrorKind(StrEnum):
    """Why a download failed."""

    REFUSED = "refused"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    HTTP_STATUS = "http_status"
    NETWORK = "network"


class FetchFailed(Exception):
    """A download failed, and what the sink got is not the whole file.

    Attributes:
        kind: Which of the five; `REFUSED` and `TOO_LARGE` will not get better by trying again.
        message: What happened, safe to show; meant to follow the name of the field: `image_url: …`.
        status: What the server answered, where that is the reason.
    """

    def __init__(self, kind: FetchErrorKind, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A whole download.

    Attributes:
        size_bytes: Its length.
        sha256: Of the bytes, in lower-case hexadecimal.
        content_type: What the server called it, lower-case and without parameters; None where it said nothing that
            is a media type.
    """

    size_bytes: int
    sha256: str
    content_type: str | None


class Fetcher:
    """Downloads through the guarded zone of an `OutboundClient`."""

    def __init__(self, client: OutboundClient, errand: Errand = Errand.OUTPUT) -> None:
        """Use the connections and the policy of `client`, which stays its maker's to close; `errand` says whose."""
        self._client = client
        self._errand = errand

    async def fetch_to(
        self,
        url: str,
        sink: Sink | Path,
        *,
        max_bytes: int,
        timeout_seconds: float,
        stall_seconds: float = 15.0,
        headers: Mapping[str, str] | None = None,
    ) -> FetchedFile:
        """Download a file, in bounded memory whatever its size.

        Up to `MAX_REDIRECTS` redirects are followed, each held to the policy as the first address was, and never
        from https to http.

        Args:
            url: An address that someone else named.
            sink: Gets the bytes; a path is written as a new file (or over an old one) and removed on failure.
            max_bytes: The longest file taken, counted as it comes and not as announced.
            timeout_seconds: For all of it.
            stall_seconds: The longest wait for the next byte.
            headers: What the address wants to see, credentials included. Give them for an address of the operator's
                own and for no other: its origin is reached wherever it is, and neither they nor that go further when
                it redirects to another.

        Raises:
            FetchFailed: with a message for whoever gave the address.
        """
        if isinstance(sink, Path):
            async with _writing(sink) as write:
                return await self._fetch(url, write, max_bytes, timeout_seconds, stall_seconds, headers or {})
        return await self._fetch(url, sink, max_bytes, timeout_seconds, stall_seconds, headers or {})

    async def _fetch(
        self,
        url: str,
        sink: Sink,
        max_bytes: int,
        timeout_seconds: float,
        stall_seconds: float,
        headers: Mapping[str, str],
    ) -> FetchedFile:
        deadline = asyncio.timeout(timeout_seconds)
        try:
            async with deadline, self._open(url, stall_seconds, headers) as response:
                return await _drain(response, sink, max_bytes)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise FetchFailed(
                FetchErrorKind.TIMEOUT, f"the download was not done within {timeout_seconds:g} s"
            ) from None

    @asynccontextmanager
    async def _open(
        self, url: str, stall_seconds: float, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follow the redirects and give the answer that is the file."""
        own = origin_of(url) if headers else None
        target = self._admit(url, own)
        for _ in range(MAX_REDIRECTS + 1):
            is_own = own is not None and origin_of(str(target)) == own
            response = await self._get(target, stall_seconds, headers if is_own else {}, is_own=is_own)
            async with response:
                if response.status not in _REDIRECTS:
                    _require_file(response)
                    yield response
                    return
                target = self._next(target, response, own)
        raise FetchFailed(
            FetchErrorKind.REFUSED, f"it redirects more than {MAX_REDIRECTS} times; give the address of the file itself"
        )

    async def _get(
        self, target: URL, stall_seconds: float, headers: Mapping[str, str], *, is_own: bool
    ) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=stall_seconds)
        sessions = self._client.sessions
        session = sessions.upstream("GET") if is_own else sessions.guarded(target.scheme, self._errand)
        try:
            return await session.get(target, headers=headers, allow_redirects=False, timeout=timeout)
        except RefusedAddress as error:
            raise FetchFailed(FetchErrorKind.REFUSED, str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(error) from None

    def _next(self, current: URL, response: aiohttp.ClientResponse, own: Origin | None) -> URL:
        try:
            place = urljoin(str(current), response.headers["Location"])
        except (KeyError, ValueError):
            raise FetchFailed(
                FetchErrorKind.HTTP_STATUS,
                f"the server answered {response.status} without a valid Location",
                status=response.status,
            ) from None
        target = self._admit(place, own, prefix="it redirects to an address that is refused: ")
        if current.scheme == "https" and target.scheme != "https":
            raise FetchFailed(FetchErrorKind.REFUSED, "it redirects from https to http; give the final https address")
        return target

    def _admit(self, url: str, own: Origin | None, *, prefix: str = "") -> URL:
        if own is not None and origin_of(url) == own:
            return as_given(url, URL(url).with_fragment(None))
        try:
            return self._client.policy.check_url(url)
        except RefusedAddress as error:
            raise FetchFailed(FetchErrorKind.REFUSED, f"{prefix}{error}") from None


def _require_file(response: aiohttp.ClientResponse) -> None:
    if response.status != _OK:
        raise FetchFailed(
            FetchErrorKind.HTTP_STATUS,
            f"the server answered {response.status}; the address must give the file to anyone, with status 200",
            status=response.status,
        )
    # An encoded body could grow a thousandfold; we asked for none.
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchFailed(
            FetchErrorKind.NETWORK, "the server compressed the answer although asked not to; turn Content-Encoding off"
        )


async def _drain(response: aiohttp.ClientResponse, sink: Sink, max_bytes: int) -> FetchedFile:
    if response.content_length is not None and response.content_length > max_bytes:
        raise _too_large(max_bytes)
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := await _next_chunk(response, min(CHUNK_BYTES, max_bytes + 1 - size_bytes)):
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        digest.update(chunk)
        await sink(chunk)
    return FetchedFile(size_bytes, digest.hexdigest(), _declared_type(response))


async def _next_chunk(response: aiohttp.ClientResponse, size: int) -> bytes:
    """Return the next `size` bytes, fewer only at the end, none after it."""
    chunk = bytearray()
    try:
        while len(chunk) < size:
            piece = await response.content.read(size - len(chunk))
            if not piece:
                break
            chunk += piece
    except (aiohttp.ClientError, OSError) as error:
        raise _failed(error) from None
    return bytes(chunk)


def _declared_type(response: aiohttp.ClientResponse) -> str | None:
    declared = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return declared if _MEDIA_TYPE.fullmatch(declared) else None


@asynccontextmanager
async def _writing(path: Path) -> AsyncIterator[Sink]:
    file = await asyncio.to_thread(path.open, "wb")

    async def write(chunk: bytes) -> None:
        await asyncio.to_thread(file.write, chunk)

    try:
        yield write
        await asyncio.to_thread(file.close)
    except BaseException:
        _discard(file, path)
        raise


def _discard(file: BinaryIO, path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def _failed(error: aiohttp.ClientError | OSError) -> FetchFailed:
    kind = FetchErrorKind.TIMEOUT if isinstance(error, TimeoutError) else FetchErrorKind.NETWORK
    what = "sent nothing for too long" if isinstance(error, aiohttp.SocketTimeoutError) else describe_failure(error)
    return note_failure(FetchFailed(kind, f"the server {what}"), error)


def _too_large(max_bytes: int) -> FetchFailed:
    return FetchFailed(FetchErrorKind.TOO_LARGE, f"the file is over the limit of {max_bytes:,} bytes")
