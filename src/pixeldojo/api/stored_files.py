"""How a file from the media store leaves: whole or in part, with what browsers and caches need to know.

Owns ranges, conditions and headers, which are the same for assets and for uploads. Leaves whose file it is, and whether
its time is over, to their services.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from pixeldojo.api.auth import services_of
from pixeldojo.api.published import is_known
from pixeldojo.blobs import BlobMissing
from pixeldojo.core.errors import Expired

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
# No file is this long, and a number of this many digits is quickly read.
_LONGEST_NUMBER = 18


class StoredFile(Protocol):
    """What is known of a file; its address ends in `file_name`."""

    @property
    def file_name(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def blob_key(self) -> str: ...

    @property
    def expires_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How many they are."""
        return self.end - self.start


async def send_file(request: Request, file: StoredFile) -> Response:
    """Answer a GET or HEAD with what was asked for of a file.

    Raises:
        Expired: it was deleted in this moment.
    """
    services = services_of(request)
    left = int((file.expires_at - services.clock.now()).total_seconds())
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": _tag(file),
        "Cache-Control": f"private, max-age={max(left, 0)}, immutable",
        "Expires": format_datetime(file.expires_at, usegmt=True),
        # Media never needs to run scripts, whatever a browser makes of it.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }
    if is_known(request, _tag(file)):
        return Response(status_code=304, headers=headers)
    span = asked_span(request, file)
    if span is not None and span.size_bytes == 0:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{file.size_bytes}"})
    headers["Content-Type"] = file.content_type
    headers["Content-Disposition"] = f'inline; filename="{file.file_name}"'
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{file.size_bytes}"
    status = 200 if span is None else 206
    span = span or Span(0, file.size_bytes)
    headers["Content-Length"] = str(span.size_bytes)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    chunks = services.blobs.read(file.blob_key, span.start, span.end)
    return StreamingResponse(await _begun(chunks), status_code=status, headers=headers)


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Fetch the first chunk before the answer begins, so that a missing file is an error and not a torn body."""
    try:
        first = await anext(chunks, b"")
    except BlobMissing as error:
        raise Expired("This file was deleted.") from error

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return rest()


def _tag(file: StoredFile) -> str:
    return f'"{file.sha256}"'


def asked_span(request: Request, file: StoredFile) -> Span | None:
    """Return the bytes asked for: none when they lie outside the file, None where the whole file is meant.

    A Range header that cannot be read, or that names several ranges, means the whole file (RFC 9110, 14.2).
    """
    condition = request.headers.get("if-range")
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or request.method != "GET" or (condition is not None and condition != _tag(file)):
        return None
    first, last = (_number(digits) for digits in match.groups())
    size = file.size_bytes
    if first is None:
        return None if last is None else Span(max(size - last, 0), size)
    if last is not None and last < first:
        return None
    start = min(first, size)
    return Span(start, size if last is None else min(last + 1, size))


def _number(digits: str) -> int | None:
    return int(digits[:_LONGEST_NUMBER]) if digits else None
