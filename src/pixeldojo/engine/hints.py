"""Handing out work: hints that something is due, over Taskiq, in process or over Valkey/Redis Streams.

A hint may be lost or come twice: the row is the truth, and the sweep finds what no hint announced. So a hint is
acknowledged as soon as a worker has taken the job in, and hints beyond a bound are dropped, not queued.

Taskiq loads an HTTP client and much else, so it is imported where hints begin to flow: a node answers before that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.engine.news import News, Trouble, untold

if TYPE_CHECKING:
    from taskiq import AsyncBroker

_QUEUE_NAME = "pixeldojo"
_WAITING_HINTS_LIMIT = 10_000
_HANDLERS_AT_ONCE = 200
_ANNOUNCE_SECONDS = 1.0
# After trouble with the broker it is left alone for so long: a sweep of hundreds must not wait for each.
_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 5.0
_CONNECT_SECONDS = 2.0


class Hint(StrEnum):
    """What a hint says is due."""

    JOB = "job"
    DELIVERY = "delivery"


Handler = Callable[[str], Awaitable[None]]


class Engine:
    """Sends hints, and on a worker receives them."""

    def __init__(
        self,
        open_broker: Callable[[], "AsyncBroker"],
        ping: Callable[[], Awaitable[None]],
        news: News | None = None,
        *,
        is_in_process: bool,
        waiting_hints_limit: int = _WAITING_HINTS_LIMIT,
        announce_seconds: float = _ANNOUNCE_SECONDS,
        pause_seconds: float = _PAUSE_SECONDS,
        trouble: Trouble = untold,
    ) -> None:
        self._open_broker = open_broker
        self._is_in_process = is_in_process
        self._ping = ping
        self._news = news or News()
        self._waiting_hints_limit = waiting_hints_limit
        self._announce_seconds = announce_seconds
        self._pause_seconds = pause_seconds
        self._trouble = trouble
        self._silent_until = 0.0
        self._receiver: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._taking_in: set[asyncio.Task[object]] = set()
        self._handled: set[Hint] = set()
        self._waiting = 0
        # In process, nothing else keeps what is announced before anybody listens.
        self._early: list[tuple[Hint, str]] = []
        self._is_started = False

    @property
    def is_in_process(self) -> bool:
        """Whether hints reach only handlers of this process."""
        return self._is_in_process

    @cached_property
    def _broker(self) -> "AsyncBroker":
        return self._open_broker()

    def handle(self, hint: Hint, handler: Handler) -> None:
        """Name the function that takes in hints of a kind. It should return once the work is taken in."""

        async def receive(subject_id: str) -> None:
            self._waiting -= self.is_in_process
            task = asyncio.current_task()
            if self._stop.is_set() or task is None:
                # It came to us alone; in process there are no others to hear it.
                if not self.is_in_process:
                    await self.announce(hint, subject_id)
                return
            self._taking_in.add(task)
            task.add_done_callback(self._taken_in)
            await handler(subject_id)

        self._handled.add(hint)
        self._broker.register_task(receive, task_name=str(hint))

    async def start(self) -> None:
        """Connect; with handlers named, begin to receive, in process also what was announced before."""
        if self._handled and not self.is_in_process:
            self._broker.is_worker_process = True
        self._news.start()
        await self._broker.startup()
        if self._handled and not self.is_in_process:
            self._receiver = asyncio.create_task(self._receive(), name="hint-receiver")
        self._is_started = True
        early, self._early = self._early, []
        for hint, subject_id in early:
            await self.announce(hint, subject_id)

    async def stop_receiving(self) -> None:
        """Take in no more hints; sending still works. Those being taken in have a few seconds to get there."""
        self._stop.set()
        self._handled.clear()
        if self._receiver is not None:
            await asyncio.wait({self._receiver}, timeout=_STOP_SECONDS + 1)
            self._receiver.cancel()
            await asyncio.wait({self._receiver}, timeout=1)
            self._receiver = None

    async def close(self) -> None:
        """Stop receiving, cut off what is still being taken in, and disconnect."""
        self._stop.set()
        await asyncio.sleep(0)  # hints sent just now begin, and find that it is over
        for task in self._taking_in:
            task.cancel()
        await self.stop_receiving()
        await asyncio.gather(*self._taking_in, return_exceptions=True)
        await self._news.close()
        if "_broker" in self.__dict__:
            await self._broker.shutdown()

    def _taken_in(self, task: asyncio.Task[object]) -> None:
        self._taking_in.discard(task)
        if not task.cancelled():
            task.exception()  # a broker gone before the acknowledgement: the hint comes again, and does no harm

    async def _receive(self) -> None:
        """Take hints in until told to stop. When the broker goes away, come back until it is there again."""
        from taskiq.receiver import Receiver  # noqa: PLC0415  see above

        while not self._stop.is_set():
            # Starting up names this worker's group to the broker, which a restarted one has forgotten.
            receiver = Receiver(
                self._broker, max_async_tasks=_HANDLERS_AT_ONCE, run_startup=True, wait_tasks_timeout=_STOP_SECONDS
            )
            with suppress(Exception):  # any client of any broker may raise its own; `check` tells the operator
                await receiver.listen(self._stop)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds):
                    await self._stop.wait()

    async def announce(self, hint: Hint, subject_id: str) -> None:
        """Say that a job or delivery is due. Never fails: what is not heard is found by the sweep."""
        clock = asyncio.get_running_loop().time
        if clock() < self._silent_until:
            return
        if self.is_in_process and not self._is_heard(hint, subject_id):
            return
        from taskiq.kicker import AsyncKicker  # noqa: PLC0415  see above

        self._waiting += self.is_in_process
        kicker: AsyncKicker[[str], None] = AsyncKicker(task_name=str(hint), broker=self._broker, labels={})
        try:
            async with asyncio.timeout(self._announce_seconds):
                await kicker.kiq(subject_id)
        except Exception as error:  # noqa: BLE001  whatever keeps the broker from hearing it, the row says it is due
            self._waiting -= self.is_in_process
            if not self._silent_until:  # told once, until a hint gets through
                self._trouble(error)
            self._silent_until = clock() + self._pause_seconds
        else:
            self._silent_until = 0.0

    def _is_heard(self, hint: Hint, subject_id: str) -> bool:
        """Whether a handler of this process takes a hint now; one that comes early is kept for it, up to the bound."""
        if hint in self._handled:
            return self._waiting < self._waiting_hints_limit
        if not self._is_started and len(self._early) < self._waiting_hints_limit:
            self._early.append((hint, subject_id))
        return False

    async def check(self) -> None:
        """Return when hints can be sent; raise what went wrong otherwise."""
        await self._ping()

    @property
    def is_hearing(self) -> bool:
        """Whether what other processes `notify` arrives here just now."""
        return self._news.is_hearing

    def notify(self, subject: str) -> None:
        """Wake everyone who listens for a subject, in other processes too where there is a broker between them."""
        self._news.tell(subject)

    def listen(self, subject: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Give an event that is set whenever somebody notifies the subject. Some news may be lost: look as well."""
        return self._news.listen(subject)


def open_engine(address: str | None, trouble: Trouble = untold) -> Engine:
    """Open the engine: in process without an address, else over the Valkey or Redis at `redis://…`.

    Args:
        address: Of the broker.
        trouble: Hears what is wrong with the broker, once each time that it goes away.

    Raises:
        ConfigurationError: if the address is of another kind.
    """
    if address is None:
        return Engine(_in_process_broker, _always_there, is_in_process=True)
    if not address.startswith(("redis://", "rediss://", "valkey://")):
        raise ConfigurationError(
            f"PIXELDOJO_BROKER_URL must be redis://host:port of a Valkey or Redis, not {address.split(':')[0]}:…"
        )
    from redis.asyncio import Redis  # noqa: PLC0415  only a scaled-out set-up pays for the import
    from redis.exceptions import RedisError  # noqa: PLC0415  as above
    from taskiq_redis import RedisStreamBroker  # noqa: PLC0415  as above

    from pixeldojo.engine.redis_wire import RedisWire  # noqa: PLC0415  as above

    url = address.replace("valkey://", "redis://", 1)

    async def ping() -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS), Redis.from_url(url) as client:
                await client.ping()
        except (RedisError, TimeoutError) as error:
            raise ConnectionError(f"the broker of hints does not answer: {error}") from error

    def open_broker() -> "AsyncBroker":
        return RedisStreamBroker(
            url,
            queue_name=_QUEUE_NAME,
            maxlen=_WAITING_HINTS_LIMIT,
            socket_connect_timeout=_CONNECT_SECONDS,
            # With a time-out the client sends by asyncio.wait_for, which on Python 3.11 may swallow being cancelled:
            # a receiver told to stop would go on for ever. Keep-alive finds dead connections instead.
            socket_timeout=None,
            socket_keepalive=True,
        )

    return Engine(open_broker, ping, News(RedisWire(url), trouble=trouble), is_in_process=False, trouble=trouble)


def _in_process_broker() -> "AsyncBroker":
    from taskiq import InMemoryBroker  # noqa: PLC0415  see above

    return InMemoryBroker(max_async_tasks=_HANDLERS_AT_ONCE)


async def _always_there() -> None:
    """The in-process broker cannot be away."""
