"""GET /api/openapi: the OpenAPI 3.1 document, built once from the routes as they are."""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.routing import compile_path

from pixeldojo import __version__
from pixeldojo.api.auth import count_public
from pixeldojo.api.responses import SCHEMAS, error_answers
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.texts import capabilities

router = APIRouter(tags=["documents"], dependencies=[Depends(count_public)])

_UNCOUNTED = frozenset({"/healthz", "/readyz"})
_PUBLIC = _UNCOUNTED | {
    "/api/v1/models",
    "/api/v1/models/{apiId}",
    "/api/v1/models/{apiId}/schema",
    "/api/openapi",
    "/assets/{fileName}",
}
_DESCRIPTION = """Submit a job, poll it or wait for its webhook, fetch the files it gave.

Every answer carries `X-Request-Id`; every error has the one shape `Error`. An address that exists answers a method it
does not take with 405 `method_not_allowed` and `Allow`, and HEAD wherever it answers GET. Addresses that do not exist
answer 404 `not_found`."""
_REQUEST_ID = {
    "X-Request-Id": {
        "description": "Finds this request in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{32}$"},
    }
}
_RATE = {
    "X-RateLimit-Limit": "Requests a minute.",
    "X-RateLimit-Remaining": "Requests left in this window.",
    "X-RateLimit-Reset": "Unix seconds at which the window ends.",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds until another try is welcome.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE = {
    "WWW-Authenticate": {"description": "Says `Bearer`.", "required": True, "schema": {"type": "string"}},
}


@router.get(
    "/openapi",
    summary="This document",
    operation_id="getOpenApi",
    responses={
        200: {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}},
        **error_answers(429),
    },
)
async def get_document(request: Request) -> Response:
    """Return the OpenAPI 3.1 document of this server."""
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(request.app.state.document.encoded, media_type="application/json", headers=headers)


class Document:
    """The document of one app, built once, when it is first asked for: it takes longer than starting the rest."""

    def __init__(self, app: FastAPI, catalog: Catalog, base_url: str) -> None:
        self._app = app
        self._catalog = catalog
        self._base_url = base_url

    @cached_property
    def content(self) -> dict[str, Any]:
        """The document itself."""
        return _build(self._app, self._catalog, self._base_url)

    @cached_property
    def encoded(self) -> bytes:
        """The document as it is sent."""
        return json.dumps(self.content, separators=(",", ":")).encode()

    @cached_property
    def methods(self) -> list[tuple[re.Pattern[str], frozenset[str]]]:
        """What each address takes, as patterns of addresses and their methods."""
        found = []
        for path, operations in self.content["paths"].items():
            methods = {method.upper() for method in operations}
            found.append((compile_path(path)[0], frozenset(methods | {"HEAD"} if "GET" in methods else methods)))
        return found


def _build(app: FastAPI, catalog: Catalog, base_url: str) -> dict[str, Any]:
    """Return the document, from the app's routes, the schemas of `responses.py` and the words of the catalog."""
    document: dict[str, Any] = get_openapi(
        title="PixelDojo API",
        version=__version__,
        openapi_version="3.1.0",
        summary="One async API over many hosted AI image, video, audio and 3D models.",
        description=_DESCRIPTION,
        routes=app.routes,
        servers=[{"url": base_url}],
    )
    document["webhooks"] = {"jobEnded": {"post": _webhook()}}
    components = document.setdefault("components", {})
    components["schemas"] = SCHEMAS
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: pd_test_… or pd_live_…."}
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, path)
    words = _filter_words(catalog)
    for parameter in document["paths"]["/api/v1/models"]["get"]["parameters"]:
        if parameter["name"] in words:
            parameter["schema"]["enum"] = words[parameter["name"]]
    return document


def _complete(operation: dict[str, Any], path: str) -> None:
    operation["security"] = [] if path in _PUBLIC else [{"apiKey": []}]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _plain(parameter["schema"])
    responses = operation["responses"]
    # Parameters out of range are answered with 400 `validation_error`, not with FastAPI's own 422.
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]
    if path not in _UNCOUNTED:
        responses |= {
            str(status): body for status, body in error_answers(500, 503).items() if str(status) not in responses
        }
    for status, response in responses.items():
        response["headers"] = {**response.get("headers", {}), **_headers(status, is_counted=path not in _UNCOUNTED)}


def _headers(status: str, *, is_counted: bool) -> dict[str, Any]:
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if is_counted:
        # Where the counting is away, or an address leads nowhere before it is counted, there is nothing to tell.
        is_sure = status not in {"404", "500", "503"}
        headers |= {
            name: {"description": description, "required": is_sure, "schema": {"type": "integer", "minimum": 0}}
            for name, description in _RATE.items()
        }
    if status in {"429", "503"}:
        headers |= _RETRY_AFTER
    if status == "401":
        headers |= _CHALLENGE
    return headers


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema alone: its description stands beside it, and what is not given is not null."""
    kept = {name: value for name, value in schema.items() if name not in {"title", "description", "anyOf"}}
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    assert len(kinds) <= 1, "a parameter of several types would need to be told apart in a query string"
    return kept | (kinds[0] if kinds else {})


def _filter_words(catalog: Catalog) -> dict[str, Sequence[str]]:
    return {
        "capability": sorted({word for model in catalog.models for word in capabilities(model)}),
        "use_case": sorted({word for model in catalog.models for word in model.use_cases}),
    }


def _webhook() -> dict[str, Any]:
    """Describe what we send to a `webhook_url`."""
    headers = [
        ("webhook-id", "Stays the same over all attempts of a delivery."),
        ("webhook-timestamp", "Unix seconds of this attempt."),
        ("webhook-signature", "Standard Webhooks: `v1,` and the base64 HMAC-SHA-256 of id.timestamp.body."),
    ]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/JobEvent"}}}
    return {
        "summary": "A job has ended",
        "operationId": "jobEnded",
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": what, "schema": {"type": "string"}}
            for name, what in headers
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "2XX": {"description": "Received. Any other answer is tried again."},
            "410": {"description": "Gone: no further attempt is made."},
        },
    }
