"""Texts that are the same for everybody: made once, in a thread, when first asked for, and sent with a strong ETag.

Owns conditional requests too (`If-None-Match`, RFC 9110, 13.1.2). Leaves what the text says to whoever makes it.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

# The text changes only with the server's version; a cache that keeps it for minutes spares most requests.
CACHE_CONTROL = "public, max-age=300"
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class _Text:
    content: bytes
    tag: str


class Published:
    """One text of the server, and the answers with it.

    Args:
        media_type: Its Content-Type.
        make: Returns its bytes. Runs in a thread and once, however many ask at the same time; again only if it raised.
    """

    def __init__(self, media_type: str, make: Callable[[], bytes]) -> None:
        self._media_type = media_type
        self._make = make
        self._made: _Text | None = None
        self._making = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Return the text, or 304 where the caller says that it has it."""
        text = await self._text()
        headers = {"ETag": text.tag, "Cache-Control": CACHE_CONTROL}
        if is_known(request, text.tag):
            return Response(status_code=304, headers=headers)
        return Response(text.content, media_type=self._media_type, headers=headers)

    async def _text(self) -> _Text:
        if self._made is None:
            async with self._making:
                if self._made is None:
                    content = await asyncio.to_thread(self._make)
                    self._made = _Text(content, f'"{hashlib.sha256(content).hexdigest()}"')
        return self._made


def is_known(request: Request, tag: str) -> bool:
    """Return whether the caller has what the tag stands for, as its `If-None-Match` says."""
    # A list may also come as several header lines.
    given = ", ".join(request.headers.getlist("if-none-match"))
    return given.strip() == "*" or tag in _TAG.findall(given)
