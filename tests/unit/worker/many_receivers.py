"""Many webhooks due at once for many receivers on loopback, some of which hang or fail, and how long they take.

Time is the machine's here: hints as of jobs that all ended together, a sweep beside them, time-outs that really pass.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select, update
from tests.unit.net.loopback import Script, answer, answering, hang, outbound, serving
from tests.unit.worker.receivers import many_due
from tests.unit.worker.workshop import Workshop

from pixeldojo.core.clock import SystemClock
from pixeldojo.db.tables import deliveries, delivery_attempts
from pixeldojo.engine import Engine, Hint, open_engine
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.client import OutboundClient
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.sweep import Sweep

_TIMEOUT_SECONDS: Final = 240.0
_SWEEP_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many receivers of each kind there are, and how many webhooks each is to get."""

    good: int
    failing: int
    hanging: int
    each: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What had come of it when the good receivers had theirs.

    Attributes:
        seconds: From the first hint until the last success was on record.
        arrived: Webhooks that good receivers got.
        delivered: Deliveries on record as such.
        attempts: Attempts on record, by the receiver's status.
        most_hanging: Attempts that hung at one receiver at a time.
    """

    seconds: float
    arrived: int
    delivered: int
    attempts: Counter[int | None]
    most_hanging: int


class Street:
    """The receivers, each on a port of its own, and what they saw."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.arrived = 0
        self.most_hanging = 0
        self.urls: list[str] = []
        self._hanging: Counter[int] = Counter()
        self._thank = answering(answer(204, content_length=""))

    @property
    def wanted(self) -> int:
        """How many webhooks good receivers are to get."""
        return self.crowd.good * self.crowd.each

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let them listen."""
        kinds: tuple[tuple[Script, int], ...] = (
            (self._hang, self.crowd.hanging),
            (answering(answer(500)), self.crowd.failing),
            (self._take, self.crowd.good),
        )
        async with AsyncExitStack() as stack:
            urls = [
                (await stack.enter_async_context(serving(kind))).url("/hook")
                for kind, count in kinds
                for _ in range(count)
            ]
            # In rounds, as jobs end.
            self.urls = urls * self.crowd.each
            yield

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived += 1
        await self._thank(reader, writer)

    async def _hang(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port: int = writer.get_extra_info("sockname")[1]
        self._hanging[port] += 1
        self.most_hanging = max(self.most_hanging, self._hanging[port])
        try:
            await hang(reader, writer)
        finally:
            self._hanging[port] -= 1


async def deliver_all(shop: Workshop, crowd: Crowd) -> Delivered:
    """Let the webhooks of all receivers come due at once, and return when the good ones have theirs."""
    key, street, clock, engine = await shop.key(), Street(crowd), SystemClock(), open_engine(None)
    webhooks = WebhooksService(shop.stores.database, clock)
    async with street.open(), outbound() as http:
        worker = _deliverer(shop, webhooks, http, clock)
        engine.handle(Hint.DELIVERY, worker.take)
        ids = await many_due(shop, key, street.urls)
        await engine.start()
        begun = time.monotonic()
        sweeping = asyncio.create_task(_sweep(shop, webhooks, engine, clock).run_forever())
        for delivery_id in ids:
            await engine.announce(Hint.DELIVERY, delivery_id)
        is_delivered = (deliveries.c.account_id == key.account_id) & deliveries.c.url.in_(set(street.urls))
        is_delivered &= deliveries.c.status == "delivered"
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while street.arrived < street.wanted or await _count(shop, is_delivered) < street.wanted:
                await clock.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - begun
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await engine.stop_receiving()
        await worker.stop(0)
        await engine.close()
    await _end_the_rest(shop, key.account_id)
    return Delivered(
        seconds,
        street.arrived,
        await _count(shop, is_delivered),
        await _attempts(shop, key.account_id),
        street.most_hanging,
    )


def _deliverer(shop: Workshop, webhooks: WebhooksService, http: OutboundClient, clock: SystemClock) -> Deliverer:
    return Deliverer(
        webhooks=webhooks,
        accounts=shop.stores.accounts,
        http=http,
        clock=clock,
        log=shop.log,
        meters=Meters("0.0.0"),
        owner="worker_1",
    )


def _sweep(shop: Workshop, webhooks: WebhooksService, engine: Engine, clock: SystemClock) -> Sweep:
    return Sweep(
        claims=shop.stores.claims,
        ending=shop.stores.ending,
        places=shop.stores.places,
        files=shop.stores.files,
        webhooks=webhooks,
        engine=engine,
        clock=clock,
        log=shop.log,
        every_seconds=_SWEEP_SECONDS,
    )


async def _count(shop: Workshop, condition: ColumnElement[bool]) -> int:
    async with shop.stores.database.read() as connection:
        query = select(func.count()).select_from(deliveries).where(condition)
        return (await connection.execute(query)).scalar_one()


async def _attempts(shop: Workshop, account_id: str) -> Counter[int | None]:
    query = (
        select(delivery_attempts.c.status, func.count())
        .join(deliveries, deliveries.c.id == delivery_attempts.c.delivery_id)
        .where(deliveries.c.account_id == account_id)
        .group_by(delivery_attempts.c.status)
    )
    async with shop.stores.database.read() as connection:
        return Counter({status: count for status, count in (await connection.execute(query)).all()})  # noqa: C416  rows are no pairs to mypy


async def _end_the_rest(shop: Workshop, account_id: str) -> None:
    """Keep what is left over out of the next run."""
    rest = update(deliveries).where(deliveries.c.account_id == account_id, deliveries.c.status == "pending")
    await shop.stores.database.write(
        lambda connection: connection.execute(rest.values(status="failed", next_attempt_at=None))
    )
