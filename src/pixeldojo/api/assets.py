"""GET and HEAD /assets/{fileName}: the files themselves, with ranges, until they expire."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response, StreamingResponse

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.published import is_known
from pixeldojo.api.responses import ASSET_ANSWERS
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import BlobMissing
from pixeldojo.core.errors import Expired

PREFIX = "/assets/"

router = APIRouter(tags=["assets"], dependencies=[Depends(count_public)])

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
# No file is this long, and a number of this many digits is quickly read.
_LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


@router.get(PREFIX + "{fileName}", summary="Fetch an asset", operation_id="getAsset", responses=ASSET_ANSWERS)
@router.head(PREFIX + "{fileName}", summary="Look at an asset", operation_id="headAsset", responses=ASSET_ANSWERS)
async def get_asset(
    request: Request, file_name: Annotated[str, Path(alias="fileName", description="As in the asset's `url`.")]
) -> Response:
    """Return an output file; whoever knows its address may fetch it until it expires."""
    services = services_of(request)
    asset = await services.assets.open_asset(file_name)
    left = int((asset.expires_at - services.clock.now()).total_seconds())
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": _tag(asset),
        "Cache-Control": f"private, max-age={max(left, 0)}, immutable",
        "Expires": format_datetime(asset.expires_at, usegmt=True),
        # Media never needs to run scripts, whatever a browser makes of it.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }
    if is_known(request, _tag(asset)):
        return Response(status_code=304, headers=headers)
    span = _asked_span(request, asset)
    if span is not None and span.size_bytes == 0:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{asset.size_bytes}"})
    headers["Content-Type"] = asset.content_type
    headers["Content-Disposition"] = f'inline; filename="{asset.file_name}"'
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{asset.size_bytes}"
    status = 200 if span is None else 206
    span = span or _Span(0, asset.size_bytes)
    headers["Content-Length"] = str(span.size_bytes)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    chunks = services.blobs.read(asset.blob_key, span.start, span.end)
    return StreamingResponse(await _begun(chunks), status_code=status, headers=headers)


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Fetch the first chunk before the answer begins, so that a missing file is an error and not a torn body."""
    try:
        first = await anext(chunks, b"")
    except BlobMissing as error:
        raise Expired("This asset was deleted.") from error

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return rest()


def _tag(asset: Asset) -> str:
    return f'"{asset.sha256}"'


def _asked_span(request: Request, asset: Asset) -> _Span | None:
    """Return the bytes asked for: none when they lie outside the file, None where the whole file is meant.

    A Range header that cannot be read, or that names several ranges, means the whole file (RFC 9110, 14.2).
    """
    condition = request.headers.get("if-range")
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or request.method != "GET" or (condition is not None and condition != _tag(asset)):
        return None
    first, last = (_number(digits) for digits in match.groups())
    size = asset.size_bytes
    if first is None:
        return None if last is None else _Span(max(size - last, 0), size)
    if last is not None and last < first:
        return None
    start = min(first, size)
    return _Span(start, size if last is None else min(last + 1, size))


def _number(digits: str) -> int | None:
    return int(digits[:_LONGEST_NUMBER]) if digits else None
