"""From settings to addresses to services to a running node: the only file that wires, and it holds no rule."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network

from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from pixeldojo import __version__
from pixeldojo.accounts.key_desk import KeyDesk
from pixeldojo.api.app import build_app
from pixeldojo.api.services import Services
from pixeldojo.assets.service import AssetsService
from pixeldojo.blobs import Blobs, open_blobs
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.clock import Clock, SystemClock
from pixeldojo.core.data_dir import make_data_dir, make_scratch_dir, read_server_secret
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database
from pixeldojo.db.migrate import current_revision, migrate, newest_revision, require_newest_revision
from pixeldojo.engine import Engine, Hint, open_engine
from pixeldojo.files.service import FilesService
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.jobs.service import JobsService
from pixeldojo.jobs.states import Step
from pixeldojo.jobs.totals.backlog import Backlog
from pixeldojo.jobs.totals.usage import UsageService
from pixeldojo.jobs.watch import JobWatch
from pixeldojo.limiter import Limiter, open_limiter
from pixeldojo.media.pool import MediaPool
from pixeldojo.metrics.meters import OPEN_CIRCUITS, Meters
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.net.client import OutboundClient
from pixeldojo.net.fetch import Fetcher
from pixeldojo.office import Office, build_office
from pixeldojo.providers.contract import HttpClient, Provider
from pixeldojo.providers.registry import build_upstreams
from pixeldojo.providers.sandbox import SandboxProvider, parse_rehearsal
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.worker.callbacks import CallbackDesk
from pixeldojo.worker.check import CheckStep
from pixeldojo.worker.circuits import Circuits
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.gate import Gate
from pixeldojo.worker.handover import MediaHandover
from pixeldojo.worker.inputs import InputCollector
from pixeldojo.worker.loop import StepFunction, Worker
from pixeldojo.worker.media_files import MediaFiles
from pixeldojo.worker.metered import MeteredClient, metered_step
from pixeldojo.worker.patience import Patience
from pixeldojo.worker.proof import LedgerProof
from pixeldojo.worker.route import Router
from pixeldojo.worker.sandbox_upstream import SandboxLedger, SandboxStudio
from pixeldojo.worker.submit import SubmitStep
from pixeldojo.worker.sweep import Sweep
from pixeldojo.worker.team import WorkerTeam

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Node:
    """One running process: `app` to serve where it has an API, `team` where it works."""

    settings: Settings
    office: Office
    meters: Meters
    app: FastAPI | None
    team: WorkerTeam | None


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every kind of node is built from: the four addresses, opened, and the services on them."""

    settings: Settings
    log: FilteringBoundLogger
    clock: Clock
    meters: Meters
    catalog: Catalog
    policy: AddressPolicy
    http: OutboundClient
    upstreams: Mapping[str, Provider]
    clients: Mapping[str, HttpClient]
    blobs: Blobs
    engine: Engine
    limiter: Limiter
    office: Office
    keys: KeyDesk
    assets: AssetsService
    files: FilesService
    webhooks: WebhooksService
    ending: JobEnding
    places: UpstreamPlaces

    @property
    def retention(self) -> timedelta:
        return timedelta(hours=self.settings.retention_hours)


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
    """Build a node, start what works in the background, and take all of it down again at the end.

    Args:
        allow_loopback: Let webhooks and media addresses point to this machine.
        owns_data: No other process can be at work on the data, so leases found are of the dead.
    """
    networks = (*settings.allow_networks, *(_LOOPBACK if allow_loopback else ()))
    async with AsyncExitStack() as stack:
        parts = await _open_parts(settings, log, AddressPolicy(networks, settings.allow_http), stack)
        team = await _build_team(parts, stack) if with_worker else None
        if team is not None and owns_data:
            await team.take_over_everything()
        app = build_app(_build_services(parts)) if with_api else None
        await parts.engine.start()
        if team is not None:
            team.start()
            stack.push_async_callback(team.stop, settings.shutdown_seconds)
            proof = LedgerProof(parts.office, parts.meters, parts.clock, log)
            proof.start()
            stack.push_async_callback(proof.stop)
        yield Node(settings, parts.office, parts.meters, app, team)


async def _open_parts(
    settings: Settings, log: FilteringBoundLogger, policy: AddressPolicy, stack: AsyncExitStack
) -> _Parts:
    clock, meters = SystemClock(), Meters(__version__)
    secret = read_server_secret(settings)
    catalog = load_catalog(compiled=make_data_dir(settings) / "catalog.compiled")
    database = open_database(settings.database_address)
    stack.push_async_callback(database.close)
    await require_newest_revision(database)
    engine = open_engine(settings.broker_url)
    stack.push_async_callback(engine.close)
    http = OutboundClient(policy)
    stack.push_async_callback(http.close)
    upstreams = build_upstreams(settings)
    blobs = open_blobs(settings.blobs_address, scratch=make_scratch_dir(settings))
    office = build_office(database, clock, secret)
    assets = AssetsService(database, blobs, clock, settings.base_url)
    files = FilesService(
        database=database,
        blobs=blobs,
        clock=clock,
        base_url=settings.base_url,
        retention=timedelta(hours=settings.retention_hours),
        linger=timedelta(seconds=max((model.timeout_seconds for model in catalog.models), default=0)),
        max_file_bytes=settings.max_file_bytes,
        max_account_bytes=settings.max_account_file_bytes,
    )
    webhooks = WebhooksService(database, clock)
    ending = JobEnding(
        database=database,
        credits=office.credits,
        assets=assets,
        webhooks=webhooks,
        engine=engine,
        clock=clock,
        retention=timedelta(hours=settings.retention_hours),
    )
    return _Parts(
        settings=settings,
        log=log,
        clock=clock,
        meters=meters,
        catalog=catalog,
        policy=policy,
        http=http,
        upstreams=upstreams,
        clients={name: MeteredClient(name, http.for_provider(one), meters, clock) for name, one in upstreams.items()},
        blobs=blobs,
        engine=engine,
        limiter=open_limiter(settings.limiter_url or settings.broker_url),
        office=office,
        keys=KeyDesk(database, clock, secret, office.accounts, default_rate=settings.rate_per_minute),
        assets=assets,
        files=files,
        webhooks=webhooks,
        ending=ending,
        places=UpstreamPlaces(database=database, engine=engine, clock=clock, limits=settings.max_concurrent),
    )


async def _build_team(parts: _Parts, stack: AsyncExitStack) -> WorkerTeam:
    settings, clock, log = parts.settings, parts.clock, parts.log
    owner = new_id(IdKind.WORKER, clock.now())
    pool = MediaPool(max_workers=settings.media_workers, memory_bytes=settings.media_memory_bytes)
    stack.push_async_callback(pool.close)
    claims = JobClaims(parts.office.database, parts.ending, parts.places, clock)
    worker = Worker(
        claims=claims,
        steps=_build_steps(parts, claims, pool),
        engine=parts.engine,
        clock=clock,
        log=log,
        owner=owner,
        lease_seconds=settings.lease_seconds,
        max_jobs=settings.max_jobs_in_flight,
    )
    deliverer = Deliverer(
        webhooks=parts.webhooks,
        accounts=parts.office.accounts,
        http=parts.http,
        clock=clock,
        log=log,
        meters=parts.meters,
        owner=owner,
    )
    sweep = Sweep(
        claims=claims,
        ending=parts.ending,
        places=parts.places,
        files=parts.files,
        webhooks=parts.webhooks,
        engine=parts.engine,
        clock=clock,
        log=log,
        every_seconds=settings.sweep_seconds,
    )
    _watch(parts.meters, worker, pool)
    parts.engine.handle(Hint.JOB, worker.take)
    parts.engine.handle(Hint.DELIVERY, deliverer.take)
    return WorkerTeam(
        worker=worker,
        deliverer=deliverer,
        sweep=sweep,
        engine=parts.engine,
        claims=claims,
        webhooks=parts.webhooks,
        pool=pool,
    )


def _watch(meters: Meters, worker: Worker, pool: MediaPool) -> None:
    meters.watch("pixeldojo_jobs_in_hand", "Jobs that this process carries.", lambda: worker.job_count)
    meters.watch("pixeldojo_media_processes_busy", "Media processes at work.", lambda: pool.busy_count)
    meters.watch("pixeldojo_media_tasks_waiting", "Media tasks that wait for a process.", lambda: pool.waiting_count)


def _build_steps(parts: _Parts, claims: JobClaims, pool: MediaPool) -> Mapping[Step, StepFunction]:
    clock, log = parts.clock, parts.log
    scratch = make_scratch_dir(parts.settings)
    files = MediaFiles(
        fetcher=Fetcher(parts.http),
        pool=pool,
        blobs=parts.blobs,
        scratch=scratch,
        max_bytes=parts.settings.max_media_bytes,
    )
    sandbox = _build_sandbox(parts, pool)
    providers = {sandbox.name: sandbox, **parts.upstreams}
    clients = {sandbox.name: parts.http, **parts.clients}
    collect = CollectStep(catalog=parts.catalog, claims=claims, files=files, clock=clock, log=log)
    patience, circuits = Patience(parts.catalog), Circuits(clock, log)
    parts.meters.watch_each(OPEN_CIRCUITS, "provider", circuits.open_counts)
    submit = SubmitStep(
        catalog=parts.catalog,
        claims=claims,
        inputs=InputCollector(claims=claims, assets=parts.assets, uploads=parts.files, files=files),
        handover=MediaHandover(parts.blobs),
        router=Router(providers),
        gate=Gate(circuits, parts.places, clock, log),
        collect=collect,
        patience=patience,
        clients=clients,
        clock=clock,
        log=log,
        meters=parts.meters,
        callback_base=parts.settings.callback_base,
    )
    check = CheckStep(
        claims=claims,
        providers=providers,
        collect=collect,
        patience=patience,
        clients=clients,
        clock=clock,
        log=log,
        meters=parts.meters,
    )
    steps = {
        Step.SUBMIT: submit.run,
        Step.SUBMITTING: submit.run,
        Step.CHECK: check.run,
        Step.COLLECT: collect.run,
    }
    return {step: metered_step(step, run, parts.meters, clock) for step, run in steps.items()}


def _build_sandbox(parts: _Parts, pool: MediaPool) -> Provider:
    async def announce(job_id: str) -> None:
        await parts.engine.announce(Hint.JOB, job_id)

    studio = SandboxStudio(pool=pool, blobs=parts.blobs, scratch=make_scratch_dir(parts.settings))
    return SandboxProvider(
        draw=studio.draw,
        open_input=studio.open_input,
        ledger=SandboxLedger(parts.blobs),
        clock=parts.clock,
        announce=announce,
    )


def _build_services(parts: _Parts) -> Services:
    def refuse_address(url: str) -> str | None:
        try:
            parts.policy.check_url(url)
        except RefusedAddress as error:
            return str(error)
        return None

    database, office = parts.office.database, parts.office
    desk = CallbackDesk(
        providers=parts.upstreams,
        clients=parts.clients,
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
