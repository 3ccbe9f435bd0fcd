"""One connection of the HTTP server: how much of a head it may send, and how long it may keep us waiting.

Owns what happens before a request is one and after it was answered: heads without end, callers that trickle, that say
nothing or do not read, and too many of them. Leaves requests, and how fast their bodies come, to `api/middleware.py`.
"""

from asyncio import BaseTransport, Transport
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from pixeldojo.api.errors import error_response
from pixeldojo.api.pace import Pace
from pixeldojo.api.services import Services
from pixeldojo.core.errors import PayloadTooLarge, PixelDojoError, ServiceUnavailable, ValidationError
from pixeldojo.core.ids import IdKind, new_id

_UNREADABLE: Final = (
    "What was sent cannot be read as HTTP/1.1. Send a request line such as GET /api/v1/models HTTP/1.1 and well-formed "
    "headers, over plain HTTP unless a proxy before the server speaks TLS."
)
_FULL: Final = "All connections of this server are in use. Try again in a moment, and over fewer connections."
# Of those that only wait, one in so many is let go at a time when there is no room left.
_LET_GO: Final = 20
_HEADERS_TOO_LARGE: Final = 431
_TOO_SLOW: Final = 408


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a caller may do before it is let go.

    Attributes:
        connections: How many may be open at a time.
        head_bytes: Of the address and headers of a request, trailers too.
        head_lines: How many headers.
        head_seconds: From the first byte of a head to its last, and from connecting to there.
        idle_seconds: From one answer to the next request.
        unread_seconds: How long a caller may take nothing of an answer that waits for it.
        linger_seconds: How long, and `linger_bytes` how much is still read and thrown away after a head was refused:
            whoever sends all of it first sees the answer only then.
        pace: How slowly what is left of a body may come once the request was answered.
    """

    connections: int = 10_000
    head_bytes: int = 64 * 1024
    head_lines: int = 200
    head_seconds: float = 20.0
    idle_seconds: float = 30.0
    unread_seconds: float = 60.0
    linger_seconds: float = 5.0
    linger_bytes: int = 16 * 1024 * 1024
    pace: Pace = field(default_factory=Pace)


class _HeadTooLarge(Exception):
    """The parser is told to read no further."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds. What it cannot read as HTTP is answered and logged as all else is.

    A server makes a class of its own of it, with its services and bounds, since uvicorn builds the connections.
    """

    services: ClassVar[Services]
    bounds: ClassVar[Bounds]

    _wait_ends_at: float | None = None
    _is_in_head = False
    _is_whole = True
    _is_refused = False
    _head_bytes = 0
    _head_lines = 0
    _loose_bytes = 0
    _answered_at = 0.0
    _unread: tuple[int, float] = (0, 0.0)

    @property
    def is_waiting(self) -> bool:
        """Whether no request is under way here: the caller has yet to send one, or the rest of its head."""
        return self._wait_ends_at is not None and not self.transport.is_closing()

    # What uvicorn calls

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self._wait(self.bounds.head_seconds)
        if len(self.connections) > self.bounds.connections and not self._make_room():
            self._refuse(ServiceUnavailable(_FULL, headers={"Retry-After": "5"}), why="too many connections")

    def data_received(self, data: bytes) -> None:
        self._loose_bytes += len(data)
        if self._is_refused:
            if self._loose_bytes > self.bounds.linger_bytes:
                self.transport.abort()
            return
        super().data_received(data)
        # A header is told of when it has ended; one that does not end is counted here.
        if self._is_in_head and self._loose_bytes > self.bounds.head_bytes and not self._is_refused:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._is_whole = True, False
        self._head_bytes = self._head_lines = self._loose_bytes = 0
        if not self._is_answering:
            self._wait(self.bounds.head_seconds)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head_lines += 1
        self._count_head(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._is_in_head = False
        self._wait_ends_at = None

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_whole = True
        if not self._is_answering:
            self._wait(self.bounds.idle_seconds)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Its own clock stops for good at the first byte that comes; ours goes on.
        self._unset_keepalive_if_required()
        self._loose_bytes, self._answered_at = 0, self.loop.time()
        if self._is_answering:
            return
        if self._is_in_head:
            self._wait(self.bounds.head_seconds)
        elif self._is_whole:
            self._wait(self.bounds.idle_seconds)

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > self.bounds.head_bytes or self._head_lines > self.bounds.head_lines:
            self._refuse_head()
        elif self._is_answering and (
            self._is_whole or self._is_in_head or self.pipeline or self.cycle.response_started
        ):
            # It came after a request that is still being answered: that answer is the last.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        else:
            self._refuse(ValidationError(_UNREADABLE), why=msg)

    # What our server calls

    def look(self, now: float) -> None:
        """Let the caller go if it has kept us waiting too long; `now` is the time of the event loop, in seconds."""
        if self._has_stopped_reading(now):
            self.transport.abort()
        elif self._is_refused:
            if now >= (self._wait_ends_at or 0.0):
                self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._wait_ends_at is not None:
            if now >= self._wait_ends_at:
                self._end_wait()
        elif not self._is_whole and not self._is_answering:
            waited = now - self._answered_at
            if self.bounds.pace.patience(waited, self._loose_bytes) <= 0:
                self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        self._wait_ends_at = self.loop.time() + seconds

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.bounds.head_bytes or self._head_lines > self.bounds.head_lines:
            raise _HeadTooLarge

    def _make_room(self) -> bool:
        """Let go those that have waited longest; return whether there were any."""
        waiting = [one for one in self._peers() if one.is_waiting and one is not self]
        waiting.sort(key=lambda one: one._wait_ends_at or 0.0)
        for one in waiting[: max(1, self.bounds.connections // _LET_GO)]:
            one.transport.close()
            # At once, so that those who come in this very moment count right.
            self.connections.discard(one)
        return bool(waiting)

    def _peers(self) -> Iterable["Connection"]:
        return [one for one in self.connections if isinstance(one, Connection)]

    def _has_stopped_reading(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        if size == 0 or size != self._unread[0]:
            self._unread = (size, now)
        return now - self._unread[1] > self.bounds.unread_seconds

    def _end_wait(self) -> None:
        if not self._is_in_head:
            self.transport.close()
            return
        seconds = f"{self.bounds.head_seconds:g}"
        error = ValidationError(f"The headers of the request did not end within {seconds} s. Send them at once.")
        self._refuse(error, _TOO_SLOW, why="headers too slow")

    def _refuse_head(self) -> None:
        error = PayloadTooLarge(
            f"The address and headers of a request may have {self.bounds.head_bytes:,} bytes and "
            f"{self.bounds.head_lines} lines; these are more. Send what is long in the body."
        )
        self._refuse(error, _HEADERS_TOO_LARGE, why="headers too large")

    def _refuse(self, error: PixelDojoError, status: int | None = None, *, why: str) -> None:
        """Answer with an error that ends the connection; the caller may first finish sending what nobody reads."""
        request_id = new_id(IdKind.REQUEST, self.services.clock.now())
        answer = error_response(error, request_id, status=status)
        answer.headers["Connection"] = "close"
        answer.headers["X-Request-Id"] = request_id
        answer.headers["X-Content-Type-Options"] = "nosniff"
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        if self._is_answering:
            # Its body can no longer be read, and this is its answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[answer.status_code], head, bytes(answer.body)))
        self.transport.write_eof()
        self._is_refused, self._loose_bytes = True, 0
        self._wait(self.bounds.linger_seconds)
        self.services.log.info(
            "request", request_id=request_id, method=None, path=None, status=answer.status_code, why=why
        )
