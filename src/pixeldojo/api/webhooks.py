"""GET and POST /webhooks/secret: the secret that signs webhooks, and its rotation."""

from contextlib import nullcontext
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.accounts.service import SECRET_OVERLAP
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.idempotency import REPLAYED, IdempotencyKey, one_at_a_time, refuse_bad_key
from pixeldojo.api.responses import SECRET_ROTATED, answer, error_answers

router = APIRouter(tags=["webhooks"])


@router.get(
    "/webhooks/secret",
    summary="The signing secret",
    operation_id="getWebhookSecret",
    responses={**answer(200, "WebhookSecret", "The newest secret."), **error_answers(401, 403, 429)},
)
async def get_secret(request: Request, key: Annotated[ApiKey, Depends(needs(Scope.KEYS))]) -> JSONResponse:
    """Return the secret with which receivers verify webhooks (Standard Webhooks)."""
    secrets = await services_of(request).accounts.webhook_secrets(key.account_id)
    return JSONResponse({"secret": secrets[0], "activeSecrets": len(secrets)}, headers={"Cache-Control": "no-store"})


@router.post(
    "/webhooks/secret",
    status_code=201,
    summary="Rotate the signing secret",
    operation_id="rotateWebhookSecret",
    responses={**SECRET_ROTATED, **error_answers(400, 401, 403, 409, 422, 429)},
)
async def rotate_secret(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.KEYS))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Make a new secret; for 24 hours webhooks carry a signature of the old one beside it.

    At most five secrets sign at a time; a rotation beyond that is answered with 409 until the oldest has ended.
    """
    refuse_bad_key(request, idempotency_key)
    accounts = services_of(request).accounts
    held = nullcontext() if idempotency_key is None else one_at_a_time(request, key.account_id, idempotency_key)
    with held:
        rotation = await accounts.rotate_webhook_secret(key.account_id, idempotency_key=idempotency_key)
    body = {
        "secret": rotation.secret,
        "activeSecrets": rotation.active_count,
        "overlapHours": int(SECRET_OVERLAP.total_seconds() // 3600),
    }
    headers = {"Cache-Control": "no-store", **(REPLAYED if rotation.is_replay else {})}
    return JSONResponse(body, status_code=201, headers=headers)
