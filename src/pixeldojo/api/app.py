"""The HTTP application: routers, error handlers, the frame around every request. HTTP and nothing else."""

import asyncio

from fastapi import FastAPI

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
    app.state.templates = metrics.RouteTemplates(app)
    app.state.idempotency_in_flight = set()
    # First, since it is asked most: FastAPI works a route's parameters out when a request first comes past it.
    app.include_router(health.router)
    for resource in (
        models,
        runs,
        estimates,
        files,
        jobs,
        events,
        credits,
        usage,
        keys,
        webhooks,
        deliveries,
        callbacks,
    ):
        app.include_router(resource.router, prefix="/api/v1")
    app.include_router(openapi.router, prefix="/api")
    app.include_router(texts.router)
    app.include_router(pages.router)
    app.include_router(assets.router)
    app.include_router(files.downloads)
    app.include_router(metrics.router)
    install_error_handlers(app, services.log)
    app.add_middleware(RequestFrame, services=services, pace=pace)
    app.state.document = openapi.Document(app, services.catalog, services.settings.base_url)
    app.state.discovery = models.Discovery(services.catalog)
    app.state.texts = texts.Texts(app, services)
    app.state.pages = pages.Pages(services)
    return app
