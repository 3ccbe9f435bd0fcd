"""POST /models/{apiId}/run: from JSON to an accepted job, charged for exactly once."""

import asyncio
import hashlib
import json
import re
from collections.abc import Coroutine, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.errors import HEADER
from pixeldojo.api.idempotency import REPLAYED, IdempotencyKey, key_violations, one_at_a_time
from pixeldojo.api.live_runs import live_refusal
from pixeldojo.api.models import ModelId
from pixeldojo.api.responses import JOB_ACCEPTED, error_answers
from pixeldojo.api.run_body import RUN_BODY, RunBody, read_run_body
from pixeldojo.api.services import Services
from pixeldojo.catalog.price import quote_price
from pixeldojo.core.errors import Expired, Violation
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job, JobRequest
from pixeldojo.jobs.service import Accepted

router = APIRouter(tags=["models"])

LONGEST_WAIT_SECONDS = 60
REHEARSAL = (
    "^((slow=[0-9]{1,3}(\\.[0-9]{1,3})?|flaky=([1-9]|10)|refuse|hang|twice|lose-answer|unknown|broken-file|wrong-type"
    "|(fail|fail-later)=(rejected-input|refused-content|over-limit|unauthorized|unavailable|unknown))(,|$))*$"
)
"""The words of X-PixelDojo-Sandbox as they are written; the sandbox reads them however they are spaced or cased."""
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})\"?(?=[,;\s]|$)", re.IGNORECASE)

_ERRORS = (400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 503)


@router.post(
    "/models/{apiId}/run",
    status_code=202,
    summary="Run a model",
    operation_id="runModel",
    responses={**JOB_ACCEPTED, **error_answers(*_ERRORS)},
    openapi_extra=RUN_BODY,
)
async def run_model(
    request: Request,
    api_id: ModelId,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))],
    idempotency_key: IdempotencyKey = None,
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer", description="`wait=N` holds the answer until the job has ended, at most N <= 60 seconds."
        ),
    ] = None,
    x_pixeldojo_sandbox: Annotated[
        str | None,
        Header(
            alias="X-PixelDojo-Sandbox",
            description="Test mode only: trouble for the sandbox to rehearse, such as `slow=5`.",
            json_schema_extra={"pattern": REHEARSAL},
        ),
    ] = None,
) -> JSONResponse:
    """Validate the input, hold its price and accept a job, which runs on after the answer."""
    services = services_of(request)
    found = _header_violations(request, key, idempotency_key, x_pixeldojo_sandbox)
    wanted = await read_run_body(request, api_id, found)
    job_request = _job_request(request, key, wanted, idempotency_key, x_pixeldojo_sandbox)
    accepted = await _create_once(request, services, job_request)
    # For the request's log line; the job's lines name the request.
    request.state.job_id = accepted.job_id
    seconds = _seconds_to_wait(prefer)
    headers = {"Location": services.jobs.status_url(accepted.job_id)}
    if accepted.is_replay:
        headers |= REPLAYED
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds}"
        shown = await _shown_when_ended(request, key, accepted.job_id, seconds)
        if shown is not None:
            return JSONResponse(shown, headers=headers)
    return JSONResponse(dict(accepted.answer), status_code=202, headers=headers)


async def _shown_when_ended(request: Request, key: ApiKey, job_id: str, seconds: int) -> JsonObject | None:
    """Return a job that ends in time; None where it does not, is deleted meanwhile, or cannot be looked at."""
    services = services_of(request)
    try:
        job = await _wait(request, services.jobs.wait(key, job_id, seconds))
        return (await services.jobs.present([job]))[0] if job is not None and job.status.is_terminal else None
    except Expired:
        return None
    except Exception:  # the job is accepted: told of an error, its caller would send it again and pay twice
        services.log.exception("wait broke", job_id=job_id)
        return None


async def _wait(request: Request, waiting: Coroutine[None, None, Job]) -> Job | None:
    """Wait for a job; None when the server stops before, which must not cut the caller off without an answer."""
    job, stopping = asyncio.create_task(waiting), asyncio.create_task(request.app.state.stopping.wait())
    try:
        await asyncio.wait({job, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return job.result() if job.done() else None
    finally:
        job.cancel()
        stopping.cancel()
        await asyncio.gather(job, stopping, return_exceptions=True)


def _job_request(
    request: Request, key: ApiKey, wanted: RunBody, idempotency_key: str | None, rehearsal: str | None
) -> JobRequest:
    model, taken = wanted.model, wanted.taken
    refusal = live_refusal(services_of(request), key, wanted)
    if refusal is not None:
        raise refusal
    quote = quote_price(model, taken.input)
    return JobRequest(
        key=key,
        model_id=model.id,
        input=taken.input,
        inline_files=taken.files,
        webhook_url=wanted.webhook_url,
        rehearsal=rehearsal,
        quote=quote.to_json(),
        quoted=quote.amount_millicredits,
        timeout_seconds=model.timeout_seconds,
        idempotency_key=idempotency_key,
        fingerprint=_fingerprint(model.id, taken.input, wanted.webhook_url, key.mode, rehearsal),
        request_id=request.state.request_id,
    )


async def _create_once(request: Request, services: Services, job_request: JobRequest) -> Accepted:
    """Create the job; of requests with one idempotency key, only one at a time on this node."""
    if job_request.idempotency_key is None:
        return await services.jobs.create(job_request)
    kept = await services.jobs.find_replay(job_request)
    if kept is not None:
        return kept
    with one_at_a_time(request, job_request.key.account_id, job_request.idempotency_key):
        return await services.jobs.create(job_request)


def _header_violations(
    request: Request, key: ApiKey, idempotency_key: str | None, rehearsal: str | None
) -> list[Violation]:
    found = key_violations(request, idempotency_key)
    if rehearsal is not None:
        if key.mode != KeyMode.TEST:
            found.append(Violation(f"{HEADER}X-PixelDojo-Sandbox", "works only with a pd_test_ key"))
        else:
            try:
                services_of(request).check_rehearsal(rehearsal)
            except ValueError as error:
                found.append(Violation(f"{HEADER}X-PixelDojo-Sandbox", str(error)))
    return found


def _fingerprint(*parts: object) -> str:
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_as_plain)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _as_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} does not belong into a request")


def _seconds_to_wait(prefer: str | None) -> int:
    match = _WAIT.search(prefer or "")
    return min(int(match.group(1)), LONGEST_WAIT_SECONDS) if match else 0
