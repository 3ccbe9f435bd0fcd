"""The answers of routes as OpenAPI describes them: status, words, headers. `schemas.py` has the shapes of bodies."""

from typing import Any, TypeAlias

from pixeldojo.core.errors import PixelDojoError

Responses: TypeAlias = dict[int | str, dict[str, Any]]


def answer(status: int, schema: str, description: str) -> Responses:
    """Describe a JSON answer by the name of its schema."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {status: {"description": description, "content": content}}


def error_answers(*statuses: int) -> Responses:
    """Describe the errors an endpoint can answer with."""
    described: Responses = {}
    for status in statuses:
        codes = sorted({kind.code for kind in all_errors(PixelDojoError) if kind.status == status})
        described |= answer(status, "Error", "Error: " + " or ".join(codes) + ".")
    return described


def all_errors(kind: type[PixelDojoError]) -> list[type[PixelDojoError]]:
    """Return a kind of error and every kind of it."""
    return [kind, *(below for child in kind.__subclasses__() for below in all_errors(child))]


def _header(description: str, *, is_sure: bool = False, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "required": is_sure, "schema": {"type": kind}}


_REPLAY_HEADER = {
    "Idempotent-Replayed": _header("`true` where the Idempotency-Key was used before for this very request.")
}
_RUN_HEADERS = {
    "Location": _header("Where the job is polled.", is_sure=True),
    **_REPLAY_HEADER,
    "Preference-Applied": _header("How long the answer was held at most, as `wait=N`."),
}
_JOB_LINKS = {
    operation: {"operationId": operation, "parameters": {"jobId": "$response.body#/jobId"}}
    for operation in ("getJob", "cancelJob", "replayWebhook", "deleteJob")
}
JOB_ACCEPTED: Responses = {
    202: {
        **answer(202, "JobAccepted", "Accepted; its price is held.")[202],
        "headers": _RUN_HEADERS,
        "links": _JOB_LINKS,
    },
    200: {**answer(200, "Job", "With `Prefer: wait`: the job, which ended in time.")[200], "headers": _RUN_HEADERS},
}

SECRET_ROTATED: Responses = {201: {**answer(201, "WebhookSecret", "The new secret.")[201], "headers": _REPLAY_HEADER}}

KEY_MADE: Responses = {
    201: {
        **answer(201, "CreatedKey", "The key, with its secret this once.")[201],
        "headers": {"Location": _header("Where the key is looked at.", is_sure=True), **_REPLAY_HEADER},
    }
}

FILE_UPLOADED: Responses = {
    201: {
        **answer(201, "File", "Kept; `url` can be given as an input until `expiresAt`.")[201],
        "headers": {"Location": _header("Where the file is: its `url`.", is_sure=True), **_REPLAY_HEADER},
    }
}

PUBLISHED_HEADERS = {
    "ETag": _header("Changes when the text does.", is_sure=True),
    "Cache-Control": _header("For how long it may be kept without asking.", is_sure=True),
}


def kept_answer(schema: str, description: str) -> Responses:
    """Describe a JSON answer that callers may keep, and the answer to those who have it."""
    return {200: {**answer(200, schema, description)[200], "headers": PUBLISHED_HEADERS}, **not_modified()}


def not_modified() -> Responses:
    """Describe the answer to a caller that has the text already."""
    return {304: {"description": "Unchanged since `If-None-Match`.", "headers": PUBLISHED_HEADERS}}


_MEDIA = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "video/*", "audio/*", "model/*")
}
_FILE_HEADERS = {
    "ETag": _header("Changes never: an address always gives the same bytes.", is_sure=True),
    "Accept-Ranges": _header("`bytes`.", is_sure=True),
}
_RANGE_HEADERS = {**_FILE_HEADERS, "Content-Range": _header("Which bytes of how many.", is_sure=True)}
FILE_ANSWERS: Responses = {
    200: {"description": "The file.", "headers": _FILE_HEADERS, "content": _MEDIA},
    206: {"description": "The bytes of the range asked for.", "headers": _RANGE_HEADERS, "content": _MEDIA},
    304: {"description": "Unchanged since `If-None-Match`.", "headers": _FILE_HEADERS},
    416: {"description": "The range asked for lies outside the file.", "headers": _RANGE_HEADERS},
    **error_answers(404, 410, 429),
}
