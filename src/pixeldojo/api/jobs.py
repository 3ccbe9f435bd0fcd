"""GET /jobs, GET and DELETE /jobs/{jobId}, cancelling, and sending a webhook again."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.deliveries import delivery_json
from pixeldojo.api.moments import Moment
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.jobs.job import JobFilter
from pixeldojo.jobs.service import CancelResult
from pixeldojo.jobs.states import JobStatus

router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(alias="jobId", description="The `jobId` that the run answered with.")]

_CURSOR = re.compile(r"job_[0-9a-z]{32}")
_SAID = {
    CancelResult.CANCELED: "The job was cancelled before an upstream had it; nothing was charged.",
    CancelResult.REQUESTED: "The upstream is asked to stop. The job ends failed with the code canceled if it does, "
    "uncharged; if it finishes first, the job completes and is charged.",
    CancelResult.NOT_SUPPORTED: "This upstream cannot be stopped: the job goes on, and its outcome decides the charge.",
}


@router.get(
    "/jobs",
    summary="List recent jobs",
    operation_id="listJobs",
    responses={**answer(200, "JobPage", "One page, newest first."), **error_answers(400, 401, 403, 429)},
)
async def list_jobs(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_READ))],
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page.")] = 20,
    cursor: Annotated[
        str | None,
        Query(description="`nextCursor` of the page before.", json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"}),
    ] = None,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
    model: Annotated[str | None, Query(description="Only jobs of this model id.")] = None,
    created_after: Annotated[Moment | None, Query(description="Only jobs created after this time.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only jobs created before this time.")] = None,
) -> JSONResponse:
    """List the jobs of this account and mode; jobs whose time is over are left out."""
    services = services_of(request)
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise _refused("cursor", "must be the nextCursor of an earlier page, unchanged")
    if model is not None and all(one.id != model for one in services.catalog.models):
        near = services.catalog.nearest(model)
        hint = f'; did you mean "{near}"?' if near else "."
        raise _refused("model", f"must be a model id of GET /api/v1/models{hint}")
    wanted = JobFilter(limit, cursor, status, model, created_after, created_before)
    page, next_cursor = await services.jobs.list_page(key, wanted)
    return JSONResponse({"jobs": await services.jobs.present(page), "nextCursor": next_cursor})


def _refused(parameter: str, reason: str) -> ValidationError:
    return ValidationError(f"{parameter}: {reason}", details=[Violation(parameter, reason)])


@router.get(
    "/jobs/{jobId}",
    summary="Look at a job",
    operation_id="getJob",
    responses={**answer(200, "Job", "The job as it stands."), **error_answers(401, 403, 404, 410, 429)},
)
async def get_job(
    request: Request, job_id: JobId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_READ))]
) -> JSONResponse:
    """Return status, outputs and cost of a job."""
    services = services_of(request)
    job = await services.jobs.get(key, job_id)
    return JSONResponse((await services.jobs.present([job]))[0])


@router.delete(
    "/jobs/{jobId}",
    status_code=204,
    summary="Delete a job",
    operation_id="deleteJob",
    responses={
        204: {"description": "Its input and assets are deleted."},
        **error_answers(401, 403, 404, 409, 410, 429),
    },
)
async def delete_job(
    request: Request, job_id: JobId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))]
) -> Response:
    """Delete the input and the assets of an ended job at once; what it cost stays in the ledger.

    From then on the job and its asset addresses answer 410, lists leave it out, and its webhook is not sent any more.
    """
    await services_of(request).jobs.delete(key, job_id)
    return Response(status_code=204)


@router.post(
    "/jobs/{jobId}/cancel",
    status_code=202,
    summary="Cancel a job",
    operation_id="cancelJob",
    responses={
        **answer(202, "Cancelling", "What came of it so far."),
        **error_answers(401, 403, 404, 409, 410, 429),
    },
)
async def cancel_job(
    request: Request, job_id: JobId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))]
) -> JSONResponse:
    """Stop a job if that is still possible, and say truthfully whether it is."""
    job, result = await services_of(request).jobs.cancel(key, job_id)
    body: dict[str, Any] = {"jobId": job.id, "status": str(job.status), "cancel": str(result), "message": _SAID[result]}
    return JSONResponse(body, status_code=202)


@router.post(
    "/jobs/{jobId}/webhook",
    status_code=202,
    summary="Send a job's webhook again",
    operation_id="replayWebhook",
    responses={
        **answer(202, "Delivery", "The delivery that is being tried again."),
        **error_answers(400, 401, 403, 404, 409, 410, 429),
    },
)
async def replay_webhook(
    request: Request, job_id: JobId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))]
) -> JSONResponse:
    """Deliver the webhook of an ended job again, with the same `webhook-id` and body."""
    delivery = await services_of(request).jobs.replay_webhook(key, job_id)
    return JSONResponse(delivery_json(delivery), status_code=202)
