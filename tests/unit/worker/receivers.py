"""Webhooks to deliver, receivers that answer what they are told, and a deliverer between the two."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks.webhooks import Webhook
from tests.unit.worker.workshop import Workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.db.tables import deliveries, jobs
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.client import OutboundClient
from pixeldojo.providers.contract import HttpAnswer
from pixeldojo.webhooks import store
from pixeldojo.webhooks.store import Attempt, Delivery
from pixeldojo.worker.deliver import Deliverer

HOOK: Final = "https://receiver.test/hook"

Reaction: TypeAlias = HttpAnswer | Exception | Callable[[], Awaitable[HttpAnswer]]


def answer(status: int = 200, **headers: str) -> HttpAnswer:
    """Return an answer; headers are written with `_` for `-`."""
    return HttpAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@dataclass(frozen=True)
class Received:
    """One post as it came."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    at: datetime

    def verify(self, secret: str) -> Any:
        """Return the event, if the reference implementation accepts the signature at the test's time."""
        return _Verifier(secret, self.at).verify(self.body.decode(), dict(self.headers))


class _Verifier(Webhook):
    """The reference implementation, with the tests' time for its check of the timestamp."""

    def __init__(self, secret: str, now: datetime) -> None:
        super().__init__(secret)
        self._now = now

    def _Webhook__verify_timestamp(self, timestamp_header: str) -> datetime:  # noqa: N802  the library's own name
        moment = datetime.fromtimestamp(float(timestamp_header), tz=self._now.tzinfo)
        assert abs((moment - self._now).total_seconds()) < 1
        return moment


class ScriptedReceivers(OutboundClient):
    """Every receiver there is; each answers, by host, the next of what it was told, and 200 after that."""

    def __init__(self, shop: Workshop) -> None:
        self._clock = shop.clock
        self.reactions: dict[str, list[Reaction]] = {}
        self.received: list[Received] = []
        self._has_received = asyncio.Event()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float = 15.0
    ) -> HttpAnswer:
        self.received.append(Received(url, body, headers, self._clock.now()))
        self._has_received.set()
        reactions = self.reactions.get(urlsplit(url).netloc)
        reaction = reactions.pop(0) if reactions else answer()
        if isinstance(reaction, Exception):
            raise reaction
        return reaction if isinstance(reaction, HttpAnswer) else await reaction()

    def answer_next(self, *reactions: Reaction, host: str = "receiver.test") -> None:
        """Let the next posts to a host be answered like this."""
        self.reactions[host] = list(reactions)

    async def until_received(self, count: int) -> None:
        """Return once there have been that many posts."""
        async with asyncio.timeout(10):
            while len(self.received) < count:
                self._has_received.clear()
                await self._has_received.wait()

    def count(self, host: str) -> int:
        """Return how many posts a host got."""
        return sum(urlsplit(received.url).netloc == host for received in self.received)


class Gate:
    """A receiver that answers when it is told to."""

    def __init__(self, given: HttpAnswer | None = None) -> None:
        self.is_reached = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._given = given or answer()

    async def __call__(self) -> HttpAnswer:
        self.is_reached.set()
        await self.may_answer.wait()
        return self._given


def deliverer(
    shop: Workshop, http: OutboundClient, owner: str = "worker_1", *, waiting: int = 1_000, in_hand: int = 20_000
) -> Deliverer:
    """Return a deliverer over a workshop's stores."""
    return Deliverer(
        webhooks=shop.stores.webhooks,
        accounts=shop.stores.accounts,
        http=http,
        clock=shop.clock,
        log=shop.log,
        meters=Meters("0.0.0"),
        owner=owner,
        waiting_per_host=waiting,
        in_hand_limit=in_hand,
    )


async def until_idle() -> None:
    """Return when no attempt is under way any more."""
    async with asyncio.timeout(10):
        while tasks := [task for task in asyncio.all_tasks() if task.get_name().startswith("deliver ")]:
            await asyncio.wait(tasks)


async def ended_job(shop: Workshop, key: ApiKey, url: str = HOOK) -> Delivery:
    """End a job that has a webhook, and return its delivery, which is due."""
    job_id = await shop.submit(key, webhook_url=url)
    await shop.carry(job_id)
    return await of_job(shop, job_id)


async def of_job(shop: Workshop, job_id: str) -> Delivery:
    """Return the delivery of a job as it stands."""
    return (await shop.stores.webhooks.find_deliveries([job_id]))[job_id]


async def now_of(shop: Workshop, delivery: Delivery) -> Delivery:
    """Return a delivery as it stands."""
    found = await shop.stores.webhooks.find(delivery.id)
    assert found is not None
    return found


async def attempts_of(shop: Workshop, delivery: Delivery) -> list[Attempt]:
    """Return the attempts that were recorded."""
    async with shop.stores.database.read() as connection:
        return await store.list_attempts(connection, delivery.id)


async def many_due(shop: Workshop, key: ApiKey, urls: Sequence[str]) -> list[str]:
    """Write a due delivery for each address, without carrying a job for each; return their ids."""
    pattern = await ended_job(shop, key)
    now = shop.clock.now()
    job_ids = [new_id(IdKind.JOB, now) for _ in urls]
    ids = [new_id(IdKind.DELIVERY, now) for _ in urls]

    async def work(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(jobs).where(jobs.c.id == pattern.job_id))).one()._mapping
        await connection.execute(insert(jobs), [{**row, "id": job_id} for job_id in job_ids])
        row = (await connection.execute(select(deliveries).where(deliveries.c.id == pattern.id))).one()._mapping
        rows = [
            {**row, "id": delivery_id, "job_id": job_id, "url": url}
            for delivery_id, job_id, url in zip(ids, job_ids, urls, strict=True)
        ]
        await connection.execute(insert(deliveries), rows)
        # The pattern itself is out of the way.
        done = update(deliveries).where(deliveries.c.id == pattern.id)
        await connection.execute(done.values(status="delivered", next_attempt_at=None))

    await shop.stores.database.write(work)
    return ids
