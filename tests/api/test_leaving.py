"""How a server goes: it says so first, nobody who got through is cut off, and then it takes nobody any more."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from http.client import HTTPResponse

import pytest
from tests.api.dojo import PROMPT, RUN, Caller, Dojo

from pixeldojo.cli.http_server import HttpServer, bind

READY = b"GET /readyz HTTP/1.1\r\nHost: dojo.test\r\n\r\n"


class Running:
    """A server on a port."""

    def __init__(self, server: HttpServer, serving: asyncio.Task[None], port: int) -> None:
        self.server = server
        self.serving = serving
        self.port = port

    @contextmanager
    def caller(self) -> Iterator[socket.socket]:
        """Connect, while the server does not get a turn."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as connection:
            yield connection


@asynccontextmanager
async def running(dojo: Dojo) -> AsyncIterator[Running]:
    settings = dojo.services.settings.model_copy(update={"port": 0, "shutdown_seconds": 5.0})
    with bind(settings) as listener:
        server = HttpServer(dojo.build(settings=settings), settings, listener)
        serving = await server.start()
        try:
            yield Running(server, serving, listener.getsockname()[1])
        finally:
            server.stop()
            await serving


def head_and_body(caller: Caller) -> tuple[bytes, bytes]:
    body = json.dumps(PROMPT).encode()
    head = (
        f"POST {RUN} HTTP/1.1\r\nHost: dojo.test\r\nAuthorization: Bearer {caller.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def read(connection: socket.socket) -> HTTPResponse:
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response


async def test_while_it_drains_it_answers_says_so_and_ends_kept_connections(dojo: Dojo, caller: Caller) -> None:
    async with running(dojo) as it:
        with it.caller() as kept:
            kept.sendall(READY)
            before = await asyncio.to_thread(read, kept)
            assert (before.status, before.will_close) == (200, False)
            draining = asyncio.create_task(it.server.drain(it.serving, 60))
            await asyncio.sleep(0)
            kept.sendall(READY)
            after = await asyncio.to_thread(read, kept)
            assert (after.status, after.will_close) == (503, True)
            with it.caller() as new:
                new.sendall(b"".join(head_and_body(caller)))
                assert (await asyncio.to_thread(read, new)).status == 202
        assert not dojo.app.state.stopping.is_set(), "those who wait and follow go on"
        draining.cancel()


async def test_who_connected_before_it_looked_is_answered(dojo: Dojo, caller: Caller) -> None:
    """The system accepts connections for the server; closing the socket resets those that it has not taken yet."""
    head, body = head_and_body(caller)
    async with running(dojo) as it:
        with it.caller() as early, it.caller() as late:
            early.sendall(head + body)
            it.server.stop()
            # One tick of uvicorn later it begins to end, with both still in the system's queue or just taken.
            late.sendall(head)

            def finish() -> HTTPResponse:
                late.sendall(body)
                return read(late)

            assert (await asyncio.to_thread(read, early)).status == 202
            assert (await asyncio.to_thread(finish)).status == 202


async def test_after_that_it_takes_nobody(dojo: Dojo) -> None:
    async with running(dojo) as it:
        it.server.stop()
        await it.serving
        with pytest.raises(ConnectionRefusedError), it.caller():
            pass


async def test_the_last_in_the_queue_are_taken_in(dojo: Dojo) -> None:
    """Whoever is in the system's queue at the very moment in which it is closed."""
    async with running(dojo) as it:
        connections = [socket.create_connection(("127.0.0.1", it.port), timeout=10) for _ in range(50)]
        try:
            # No turn of the event loop since they came: nobody has taken them.
            ending = asyncio.create_task(it.server._server.shutdown([it.server._listener]))
            taken_in = it.server._server.server_state.connections
            async with asyncio.timeout(10):
                while len(taken_in) < len(connections):  # noqa: ASYNC110  uvicorn's own set, which tells nobody
                    await asyncio.sleep(0)
            for connection in connections:
                connection.sendall(READY)
            statuses = await asyncio.to_thread(lambda: [read(connection).status for connection in connections])
            assert statuses == [200] * 50
            await ending
        finally:
            for connection in connections:
                connection.close()
