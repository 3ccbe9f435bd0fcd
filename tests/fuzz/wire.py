"""What comes over a connection before it is a request: bytes, cut anywhere, nearly HTTP or nothing like it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ClassVar, Final, cast

import httptools
import structlog
import uvicorn
from hypothesis import strategies as st
from tests.clock import FakeClock
from tests.fuzz.target import Target
from tests.fuzz.text import edited
from uvicorn.server import ServerState

from pixeldojo.api.services import Services
from pixeldojo.cli.connections import Bounds, Connection

Message = MutableMapping[str, Any]

_LINES: Final = st.sampled_from(
    [
        *(b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"HEAD / HTTP/1.0", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0"),
        *(b"GET /%zz\xff HTTP/1.1", b"GET http://a:b@/ HTTP/1.1", b"GET /" + b"a" * 1_100 + b" HTTP/1.1", b"", b"\0"),
        *[b"POST / HTTP/1.1"] * 8,
    ]
)
_HEADERS: Final = st.sampled_from(
    [
        *(b"Host: a", b"Connection: close", b"Expect: 100-continue", b"X: " + b"x" * 600, b"X: y\r\n" * 21 + b"X: y"),
        *(b"Connection: Upgrade\r\nUpgrade: h2c", b" folded", b"no colon", b"X: \0", b"X : a", b"Content-Length: 0"),
        *[b"Host: a"] * 12,
    ]
)
_BODIES: Final = st.sampled_from(
    [
        *(
            b"\r\n",
            b"Content-Length: 5\r\n\r\nhello",
            b"Content-Length: 500\r\n\r\nhello",
            b"Content-Length: 5\r\n\r\nhello, and more",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n\r\n" + rest
            for rest in (b"5\r\nhello\r\n0\r\n\r\n", b"0\r\nX: a\r\n\r\n", b"0\r\n")
        ),
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 30,
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
)
_REQUESTS: Final = st.tuples(_LINES, st.lists(_HEADERS, max_size=3), _BODIES).map(
    lambda request: b"\r\n".join([request[0], *request[1], request[2]])
)
_SENT: Final = st.lists(_REQUESTS | _REQUESTS | _REQUESTS | st.binary(max_size=6), min_size=1, max_size=4).map(b"".join)
_PIECES: Final = st.tuples(_SENT | edited(_SENT), st.lists(st.integers(0, 2_000), max_size=6)).map(
    lambda sent: [sent[0][a:b] for a, b in pairwise([0, *sorted(sent[1]), len(sent[0]) + 2_000])]
)
_BOUNDS: Final = Bounds(connections=3, head_bytes=1_000, head_lines=20, linger_bytes=2_000)


class _Transport(asyncio.Transport):
    """A connection whose other end takes everything at once."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 8000), "peername": ("198.51.100.7", 5_000)})
        self.written = b""
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_over, "it went on after the end"
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.is_over = True

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None:
        """Nothing waits."""

    def resume_reading(self) -> None:
        """Nothing waited."""

    def get_write_buffer_size(self) -> int:
        return 0


class _Answers:
    """Counts whole answers."""

    def __init__(self) -> None:
        self.begun = 0
        self.whole = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_message_complete(self) -> None:
        self.whole += 1


async def _echo(
    _scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Take the whole body, then say how long it was."""
    size, message = 0, await receive()
    while message["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
        message = await receive()
    said = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said, "more_body": False})


def _connection_class() -> type[Connection]:
    quiet = structlog.wrap_logger(None, processors=[_drop])

    class Tried(Connection):
        services: ClassVar[Services] = cast(Services, SimpleNamespace(clock=FakeClock(), log=quiet))
        bounds: ClassVar[Bounds] = _BOUNDS

    return Tried


def _drop(_logger: object, _method: str, _event: object) -> str:
    raise structlog.DropEvent


async def _say(kind: type[Connection], config: uvicorn.Config, pieces: list[bytes]) -> bytes:
    """Send the pieces over a connection of its own; return what came back before either side ended it."""
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
    state = ServerState()
    connection, transport = kind(config, state, {}, loop), _Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if not transport.is_over or connection.is_waiting:
            connection.data_received(piece)
        for _ in range(4):
            await asyncio.sleep(0)
        connection.look(loop.time())
    connection.look(loop.time() + 1_000)
    assert transport.is_over or state.tasks or not connection.is_waiting
    transport.is_over = True
    connection.connection_lost(None)
    for _ in range(8):
        await asyncio.sleep(0)
    assert not faults, faults
    assert not state.tasks, "a request outlived its connection"
    return transport.written


@contextmanager
def open_targets() -> Iterator[tuple[Target[Any], ...]]:
    """Give the target, over an event loop that ends with it."""
    with asyncio.Runner() as runner:
        kind = _connection_class()
        config = uvicorn.Config(
            _echo, loop="none", http=kind, ws="none", log_config=None, log_level="critical", lifespan="off"
        )
        config.load()

        def attempt(pieces: list[bytes]) -> None:
            written = runner.run(_say(kind, config, pieces))
            while written.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
                written = written.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            if b"HTTP/1.1 100" in written or b"HEAD " in b"".join(pieces):
                return  # between two answers, and without bodies, only a client that knows what it asked can read
            answers = _Answers()
            httptools.HttpResponseParser(answers).feed_data(written)
            assert answers.begun == answers.whole, written

        yield (Target("http", _PIECES, attempt),)
