"""GET /credits: the balances of the calling account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.core.money import credits_number

router = APIRouter(tags=["credits"])


@router.get(
    "/credits",
    summary="Balances",
    operation_id="getCredits",
    responses={**answer(200, "Credits", "Both modes; `mode` is the key's own."), **error_answers(401, 403, 429)},
)
async def get_credits(request: Request, key: Annotated[ApiKey, Depends(needs(Scope.BILLING))]) -> JSONResponse:
    """Return what is available and what is held for running jobs, in both modes."""
    services = services_of(request)
    balances: dict[str, dict[str, int | float]] = {}
    for mode in KeyMode:
        balance = await services.credits.balance(key.account_id, mode)
        balances[mode] = {"available": credits_number(balance.available), "held": credits_number(balance.held)}
    return JSONResponse({"mode": str(key.mode), **balances[key.mode], "balances": balances})
