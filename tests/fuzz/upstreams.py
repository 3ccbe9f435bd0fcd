"""What comes from upstreams, receivers and other nodes: answers, callbacks, waits they ask for, and news of jobs."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from tests.fuzz.target import Target, finished
from tests.fuzz.text import any_text, header_text, json_bytes, json_values
from tests.providers.pairs import PAIRS, Pair
from tests.providers.scripted import Scripted

from pixeldojo.core.json_types import JsonValue
from pixeldojo.engine.news import News
from pixeldojo.providers.answers import plain, retry_after_seconds
from pixeldojo.providers.contract import (
    Call,
    Callback,
    CallsBack,
    Finished,
    ForgedCallback,
    HttpAnswer,
    Operation,
    RealProvider,
    Running,
    UpstreamError,
)
from pixeldojo.worker.deliver import retry_after_seconds as receivers_retry_after_seconds

_NOW: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
_MEMBERS: Final = (
    *(
        "id",
        "request_id",
        "status",
        "output",
        "error",
        "detail",
        "error_type",
        "urls",
        "get",
        "metrics",
        "logs",
        "b64_json",
    ),
    *("images", "image", "video", "url", "has_nsfw_concepts", "keys", "key", "data_removed", "type", "code", "done"),
    *(
        "task_status",
        "task_id",
        "results",
        "choices",
        "message",
        "content",
        "data",
        "usage",
        "response",
        "name",
        "x",
        "kty",
    ),
    *(
        "errors",
        "taskUUID",
        "imageURL",
        "mediaURL",
        "progress",
        "NSFWContent",
        "cost",
        "candidates",
        "parts",
        "created",
    ),
)
_WORDS: Final[tuple[JsonValue, ...]] = (
    *(
        "COMPLETED",
        "IN_QUEUE",
        "succeeded",
        "failed",
        "starting",
        "canceled",
        "SUCCEEDED",
        "FAILED",
        "success",
        0,
        1,
        99,
    ),
    *("https://files.test/a.png", "data:image/png;base64,AAAA", "data:image/png;base64,!", "../..", "whsec_!!", "abc"),
)
_STATUSES: Final = st.sampled_from([200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503])
_WAITS: Final = header_text | st.sampled_from(["3", "-1", "soon", "9" * 5_000, "Wed, 21 Oct 2099 07:28:00 GMT", "²"])
_HEADERS: Final = st.dictionaries(st.sampled_from(["retry-after", "date", "x-fal-error-type"]), _WAITS, max_size=3)
_ANSWERS: Final = st.tuples(_STATUSES, _HEADERS, json_bytes(json_values(_MEMBERS, _WORDS)))
_CALL: Final = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="flux",
    task="text-to-image",
    endpoint="owner/name",
    arguments={"prompt": "a lantern"},
    input={"prompt": "a lantern"},
    output={"kind": "image", "formats": ["png"]},
)
_OPERATION: Final = Operation("abc", {"app": "owner/name", "kind": "image"})
_CALLING_BACK: Final = tuple(pair for pair in PAIRS if issubclass(pair.adapter, CallsBack))
_SIGNED: Final = (
    *("webhook-id", "webhook-timestamp", "webhook-signature", "x-fal-webhook-request-id", "x-fal-webhook-user-id"),
    *("x-fal-webhook-timestamp", "x-fal-webhook-signature", "authorization"),
)


@cache
def _adapter(pair: Pair) -> RealProvider:
    emulator = pair.open_emulator()
    emulator.url = "http://127.0.0.1:1"
    return pair.provider(emulator)


def _read_answer(what: tuple[int, list[tuple[int, dict[str, str], bytes]]]) -> None:
    adapter = _adapter(PAIRS[what[0]])
    answers = [HttpAnswer(status, headers, body) for status, headers, body in what[1]]

    for ask in (adapter.submit, adapter.check):
        given: Any = _CALL if ask == adapter.submit else _OPERATION
        try:
            read: object = finished(ask(given, Scripted(*answers)))
        except UpstreamError as error:
            _check_sentence(error.message)
            continue
        assert isinstance(read, Operation | Running | Finished)
        # Kept in the database as JSON.
        assert not isinstance(read, Operation) or json.dumps(dict(read.data)).encode()


def _check_sentence(said: str) -> None:
    """It is kept in the database, shown to callers and logged."""
    assert len(said.encode()) < 4_000
    assert "\0" not in said


def _read_callback(what: tuple[int, dict[str, str], bytes, list[bytes]]) -> None:
    place, headers, body, keys = what
    adapter = _adapter(_CALLING_BACK[place])
    assert isinstance(adapter, CallsBack)
    try:
        adapter.verify_callback(Callback(headers, body, _NOW, "job_1", ""), keys)
    except ForgedCallback:
        return
    raise AssertionError("a made-up callback was believed")


def _read_wait(what: tuple[str, str]) -> None:
    wait, date = what
    for seconds in (
        retry_after_seconds(HttpAnswer(429, {"retry-after": wait, "date": date}, b"")),
        receivers_retry_after_seconds(wait, _NOW),
    ):
        assert seconds is None or 0 <= seconds < float("inf")


def _read_sentence(text: str) -> None:
    said = plain(text, hide="secret-key")
    assert said.encode() is not None  # so that it can be sent on
    assert "secret-key" not in said
    assert len(said) <= 400


class _Wire:
    """Says what it is told to, once, and then a word that is understood."""

    def __init__(self, message: str) -> None:
        self._message = message

    async def publish(self, message: str) -> None:
        """Nobody listens."""

    async def messages(self) -> AsyncIterator[str | None]:
        yield None
        yield self._message
        yield "another node\njob_1"
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There is nothing to close."""


def _hear(message: str) -> None:
    async def listen() -> None:
        news = News(_Wire(message))
        async with news.listen("job_1") as heard:
            news.start()
            # Far below the pause after which it would come back if the message had thrown it out.
            async with asyncio.timeout(0.9):
                await heard.wait()
        await news.close()

    asyncio.run(listen())


TARGETS: Final[tuple[Target[Any], ...]] = (
    Target(
        "upstream-answer",
        st.tuples(st.integers(0, len(PAIRS) - 1), st.lists(_ANSWERS, min_size=3, max_size=3)),
        _read_answer,
    ),
    Target(
        "callback",
        st.tuples(
            st.integers(0, len(_CALLING_BACK) - 1),
            st.dictionaries(
                st.sampled_from(_SIGNED),
                header_text
                | st.sampled_from(["1777896000", "v1,", "v1,AAAA", "v1a,AAAA", "Bearer a.b.c", "Bearer ..", "zz"]),
            ),
            json_bytes(json_values(_MEMBERS, _WORDS)),
            st.lists(st.binary(max_size=40), max_size=2),
        ),
        _read_callback,
    ),
    Target("retry-after", st.tuples(_WAITS, _WAITS), _read_wait),
    Target("sentence", any_text | st.just("a secret-key b") | st.text(max_size=2_000), _read_sentence),
    Target("news", st.text(max_size=60) | st.sampled_from(["", "\n", "\n\n\n", "job_1", "x\0y"]), _hear),
)
