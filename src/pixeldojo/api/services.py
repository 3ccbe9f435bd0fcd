"""What the HTTP layer is handed: services and figures, built in bootstrap. Nothing here reaches out for more."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.key_desk import KeyDesk
from pixeldojo.accounts.service import AccountsService
from pixeldojo.assets.service import AssetsService
from pixeldojo.blobs import Blobs
from pixeldojo.catalog.bind import choose_upstreams
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.clock import Clock
from pixeldojo.core.json_types import JsonObject
from pixeldojo.core.settings import Settings
from pixeldojo.credits.service import CreditsService
from pixeldojo.files.service import FilesService
from pixeldojo.jobs.service import JobsService
from pixeldojo.jobs.totals.backlog import Backlog
from pixeldojo.jobs.totals.usage import UsageService
from pixeldojo.limiter import Limiter
from pixeldojo.metrics.meters import Meters
from pixeldojo.webhooks.service import WebhooksService

ReadinessCheck = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an endpoint can need.

    Attributes:
        refuse_address: Says why an address given by a caller cannot be used; None when it can.
        live_providers: The upstreams whose credentials are set up here.
        take_callback: Takes an upstream's callback in: provider, job id, headers by lower-case name, body,
            and the token of the address.
        check_rehearsal: Raises ValueError, naming what is known, when a sandbox instruction is not.
        readiness: What must answer before this node may take traffic, by name.
    """

    settings: Settings
    accounts: AccountsService
    keys: KeyDesk
    credits: CreditsService
    jobs: JobsService
    usage: UsageService
    backlog: Backlog
    meters: Meters
    webhooks: WebhooksService
    assets: AssetsService
    files: FilesService
    blobs: Blobs
    catalog: Catalog
    limiter: Limiter
    clock: Clock
    log: FilteringBoundLogger
    refuse_address: Callable[[str], str | None]
    live_providers: frozenset[str]
    take_callback: Callable[[str, str, Mapping[str, str], bytes, str], Awaitable[None]]
    check_rehearsal: Callable[[str], object]
    readiness: Mapping[str, ReadinessCheck]

    def has_upstream(self, model: Model) -> bool:
        """Say whether a model can run in live mode with the credentials set up here."""
        return any(upstream.provider in self.live_providers for upstream in model.upstreams)

    def live_upstreams(self, model: Model, given: JsonObject) -> tuple[Upstream, ...]:
        """Return the upstreams that a live job with this input would be tried on, in order."""
        return tuple(one for one in choose_upstreams(model, given) if one.provider in self.live_providers)
