"""POST /callbacks/{provider}/{jobId}: where upstreams announce the end of work; nothing for callers of the API."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from pixeldojo.api.auth import services_of
from pixeldojo.api.limits import count_request, counted_address
from pixeldojo.api.responses import error_answers
from pixeldojo.core.errors import Forbidden

router = APIRouter(tags=["callbacks"])

# Callbacks from one address that prove nothing, in a minute, before it has to wait.
_FAILURES_PER_MINUTE = 60


@router.post(
    "/callbacks/{provider}/{jobId}",
    status_code=204,
    summary="An upstream's callback",
    operation_id="takeCallback",
    responses={204: {"description": "The job is being looked at."}, **error_answers(400, 403, 404, 413, 415, 429)},
)
async def take_callback(
    request: Request,
    provider: Annotated[str, Path(description="Who calls back.", max_length=40, examples=["fal"])],
    job_id: Annotated[str, Path(alias="jobId", description="The job that it is about.", max_length=80)],
    token: Annotated[str, Query(description="What proves an upstream that does not sign.", max_length=80)] = "",
) -> Response:
    """Take the callback of an upstream, signed as it signs, or with the token it was given: see docs/upstreams.md.

    Nothing it says is believed: it only makes the server ask the upstream how the job goes.
    """
    services = services_of(request)
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        await services.take_callback(provider, job_id, headers, body, token)
    except Forbidden:
        address = counted_address(request, services.settings)
        await count_request(request, services, f"refused:{address}", _FAILURES_PER_MINUTE)
        raise
    return Response(status_code=204)
