"""POST /files: uploads. GET and HEAD /files/{fileName}: what was uploaded, until it expires."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api import multipart
from pixeldojo.api.auth import count_public, needs, services_of
from pixeldojo.api.idempotency import REPLAYED, IdempotencyKey, one_at_a_time, refuse_bad_key
from pixeldojo.api.responses import FILE_ANSWERS, FILE_UPLOADED, error_answers
from pixeldojo.api.stored_files import send_file

PREFIX: Final = "/files/"
UPLOAD_PATH: Final = "/api/v1/files"

router = APIRouter(tags=["files"])
downloads = APIRouter(tags=["files"], dependencies=[Depends(count_public)])

_BINARY: Final = {"type": "string", "format": "binary"}
_FORM: Final = {
    "type": "object",
    "properties": {"file": _BINARY},
    "required": ["file"],
    "additionalProperties": False,
}
_UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of the file, under any content type, or a form with it as its one field.",
        "content": {
            "application/octet-stream": {"schema": _BINARY},
            multipart.MEDIA_TYPE: {"schema": _FORM},
        },
    }
}


@router.post(
    "/files",
    status_code=201,
    summary="Upload a file",
    operation_id="uploadFile",
    responses={**FILE_UPLOADED, **error_answers(400, 401, 403, 409, 413, 415, 422, 429)},
    openapi_extra=_UPLOAD_BODY,
)
async def upload_file(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Keep an image, a video or audio, so that its `url` can be given as an input.

    What it is shows from its content; its name and the request's Content-Type play no part. Whoever knows the address
    may fetch and use the file until it expires. A job that was submitted before then keeps its own copy.
    """
    refuse_bad_key(request, idempotency_key)
    files = services_of(request).files
    held = nullcontext() if idempotency_key is None else one_at_a_time(request, key.account_id, idempotency_key)
    with held:
        taken = await files.take_in(key.account_id, _content(request), idempotency_key)
    headers = {"Location": str(taken.answer["url"]), **(REPLAYED if taken.is_replay else {})}
    return JSONResponse(dict(taken.answer), status_code=201, headers=headers)


def _content(request: Request) -> AsyncIterator[bytes]:
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() == multipart.MEDIA_TYPE:
        return multipart.read_file(request.stream(), content_type)
    return request.stream()


@downloads.get(PREFIX + "{fileName}", summary="Fetch an upload", operation_id="getFile", responses=FILE_ANSWERS)
@downloads.head(PREFIX + "{fileName}", summary="Look at an upload", operation_id="headFile", responses=FILE_ANSWERS)
async def get_file(
    request: Request, file_name: Annotated[str, Path(alias="fileName", description="As in the upload's `url`.")]
) -> Response:
    """Return an uploaded file; whoever knows its address may fetch it until it expires."""
    return await send_file(request, await services_of(request).files.open_file(file_name))
