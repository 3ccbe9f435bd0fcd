"""GET /healthz and /readyz: whether this process lives, and whether it should get traffic."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pixeldojo.api.auth import services_of
from pixeldojo.api.responses import answer
from pixeldojo.api.services import ReadinessCheck, Services

router = APIRouter(tags=["health"])

_CHECK_SECONDS = 3.0


@router.get(
    "/healthz",
    summary="Liveness",
    operation_id="getHealth",
    responses=answer(200, "Health", "The process answers."),
)
async def healthz() -> JSONResponse:
    """Say that the process answers; touches nothing else."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Readiness",
    operation_id="getReadiness",
    responses={
        **answer(200, "Readiness", "Every part answers."),
        **answer(503, "Readiness", "A part does not answer, or the server is shutting down."),
    },
)
async def readyz(request: Request) -> JSONResponse:
    """Say whether database, media store, broker and limiter answer."""
    services = services_of(request)
    names = list(services.readiness)
    found = await asyncio.gather(*(_check(services, name, services.readiness[name]) for name in names))
    checks = dict(zip(names, found, strict=True))
    is_ready = all(state == "ok" for state in found) and not request.app.state.is_stopping
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return JSONResponse(body, status_code=200 if is_ready else 503, headers={} if is_ready else {"Retry-After": "5"})


async def _check(services: Services, name: str, check: ReadinessCheck) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001  every way in which a part can be away means the same here
        services.log.warning("not ready", part=name, why=repr(error))
        return "unavailable"
    return "ok"
