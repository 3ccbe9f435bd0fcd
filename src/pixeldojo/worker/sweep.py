"""The step that loses nothing: finds due jobs and deliveries that no hint announced, and ends what has expired."""

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.webhooks.service import WebhooksService

_BATCH = 500
_PURGE_BATCH = 50
_FORGET_EVERY_SECONDS = 600.0


class Sweep:
    """Looks at the rows, again and again; every worker may do so, since a claim decides who acts."""

    def __init__(
        self,
        *,
        claims: JobClaims,
        ending: JobEnding,
        webhooks: WebhooksService,
        engine: Engine,
        clock: Clock,
        log: FilteringBoundLogger,
        every_seconds: float,
    ) -> None:
        self._claims = claims
        self._ending = ending
        self._webhooks = webhooks
        self._engine = engine
        self._clock = clock
        self._log = log
        self._every_seconds = every_seconds
        self._forget_at = 0.0

    async def run_forever(self) -> None:
        """Sweep until cancelled. A sweep that fails is logged and the next one tries again."""
        while True:
            try:
                await self.run_once()
            except Exception:  # noqa: BLE001  the database may be away for a while; the sweep outlives it
                self._log.exception("sweep failed")
            await self._clock.sleep(self._every_seconds)

    async def run_once(self) -> None:
        """Announce what is due and purge what has expired."""
        for job_id in await self._claims.due(_BATCH):
            await self._engine.announce(Hint.JOB, job_id)
        for delivery_id in await self._webhooks.due(_BATCH):
            await self._engine.announce(Hint.DELIVERY, delivery_id)
        purged = await self._ending.purge_expired(_PURGE_BATCH)
        if purged:
            self._log.info("expired jobs purged", count=purged)
        if self._clock.monotonic() >= self._forget_at:
            self._forget_at = self._clock.monotonic() + _FORGET_EVERY_SECONDS
            await self._ending.forget_answers()
