"""A client that talks ASGI to the app, exactly: raw paths and headers, chunked bodies, callers that hang up.

Owns playing the server's part and catching answers that break HTTP. What an answer should say is for `promises.py`.
"""

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from pixeldojo.core.json_types import JsonValue

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Body = bytes | AsyncIterable[bytes]

CALLER: Final = "198.51.100.7"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it left the app.

    Attributes:
        path: As routes read it, decoded.
        body: What a caller gets to see; empty for HEAD, whatever the app sent.
        sent_bytes: What the app sent as a body; for HEAD a server throws it away.
    """

    method: str
    path: str
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    sent_bytes: int

    def header(self, name: str) -> str | None:
        """Return the only header of that name, None where there is none."""
        found = [value for given, value in self.headers if given.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body read as JSON, strictly."""
        return json.loads(self.body, parse_constant=_no_constant)

    @property
    def error(self) -> Any:
        """The `error` member of an error's body."""
        return self.json["error"]

    def member(self, path: str) -> str:
        """Return what `details` says of one path."""
        found = [detail["message"] for detail in self.error["details"] if detail["path"] == path]
        assert found, f"{path!r} is not among {self.error['details']}"
        return " ".join(found)


@dataclass(slots=True)
class Client:
    """Sends requests to an app; every answer goes through `check`.

    Attributes:
        key: Sent as the bearer token unless a request brings its own Authorization.
        caller: The address that requests come from; None where the server does not know (a Unix socket).
    """

    app: App
    check: Callable[[Reply], None]
    key: str | None = None
    caller: str | None = CALLER
    headers: Mapping[str, str] = field(default_factory=dict)

    async def get(self, target: str, **headers: str) -> Reply:
        return await self.send("GET", target, headers=_dashed(headers))

    async def head(self, target: str, **headers: str) -> Reply:
        return await self.send("HEAD", target, headers=_dashed(headers))

    async def post(self, target: str, content: JsonValue = None, **headers: str) -> Reply:
        """Send JSON, or nothing when there is no content."""
        body = b"" if content is None else json.dumps(content).encode()
        given = _dashed(headers)
        return await self.send("POST", target, body=body, headers={"content-type": "application/json", **given})

    async def patch(self, target: str, content: JsonValue, **headers: str) -> Reply:
        """Send JSON."""
        given = {"content-type": "application/json", **_dashed(headers)}
        return await self.send("PATCH", target, body=json.dumps(content).encode(), headers=given)

    async def delete(self, target: str, **headers: str) -> Reply:
        return await self.send("DELETE", target, headers=_dashed(headers))

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: Body = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send any request. A body given in parts goes without a Content-Length."""
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        exchange = Exchange(self._scope(method, target, given, body), body)
        await exchange.run(self.app)
        reply = exchange.reply()
        self.check(reply)
        return reply

    def _scope(self, method: str, target: str, given: Sequence[tuple[str, str]], body: Body) -> Message:
        path, _, query = target.partition("?")
        names = {name.lower() for name, _ in given}
        sent = [("host", "dojo.test"), *((name, value) for name, value in self.headers.items() if name not in names)]
        if self.key is not None and "authorization" not in names:
            sent.append(("authorization", f"Bearer {self.key}"))
        if isinstance(body, bytes) and body and "content-length" not in names:
            sent.append(("content-length", str(len(body))))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in [*sent, *given]],
            "client": None if self.caller is None else (self.caller, 50_000),
            "server": ("127.0.0.1", 8000),
        }


class Exchange:
    """One request under way: what the app has taken of it, by the time it answered too, and what it has answered."""

    def __init__(self, scope: Message, body: Body = b"") -> None:
        self.scope = scope
        self.parts_taken = 0
        self.parts_before_answer = 0
        self.bytes_sent = 0
        self.answered = asyncio.Event()
        self._parts = _parts(body)
        self._is_body_over = False
        self._started: Message | None = None
        self._chunks: list[bytes] = []
        self._hang_up = asyncio.Event()

    async def run(self, app: App) -> None:
        await app(self.scope, self._receive, self._send)

    def hang_up(self) -> None:
        """Let the caller go away, as a server tells the app."""
        self._hang_up.set()

    def reply(self) -> Reply:
        """Return the answer, after checking that it is one answer and whole."""
        assert self._started is not None, "the app did not answer"
        assert self.answered.is_set(), "the app did not finish its answer"
        method = str(self.scope["method"])
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._started["headers"]]
        body = b"" if method == "HEAD" else b"".join(self._chunks)
        reply = Reply(method, _path(self.scope), self._started["status"], headers, body, self.bytes_sent)
        declared = reply.header("content-length")
        has_body = method != "HEAD" and reply.status not in {204, 304}
        assert not has_body or declared is None or int(declared) == len(body)
        return reply

    async def _receive(self) -> Message:
        if self._is_body_over:
            await self._hang_up.wait()
            return {"type": "http.disconnect"}
        part = await anext(self._parts, None)
        self._is_body_over = part is None
        self.parts_taken += part is not None
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert self._started is None, "the app answered twice"
            self._started = message
            self.parts_before_answer = self.parts_taken
            return
        assert message["type"] == "http.response.body"
        assert self._started is not None
        assert not self.answered.is_set(), "the app went on after the end of its answer"
        self._chunks.append(bytes(message.get("body", b"")))
        self.bytes_sent += len(self._chunks[-1])
        if not message.get("more_body", False):
            self.answered.set()


async def _parts(body: Body) -> Any:
    if isinstance(body, bytes):
        yield body
        return
    async for part in body:
        yield part


async def in_parts(parts: Iterable[bytes]) -> Any:
    """Yield a body in parts, as a caller does that does not know its length."""
    for part in parts:
        yield part


def _path(scope: Message) -> str:
    return str(scope["path"])


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")
