"""The step that loses nothing: finds due jobs and deliveries that no hint announced, and ends what has expired."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.engine import Engine, Hint
from pixeldojo.files.service import FilesService
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.webhooks.service import WebhooksService

_BATCH = 500
_AGAIN_SECONDS = 5.0
_PURGE_BATCH = 50
_FORGET_EVERY_SECONDS = 600.0
# Listing all files is dear where there are many, and strays are rare.
_STRAYS_EVERY_SECONDS = 6 * 3_600.0
_FIRST_STRAYS_SECONDS = 600.0


class Sweep:
    """Looks at the rows, again and again; every worker may do so, since a claim decides who acts."""

    def __init__(
        self,
        *,
        claims: JobClaims,
        ending: JobEnding,
        places: UpstreamPlaces,
        files: FilesService,
        webhooks: WebhooksService,
        engine: Engine,
        clock: Clock,
        log: FilteringBoundLogger,
        every_seconds: float,
    ) -> None:
        self._claims = claims
        self._ending = ending
        self._places = places
        self._files = files
        self._webhooks = webhooks
        self._engine = engine
        self._clock = clock
        self._log = log
        self._every_seconds = every_seconds
        self._announced: dict[str, float] = {}
        self._forget_at = 0.0
        self._strays_at = clock.monotonic() + _FIRST_STRAYS_SECONDS

    async def run_forever(self) -> None:
        """Sweep until cancelled. What fails is logged and tried again; nothing waits for anything else."""
        async with asyncio.TaskGroup() as rounds:
            for work in (self.announce_jobs, self.announce_deliveries, self.end_expired, self.delete_strays):
                rounds.create_task(self._repeat(work, self._clock.sleep), name=f"sweep {work.__name__}")
            rounds.create_task(self._repeat(self._places.call_up, self._places.until_freed), name="sweep places")

    async def run_once(self) -> None:
        """Announce what is due and end what has expired."""
        await self.announce_jobs()
        await self.announce_deliveries()
        await self._places.call_up()
        await self.end_expired()

    async def announce_jobs(self) -> None:
        """Announce the jobs whose step is due and that nobody holds."""
        for job_id in await self._claims.due(_BATCH):
            await self._engine.announce(Hint.JOB, job_id)

    async def announce_deliveries(self) -> None:
        """Announce the webhooks whose attempt is due, each again only after a while: it may wait for its turn."""
        since = self._clock.monotonic() - _AGAIN_SECONDS
        self._announced = {delivery_id: at for delivery_id, at in self._announced.items() if at > since}
        due = await self._webhooks.due(_BATCH + len(self._announced))
        for delivery_id in [one for one in due if one not in self._announced][:_BATCH]:
            self._announced[delivery_id] = self._clock.monotonic()
            await self._engine.announce(Hint.DELIVERY, delivery_id)

    async def end_expired(self) -> None:
        """Delete uploads and what belongs to jobs whose time is over, and now and then old idempotency keys."""
        if self._clock.monotonic() >= self._forget_at:
            await self._ending.forget_answers()
            self._forget_at = self._clock.monotonic() + _FORGET_EVERY_SECONDS
        purged = await self._ending.purge_expired(_PURGE_BATCH)
        if purged:
            self._log.info("expired jobs purged", count=purged)
        uploads = await self._files.purge_expired(_PURGE_BATCH)
        if uploads:
            self._log.info("expired uploads deleted", count=uploads)

    async def delete_strays(self) -> None:
        """Now and then delete files that belong to no job and are no upload."""
        if self._clock.monotonic() < self._strays_at:
            return
        self._strays_at = self._clock.monotonic() + _STRAYS_EVERY_SECONDS
        count, uploads = await self._ending.delete_strays(), await self._files.delete_strays()
        if count or uploads:
            self._log.warning("stray files deleted", jobs=count, uploads=uploads)

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause: Callable[[float], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001  the database may be away for a while; the sweep outlives it
                self._log.exception("sweep failed", work=work.__name__)
            await pause(self._every_seconds)
