"""GET /healthz and /readyz: whether this process lives, and whether it should get traffic."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pixeldojo.api.responses import answer
from pixeldojo.api.services import ReadinessCheck, Services

router = APIRouter(tags=["health"])

_CHECK_SECONDS = 3.0
_FRESH_SECONDS = 1.0
_NO_STORE = {"Cache-Control": "no-store"}


class Readiness:
    """What the parts answered lately: anyone may ask, so they are asked once a second, however many ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked_at = 0.0
        self._asking: asyncio.Task[dict[str, str]] | None = None

    async def checks(self) -> dict[str, str]:
        """Return `ok` or `unavailable` for each part."""
        now = self._services.clock.monotonic()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= _FRESH_SECONDS):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        return dict(await asyncio.shield(self._asking))

    async def _ask(self) -> dict[str, str]:
        parts = self._services.readiness
        found = await asyncio.gather(*(self._check(name, check) for name, check in parts.items()))
        return dict(zip(parts, found, strict=True))

    async def _check(self, name: str, check: ReadinessCheck) -> str:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001  every way in which a part can be away means the same here
            self._services.log.warning("not ready", part=name, why=repr(error))
            return "unavailable"
        return "ok"


@router.get(
    "/healthz",
    summary="Liveness",
    operation_id="getHealth",
    responses=answer(200, "Health", "The process answers."),
)
async def healthz() -> JSONResponse:
    """Say that the process answers; touches nothing else."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


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
    readiness = request.app.state.readiness
    assert isinstance(readiness, Readiness)
    checks = await readiness.checks()
    if request.app.state.draining.is_set():
        checks["server"] = "stopping"
    if all(state == "ok" for state in checks.values()):
        return JSONResponse({"status": "ok", "checks": checks}, headers=_NO_STORE)
    headers = {**_NO_STORE, "Retry-After": "5"}
    return JSONResponse({"status": "unavailable", "checks": checks}, status_code=503, headers=headers)
