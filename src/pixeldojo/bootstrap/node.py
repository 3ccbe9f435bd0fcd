"""A node: opened from settings, served, put to work, taken down. Leaves what it is built from to `parts` and `crew`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_network

from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from pixeldojo.api.app import build_app
from pixeldojo.api.services import Services
from pixeldojo.bootstrap.parts import Parts, open_parts
from pixeldojo.core.data_dir import make_data_dir
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database
from pixeldojo.db.migrate import current_revision, migrate, newest_revision
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.service import JobsService
from pixeldojo.jobs.totals.backlog import Backlog
from pixeldojo.jobs.totals.usage import UsageService
from pixeldojo.jobs.watch import JobWatch
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.office import Office
from pixeldojo.providers.sandbox import parse_rehearsal
from pixeldojo.worker.callbacks import CallbackDesk

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Node:
    """One process: `app` to serve where it has an API.

    Attributes:
        start_work: Makes a node that has a worker begin to work; call it once. One that serves too does so first, and
            answers sooner: the jobs it takes in meanwhile wait as rows, and its worker begins with those.
    """

    settings: Settings
    office: Office
    meters: Meters
    app: FastAPI | None
    start_work: Callable[[], Awaitable[None]]


async def prepare_embedded(settings: Settings) -> None:
    """Make the data folder and bring the database in it up to date."""
    make_data_dir(settings)
    database = open_database(settings.database_address)
    try:
        if await current_revision(database) != newest_revision():
            await migrate(settings.database_address)
    finally:
        await database.close()


@asynccontextmanager
async def open_node(
    settings: Settings,
    log: FilteringBoundLogger,
    *,
    with_api: bool,
    with_worker: bool,
    allow_loopback: bool = False,
    owns_data: bool = False,
) -> AsyncIterator[Node]:
    """Build a node, and take all of it down again at the end. What works in the background waits for `start_work`.

    Args:
        allow_loopback: Let webhooks and media addresses point to this machine.
        owns_data: No other process can be at work on the data, so leases found are of the dead.
    """
    networks = (*settings.allow_networks, *(_LOOPBACK if allow_loopback else ()))
    async with AsyncExitStack() as stack:
        parts = await open_parts(settings, log, AddressPolicy(networks, settings.allow_http), stack)

        async def start_work() -> None:
            # In a thread, so that requests are answered meanwhile.
            await asyncio.to_thread(import_module, "pixeldojo.bootstrap.crew")
            from pixeldojo.bootstrap.crew import start_crew  # noqa: PLC0415  there by now

            await start_crew(parts, stack, owns_data=owns_data)

        app = build_app(_build_services(parts)) if with_api else None
        if not with_worker:
            await parts.engine.start()
        yield Node(settings, parts.office, parts.meters, app, start_work)


def _build_services(parts: Parts) -> Services:
    def refuse_address(url: str) -> str | None:
        try:
            parts.policy.check_url(url)
        except RefusedAddress as error:
            return str(error)
        return None

    database, office = parts.office.database, parts.office
    desk = CallbackDesk(
        providers=parts.upstreams,
        clients=parts.way_out.clients,
        claims=JobClaims(database, parts.ending, parts.places, parts.clock),
        engine=parts.engine,
        clock=parts.clock,
        log=parts.log,
    )
    jobs = JobsService(
        database=database,
        credits=office.credits,
        assets=parts.assets,
        webhooks=parts.webhooks,
        ending=parts.ending,
        engine=parts.engine,
        clock=parts.clock,
        watch=JobWatch(database, parts.engine, parts.clock),
        base_url=parts.settings.base_url,
        retention=parts.retention,
    )
    return Services(
        settings=parts.settings,
        accounts=office.accounts,
        keys=parts.keys,
        credits=office.credits,
        jobs=jobs,
        usage=UsageService(database, parts.clock),
        backlog=Backlog(database, parts.clock),
        meters=parts.meters,
        webhooks=parts.webhooks,
        assets=parts.assets,
        files=parts.files,
        blobs=parts.blobs,
        catalog=parts.catalog,
        limiter=parts.limiter,
        clock=parts.clock,
        log=parts.log,
        refuse_address=refuse_address,
        take_callback=desk.take,
        live_providers=frozenset(parts.upstreams),
        check_rehearsal=parse_rehearsal,
        readiness={
            "database": database.check,
            "blobs": parts.blobs.check,
            "broker": parts.engine.check,
            "limiter": parts.limiter.check,
        },
    )
