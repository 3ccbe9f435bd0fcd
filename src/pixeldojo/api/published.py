"""Texts that are the same for everybody: made once, in a thread, when first asked for, and sent with a strong ETag.

Owns conditional requests too (`If-None-Match`, RFC 9110, 13.1.2). Leaves what the text says to whoever makes it.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Header, Request
from fastapi.responses import Response

# The text changes only with the server's version; a cache that keeps it for minutes spares most requests.
CACHE_CONTROL = "public, max-age=300"
IfNoneMatch: TypeAlias = Annotated[
    str | None, Header(alias="If-None-Match", description="The `ETag` of what you have.")
]
"""For the document; reading it is `is_known`'s, since it may come in several lines."""
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Tagged:
    """A text and what tells it from every other one."""

    content: bytes
    tag: str

    @classmethod
    def of(cls, content: bytes) -> "Tagged":
        """Return the content with its strong ETag."""
        return cls(content, f'"{hashlib.sha256(content).hexdigest()}"')

    def answer(self, request: Request, media_type: str) -> Response:
        """Return the text, or 304 where the caller says that it has it."""
        headers = {"ETag": self.tag, "Cache-Control": CACHE_CONTROL}
        if is_known(request, self.tag):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=media_type, headers=headers)


class Published:
    """One text of the server, and the answers with it.

    Args:
        media_type: Its Content-Type.
        make: Returns its bytes. Runs in a thread and once, however many ask at the same time; again only if it raised.
    """

    def __init__(self, media_type: str, make: Callable[[], bytes]) -> None:
        self._media_type = media_type
        self._make = make
        self._made: Tagged | None = None
        self._making = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Return the text, or 304 where the caller says that it has it."""
        return (await self._text()).answer(request, self._media_type)

    async def _text(self) -> Tagged:
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = Tagged.of(await asyncio.to_thread(self._make))
        return self._made


def is_known(request: Request, tag: str) -> bool:
    """Return whether the caller has what the tag stands for, as its `If-None-Match` says."""
    # A list may also come as several header lines.
    given = ", ".join(request.headers.getlist("if-none-match"))
    return given.strip() == "*" or tag in _TAG.findall(given)
