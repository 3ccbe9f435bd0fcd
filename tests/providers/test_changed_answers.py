"""Good answers with one part replaced by something else: understood or refused, never a fault of ours.

test_hostile_answers.py makes answers up from nothing; those seldom have the depth that these services' answers have.
"""

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.scripted import Scripted
from tests.providers.test_hostile_answers import CALL, KEY, WORDS, check_message

from pixeldojo.providers.contract import Finished, HttpAnswer, Operation, Running, UpstreamError
from pixeldojo.providers.google import GoogleProvider
from pixeldojo.providers.openai import OpenAiProvider
from pixeldojo.providers.xai import XaiProvider

_CLIP: Final = {"url": "https://files.test/a.mp4", "duration": 6, "respect_moderation": True}
_URI: Final = "https://generativelanguage.googleapis.com/v1beta/files/abc123:download?alt=media"
_PART: Final = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": False}
_USAGE: Final = {"cost_in_usd_ticks": 7}
ENDPOINTS: Final = {
    OpenAiProvider: ("gpt-image-2@images/generations",),
    XaiProvider: ("grok-imagine-image@images/generations", "grok-imagine-video@videos/generations"),
    GoogleProvider: ("models/gemini-3-pro-image:generateContent", "models/veo-3.1-generate-001:predictLongRunning"),
}
ROWS: Final[list[tuple[type[OpenAiProvider | XaiProvider | GoogleProvider], int, Any]]] = [
    (OpenAiProvider, 200, {"data": [{"b64_json": "AAAA"}], "usage": {"total_tokens": 9}}),
    (OpenAiProvider, 429, {"error": {"message": "no", "type": "requests", "param": None, "code": "x"}}),
    (XaiProvider, 200, {"data": [{"url": "https://files.test/a.png", "respect_moderation": True}], "usage": _USAGE}),
    (XaiProvider, 200, {"status": "done", "progress": 100, "video": _CLIP, "usage": _USAGE}),
    (XaiProvider, 200, {"status": "failed", "error": {"code": "internal_error", "message": "no"}}),
    (XaiProvider, 400, {"error": {"message": "Incorrect API key", "type": "x", "code": None}}),
    (GoogleProvider, 200, {"candidates": [{"content": {"parts": [_PART]}, "finishReason": "STOP"}]}),
    (GoogleProvider, 200, {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"totalTokenCount": 1}}),
    (
        GoogleProvider,
        200,
        {"done": True, "response": {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": _URI}}]}}},
    ),
    (GoogleProvider, 200, {"done": True, "error": {"code": 3, "message": "no", "details": []}}),
    (GoogleProvider, 429, {"error": {"message": "no", "status": "X", "details": [{"retryDelay": "3s"}]}}),
]
_REPLACEMENTS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(WORDS)
    | st.lists(st.none() | st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(["url", "message", "data"]), st.integers(), max_size=1)
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _changed(body: Any, path: tuple[Any, ...], replacement: object) -> Any:
    changed = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = replacement
    return changed


@pytest.mark.parametrize(("adapter", "status", "body"), ROWS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_one_part_is_something_else(
    adapter: type[OpenAiProvider | XaiProvider | GoogleProvider], status: int, body: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(_places(body))))
    answer = HttpAnswer(status, {}, json.dumps(_changed(body, path, data.draw(_REPLACEMENTS))).encode())
    provider = adapter(KEY)

    asyncio.run(_talk(provider, ENDPOINTS[adapter], answer))


async def _talk(
    provider: OpenAiProvider | XaiProvider | GoogleProvider, endpoints: tuple[str, ...], answer: HttpAnswer
) -> None:
    for endpoint in (*endpoints, ""):
        try:
            if endpoint:
                told: object = await provider.submit(replace(CALL, endpoint=endpoint, arguments={}), Scripted(answer))
            else:
                told = await provider.check(Operation("abc", {"model": "models/m"}), Scripted(answer))
        except UpstreamError as error:
            check_message(error)
        else:
            assert isinstance(told, Operation | Running | Finished)
