"""GET /api/openapi: the OpenAPI 3.1 document, made from the routes when it is first asked for.

What makes it is imported then too: it is much, and few servers are asked.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response

from pixeldojo.api.auth import count_public
from pixeldojo.api.published import IfNoneMatch, Published
from pixeldojo.api.responses import PUBLISHED_HEADERS, error_answers, not_modified
from pixeldojo.api.shapes import Schema
from pixeldojo.catalog.load import Catalog

router = APIRouter(tags=["documents"], dependencies=[Depends(count_public)])


class Document:
    """The document of one app: making it takes longer than starting the rest, so the first who asks waits for it."""

    def __init__(self, app: FastAPI, catalog: Catalog, base_url: str) -> None:
        self._app = app
        self._catalog = catalog
        self._base_url = base_url
        self.published = Published("application/json", self._encode)

    @cached_property
    def methods(self) -> Sequence[tuple[re.Pattern[str], frozenset[str]]]:
        """What each address takes, as patterns of addresses and their methods."""
        from pixeldojo.api.openapi.document import described_routes  # noqa: PLC0415  see above

        routes = [(context.path_regex, frozenset(context.methods or ())) for context in described_routes(self._app)]
        return [(pattern, methods | {"HEAD"} if "GET" in methods else methods) for pattern, methods in routes]

    @cached_property
    def content(self) -> Schema:
        """The document itself."""
        from pixeldojo.api.openapi.document import build_document  # noqa: PLC0415  see above

        return build_document(self._app, self._catalog, self._base_url)

    def _encode(self) -> bytes:
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()


@router.get(
    "/openapi",
    summary="This document",
    operation_id="getOpenApi",
    responses={
        200: {
            "description": "OpenAPI 3.1.",
            "headers": PUBLISHED_HEADERS,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **not_modified(),
        **error_answers(429),
    },
)
async def get_document(
    request: Request,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the OpenAPI 3.1 document of this server."""
    document = request.app.state.document
    assert isinstance(document, Document)
    return await document.published.answer(request)
