"""What every request goes through: an id, a bound on its body, the log line, and the last net under faults."""

import asyncio
import re

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixeldojo.api import assets, files, multipart
from pixeldojo.api.errors import error_response, unexpected_error
from pixeldojo.api.metrics import templates_of
from pixeldojo.api.pace import Pace
from pixeldojo.api.services import Services
from pixeldojo.core.errors import PayloadTooLarge, UnsupportedMediaType, ValidationError
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.files.service import too_large
from pixeldojo.limiter import RateStatus

# For the log only: the caller went away before its request was whole (the number is nginx's).
_HUNG_UP = 499
_TOO_SLOW = 408
# Clients that send a whole body before they read the answer see it only if what they send is taken.
_DISCARDED_BYTES = 256 * 1024 * 1024
_DISCARDING_SECONDS = 30.0
_SILENCE_SECONDS = 5.0
_LONGEST_LOGGED = 200
# Of the name of an asset or upload, which is all that is needed to fetch it.
_SHOWN_OF_NAMES = 16
# Pasted where it does not belong.
_SECRET_KEY = re.compile(r"(pd_(?:test|live)_\w{0,4})\w*")
_STOPPED_COMING = (
    "The body of the request stopped coming, or comes too slowly to be waited for. Send it again, without pauses."
)
_ENCODED = "Bodies are read as they are, not compressed: send this one again without a Content-Encoding."


class RequestFrame:
    """The outermost layer, plain ASGI: it never holds a body in memory and never fails.

    A body that is too large is answered at once; then the rest of it is read and thrown away, within bounds of size
    and time, before the connection is closed. Closed at once, it would be reset and the answer lost with it.
    """

    def __init__(
        self,
        app: ASGIApp,
        services: Services,
        *,
        discarded_bytes: int = _DISCARDED_BYTES,
        discarding_seconds: float = _DISCARDING_SECONDS,
        silence_seconds: float = _SILENCE_SECONDS,
        pace: Pace | None = None,
    ) -> None:
        self._app = app
        self._services = services
        self._discarded_bytes = discarded_bytes
        self._discarding_seconds = discarding_seconds
        self._silence_seconds = silence_seconds
        self._pace = pace or Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id(IdKind.REQUEST, self._services.clock.now())
        method = scope["method"]
        scope = _tidy(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = self._services.clock.monotonic()
        body = _Bounded(receive, scope, self._pace, *self._bound(scope))
        answer = _Answer(send, state, request_id, body)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, body, answer)
            except ClientDisconnect:
                answer.status = answer.status or _HUNG_UP
            except _TooSlow:
                if not answer.has_begun:
                    too_slow = ValidationError(_STOPPED_COMING, headers={"Connection": "close"})
                    await error_response(too_slow, request_id, status=_TOO_SLOW)(scope, receive, answer)
            except Exception as error:  # the last net: whatever it was, the caller gets an answer and the log the stack
                self._services.log.exception("request broke", path=_loggable(scope["path"]))
                if not answer.has_begun:
                    await error_response(unexpected_error(error), request_id)(scope, receive, answer)
            seconds = self._services.clock.monotonic() - started
            self._services.meters.request_answered(method, templates_of(scope).of(scope), answer.status, seconds)
            self._services.log.info(
                "request",
                method=method,
                path=_loggable(scope["path"]),
                status=answer.status,
                seconds=round(seconds, 4),
                **({"job_id": state["job_id"]} if "job_id" in state else {}),
            )
        if answer.is_kept_open:
            await self._discard(receive)
            await answer.close()

    def _bound(self, scope: Scope) -> tuple[int, str]:
        """Return how long the body may be, and what is said of one that is longer."""
        settings = self._services.settings
        if scope["method"] == "POST" and scope["path"] == files.UPLOAD_PATH:
            return settings.max_file_bytes + multipart.ENVELOPE_BYTES, too_large(settings.max_file_bytes)
        return settings.max_body_bytes, (
            f"The request body is larger than {settings.max_body_bytes:,} bytes. Send large media as an https address "
            "instead of inline."
        )

    async def _discard(self, receive: Receive) -> None:
        """Take what the caller still sends, until it ends, falls silent or goes on beyond all bounds."""
        left = self._discarded_bytes
        try:
            async with asyncio.timeout(self._discarding_seconds):
                while left > 0:
                    async with asyncio.timeout(self._silence_seconds):
                        message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return


def _loggable(path: str) -> str:
    """Return an address as it may be logged: bounded, and without what opens something."""
    for prefix in (assets.PREFIX, files.PREFIX):
        if path.startswith(prefix) and len(path) > len(prefix) + _SHOWN_OF_NAMES:
            return f"{path[: len(prefix) + _SHOWN_OF_NAMES]}…"
    shown = _SECRET_KEY.sub(r"\1…", path) if "pd_" in path else path
    return shown if len(shown) <= _LONGEST_LOGGED else f"{shown[:_LONGEST_LOGGED]}…"


def _tidy(scope: Scope) -> Scope:
    """Return the request as the routes read it.

    HEAD is GET of which the server sends no body; only stored files, which are long, have routes for it. PostgreSQL
    takes no NUL, so one in the address stands for a character that cannot be read.
    """
    tidied = {**scope, "path": scope["path"].replace("\0", "\ufffd")}
    tidied["query_string"] = scope["query_string"].replace(b"%00", "\ufffd".encode()).replace(b"\0", b"")
    if scope["method"] == "HEAD" and not scope["path"].startswith((assets.PREFIX, files.PREFIX)):
        tidied["method"] = "GET"
    return tidied


class _Answer:
    """Adds the headers that every answer carries; keeps its end back where the body was too large."""

    def __init__(self, send: Send, state: dict[str, object], request_id: str, body: "_Bounded") -> None:
        self._send = send
        self._state = state
        self._request_id = request_id
        self._body = body
        self.status = 0
        self.is_kept_open = False
        self._is_refusal = False

    @property
    def has_begun(self) -> bool:
        return self.status != 0

    async def close(self) -> None:
        """Send the end that was kept back; the server closes the connection then."""
        self.is_kept_open = False
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._body.is_answered = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            self._is_refusal = self.status == PayloadTooLarge.status and not self._body.is_over
            if self._is_refusal:
                headers["Connection"] = "close"
            rate = self._state.get("rate")
            if isinstance(rate, RateStatus):
                headers["X-RateLimit-Limit"] = str(rate.limit)
                headers["X-RateLimit-Remaining"] = str(rate.remaining)
                headers["X-RateLimit-Reset"] = str(rate.reset_at)
        elif self._is_refusal and not message.get("more_body", False):
            self.is_kept_open = True
            message = {**message, "more_body": True}
        await self._send(message)


class _TooSlow(Exception):
    """The body stopped coming, or comes too slowly to be waited for."""


class _Bounded:
    """Hands on the body until it is longer or slower than allowed, whatever its Content-Length said."""

    def __init__(self, receive: Receive, scope: Scope, pace: Pace, max_bytes: int, refusal: str) -> None:
        self._receive = receive
        self._pace = pace
        self._waited = 0.0
        self._max_bytes = max_bytes
        self._refusal = refusal
        self._seen = 0
        self.is_over = False
        self.is_answered = False
        self._is_declared_larger = any(
            name == b"content-length" and _is_above(value, max_bytes) for name, value in scope["headers"]
        )
        self._is_encoded = any(
            name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}
            for name, value in scope["headers"]
        )

    async def __call__(self) -> Message:
        if self._is_declared_larger and not self.is_answered:
            raise PayloadTooLarge(self._refusal)
        message = await self._next()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self.is_over = not message.get("more_body", False)
            if not self.is_answered:
                self._check()
        return message

    def _check(self) -> None:
        if self._seen and self._is_encoded:
            raise UnsupportedMediaType(_ENCODED, headers={"Accept-Encoding": "identity"})
        if self._seen > self._max_bytes:
            raise PayloadTooLarge(self._refusal)

    async def _next(self) -> Message:
        # An answer that has begun is not broken off for a body that nobody reads.
        if self.is_over or self.is_answered:
            return await self._receive()
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(self._pace.patience(self._waited, self._seen)):
                return await self._receive()
        except TimeoutError:
            self._refuse_slow()
        finally:
            self._waited += clock() - begun
        return await self._receive()

    def _refuse_slow(self) -> None:
        if not self.is_answered:
            raise _TooSlow


def _is_above(content_length: bytes, limit: int) -> bool:
    digits = content_length.strip()
    return digits.isdigit() and (len(digits) > 18 or int(digits) > limit)
