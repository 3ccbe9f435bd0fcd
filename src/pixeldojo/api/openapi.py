"""GET /api/openapi: the OpenAPI 3.1 document, built once."""

import json
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from pixeldojo import __version__
from pixeldojo.api.auth import count_public
from pixeldojo.api.responses import SCHEMAS, error_answers

router = APIRouter(tags=["documents"], dependencies=[Depends(count_public)])

_PUBLIC = frozenset(
    {"/api/v1/models", "/api/v1/models/{api_id}", "/api/v1/models/{api_id}/schema", "/api/openapi"}
    | {"/assets/{file_name}", "/healthz", "/readyz"}
)
_RATE_HEADERS = {
    "X-Request-Id": ("string", "Finds this request in the server's log."),
    "X-RateLimit-Limit": ("integer", "Requests a minute."),
    "X-RateLimit-Remaining": ("integer", "Requests left in this window."),
    "X-RateLimit-Reset": ("integer", "Unix seconds at which the window ends."),
}


@router.get("/openapi", summary="This document", operation_id="getOpenApi", responses=error_answers(429))
async def get_document(request: Request) -> Response:
    """Return the OpenAPI 3.1 document of this server."""
    return Response(request.app.state.openapi_bytes, media_type="application/json")


def build_document(app: FastAPI, base_url: str) -> bytes:
    """Return the document's bytes, from the routes as they are and the schemas of `responses.py`."""
    document: dict[str, Any] = get_openapi(
        title="PixelDojo API",
        version=__version__,
        openapi_version="3.1.0",
        summary="One async API over many hosted AI image, video, audio and 3D models.",
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
            _complete(operation, is_public=path in _PUBLIC)
    return json.dumps(document, separators=(",", ":")).encode()


def _complete(operation: dict[str, Any], *, is_public: bool) -> None:
    operation["security"] = [] if is_public else [{"apiKey": []}]
    # Parameters out of range are answered with 400 `validation_error`, not with FastAPI's own 422.
    responses = operation["responses"]
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]
        if any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
            responses |= {str(status): body for status, body in error_answers(400).items()}
    for response in responses.values():
        response["headers"] = {
            name: {"description": description, "schema": {"type": kind}}
            for name, (kind, description) in _RATE_HEADERS.items()
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
