"""What callers see where connections end: bodies over the limit, bytes that are no HTTP, callers that hang up.

Over a real socket where it matters. What 413 says is in `test_bad_input.py`.
"""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from http.client import HTTPResponse
from itertools import chain, repeat

import pytest
from tests.api.asgi import Exchange, Message, Receive, Send, in_parts
from tests.api.dojo import PNG, RUN, Caller, Dojo

from pixeldojo.api.errors import error_response
from pixeldojo.api.middleware import RequestFrame
from pixeldojo.cli.http_server import HttpServer, bind
from pixeldojo.core.errors import PayloadTooLarge

_LIMIT = 1_000_000
_PART = bytes(64 * 1024)


@asynccontextmanager
async def served(dojo: Dojo) -> AsyncIterator[int]:
    """Serve the app as the commands do; give the port."""
    settings = dojo.services.settings.model_copy(update={"max_body_bytes": _LIMIT, "port": 0, "shutdown_seconds": 1.0})
    app = dojo.build(settings=settings)
    with bind(settings) as listener:
        server = HttpServer(app, settings, listener)
        serving = await server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.stop()
            await serving


def send_all_then_read(
    port: int, key: str, framing: str, body: Iterator[bytes], target: str = RUN, then: bytes = b""
) -> tuple[int, bytes, bytes]:
    """Send a request as Python's urllib does: everything first. Return the status, the body, and what came after it.

    What is sent `then`, when the answer is there, goes over the same connection.
    """
    head = (
        f"POST {target} HTTP/1.1\r\nHost: dojo.test\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\n{framing}\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        connection.sendall(head.encode())
        for part in body:
            connection.sendall(part)
        answer = HTTPResponse(connection)
        answer.begin()
        said = answer.read()
        connection.sendall(then)
        return answer.status, said, connection.recv(12)


def declared(parts: int) -> tuple[str, Iterator[bytes]]:
    return f"Content-Length: {parts * len(_PART)}", repeat(_PART, parts)


def chunked(parts: int) -> tuple[str, Iterator[bytes]]:
    part = b"%x\r\n%s\r\n" % (len(_PART), _PART)
    return "Transfer-Encoding: chunked", iter([*repeat(part, parts), b"0\r\n\r\n"])


@pytest.mark.parametrize("framed", [declared, chunked])
async def test_a_caller_that_sends_everything_first_sees_the_answer_and_no_memory_grows(
    dojo: Dojo, caller: Caller, framed: Callable[[int], tuple[str, Iterator[bytes]]]
) -> None:
    async with served(dojo) as port:
        framing, body = framed(34_000_000 // len(_PART))
        tracemalloc.start()
        try:
            status, said, after = await asyncio.to_thread(send_all_then_read, port, str(caller.key), framing, body)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert status == 413
    assert b"larger than 1,000,000 bytes" in said
    assert after == b"", "the connection is closed, in order, after the answer"
    assert peak < 4 * _LIMIT


@pytest.mark.parametrize("framed", [declared, chunked])
@pytest.mark.parametrize(
    ("start", "status", "says"),
    [(PNG, 413, b"larger than 100,000 bytes"), (b"MZ", 415, b"no type known here"), (b"", 415, b"no type known here")],
)
async def test_an_upload_that_is_refused_on_the_way_is_answered_too(
    dojo: Dojo,
    caller: Caller,
    framed: Callable[[int], tuple[str, Iterator[bytes]]],
    start: bytes,
    status: int,
    says: bytes,
) -> None:
    framing, body = framed(5_000_000 // len(_PART))
    first = next(body)
    body = chain([first.replace(bytes(len(start)), start, 1)], body)
    then = b"GET /healthz HTTP/1.1\r\nHost: dojo.test\r\n\r\n" if status == 415 else b""
    async with served(dojo) as port:
        answer = await asyncio.to_thread(
            send_all_then_read, port, str(caller.key), framing, body, "/api/v1/files", then
        )
    assert answer[0] == status
    assert says in answer[1]
    # Only what is too long ends the connection: how much more is coming nobody knows.
    assert answer[2] == (b"HTTP/1.1 200" if then else b"")
    assert [blob async for blob in dojo.stores.blobs.list_blobs()] == []


async def run_frame(caller: Caller, receive: Receive, **bounds: float) -> list[Message]:
    """Send a body that is declared too large through a frame with these bounds; return what was answered."""

    async def reading(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await receive()
        except PayloadTooLarge as error:
            await error_response(error, "req_1")(scope, receive, send)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    frame = RequestFrame(reading, caller.dojo.services, **bounds)  # type: ignore[arg-type]  # bytes are whole
    scope = caller._scope("POST", RUN, [("content-length", "9" * 12)], b"")
    await frame({**scope, "app": caller.dojo.app}, receive, send)
    return sent


async def test_what_is_thrown_away_is_bounded_in_size(dojo: Dojo, caller: Caller) -> None:
    taken = 0

    async def endless() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": bytes(1_000), "more_body": True}

    sent = await run_frame(caller, endless, discarded_bytes=10_000)
    assert taken == 10
    assert [message.get("more_body") for message in sent] == [None, True, False]


@pytest.mark.parametrize("bound", ["silence_seconds", "discarding_seconds"])
async def test_what_is_thrown_away_is_bounded_in_time(dojo: Dojo, caller: Caller, bound: str) -> None:
    async def silent() -> Message:
        await asyncio.Event().wait()
        return {}

    sent = await run_frame(caller, silent, **{bound: 0.01})
    assert sent[0]["status"] == 413
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_caller_that_hangs_up_is_not_waited_for(dojo: Dojo, caller: Caller) -> None:
    exchange = Exchange(caller._scope("POST", RUN, [("content-length", "9" * 12)], b""), in_parts([]))
    exchange.hang_up()
    await exchange.run(dojo.app)
    assert exchange.reply().status == 413


def exchange(port: int, sent: bytes) -> tuple[int, Message, bytes]:
    """Send bytes; return status, headers in lower case and body of the answer."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.mark.parametrize(
    "sent", [b"GARBAGE\r\n\r\n", b"GET nopath HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
)
async def test_bytes_that_are_no_http_are_answered_as_all_else_is(dojo: Dojo, sent: bytes) -> None:
    async with served(dojo) as port:
        status, headers, body = await asyncio.to_thread(exchange, port, sent)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["status"]) == (400, "validation_error", 400)
    assert "cannot be read as HTTP/1.1" in error["message"]
    assert headers["x-request-id"] == error["requestId"]
    assert headers["content-type"] == "application/json"
    [line] = [entry for entry in dojo.log if entry["event"] == "request"]
    assert (line["request_id"], line["status"]) == (error["requestId"], 400)


async def test_a_caller_that_hangs_up_in_its_body_is_no_fault_of_ours(dojo: Dojo, caller: Caller) -> None:
    async def hung_up() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await dojo.app(caller._scope("POST", RUN, [("content-length", "9")], b""), hung_up, send)
    assert [(entry["event"], entry.get("status")) for entry in dojo.log] == [("request", 499)]
