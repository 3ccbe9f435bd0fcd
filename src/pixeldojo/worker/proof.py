"""The proof of the ledger, once a day: what `ledger verify` would find, as a figure that can be watched."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.metrics.meters import Meters

# It reads the whole ledger, so not while a node starts, and seldom.
_FIRST_SECONDS = 15 * 60.0
_EVERY_SECONDS = 24 * 3_600.0


class Audit(Protocol):
    """What proves the ledger."""

    def faults(self) -> AsyncIterator[str]:
        """Read the whole ledger and yield a sentence for each row that is wrong."""
        ...


class Books(Protocol):
    """Where the audit is had; it is asked for only when there is something to prove, since much is loaded for it."""

    @property
    def audit(self) -> Audit:
        """The audit."""
        ...


class LedgerProof:
    """Proves the ledger again and again; every worker does, and each tells its own finding."""

    def __init__(self, books: Books, meters: Meters, clock: Clock, log: FilteringBoundLogger) -> None:
        self._books = books
        self._meters = meters
        self._clock = clock
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first proof is a quarter of an hour away."""
        self._task = asyncio.create_task(self._repeat(), name="ledger proof")

    async def stop(self) -> None:
        """End, also in the middle of a proof."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def prove(self) -> int:
        """Prove the ledger now; return how many rows are wrong. Each is logged by its sentence."""
        count = 0
        async for fault in self._books.audit.faults():
            count += 1
            self._log.error("ledger fault", what=fault)
        self._meters.ledger_proved(count, self._clock.now().timestamp())
        return count

    async def _repeat(self) -> None:
        await self._clock.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.prove()
            except Exception:  # noqa: BLE001  the database may be away; the age of the last proof tells of it
                self._log.exception("ledger not proved")
            await self._clock.sleep(_EVERY_SECONDS)
