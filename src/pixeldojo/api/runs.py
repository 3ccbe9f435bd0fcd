"""POST /models/{apiId}/run: from JSON to an accepted job, charged for exactly once."""

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.models import ModelId
from pixeldojo.api.request_body import PARSE_IN_THREAD_BYTES, read_json_object
from pixeldojo.api.responses import JOB_ACCEPTED, error_answers
from pixeldojo.api.services import Services
from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import Conflict, ServiceUnavailable, ValidationError, Violation
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.inline_media import TakenOut, place_of, take_out
from pixeldojo.jobs.job import JobRequest
from pixeldojo.jobs.service import Accepted

router = APIRouter(tags=["models"])

LONGEST_WAIT_SECONDS = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})\"?(?=[,;\s]|$)", re.IGNORECASE)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_ERRORS = (400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 503)


@router.post(
    "/models/{apiId}/run",
    status_code=202,
    summary="Run a model",
    operation_id="runModel",
    responses={**JOB_ACCEPTED, **error_answers(*_ERRORS)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The model's inputs, and beside them optionally `webhook_url`.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunRequest"}}},
        }
    },
)
async def run_model(
    request: Request,
    api_id: ModelId,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="1 to 255 visible ASCII characters; the same key and body never make a second job.",
            json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        ),
    ] = None,
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
        ),
    ] = None,
) -> JSONResponse:
    """Validate the input, hold its price and accept a job, which runs on after the answer."""
    services = services_of(request)
    body = await read_json_object(request)
    model = services.catalog.find(api_id)
    large = len(await request.body()) > PARSE_IN_THREAD_BYTES
    arguments = (services, key, model, body, idempotency_key, x_pixeldojo_sandbox)
    job_request = await asyncio.to_thread(_read_request, *arguments) if large else _read_request(*arguments)
    accepted = await _create_once(request, services, job_request)
    seconds = _seconds_to_wait(prefer)
    headers = {"Location": services.jobs.status_url(accepted.job_id)}
    if accepted.is_replay:
        headers["Idempotent-Replayed"] = "true"
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds}"
        job = await services.jobs.wait(key, accepted.job_id, seconds)
        if job.status.is_terminal:
            return JSONResponse((await services.jobs.present([job]))[0], headers=headers)
    return JSONResponse(dict(accepted.answer), status_code=202, headers=headers)


def _read_request(
    services: Services,
    key: ApiKey,
    model: Model,
    body: dict[str, Any],
    idempotency_key: str | None,
    rehearsal: str | None,
) -> JobRequest:
    """Check everything the caller sent, so that every violation is told at once and before any charge."""
    violations = [*_header_violations(services, key, idempotency_key, rehearsal)]
    webhook_url = body.pop("webhook_url", None)
    violations += _webhook_violations(services, webhook_url)
    taken = TakenOut({}, {})
    try:
        canonical = read_input(model, body)
        violations += _media_violations(services, model, canonical)
        taken = take_out(model, canonical)
    except ValidationError as error:
        violations += error.details or (Violation("", error.message),)
    if violations:
        raise ValidationError(_summary(model, violations), details=violations)
    if key.mode == KeyMode.LIVE and not services.has_upstream(model):
        raise ServiceUnavailable(
            f"No upstream of {model.id} is set up on this server for live keys; nothing was charged. A pd_test_ key "
            "runs it on the sandbox.",
            headers={"Retry-After": "60"},
        )
    quote = quote_price(model, taken.input)
    return JobRequest(
        key=key,
        model_id=model.id,
        input=taken.input,
        inline_files=taken.files,
        webhook_url=webhook_url,
        rehearsal=rehearsal,
        quote=quote.to_json(),
        quoted=quote.amount_millicredits,
        timeout_seconds=model.timeout_seconds,
        idempotency_key=idempotency_key,
        fingerprint=_fingerprint(model.id, taken.input, webhook_url, key.mode, rehearsal),
    )


async def _create_once(request: Request, services: Services, job_request: JobRequest) -> Accepted:
    """Create the job; of requests with one idempotency key, only one at a time on this node."""
    if job_request.idempotency_key is None:
        return await services.jobs.create(job_request)
    kept = await services.jobs.find_replay(job_request)
    if kept is not None:
        return kept
    in_flight: set[tuple[str, str]] = request.app.state.idempotency_in_flight
    mine = (job_request.key.account_id, job_request.idempotency_key)
    if mine in in_flight:
        raise Conflict(
            "A request with this Idempotency-Key is still being accepted. Send it again in a second to get its answer.",
            headers={"Retry-After": "1"},
        )
    in_flight.add(mine)
    try:
        return await services.jobs.create(job_request)
    finally:
        in_flight.discard(mine)


def _header_violations(
    services: Services, key: ApiKey, idempotency_key: str | None, rehearsal: str | None
) -> list[Violation]:
    found = []
    if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        found.append(
            Violation(
                "header.Idempotency-Key", "must be 1 to 255 visible ASCII characters without spaces; a UUID is fine"
            )
        )
    if rehearsal is not None:
        if key.mode != KeyMode.TEST:
            found.append(Violation("header.X-PixelDojo-Sandbox", "works only with a pd_test_ key"))
        else:
            try:
                services.check_rehearsal(rehearsal)
            except ValueError as error:
                found.append(Violation("header.X-PixelDojo-Sandbox", str(error)))
    return found


def _webhook_violations(services: Services, webhook_url: object) -> list[Violation]:
    if webhook_url is None:
        return []
    if not isinstance(webhook_url, str):
        return [Violation("webhook_url", "must be a string such as https://example.com/webhook")]
    reason = services.refuse_address(webhook_url)
    return [] if reason is None else [Violation("webhook_url", reason)]


def _media_violations(services: Services, model: Model, canonical: JsonObject) -> list[Violation]:
    found = []
    for media in media_values(model, canonical):
        if media.value.startswith("data:") or services.assets.own_file_name(media.value) is not None:
            continue
        reason = services.refuse_address(media.value)
        if reason is not None:
            found.append(Violation(place_of(media, canonical), reason))
    return found


def _summary(model: Model, violations: list[Violation]) -> str:
    first = violations[0]
    is_named = first.message.startswith(first.path)
    said = first.message if is_named else f"{first.path}: {first.message}"
    more = f" (and {len(violations) - 1} more, see details)" if len(violations) > 1 else ""
    return f"The input of {model.id} cannot be used. {said}{more}"


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
