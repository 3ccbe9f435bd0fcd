"""How errors leave: one JSON shape, the codes and statuses of core/errors.py, and never a stack."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from structlog.typing import FilteringBoundLogger

from pixeldojo.api.auth import count_public
from pixeldojo.blobs import BlobsUnavailable
from pixeldojo.core.errors import (
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PixelDojoError,
    RateLimitExceeded,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
    ValidationError,
    Violation,
)
from pixeldojo.core.pydantic_errors import Problem, complaint_of
from pixeldojo.db.engine import is_away

_HTTP_ERRORS: dict[int, type[PixelDojoError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}
HEADER = "header."
"""Begins the path of a violation in a header."""
# No route counted these: they count as discovery does, and carry its figures.
_UNROUTED = frozenset({404, 405})
# What every 401 must carry (RFC 9110, 15.5.2).
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="PixelDojo"'}
_MESSAGES = {
    404: "There is nothing at this address. The API lives under /api/v1; /api/openapi lists every route.",
    405: "This address does not take that method; the Allow header lists the ones it takes.",
}


def error_response(error: PixelDojoError, request_id: str, *, status: int | None = None) -> Response:
    """Return the error as callers see it.

    Args:
        status: Where HTTP has a status for just this (408, 431) that the table of codes has not.
    """
    status = status or error.status
    body: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "status": status,
        "requestId": request_id,
    }
    if error.details:
        body["details"] = [{"path": detail.path, "message": detail.message} for detail in error.details]
    headers = {**_CHALLENGE, **error.headers} if error.status == Unauthorized.status else error.headers
    return JSONResponse({"error": body}, status_code=status, headers=headers)


def install_error_handlers(app: FastAPI, log: FilteringBoundLogger) -> None:
    """Give every way in which a request can go wrong its answer."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, PixelDojoError)
        if error.status >= 500:
            log.error("request failed", code=error.code, why=error.message, cause=repr(error.__cause__))
        return error_response(error, request.state.request_id)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code in _UNROUTED and not hasattr(request.state, "rate"):
            try:
                await count_public(request)
            except RateLimitExceeded as limit:
                return error_response(limit, request.state.request_id)
        kind = _HTTP_ERRORS.get(error.status_code, ValidationError)
        message = _MESSAGES.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = allowed_methods(request, headers.get("Allow", ""))
        return error_response(kind(message, headers=headers), request.state.request_id)

    async def parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        details = [_parameter_violation(problem) for problem in error.errors()]
        summary = "; ".join(f"{detail.path}: {detail.message}" for detail in details)
        return error_response(ValidationError(summary, details=details), request.state.request_id)

    app.add_exception_handler(PixelDojoError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, parameters)


def allowed_methods(request: Request, of_one_route: str) -> str:
    """Return every method of the address; a route that refuses a method knows only its own."""
    path = request.scope["path"]
    document = request.app.state.document
    found = {method for pattern, methods in document.methods if pattern.match(path) for method in methods}
    return ", ".join(sorted(found)) or of_one_route


def unexpected_error(error: Exception) -> PixelDojoError:
    """Return what the caller is told about a fault of ours: nothing that tells how we are built."""
    if isinstance(error, OSError | BlobsUnavailable) or is_away(error):
        return ServiceUnavailable(
            "A part of the service does not answer at the moment. Try again shortly.", headers={"Retry-After": "5"}
        )
    return InternalError("Something went wrong on our side. The request id finds it in the server's log.")


def _parameter_violation(problem: Problem) -> Violation:
    where, *names = problem["loc"]
    path = ".".join(str(name) for name in names)
    return Violation(f"{HEADER}{path}" if where == "header" else path, complaint_of(problem))
