"""From settings to addresses to services to a running node: the only file that wires, and it holds no rule."""

import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TextIO

from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.service import AccountsService
from pixeldojo.api.app import build_app
from pixeldojo.api.services import Services
from pixeldojo.assets.service import AssetsService
from pixeldojo.blobs import Blobs, open_blobs
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.clock import Clock, SystemClock
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.secrets import new_server_secret
from pixeldojo.core.settings import Settings
from pixeldojo.credits.service import CreditsService
from pixeldojo.db.engine import Database, open_database
from pixeldojo.db.migrate import current_revision, migrate, newest_revision
from pixeldojo.engine import Engine, Hint, open_engine
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.service import JobsService
from pixeldojo.jobs.states import Step
from pixeldojo.limiter import Limiter, open_limiter
from pixeldojo.media.pool import MediaPool
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.net.client import OutboundClient
from pixeldojo.net.fetch import Fetcher
from pixeldojo.providers.contract import Provider
from pixeldojo.providers.registry import build_providers
from pixeldojo.providers.sandbox import SandboxProvider, parse_rehearsal
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.worker.check import CheckStep
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.inputs import InputCollector
from pixeldojo.worker.loop import Worker
from pixeldojo.worker.media_files import MediaFiles
from pixeldojo.worker.route import Router
from pixeldojo.worker.sandbox_upstream import SandboxLedger, SandboxStudio
from pixeldojo.worker.submit import SubmitStep
from pixeldojo.worker.sweep import Sweep
from pixeldojo.worker.team import WorkerTeam

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_SECRET_FILE = "secret-key"  # noqa: S105  a file name


@dataclass(frozen=True, slots=True)
class Office:
    """What operator commands work with: the database's services, without HTTP and workers."""

    database: Database
    accounts: AccountsService
    credits: CreditsService


@dataclass(frozen=True, slots=True)
class Node:
    """One running process: `app` to serve where it has an API, `team` where it works."""

    settings: Settings
    office: Office
    app: FastAPI | None
    team: WorkerTeam | None


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The four addresses, opened."""

    database: Database
    blobs: Blobs
    engine: Engine
    limiter: Limiter


def is_embedded(settings: Settings) -> bool:
    """Whether this process is the only one that can be at work on the data."""
    return settings.database_url is None and settings.broker_url is None


def read_server_secret(settings: Settings) -> bytes:
    """Return the key that API keys are hashed with; on the embedded set-up, make one on first use.

    Raises:
        ConfigurationError: on a set-up with a database of its own, when PIXELDOJO_SECRET_KEY is missing.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if settings.database_url is not None:
        raise ConfigurationError(
            "PIXELDOJO_SECRET_KEY is not set. Nodes that share a database must share it: set the same value, at "
            f"least 32 random characters, on each. A fresh one: {new_server_secret()}"
        )
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.data_dir / _SECRET_FILE
    with suppress(FileExistsError):
        write_private_file(path, new_server_secret())
    return path.read_text().strip().encode()


def write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that must not exist yet.

    Raises:
        FileExistsError: if it exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


@asynccontextmanager
async def open_office(settings: Settings) -> AsyncIterator[Office]:
    """Give the services that operator commands need; the database must be up to date."""
    secret = read_server_secret(settings)
    database = open_database(settings.database_address)
    try:
        await require_newest_revision(database)
        clock = SystemClock()
        yield Office(database, AccountsService(database, clock, secret), CreditsService(database, clock))
    finally:
        await database.close()


async def require_newest_revision(database: Database) -> None:
    """Return when the database has this version's tables.

    Raises:
        ConfigurationError: if it has not; says what to run.
    """
    found = await current_revision(database)
    if found != newest_revision():
        raise ConfigurationError(
            f"The database is at revision {found or 'none'} and this version needs {newest_revision()}. "
            "Run `pixeldojo-server migrate` (`pixeldojo-server up` does it by itself)."
        )


async def prepare_embedded(settings: Settings) -> None:
    """Make the data folder and bring the database in it up to date."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.database_address)
    try:
        if await current_revision(database) != newest_revision():
            await migrate(settings.database_address)
    finally:
        await database.close()


def lock_data_dir(settings: Settings) -> TextIO:
    """Take the data folder for this process until the file is closed or the process ends.

    Raises:
        ConfigurationError: if another process has it.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (settings.data_dir / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigurationError(
            f"Another PixelDojo is running on {settings.data_dir.resolve()}. Stop it, or set PIXELDOJO_DATA_DIR to "
            "another folder."
        ) from None
    return file


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
    """Build a node, start what works in the background, and take all of it down again at the end.

    Args:
        allow_loopback: Let webhooks and media addresses point to this machine.
        owns_data: No other process can be at work on the data, so leases found are of the dead.
    """
    clock = SystemClock()
    catalog = load_catalog()
    secret = read_server_secret(settings)
    async with AsyncExitStack() as stack:
        addresses = await _open_addresses(settings, stack)
        await require_newest_revision(addresses.database)
        networks = (*settings.allow_networks, *(_LOOPBACK if allow_loopback else ()))
        policy = AddressPolicy(networks, settings.allow_http)
        office = Office(
            addresses.database,
            AccountsService(addresses.database, clock, secret),
            CreditsService(addresses.database, clock),
        )
        assets = AssetsService(addresses.database, addresses.blobs, clock, settings.base_url)
        webhooks = WebhooksService(addresses.database, clock)
        ending = JobEnding(
            database=addresses.database,
            credits=office.credits,
            assets=assets,
            webhooks=webhooks,
            engine=addresses.engine,
            clock=clock,
            retention=timedelta(hours=settings.retention_hours),
        )
        team: WorkerTeam | None = None
        if with_worker:
            team = await _build_team(
                settings, log, stack, addresses, office, assets, webhooks, ending, catalog, policy, clock
            )
            if owns_data:
                await team.take_over_everything()
        app: FastAPI | None = None
        if with_api:
            jobs = JobsService(
                database=addresses.database,
                credits=office.credits,
                assets=assets,
                webhooks=webhooks,
                ending=ending,
                engine=addresses.engine,
                clock=clock,
                base_url=settings.base_url,
                retention=timedelta(hours=settings.retention_hours),
            )
            services = _services(settings, log, addresses, office, assets, jobs, catalog, policy, clock)
            app = build_app(services)
        await addresses.engine.start()
        if team is not None:
            team.start()
            stack.push_async_callback(team.stop, settings.shutdown_seconds)
        yield Node(settings, office, app, team)


async def _open_addresses(settings: Settings, stack: AsyncExitStack) -> _Addresses:
    database = open_database(settings.database_address)
    stack.push_async_callback(database.close)
    engine = open_engine(settings.broker_url)
    stack.push_async_callback(engine.close)
    limiter = open_limiter(settings.limiter_url or settings.broker_url)
    stack.push_async_callback(limiter.close)
    return _Addresses(
        database,
        open_blobs(settings.blobs_address, scratch=scratch_folder(settings)),
        engine,
        limiter,
    )


def scratch_folder(settings: Settings) -> Path:
    """Return where files lie while they are worked on."""
    folder = settings.data_dir / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


async def _build_team(
    settings: Settings,
    log: FilteringBoundLogger,
    stack: AsyncExitStack,
    addresses: _Addresses,
    office: Office,
    assets: AssetsService,
    webhooks: WebhooksService,
    ending: JobEnding,
    catalog: Catalog,
    policy: AddressPolicy,
    clock: Clock,
) -> WorkerTeam:
    owner = new_id(IdKind.WORKER, clock.now())
    pool = MediaPool(max_workers=settings.media_workers, memory_bytes=settings.media_memory_bytes)
    stack.push_async_callback(pool.close)
    http = OutboundClient(policy)
    stack.push_async_callback(http.close)
    claims = JobClaims(addresses.database, ending, clock)
    scratch = scratch_folder(settings)
    files = MediaFiles(
        fetcher=Fetcher(http), pool=pool, blobs=addresses.blobs, scratch=scratch, max_bytes=settings.max_media_bytes
    )
    studio = SandboxStudio(pool=pool, blobs=addresses.blobs, scratch=scratch)

    async def announce(job_id: str) -> None:
        await addresses.engine.announce(Hint.JOB, job_id)

    sandbox = SandboxProvider(
        draw=studio.draw,
        open_input=studio.open_input,
        ledger=SandboxLedger(addresses.blobs),
        clock=clock,
        announce=announce,
    )
    providers: Mapping[str, Provider] = build_providers(sandbox)
    collect = CollectStep(catalog=catalog, claims=claims, files=files, clock=clock, log=log)
    submit = SubmitStep(
        catalog=catalog,
        claims=claims,
        inputs=InputCollector(claims=claims, assets=assets, files=files),
        router=Router(providers),
        collect=collect,
        http=http,
        clock=clock,
        log=log,
    )
    check = CheckStep(claims=claims, providers=providers, collect=collect, http=http, clock=clock, log=log)
    worker = Worker(
        claims=claims,
        steps={
            Step.SUBMIT: submit.run,
            Step.SUBMITTING: submit.run,
            Step.CHECK: check.run,
            Step.COLLECT: collect.run,
        },
        engine=addresses.engine,
        clock=clock,
        log=log,
        owner=owner,
        lease_seconds=settings.lease_seconds,
        max_jobs=settings.max_jobs_in_flight,
    )
    deliverer = Deliverer(webhooks=webhooks, accounts=office.accounts, http=http, clock=clock, log=log, owner=owner)
    sweep = Sweep(
        claims=claims,
        ending=ending,
        webhooks=webhooks,
        engine=addresses.engine,
        clock=clock,
        log=log,
        every_seconds=settings.sweep_seconds,
    )
    addresses.engine.handle(Hint.JOB, worker.take)
    addresses.engine.handle(Hint.DELIVERY, deliverer.take)
    return WorkerTeam(
        worker=worker,
        deliverer=deliverer,
        sweep=sweep,
        engine=addresses.engine,
        claims=claims,
        webhooks=webhooks,
    )


def _services(
    settings: Settings,
    log: FilteringBoundLogger,
    addresses: _Addresses,
    office: Office,
    assets: AssetsService,
    jobs: JobsService,
    catalog: Catalog,
    policy: AddressPolicy,
    clock: Clock,
) -> Services:
    def refuse_address(url: str) -> str | None:
        try:
            policy.check_url(url)
        except RefusedAddress as error:
            return str(error)
        return None

    # Adapters of real upstreams are registered here once their credentials are configured.
    configured: frozenset[str] = frozenset()

    def has_upstream(model: Model) -> bool:
        return any(upstream.provider in configured for upstream in model.upstreams)

    return Services(
        settings=settings,
        accounts=office.accounts,
        credits=office.credits,
        jobs=jobs,
        assets=assets,
        blobs=addresses.blobs,
        catalog=catalog,
        limiter=addresses.limiter,
        clock=clock,
        log=log,
        refuse_address=refuse_address,
        has_upstream=has_upstream,
        check_rehearsal=parse_rehearsal,
        readiness={
            "database": addresses.database.check,
            "blobs": addresses.blobs.check,
            "broker": addresses.engine.check,
            "limiter": addresses.limiter.check,
        },
    )
