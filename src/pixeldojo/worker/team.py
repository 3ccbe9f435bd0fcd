"""All that works in the background of one process: worker, deliverer, sweep; started and stopped together."""

import asyncio
from contextlib import suppress

from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.pool import MediaPool, MediaPoolClosed
from pixeldojo.media.render import load_libraries
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.loop import Worker
from pixeldojo.worker.sweep import Sweep


class WorkerTeam:
    """Starts in any order, stops in the right one: no new work, then the work in hand, then the leases."""

    def __init__(
        self,
        *,
        worker: Worker,
        deliverer: Deliverer,
        sweep: Sweep,
        engine: Engine,
        claims: JobClaims,
        webhooks: WebhooksService,
        pool: MediaPool,
    ) -> None:
        self._worker = worker
        self._deliverer = deliverer
        self._sweep = sweep
        self._engine = engine
        self._claims = claims
        self._webhooks = webhooks
        self._pool = pool
        self._tasks: list[asyncio.Task[None]] = []

    async def take_over_everything(self) -> None:
        """Give back every lease, where whoever held them is surely dead: their jobs go on at once."""
        await self._claims.release_leases(None)
        await self._webhooks.release_leases(None)

    def take_hints(self) -> None:
        """Say who takes hints in, before the engine starts and after any taking over, which would undo a claim."""
        self._engine.handle(Hint.JOB, self._worker.take)
        self._engine.handle(Hint.DELIVERY, self._deliverer.take)

    def start(self) -> None:
        """Begin to sweep and to renew leases; hints are received as soon as the engine starts."""
        self._tasks = [
            asyncio.create_task(self._sweep.run_forever(), name="sweep"),
            asyncio.create_task(self._worker.keep_leases(), name="leases"),
            asyncio.create_task(self._warm_up(), name="warm-up"),
        ]

    async def stop(self, seconds: float) -> None:
        """Stop within about that many seconds, leaving every unfinished job for others to go on with."""
        sweep, leases, warm_up = self._tasks
        sweep.cancel()
        warm_up.cancel()
        try:
            # A hint that waits for a free slot would hold up the giving back of those that are taken.
            receiving = asyncio.create_task(self._engine.stop_receiving())
            await asyncio.sleep(0)
            self._worker.take_no_more()
            await receiving
            await asyncio.gather(self._worker.stop(seconds), self._deliverer.stop(seconds))
        finally:
            # Until here: the calls under way need their leases.
            leases.cancel()
            await asyncio.gather(sweep, leases, warm_up, return_exceptions=True)

    async def _warm_up(self) -> None:
        """Start the media processes, so that the first job need not wait for their imports."""
        with suppress(MediaPoolClosed, UnreadableMedia):
            await self._pool.warm_up(load_libraries)
