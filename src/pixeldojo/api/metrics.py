"""GET /metrics: this process' figures and the installation's, for the operator's Prometheus and nobody else.

Without a token the figures are shown to this machine alone, and only by a server that is not meant to be reached from
elsewhere: behind a proxy on the same machine every caller seems to come from here.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.limits import client_address, count_request, counted_address
from pixeldojo.api.responses import error_answers
from pixeldojo.api.services import Services
from pixeldojo.core.errors import NotFound, Unauthorized
from pixeldojo.metrics.installation import Installation
from pixeldojo.metrics.listener import is_bearer
from pixeldojo.metrics.meters import CONTENT_TYPE

router = APIRouter(tags=["health"])

_FRESH_SECONDS = 5.0
_READING_SECONDS = 3.0
# Wrong tokens from one address in a minute before it has to wait.
_FAILURES_PER_MINUTE = 60
_UNROUTED = "none"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class RouteTemplates:
    """The templates of the addresses of one app, for figures: none of them is a caller's words."""

    def __init__(self) -> None:
        """Know none yet."""
        self._paths: dict[int, str] = {}

    def add(self, routes: Iterable[BaseRoute], prefix: str) -> None:
        """Know the routes of a router that the app has under `prefix`.

        FastAPI knows them too, but works out every parameter of all of them to tell.
        """
        self._paths |= {id(route): prefix + route.path for route in routes if isinstance(route, Route)}

    def of(self, scope: Scope) -> str:
        """Return the template of the route that a request went to, `none` where it went to none."""
        return self._paths.get(id(scope.get("route")), _UNROUTED)


def templates_of(scope: Scope) -> RouteTemplates:
    """Return the templates of the app that a request went to."""
    templates = scope["app"].state.templates
    assert isinstance(templates, RouteTemplates)
    return templates


class InstallationReading:
    """What waits in the installation, read at most every few seconds however many ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._read_at = 0.0
        self._reading: asyncio.Task[Installation] | None = None

    async def latest(self) -> Installation:
        """Return what waits, as it was a moment ago."""
        now = self._services.clock.monotonic()
        if self._reading is None or (self._reading.done() and now - self._read_at >= _FRESH_SECONDS):
            self._read_at = now
            self._reading = asyncio.create_task(self._read(), name="metrics")
        return await asyncio.shield(self._reading)

    async def _read(self) -> Installation:
        try:
            async with asyncio.timeout(_READING_SECONDS):
                return await self._services.backlog.read()
        except Exception as error:  # noqa: BLE001  however the database is away, the other figures are wanted now
            self._services.log.warning("not ready", part="database", why=repr(error))
            return Installation(is_database_up=False)


@router.get(
    "/metrics",
    summary="Metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format 0.0.4.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **error_answers(401, 404, 429),
    },
)
async def get_metrics(request: Request) -> Response:
    """Return figures for Prometheus; for the operator, who sets a token or asks from the server's own machine."""
    await _let_in(request)
    services = services_of(request)
    reading = request.app.state.installation
    assert isinstance(reading, InstallationReading)
    text = services.meters.text(await reading.latest())
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


async def _let_in(request: Request) -> None:
    services = services_of(request)
    token = services.settings.metrics_token
    if token is None:
        if _is_local(request, services):
            return
        await count_public(request)
        raise NotFound(
            "Metrics are not shown here. The operator of this server can set PIXELDOJO_METRICS_TOKEN and send it as "
            "'Authorization: Bearer …'."
        )
    if not is_bearer(request.headers.get("authorization"), token.get_secret_value()):
        address = counted_address(request, services.settings)
        await count_request(request, services, f"refused:{address}", _FAILURES_PER_MINUTE)
        raise Unauthorized("Metrics need the operator's token: send 'Authorization: Bearer …'.")


def _is_local(request: Request, services: Services) -> bool:
    if services.settings.public_url is not None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(client_address(request, services.settings)).is_loopback
    except ValueError:
        return False
