"""The log of webhook deliveries: what was posted where, with every attempt, and sending one again."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonValue
from pixeldojo.webhooks.store import Attempt, Delivery, DeliveryFilter

router = APIRouter(tags=["webhooks"])

DeliveryId = Annotated[str, Path(alias="deliveryId", description="The `webhook-id` that receivers get.")]
_CURSOR = re.compile(r"whd_[0-9a-z]{32}")


@router.get(
    "/webhooks/deliveries",
    summary="List webhook deliveries",
    operation_id="listDeliveries",
    responses={**answer(200, "DeliveryPage", "One page, newest first."), **error_answers(400, 401, 403, 429)},
)
async def list_deliveries(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_READ))],
    limit: Annotated[int, Query(ge=1, le=100, description="Deliveries on a page.")] = 20,
    cursor: Annotated[
        str | None,
        Query(description="`nextCursor` of the page before.", json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"}),
    ] = None,
    status: Annotated[
        Literal["pending", "delivered", "failed"] | None, Query(description="Only deliveries in this state.")
    ] = None,
) -> JSONResponse:
    """List the webhooks of this account and mode, until their jobs expire."""
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        violation = Violation("cursor", "must be the nextCursor of an earlier page, unchanged")
        raise ValidationError(f"cursor: {violation.message}", details=[violation])
    wanted = DeliveryFilter(limit, cursor, status)
    page, next_cursor = await services_of(request).webhooks.list_page(key.account_id, key.mode, wanted)
    return JSONResponse({"deliveries": [delivery_json(one) for one in page], "nextCursor": next_cursor})


@router.get(
    "/webhooks/deliveries/{deliveryId}",
    summary="Look at a webhook delivery",
    operation_id="getDelivery",
    responses={
        **answer(200, "DeliveryLog", "The delivery and each of its attempts."),
        **error_answers(401, 403, 404, 410, 429),
    },
)
async def get_delivery(
    request: Request, delivery_id: DeliveryId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_READ))]
) -> JSONResponse:
    """Return what came of each attempt: the receiver's status or what went wrong, when, and how long it took."""
    delivery, attempts = await services_of(request).webhooks.get(key.account_id, key.mode, delivery_id)
    return JSONResponse({**delivery_json(delivery), "attemptLog": [_attempt_json(attempt) for attempt in attempts]})


@router.post(
    "/webhooks/deliveries/{deliveryId}/retry",
    status_code=202,
    summary="Send a webhook again",
    operation_id="retryDelivery",
    responses={
        **answer(202, "Delivery", "The delivery that is being tried again."),
        **error_answers(401, 403, 404, 410, 429),
    },
)
async def retry_delivery(
    request: Request, delivery_id: DeliveryId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))]
) -> JSONResponse:
    """Post the webhook at once, with the same `webhook-id` and body, and begin its schedule anew."""
    services = services_of(request)
    delivery, _ = await services.webhooks.get(key.account_id, key.mode, delivery_id)
    again = await services.jobs.resend(delivery)
    return JSONResponse(delivery_json(again), status_code=202)


def delivery_json(delivery: Delivery) -> dict[str, JsonValue]:
    """Return a delivery as callers see it."""
    return {
        "deliveryId": delivery.id,
        "jobId": delivery.job_id,
        "event": delivery.event_type,
        "url": delivery.url,
        "status": delivery.status,
        "attempts": delivery.attempt_count,
        "nextAttemptAt": None if delivery.next_attempt_at is None else iso_utc(delivery.next_attempt_at),
        "createdAt": iso_utc(delivery.created_at),
        "deliveredAt": None if delivery.delivered_at is None else iso_utc(delivery.delivered_at),
    }


def _attempt_json(attempt: Attempt) -> dict[str, JsonValue]:
    return {
        "number": attempt.number,
        "at": iso_utc(attempt.started_at),
        "durationSeconds": round(attempt.duration_seconds, 3),
        "status": attempt.status,
        "error": attempt.error,
    }
