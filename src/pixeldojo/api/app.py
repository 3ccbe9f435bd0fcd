"""The HTTP application: routers, error handlers, the frame around every request. HTTP and nothing else."""

import asyncio

from fastapi import APIRouter, FastAPI

from pixeldojo import __version__
from pixeldojo.api import (
    assets,
    callbacks,
    credits,
    deliveries,
    estimates,
    events,
    files,
    health,
    jobs,
    keys,
    metrics,
    models,
    runs,
    texts,
    usage,
    webhooks,
)
from pixeldojo.api.errors import install_error_handlers
from pixeldojo.api.middleware import RequestFrame
from pixeldojo.api.openapi import routes as openapi
from pixeldojo.api.pace import Pace
from pixeldojo.api.pages import routes as pages
from pixeldojo.api.services import Services


def build_app(services: Services, *, pace: Pace | None = None) -> FastAPI:
    """Return the application over services that were built elsewhere; `pace` is how slowly bodies may come."""
    app = FastAPI(
        title="PixelDojo API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would be built from the caller's Host header, and few clients repeat a POST.
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.draining = asyncio.Event()
    app.state.stopping = asyncio.Event()
    app.state.event_streams = {}
    app.state.readiness = health.Readiness(services)
    app.state.installation = metrics.InstallationReading(services)
    app.state.templates = metrics.RouteTemplates()
    app.state.idempotency_in_flight = set()
    _include_routers(app)
    install_error_handlers(app, services.log)
    app.add_middleware(RequestFrame, services=services, pace=pace)
    app.state.document = openapi.Document(app, services.catalog, services.settings.base_url)
    app.state.discovery = models.Discovery(services.catalog)
    app.state.texts = texts.Texts(app, services)
    app.state.pages = pages.Pages(services)
    return app


def _include_routers(app: FastAPI) -> None:
    # Health first, since it is asked most: FastAPI works a route's parameters out when a request first comes past it.
    _include(app, "", health.router)
    resources = (models, runs, estimates, files, jobs, events, credits, usage, keys, webhooks, deliveries, callbacks)
    _include(app, "/api/v1", *(resource.router for resource in resources))
    _include(app, "/api", openapi.router)
    _include(app, "", texts.router, pages.router, assets.router, files.downloads, metrics.router)


def _include(app: FastAPI, prefix: str, *routers: APIRouter) -> None:
    for router in routers:
        app.include_router(router, prefix=prefix)
        app.state.templates.add(router.routes, prefix)
