"""Callers that send without end or hardly at all, over a real socket: each is answered, or let go, and nothing grows.

With bounds far below the usual ones; that the usual ones are in force is proven in `tests/e2e/test_hostile_callers.py`.
"""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import pytest
from tests.api.dojo import PNG, RUN, Caller, Dojo

from pixeldojo.api.app import build_app
from pixeldojo.api.pace import Pace
from pixeldojo.cli.connections import Bounds
from pixeldojo.cli.http_server import HttpServer, bind

_BOUNDS: Final = Bounds(
    head_bytes=8_192,
    head_lines=20,
    head_seconds=0.4,
    idle_seconds=0.4,
    unread_seconds=0.4,
    linger_seconds=0.4,
    linger_bytes=4_000_000,
    pace=Pace(silence_seconds=0.4, grace_seconds=0.6),
)
_SOON: Final = 20.0
_STEP: Final = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """One connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *parts: bytes) -> None:
        """Send; who has been cut off meanwhile does not mind."""
        try:
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()
        except ConnectionError:
            pass

    async def rest(self) -> bytes:
        """Return all that still comes, once the server has ended the connection."""
        heard = b""
        async with asyncio.timeout(_SOON):
            while True:
                try:
                    part = await self.reader.read(65_536)
                except ConnectionError:
                    return heard
                if not part:
                    return heard
                heard += part

    async def trickle(self, piece: bytes) -> bytes:
        """Send a piece again and again, with pauses, until the server ends the connection; return what it said."""
        ending = asyncio.create_task(self.rest())
        while not ending.done():
            await self.say(piece)
            await asyncio.wait({ending}, timeout=_STEP)
        return ending.result()


@asynccontextmanager
async def served(dojo: Dojo, bounds: Bounds = _BOUNDS) -> AsyncIterator[int]:
    """Serve the app as the commands do, within these bounds; give the port."""
    settings = dojo.services.settings.model_copy(update={"port": 0, "shutdown_seconds": 1.0})
    dojo.build(settings=settings)
    app = build_app(dojo.services, pace=bounds.pace)
    with bind(settings) as listener:
        server = HttpServer(app, settings, listener, bounds)
        serving = await server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.stop()
            await serving


@asynccontextmanager
async def line(port: int, **options: Any) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def answers(heard: bytes) -> list[tuple[int, Any]]:
    """Return status and JSON of each answer, where each has a Content-Length."""
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        (length,) = (int(one.partition(":")[2]) for one in lines if one.startswith("content-length:"))
        found.append((int(lines[0].split()[1]), json.loads(rest[:length])))
        heard = rest[length:]
    return found


def only_error(heard: bytes) -> Any:
    """Return status and error of the one answer, which ends the connection and names its request."""
    ((status, body),) = answers(heard)
    assert b"connection: close" in heard.lower()
    assert f"x-request-id: {body['error']['requestId']}".encode() in heard.lower()
    assert b"x-content-type-options: nosniff" in heard.lower()
    assert body["error"]["status"] == status
    return status, body["error"]["code"], body["error"]["message"]


HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: dojo.test\r\n\r\n"
GET: Final = b"GET /healthz HTTP/1.1\r\nHost: dojo.test\r\n"


def post(caller: Caller, framing: str, target: str = RUN) -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nHost: dojo.test\r\nAuthorization: Bearer {caller.key}\r\n"
        f"Content-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()


async def test_headers_that_trickle_are_answered_408(dojo: Dojo) -> None:
    async def try_it(port: int, before: bytes, piece: bytes) -> bytes:
        async with line(port) as caller:
            await caller.say(before + GET + b"X-B: ")
            heard = await caller.trickle(piece)
            return heard[heard.index(b"HTTP/1.1 408") :]

    async with served(dojo) as port:
        ways = [(before, piece) for before in (b"", HEALTH) for piece in (b"X-A: b\r\n", b"x")]
        for heard in await asyncio.gather(*(try_it(port, *way) for way in ways)):
            status, code, message = only_error(heard)
            assert (status, code) == (408, "validation_error")
            assert "0.4 s" in message
    assert [entry["why"] for entry in dojo.log if entry["status"] == 408] == ["headers too slow"] * 4


async def test_who_says_nothing_is_let_go_without_a_word(dojo: Dojo) -> None:
    async def try_it(port: int, said: bytes) -> int:
        async with line(port) as caller:
            await caller.say(said)
            return (await caller.rest()).count(b"HTTP/1.1")

    async with served(dojo) as port:
        ways = (b"", b"\r\n", HEALTH, HEALTH + b"\r\n")
        assert await asyncio.gather(*(try_it(port, said) for said in ways)) == [0, 0, 1, 1]


_HEADS: Final = {
    "a 1 MB header": [GET, b"X-A: ", *repeat(b"x" * 65_536, 16), b"\r\n\r\n"],
    "a 1 MB key": [GET, b"Authorization: Bearer ", *repeat(b"x" * 65_536, 16), b"\r\n\r\n"],
    "5,000 headers": [GET, *repeat(b"X-A: b\r\n", 5_000), b"\r\n"],
    "25 short headers": [GET, *repeat(b"X-A: b\r\n", 25), b"\r\n"],
    "all of 15": [GET, *repeat(b"X-A: " + b"b" * 1_000 + b"\r\n", 15), b"\r\n"],
    "a 1 MB address": [b"GET /", *repeat(b"a" * 65_536, 16), b" HTTP/1.1\r\nHost: a\r\n\r\n"],
    "query and headers": [b"GET /healthz?", b"q=" * 4_090, b" HTTP/1.1\r\nHost: a\r\nX-A: 0123456789\r\n\r\n"],
}


async def test_a_head_beyond_all_bounds_is_answered_to_who_sends_it_whole_and_nothing_grows(dojo: Dojo) -> None:
    async with served(dojo) as port:
        for what, head in _HEADS.items():
            async with line(port) as caller:
                tracemalloc.start()
                try:
                    await caller.say(*head)
                    heard = await caller.rest()
                    _, peak = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
            status, code, message = only_error(heard)
            assert (status, code) == (431, "payload_too_large"), what
            assert "8,192 bytes and 20 lines" in message
            # What the streams of this test hold is most of it.
            assert peak < 1_500_000, what


async def test_headers_after_a_body_are_bounded_too(dojo: Dojo, caller: Caller) -> None:
    async with served(dojo) as port, line(port) as wire:
        await wire.say(post(caller, "Transfer-Encoding: chunked"), b"0\r\n", *repeat(b"X-A: b\r\n", 5_000))
        heard = await wire.rest()
    assert only_error(heard)[0] == 431
    assert (await caller.traces())[2:] == (0, 1, 0)


_TARGETS: Final = (RUN, "/api/v1/files", "/api/v1/keys", "/api/v1/callbacks/fal/job_1")


async def test_a_body_that_trickles_for_ever_is_answered_408_and_leaves_nothing(dojo: Dojo, caller: Caller) -> None:
    async def try_it(port: int, target: str, framing: str, piece: bytes) -> bytes:
        # A picture as far as it goes, so that it is not refused for what it is.
        start = PNG[:40] if "Length" in framing else b"28\r\n" + PNG[:40] + b"\r\n"
        async with line(port) as wire:
            await wire.say(post(caller, framing, target), start if target.endswith("files") else b"")
            return await wire.trickle(piece)

    silent, declared = ("Content-Length: 1000", b""), ("Content-Length: 1000", b" ")
    chunked = ("Transfer-Encoding: chunked", b"1\r\n \r\n")
    async with served(dojo) as port:
        ways = [(target, *way) for target in _TARGETS for way in (silent, declared, chunked)]
        for heard in await asyncio.gather(*(try_it(port, *way) for way in ways)):
            status, code, message = only_error(heard)
            assert (status, code) == (408, "validation_error")
            assert "Send it again" in message
    assert (await caller.traces())[2:] == (0, 1, 0)
    assert [blob async for blob in dojo.stores.blobs.list_blobs()] == []
    logged = [(entry["status"], entry["path"]) for entry in dojo.log if entry["event"] == "request"]
    assert sorted(logged) == sorted((408, target) for target, _, _ in ways)


async def test_a_body_that_comes_slowly_and_steadily_is_taken(dojo: Dojo, caller: Caller) -> None:
    body = b'{"prompt": "%s"}' % (b"a" * 1_984)
    async with served(dojo) as port, line(port) as wire:
        await wire.say(post(caller, f"Content-Length: {len(body)}\r\nConnection: close"))
        ending = asyncio.create_task(wire.rest())
        for start in range(0, len(body), 100):
            await wire.say(body[start : start + 100])
            await asyncio.wait({ending}, timeout=_STEP)
        ((status, _),) = answers(await ending)
    assert status == 202


async def test_a_body_that_trickles_after_its_answer_holds_the_connection_no_longer(dojo: Dojo) -> None:
    async def try_it(port: int, piece: bytes) -> list[int]:
        async with line(port) as wire:
            await wire.say(f"POST {RUN} HTTP/1.1\r\nHost: dojo.test\r\nContent-Length: 1000000\r\n\r\n".encode())
            return [status for status, _ in answers(await wire.trickle(piece))]

    async with served(dojo) as port:
        assert [*await asyncio.gather(try_it(port, b"x"), try_it(port, b""))] == [[401], [401]]


async def keep_on(mute: socket.socket) -> None:
    """Send now and then, and read nothing, until cut off."""
    while True:
        await asyncio.get_running_loop().sock_sendall(mute, b"\r\n")
        await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=_STEP)


async def test_who_does_not_read_its_answers_is_let_go(dojo: Dojo) -> None:
    asked = b"GET /api/openapi HTTP/1.1\r\nHost: dojo.test\r\n\r\n"
    with socket.socket() as mute:
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        mute.setblocking(False)
        async with served(dojo) as port, asyncio.timeout(_SOON):
            await asyncio.get_running_loop().sock_connect(mute, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(mute, asked * 60)
            with pytest.raises(ConnectionError):
                await keep_on(mute)


async def test_where_there_is_no_room_those_who_only_wait_make_some(dojo: Dojo) -> None:
    bounds = Bounds(connections=5)
    async with served(dojo, bounds) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        async with line(port) as caller:
            await caller.say(HEALTH)
            assert (await caller.reader.readline()).startswith(b"HTTP/1.1 200")
        assert await idle[0][0].read() == b"", "the one that waited longest was let go"
        idle[4][1].write(HEALTH)
        assert (await idle[4][0].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in idle:
            writer.close()


async def test_where_all_are_being_answered_one_more_is_told_to_come_back(dojo: Dojo, caller: Caller) -> None:
    async with served(dojo, Bounds(connections=3)) as port:
        busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in busy:
            writer.write(post(caller, "Content-Length: 1000\r\nExpect: 100-continue"))
            # So the server says that it reads the body now.
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        async with line(port) as late:
            heard = await late.rest()
        status, code, _ = only_error(heard)
        assert (status, code) == (503, "service_unavailable")
        assert b"retry-after: 5" in heard.lower()
        for _, writer in busy:
            writer.close()


async def test_an_answer_under_way_is_not_lost_to_the_garbage_behind_its_request(dojo: Dojo, caller: Caller) -> None:
    body = b'{"prompt": "a lantern"}'
    async with served(dojo) as port, line(port) as wire:
        await wire.say(post(caller, f"Content-Length: {len(body)}") + body + b"GARBAGE\r\n\r\n")
        heard = await wire.rest()
    assert [status for status, _ in answers(heard)] == [202]
