"""What the HTTP layer is handed: services and figures, built in bootstrap. Nothing here reaches out for more."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.service import AccountsService
from pixeldojo.assets.service import AssetsService
from pixeldojo.blobs import Blobs
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.clock import Clock
from pixeldojo.core.settings import Settings
from pixeldojo.credits.service import CreditsService
from pixeldojo.jobs.service import JobsService
from pixeldojo.limiter import Limiter
from pixeldojo.webhooks.service import WebhooksService

ReadinessCheck = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an endpoint can need.

    Attributes:
        refuse_address: Says why an address given by a caller cannot be used; None when it can.
        has_upstream: Whether a model can run in live mode with the credentials set up here.
        live_providers: The upstreams whose credentials are set up here.
        take_callback: Takes an upstream's callback in: provider, job id, headers by lower-case name, body.
        check_rehearsal: Raises ValueError, naming what is known, when a sandbox instruction is not.
        readiness: What must answer before this node may take traffic, by name.
    """

    settings: Settings
    accounts: AccountsService
    credits: CreditsService
    jobs: JobsService
    webhooks: WebhooksService
    assets: AssetsService
    blobs: Blobs
    catalog: Catalog
    limiter: Limiter
    clock: Clock
    log: FilteringBoundLogger
    refuse_address: Callable[[str], str | None]
    has_upstream: Callable[[Model], bool]
    live_providers: frozenset[str]
    take_callback: Callable[[str, str, Mapping[str, str], bytes], Awaitable[None]]
    check_rehearsal: Callable[[str], object]
    readiness: Mapping[str, ReadinessCheck]
