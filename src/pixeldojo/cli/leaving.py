"""How an HTTP server goes: callers hear of it first, nobody who got through is cut off, then it ends.

Owns uvicorn's end. What the application says meanwhile (`/readyz`, waits, streams) is the API's.
"""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CLOSE: Final = (b"connection", b"close")
# Whoever has just connected is about to send its request.
_UNHEARD_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.01


class LeavingServer(uvicorn.Server):
    """uvicorn, but that signals are left to us, it tells when it serves, and it loses no connection when it ends."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self.begun.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals as they are."""
        yield

    def close_after_answers(self) -> None:
        """From now on each answer ends its connection, so that callers who keep theirs come back elsewhere."""
        if _CLOSE not in self.config.encoded_headers:
            # The first is what uvicorn makes the second from, once a second.
            self.config.encoded_headers.append(_CLOSE)
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let the requests of those that got through end.

        A connection that the system has accepted for us is a caller who got through: closing the socket would reset
        it. So those are taken in first, and the new ones get a moment to send what they came for.
        """
        self.close_after_answers()
        await self._take_in_the_last(sockets or [])
        with suppress(TimeoutError):
            async with asyncio.timeout(_UNHEARD_SECONDS):
                while any(_is_unheard(one) for one in self.server_state.connections):  # noqa: ASYNC110  uvicorn's own set
                    await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)

    async def _take_in_the_last(self, sockets: list[socket.socket]) -> None:
        waiting = [caller for one in sockets for caller in _waiting_at(one)]
        # In the same breath, so that nobody comes in between.
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for caller in waiting:
            # Who hung up while waiting is nobody's loss.
            with suppress(OSError):
                await loop.connect_accepted_socket(self._protocol, caller)

    def _protocol(self) -> asyncio.Protocol:
        kind = cast(type[HttpToolsProtocol], self.config.http_protocol_class)
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _is_unheard(connection: object) -> bool:
    """Whether a connection has brought no request yet."""
    return isinstance(connection, HttpToolsProtocol) and connection.cycle is None


def _waiting_at(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that the system has accepted and we have not."""
    waiting: list[socket.socket] = []
    while True:
        try:
            caller, _ = listener.accept()
        except ConnectionAbortedError:
            continue
        except OSError:  # there are no more, or no room for more
            return waiting
        caller.setblocking(False)
        waiting.append(caller)


class Told:
    """Whether this process has been told to end, by Ctrl-C or SIGTERM; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        """Listen for the signals; call it inside the running event loop."""
        self._told = asyncio.Event()
        self.by_supervisor = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)

    async def wait(self) -> None:
        """Return when it has."""
        await self._told.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        self.by_supervisor = self.by_supervisor or number == signal.SIGTERM
        self._told.set()
        asyncio.get_running_loop().remove_signal_handler(number)
