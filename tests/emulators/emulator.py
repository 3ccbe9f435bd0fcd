"""What every emulator of a service does: serve on loopback, keep the books, hand out files, go wrong when asked to.

The books (`paid`, `log`) are the emulator's own, so that nobody has to believe ours. What a service's words are, what
it refuses and how it signs is in the file of that service.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import aiohttp
from aiohttp import web
from tests.emulators.samples import CONTENT_TYPES, EXTENSIONS, Samples
from tests.emulators.trouble import Trouble, Wish, find_wish

HTML: Final = "<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_SKEW: Final = timedelta(hours=1)
LARGEST_BODY: Final = 200 * 1024 * 1024
Answer = web.StreamResponse
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


class Refusal(Exception):
    """The service says no: a status, a JSON body in its own shape, and headers."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass(slots=True)
class Work:
    """One accepted request.

    Attributes:
        polls: How often somebody asked.
        is_running: Whether work on it has begun.
        is_done: Whether it has ended, well or badly.
        is_canceled: Whether that was by request.
    """

    id: str
    endpoint: str
    kind: str
    arguments: Mapping[str, Any]
    wish: Wish
    callback_url: str | None
    count: int
    polls: int = 0
    is_done: bool = False
    is_canceled: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def wants(self, *troubles: Trouble) -> bool:
        """Whether one of these troubles was asked for."""
        return self.wish.trouble in troubles


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as it came, and what it was answered; None where the answer broke off."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int | None


class Emulator(ABC):
    """A service on loopback. `async with` starts and ends it.

    Attributes:
        accepted: What it took, by its own ids.
        log: Every request it read.
        uploads: Files handed over, by its own ids.
        callback_statuses: What its callbacks were answered.
        keys_given: How often somebody asked for the keys that sign callbacks.
        named_url: What the addresses in its answers begin with; its own unless changed.
        is_deaf_to_troubles: Whether it does everything right, whatever requests ask for.
        failing_uploads: How many of the next uploads it does not take.
    """

    name: ClassVar[str]
    usual_key: ClassVar[str]
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]]
    """Status, body and headers for BUSY, BUSY_QUIET, AWAY, BROKEN, QUOTA, WRONG_KEY and BAD_INPUT."""

    count_members: ClassVar[Sequence[str]] = ("num_images", "num_outputs", "n", "number_of_images")

    def __init__(
        self,
        kinds: Mapping[str, str],
        *,
        key: str | None = None,
        polls_until_done: int = 2,
        work_seconds: float | None = None,
        post: Post | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make it.

        Args:
            kinds: What each endpoint makes; any other endpoint is not there.
            key: The only credentials it takes.
            polls_until_done: After how many questions work is done.
            work_seconds: After how many seconds work is done and called back; None where a test says when.
            post: Sends callbacks: address, headers, body to the answer's status. Over HTTP unless told otherwise.
            now: What its clock says when it signs.
        """
        self.kinds = kinds
        self.key = key or self.usual_key
        self.samples = Samples()
        self.accepted: dict[str, Work] = {}
        self.log: list[Seen] = []
        self.uploads: dict[str, bytes] = {}
        self.callback_statuses: list[int] = []
        self._polls_until_done = polls_until_done
        self._work_seconds = work_seconds
        self._post = post or _post
        self._now = now
        self.keys_given = 0
        self.is_deaf_to_troubles = False
        self.failing_uploads = 0
        self.named_url = ""
        self._happened: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._has_accepted = asyncio.Event()
        self._has_called_back = asyncio.Event()
        self.url = ""

    @property
    def paid(self) -> list[Work]:
        """What the service would charge for: all that it took."""
        return list(self.accepted.values())

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """Return the service's own addresses."""

    @abstractmethod
    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        """Return status and body with which a submit is answered."""

    def refusal_of(self, trouble: Trouble) -> Refusal:
        """Return how the service words a trouble."""
        return Refusal(*self.refusals[trouble])

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of a callback."""
        raise NotImplementedError(f"{self.name} does not call back")

    def callback_address(self, work: Work, *, forged: bool = False) -> str:
        """Return where a callback is posted; other than asked only where the address itself is what proves it."""
        return str(work.callback_url)

    def renew_keys(self) -> None:
        """Sign with another key from now on."""
        raise NotImplementedError(f"{self.name} does not call back")

    # Life

    async def start(self, port: int = 0) -> "Emulator":
        """Listen; `url` says where."""
        app = web.Application(middlewares=[self._keep_books], client_max_size=LARGEST_BODY)
        app.add_routes([web.get("/files/{id}/{number}.{extension}", self.give_file), *self.routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = self.named_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def close(self) -> None:
        """End, whatever hangs."""
        self._closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> "Emulator":
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # The submit

    async def take(self, request: web.Request, work: Work) -> Answer:
        """Accept work, or go wrong as it asks; return the answer to the submit."""
        await self._before_accepting(request, work)
        self.accepted[work.id] = work
        self._has_accepted.set()
        if work.wants(Trouble.CALLED_EARLY):
            work.is_done = True
            await self.call_back(work)
        elif self._work_seconds is not None:
            self._begin(self._finish_later(work))
        match work.wish.trouble:
            case Trouble.ACCEPTED_SILENT:
                await self._hang(request)
            case Trouble.ACCEPTED_HTML:
                return web.Response(text=HTML, content_type="text/html")
            case Trouble.ACCEPTED_GATEWAY:
                return web.Response(text=HTML, content_type="text/html", status=502)
        status, body = self.accepted_answer(work)
        if work.wants(Trouble.ACCEPTED_CUT_OFF):
            return await cut_off(request, json.dumps(body).encode())
        return web.json_response(body, status=status)

    async def _before_accepting(self, request: web.Request, work: Work) -> None:
        trouble = work.wish.trouble
        key = json.dumps(work.arguments, sort_keys=True, default=str)
        if trouble not in _REFUSED or not self.happens(work.wish, f"submit {key}"):
            return
        if trouble == Trouble.SILENT:
            await self._hang(request)
        if trouble == Trouble.CUT_OFF:
            hang_up(request)
        raise self.refusal_of(trouble)

    def happens(self, wish: Wish, what: str) -> bool:
        """Whether a trouble happens once more to `what`."""
        self._happened[what] += 1
        return self._happened[what] <= wish.times

    def wish_in(self, body: object) -> Wish:
        """Return the trouble that a body asks for."""
        return Wish() if self.is_deaf_to_troubles else find_wish(json.dumps(body))

    def count_in(self, arguments: Mapping[str, Any]) -> int:
        """Return how many outputs are asked for."""
        return next((int(arguments[name]) for name in self.count_members if name in arguments), 1)

    async def until_accepted(self) -> Work:
        """Return the newest work once there is any."""
        await self._has_accepted.wait()
        return self.paid[-1]

    async def until_called_back(self) -> None:
        """Return once a callback was answered."""
        await self._has_called_back.wait()

    # Questions

    async def asked(self, request: web.Request, work: Work) -> Answer | None:
        """Count a question; go wrong as the work asks: an answer that replaces the service's own, or None."""
        trouble = work.wish.trouble
        if trouble in _ASKED and self.happens(work.wish, f"asked {work.id}"):
            match trouble:
                case Trouble.ASKED_SILENT:
                    await self._hang(request)
                case Trouble.ASKED_CUT_OFF:
                    hang_up(request)
                case Trouble.ASKED_HTML:
                    return web.Response(text=HTML, content_type="text/html")
            raise self.refusal_of(_ASKED[trouble])
        work.polls += 1
        if self._work_seconds is None and work.callback_url is None and work.polls >= self._polls_until_done:
            self.finish(work)
        return None

    def finish(self, work: Work) -> None:
        """End the work, unless it never does."""
        if not work.wants(Trouble.ENDLESS):
            work.is_done = True

    def file_urls(self, work: Work) -> list[str]:
        """Return the addresses of the outputs."""
        count = 0 if work.wants(Trouble.EMPTY) else work.count
        return [f"{self.named_url}/files/{work.id}/{number}.{EXTENSIONS[work.kind]}" for number in range(count)]

    # Callbacks

    async def finish_and_call_back(self, work: Work) -> None:
        """End the work and announce it as it asks."""
        self.finish(work)
        if work.is_done and not work.wants(Trouble.NOT_CALLED, Trouble.CALLED_EARLY):
            await self.call_back(work)
            if work.wants(Trouble.CALLED_TWICE):
                await self.call_back(work)

    async def call_back(self, work: Work) -> None:
        """Post a callback and note what it was answered."""
        if work.callback_url is None:
            return
        at = self._now() - (_SKEW if work.wants(Trouble.CALLED_LATE_CLOCK) else timedelta())
        forged = work.wants(Trouble.CALLED_BY_ANOTHER)
        headers, body = self.sign(work, at, forged=forged)
        sent = {**headers, "content-type": "application/json"}
        self.callback_statuses.append(await self._post(self.callback_address(work, forged=forged), sent, body))
        self._has_called_back.set()

    async def _finish_later(self, work: Work) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(self._work_seconds or 0.0, ended.set)
        await ended.wait()
        with suppress(aiohttp.ClientError):
            await self.finish_and_call_back(work)

    def _begin(self, later: Awaitable[None]) -> None:
        task = asyncio.ensure_future(later)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Files

    def content_of(self, work: Work) -> bytes:
        """Return an output, as broken as the work asks."""
        if work.wants(Trouble.FILE_HTML):
            return HTML.encode()
        content = self.samples.of(work.kind)
        return content[: len(content) * 2 // 3] if work.wants(Trouble.FILE_TRUNCATED) else content

    async def give_file(self, request: web.Request) -> Answer:
        """Answer with the output of the work whose `id` stands in the address."""
        work = self.accepted.get(request.match_info["id"])
        if work is None or work.wants(Trouble.FILE_GONE):
            return web.Response(status=404, text="Not Found")
        content = self.content_of(work)
        if work.wants(Trouble.FILE_CUT_OFF):
            return await cut_off(request, content)
        is_mislabelled = work.wants(Trouble.FILE_HTML, Trouble.FILE_MISLABELLED)
        content_type = "text/html" if is_mislabelled else CONTENT_TYPES[work.kind]
        return web.Response(body=content, content_type=content_type)

    async def _hang(self, request: web.Request) -> None:
        """Give no answer as long as the emulator lives."""
        await self._closing.wait()
        hang_up(request)

    # Books

    @web.middleware
    async def _keep_books(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[Answer]]
    ) -> web.StreamResponse:
        # A form is read part by part, by whoever knows its parts.
        body = b"" if request.content_type.startswith("multipart/") else await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        status: int | None = None
        try:
            answer = await handler(request)
            status = answer.status
        except Refusal as refusal:
            status = refusal.status
            return web.json_response(refusal.body, status=status, headers=refusal.headers)
        except web.HTTPException as error:
            status = error.status
            return web.json_response({"detail": error.reason}, status=status)
        else:
            return answer
        finally:
            self.log.append(Seen(request.method, request.path_qs, headers, body, status))


_REFUSED: Final = frozenset(
    {
        *(Trouble.SILENT, Trouble.CUT_OFF, Trouble.BUSY, Trouble.BUSY_QUIET, Trouble.AWAY, Trouble.BROKEN),
        *(Trouble.QUOTA, Trouble.WRONG_KEY, Trouble.BAD_INPUT),
    }
)
_ASKED: Final[Mapping[Trouble | None, Trouble]] = {
    Trouble.ASKED_SILENT: Trouble.SILENT,
    Trouble.ASKED_CUT_OFF: Trouble.CUT_OFF,
    Trouble.ASKED_BUSY: Trouble.BUSY,
    Trouble.ASKED_BUSY_QUIET: Trouble.BUSY_QUIET,
    Trouble.ASKED_BROKEN: Trouble.BROKEN,
    Trouble.ASKED_HTML: Trouble.ACCEPTED_HTML,
}


def read_json_object(request: web.Request, body: bytes, refuse: Callable[[str], Refusal]) -> Mapping[str, Any]:
    """Return the body of a request that must be a JSON object, and say so."""
    if request.content_type != "application/json":
        raise refuse(f"Content-Type is {request.content_type}, not application/json")
    try:
        content = json.loads(body)
    except ValueError:
        raise refuse("the body is not JSON") from None
    if not isinstance(content, dict):
        raise refuse("the body is not a JSON object")
    return content


def hang_up(request: web.Request) -> None:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise Refusal(499, {})


async def _post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def cut_off(request: web.Request, content: bytes) -> Answer:
    """Answer with half of the content, and close the connection."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await answer.prepare(request)
    await answer.write(content[: len(content) // 2])
    assert request.transport is not None
    request.transport.abort()
    return answer
