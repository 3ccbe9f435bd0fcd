"""POST /models/{apiId}/estimate: what a run would be charged and where it would go, and nothing else happens.

Needs the scope of a run, since it is the same request rehearsed: checked as a run is, refused as a run is.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.live_runs import live_refusal
from pixeldojo.api.models import ModelId
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.api.run_body import RUN_BODY, RunBody, read_run_body
from pixeldojo.api.services import Services
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.price_lines import cost_lines
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.money import credits_number

router = APIRouter(tags=["models"])

_SANDBOX = "sandbox"


@router.post(
    "/models/{apiId}/estimate",
    summary="Price a run",
    operation_id="estimateRun",
    responses={
        **answer(200, "Estimate", "What the run would hold."),
        **error_answers(400, 401, 403, 404, 413, 415, 429, 500, 503),
    },
    openapi_extra=RUN_BODY,
)
async def estimate_run(
    request: Request, api_id: ModelId, key: Annotated[ApiKey, Depends(needs(Scope.JOBS_WRITE))]
) -> JSONResponse:
    """Check the body of a run and price it; no job is made, nothing is charged and nothing is kept.

    `creditCost` is what the run would hold. Where a line says `isMaximum`, the length or the area of the finished file
    decides, and the charge may be lower. `upstreams` are tried in that order; where there is none, this key cannot run
    the request, and `note` tells how a run is refused. Files are looked at only when a job runs, and what one of them
    is can still rule an upstream out.
    """
    wanted = await read_run_body(request, api_id)
    model, given = wanted.model, wanted.taken.input
    services, quote = services_of(request), quote_price(model, given)
    told: dict[str, JsonValue] = {
        "creditCost": credits_number(quote.amount_millicredits),
        "breakdown": [line.to_json() for line in cost_lines(model, given, quote)],
        "upstreams": _upstreams(services, key, wanted),
    }
    refusal = live_refusal(services, key, wanted)
    if refusal is not None:
        told["note"] = f"With this key, a run is answered {refusal.status} {refusal.code}: {refusal}"
    return JSONResponse(told)


def _upstreams(services: Services, key: ApiKey, wanted: RunBody) -> list[JsonValue]:
    """Return where a worker would send the job, in order."""
    if key.mode == KeyMode.TEST:
        return [{"provider": _SANDBOX, "endpoint": wanted.model.id}]
    return [
        {"provider": upstream.provider, "endpoint": upstream.endpoint}
        for upstream in services.live_upstreams(wanted.model, wanted.taken.input)
    ]
