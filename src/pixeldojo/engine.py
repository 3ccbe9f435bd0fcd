"""Handing out work: hints that something is due, over Taskiq, in process or over Valkey/Redis Streams.

A hint may be lost or come twice: the row is the truth, and the sweep finds what no hint announced. So a hint is
acknowledged as soon as a worker has taken the job in, and hints beyond a bound are dropped, not queued.

Also tells listeners in this process that a job moved, so that those who wait need not poll hard.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from taskiq import AsyncBroker, InMemoryBroker
from taskiq.api import run_receiver_task
from taskiq.kicker import AsyncKicker

from pixeldojo.core.errors import ConfigurationError

_QUEUE_NAME = "pixeldojo"
_WAITING_HINTS_LIMIT = 10_000
_HANDLERS_AT_ONCE = 200


class Hint(StrEnum):
    """What a hint says is due."""

    JOB = "job"
    DELIVERY = "delivery"


Handler = Callable[[str], Awaitable[None]]


class Engine:
    """Sends hints, and on a worker receives them."""

    def __init__(
        self,
        broker: AsyncBroker,
        ping: Callable[[], Awaitable[None]],
        *,
        waiting_hints_limit: int = _WAITING_HINTS_LIMIT,
    ) -> None:
        self._broker = broker
        self._ping = ping
        self._waiting_hints_limit = waiting_hints_limit
        self._receiver: asyncio.Task[None] | None = None
        self._handled: set[Hint] = set()
        self._waiting = 0
        self._listeners: dict[str, set[asyncio.Event]] = {}

    @property
    def is_in_process(self) -> bool:
        """Whether hints reach only handlers of this process."""
        return isinstance(self._broker, InMemoryBroker)

    def handle(self, hint: Hint, handler: Handler) -> None:
        """Name the function that takes in hints of a kind. It should return once the work is taken in."""

        async def receive(subject_id: str) -> None:
            self._waiting -= self.is_in_process
            await handler(subject_id)

        self._handled.add(hint)
        self._broker.register_task(receive, task_name=str(hint))

    async def start(self) -> None:
        """Connect; with handlers named, begin to receive."""
        if self._handled and not self.is_in_process:
            self._broker.is_worker_process = True
        await self._broker.startup()
        if self._handled and not self.is_in_process:
            self._receiver = asyncio.create_task(
                run_receiver_task(self._broker, max_async_tasks=_HANDLERS_AT_ONCE), name="hint-receiver"
            )

    async def stop_receiving(self) -> None:
        """Take in no more hints; sending still works."""
        if self._receiver is not None:
            self._receiver.cancel()
            with suppress(asyncio.CancelledError):
                await self._receiver
            self._receiver = None
        self._handled.clear()

    async def close(self) -> None:
        """Stop receiving and disconnect."""
        await self.stop_receiving()
        await self._broker.shutdown()

    async def announce(self, hint: Hint, subject_id: str) -> None:
        """Say that a job or delivery is due. Never fails: what is not heard is found by the sweep."""
        if self.is_in_process:
            if hint not in self._handled or self._waiting >= self._waiting_hints_limit:
                return
            self._waiting += 1
        # Whatever keeps the broker from hearing it, the row still says that the work is due.
        with suppress(Exception):
            kicker: AsyncKicker[[str], None] = AsyncKicker(task_name=str(hint), broker=self._broker, labels={})
            await kicker.kiq(subject_id)

    async def check(self) -> None:
        """Return when hints can be sent; raise what went wrong otherwise."""
        await self._ping()

    def notify(self, subject_id: str) -> None:
        """Wake everyone in this process who listens for changes of a job."""
        for listener in self._listeners.get(subject_id, ()):
            listener.set()

    @asynccontextmanager
    async def listen(self, subject_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever the job changes in this process."""
        listener = asyncio.Event()
        self._listeners.setdefault(subject_id, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[subject_id]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[subject_id]


def open_engine(address: str | None) -> Engine:
    """Open the engine: in process without an address, else over the Valkey or Redis at `redis://…`.

    Raises:
        ConfigurationError: if the address is of another kind.
    """
    if address is None:
        return Engine(InMemoryBroker(max_async_tasks=_HANDLERS_AT_ONCE), _always_there)
    if not address.startswith(("redis://", "rediss://", "valkey://")):
        raise ConfigurationError(
            f"PIXELDOJO_BROKER_URL must be redis://host:port of a Valkey or Redis, not {address.split(':')[0]}:…"
        )
    from redis.asyncio import Redis  # noqa: PLC0415  only a scaled-out set-up pays for the import
    from taskiq_redis import RedisStreamBroker  # noqa: PLC0415  as above

    url = address.replace("valkey://", "redis://", 1)

    async def ping() -> None:
        async with Redis.from_url(url) as client:
            await client.ping()

    return Engine(RedisStreamBroker(url, queue_name=_QUEUE_NAME, maxlen=_WAITING_HINTS_LIMIT), ping)


async def _always_there() -> None:
    """The in-process broker cannot be away."""
