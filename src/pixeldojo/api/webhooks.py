"""GET and POST /webhooks/secret: the secret that signs webhooks, and its rotation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.accounts.service import SECRET_OVERLAP
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.responses import answer, error_answers

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
    responses={**answer(201, "WebhookSecret", "The new secret."), **error_answers(401, 403, 429)},
)
async def rotate_secret(request: Request, key: Annotated[ApiKey, Depends(needs(Scope.KEYS))]) -> JSONResponse:
    """Make a new secret; for 24 hours webhooks carry a signature of the old one beside it."""
    accounts = services_of(request).accounts
    secret = await accounts.rotate_webhook_secret(key.account_id)
    active = await accounts.webhook_secrets(key.account_id)
    body = {
        "secret": secret,
        "activeSecrets": len(active),
        "overlapHours": int(SECRET_OVERLAP.total_seconds() // 3600),
    }
    return JSONResponse(body, status_code=201, headers={"Cache-Control": "no-store"})
