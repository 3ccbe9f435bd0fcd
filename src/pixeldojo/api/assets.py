"""GET and HEAD /assets/{file}: the files themselves, with ranges, until they expire."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import format_datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.responses import error_answers
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import BlobMissing
from pixeldojo.core.errors import Expired

router = APIRouter(tags=["assets"], dependencies=[Depends(count_public)])

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int


@router.api_route(
    "/assets/{file_name}",
    methods=["GET", "HEAD"],
    summary="Fetch an asset",
    operation_id="getAsset",
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The range asked for.", "content": {"application/octet-stream": {}}},
        304: {"description": "Unchanged."},
        416: {"description": "The range lies outside the file."},
        **error_answers(404, 410, 429),
    },
)
async def get_asset(request: Request, file_name: str) -> Response:
    """Return an output file; whoever knows its address may fetch it until it expires."""
    services = services_of(request)
    asset = await services.assets.open_asset(file_name)
    left = int((asset.expires_at - services.clock.now()).total_seconds())
    headers = {
        "Content-Type": asset.content_type,
        "Content-Disposition": f'inline; filename="{asset.file_name}"',
        "Accept-Ranges": "bytes",
        "ETag": f'"{asset.sha256}"',
        "Cache-Control": f"private, max-age={max(left, 0)}, immutable",
        "Expires": format_datetime(asset.expires_at, usegmt=True),
        "X-Content-Type-Options": "nosniff",
        # Media never needs to run scripts, whatever a browser makes of it.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }
    if f'"{asset.sha256}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    span = _asked_span(request, asset)
    if span is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{asset.size_bytes}"})
    headers["Content-Length"] = str(span.end - span.start)
    is_whole = span == _Span(0, asset.size_bytes)
    if not is_whole:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{asset.size_bytes}"
    status = 200 if is_whole else 206
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


def _asked_span(request: Request, asset: Asset) -> _Span | None:
    """Return the bytes asked for: all of them without a usable Range header, None when it lies outside."""
    whole = _Span(0, asset.size_bytes)
    condition = request.headers.get("if-range")
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or (condition is not None and condition != f'"{asset.sha256}"'):
        return whole
    first, last = match.groups()
    if not first:
        if not last:
            return whole
        return _Span(max(asset.size_bytes - int(last), 0), asset.size_bytes) if int(last) else None
    start = int(first)
    end = min(int(last) + 1, asset.size_bytes) if last else asset.size_bytes
    if last and int(last) < start:
        return whole
    return _Span(start, end) if start < asset.size_bytes else None
