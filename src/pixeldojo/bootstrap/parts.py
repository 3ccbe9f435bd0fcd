"""The four addresses, opened from settings, and the services on them: what every kind of node is built from."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from pixeldojo import __version__
from pixeldojo.accounts.key_desk import KeyDesk
from pixeldojo.assets.service import AssetsService
from pixeldojo.blobs import Blobs, open_blobs
from pixeldojo.bootstrap.way_out import WayOut
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.clock import Clock, SystemClock
from pixeldojo.core.data_dir import make_data_dir, make_scratch_dir, read_server_secret
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database
from pixeldojo.db.migrate import require_newest_revision
from pixeldojo.engine import Engine, open_engine
from pixeldojo.files.service import FilesService
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.limiter import Limiter, open_limiter
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.office import Office, build_office
from pixeldojo.providers.contract import Provider
from pixeldojo.providers.registry import build_upstreams
from pixeldojo.webhooks.service import WebhooksService


@dataclass(frozen=True, slots=True)
class Parts:
    """What every kind of node is built from: the four addresses, opened, and the services on them."""

    settings: Settings
    log: FilteringBoundLogger
    clock: Clock
    meters: Meters
    catalog: Catalog
    policy: AddressPolicy
    upstreams: Mapping[str, Provider]
    way_out: WayOut
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
        """How long a job's outputs are kept."""
        return timedelta(hours=self.settings.retention_hours)


async def open_parts(
    settings: Settings, log: FilteringBoundLogger, policy: AddressPolicy, stack: AsyncExitStack
) -> Parts:
    """Open the addresses and build the services on them; `stack` closes what has to be closed."""
    clock, meters = SystemClock(), Meters(__version__)
    secret = read_server_secret(settings)
    catalog = load_catalog(compiled=make_data_dir(settings) / "catalog.compiled")
    database = open_database(settings.database_address)
    stack.push_async_callback(database.close)
    await require_newest_revision(database)
    engine = open_engine(settings.broker_url, lambda error: log.warning("broker away", why=repr(error)))
    stack.push_async_callback(engine.close)
    upstreams = build_upstreams(settings)
    way_out = WayOut(policy, upstreams, meters, clock)
    stack.push_async_callback(way_out.close)
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
    return Parts(
        settings=settings,
        log=log,
        clock=clock,
        meters=meters,
        catalog=catalog,
        policy=policy,
        upstreams=upstreams,
        way_out=way_out,
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
