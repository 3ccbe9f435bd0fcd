"""Word that something about a job changed, for those who wait for it: in this process, and over a wire in others.

News may be lost: whoever waits looks for himself now and then too. So nothing here fails, blocks or is kept.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Protocol, TypeAlias

_SEPARATOR = "\n"
_BATCH = 500
_OUTBOX_LIMIT = 10_000


Trouble: TypeAlias = Callable[[Exception], None]
"""Hears what is wrong with the broker."""


def untold(_error: Exception) -> None:
    """Let nobody hear of it."""


class Wire(Protocol):
    """What carries messages to every process, this one too. Either call may raise whatever its client raises."""

    async def publish(self, message: str) -> None:
        """Send a message to whoever listens now."""

    def messages(self) -> AsyncIterator[str | None]:
        """Yield None once listening has begun, then each message; raise when the connection is lost."""

    async def close(self) -> None:
        """Disconnect."""


class News:
    """Tells listeners; with a wire, those in other processes too."""

    def __init__(self, wire: Wire | None = None, *, pause_seconds: float = 1.0, trouble: Trouble = untold) -> None:
        self._wire = wire
        self._trouble = trouble
        self._pause_seconds = pause_seconds
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._outbox: dict[str, None] = {}
        self._has_mail = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sender = token_hex(8)
        self._is_hearing = False

    @property
    def is_hearing(self) -> bool:
        """Whether news of other processes arrive just now."""
        return self._is_hearing

    def tell(self, subject: str) -> None:
        """Wake everyone who listens for a subject."""
        self._wake(subject)
        if self._wire is not None and len(self._outbox) < _OUTBOX_LIMIT:
            self._outbox[subject] = None
            self._has_mail.set()

    @asynccontextmanager
    async def listen(self, subject: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever there is news of a subject."""
        listener = asyncio.Event()
        self._listeners.setdefault(subject, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[subject]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[subject]

    def start(self) -> None:
        """Begin to send and hear."""
        if self._wire is not None:
            self._tasks = [
                asyncio.create_task(self._send(self._wire), name="news sender"),
                asyncio.create_task(self._hear(self._wire), name="news hearer"),
            ]

    async def close(self) -> None:
        """Send and hear no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._wire is not None:
            await self._wire.close()

    def _wake(self, subject: str) -> None:
        for listener in self._listeners.get(subject, ()):
            listener.set()

    async def _send(self, wire: Wire) -> None:
        """Send what has gathered while the message before was under way, in one message."""
        while True:
            await self._has_mail.wait()
            subjects = list(self._outbox)[:_BATCH]
            for subject in subjects:
                del self._outbox[subject]
            if not self._outbox:
                self._has_mail.clear()
            try:
                async with asyncio.timeout(self._pause_seconds):
                    await wire.publish(_SEPARATOR.join((self._sender, *subjects)))
            except Exception:  # noqa: BLE001  any client raises its own; who waits looks for himself
                await asyncio.sleep(self._pause_seconds)

    async def _hear(self, wire: Wire) -> None:
        is_told = False
        while True:
            try:
                async for message in wire.messages():
                    self._is_hearing, is_told = True, False
                    sender, *subjects = (message or self._sender).split(_SEPARATOR)
                    if sender != self._sender:
                        for subject in subjects:
                            self._wake(subject)
            except Exception as error:  # noqa: BLE001  as above; it comes back
                if not is_told:
                    self._trouble(error)
                is_told = True
            self._is_hearing = False
            await asyncio.sleep(self._pause_seconds)
