"""xAI's emulator: pictures driven by the openai client, which xAI's pages tell to use; the rest by recorded shapes.

xAI's own client, xai-sdk, speaks gRPC alone and cannot drive a server of the REST API. What edits and videos look like
is recorded from docs.x.ai and vercel/ai's packages/xai.
"""

import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from tests.emulators.samples import Samples
from tests.emulators.xai import XaiEmulator

IMAGE = "grok-imagine-image"
VIDEO = "grok-imagine-video"


@pytest.fixture
async def emulator() -> AsyncIterator[XaiEmulator]:
    kinds = {
        f"{IMAGE}@images/generations": "image",
        f"{IMAGE}@images/edits": "image",
        f"{VIDEO}@videos/generations": "video",
        f"{VIDEO}@videos/edits": "video",
    }
    async with XaiEmulator(kinds, polls_until_done=3) as emulator:
        assert isinstance(emulator, XaiEmulator)
        yield emulator


@pytest.fixture
async def client(emulator: XaiEmulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=emulator.key, base_url=f"{emulator.url}/v1", max_retries=0) as client:
        yield client


class Rest:
    """xAI's REST API, asked plainly."""

    def __init__(self, emulator: XaiEmulator, session: aiohttp.ClientSession) -> None:
        self._url = f"{emulator.url}/v1"
        self._session = session
        self.headers = {"Authorization": f"Bearer {emulator.key}"}

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        async with self._session.post(f"{self._url}/{path}", json=body, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(f"{self._url}/{path}", headers=self.headers) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def rest(emulator: XaiEmulator) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(emulator, session)


# The openai client


async def test_generating(client: openai.AsyncOpenAI, emulator: XaiEmulator) -> None:
    answer = await client.images.generate(model=IMAGE, prompt="a lantern", n=2, extra_body={"aspect_ratio": "16:9"})
    assert [picture.url for picture in answer.data or ()] == emulator.file_urls(emulator.paid[0])


async def test_pictures_inside_the_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.images.generate(model=IMAGE, prompt="a lantern", response_format="b64_json")
    assert answer.data
    assert base64.b64decode(answer.data[0].b64_json or "") == Samples().image


@pytest.mark.parametrize(
    ("prompt", "changed", "error"),
    [
        ("trouble:wrong-key", {}, openai.BadRequestError),
        ("trouble:busy", {}, openai.RateLimitError),
        ("trouble:quota", {}, openai.PermissionDeniedError),
        ("against the guidelines", {}, openai.PermissionDeniedError),
        ("a lantern", {"size": "1024x1024"}, openai.UnprocessableEntityError),
        ("a lantern", {"model": "grok-0"}, openai.NotFoundError),
        ("a lantern", {"n": 11}, openai.UnprocessableEntityError),
    ],
)
async def test_refusals(
    client: openai.AsyncOpenAI,
    emulator: XaiEmulator,
    prompt: str,
    changed: dict[str, Any],
    error: type[openai.APIStatusError],
) -> None:
    with pytest.raises(error):
        await client.images.generate(**{"model": IMAGE, "prompt": prompt, **changed})
    assert emulator.paid == []


# Recorded shapes


async def test_moderated_pictures_are_left_out_of_a_good_answer(rest: Rest) -> None:
    body = {"model": IMAGE, "prompt": "trouble:partial", "n": 2, "response_format": "url"}
    status, answer = await rest.post("images/generations", body)
    assert status == 200
    assert [(picture["respect_moderation"], "url" in picture) for picture in answer["data"]] == [
        (False, False),
        (True, True),
    ]
    assert answer["usage"] == {"cost_in_usd_ticks": 200_000_000}


async def test_editing_is_json(rest: Rest, emulator: XaiEmulator) -> None:
    body = {
        "model": IMAGE,
        "prompt": "Make it night",
        "image": {"url": "https://files.test/a.png", "type": "image_url"},
    }
    assert (await rest.post("images/edits", body))[0] == 200
    for broken in ({"image": "https://files.test/a.png"}, {"image": {"url": "http://files.test/a.png"}}, {}):
        status, answer = await rest.post("images/edits", {"model": IMAGE, "prompt": "Make it night", **broken})
        assert (status, answer["code"]) == (422, "invalid-argument")
    assert len(emulator.paid) == 1


async def test_a_clip_is_begun_asked_about_and_given(rest: Rest) -> None:
    body = {"model": VIDEO, "prompt": "a lantern", "duration": 6, "aspect_ratio": "16:9", "resolution": "720p"}
    status, accepted = await rest.post("videos/generations", body)
    assert (status, list(accepted)) == (200, ["request_id"])
    answers = [await rest.get(f"videos/{accepted['request_id']}") for _ in range(3)]
    assert answers[:2] == [(202, ""), (202, '{"status": "pending", "progress": 40}')]
    status, told = answers[2]
    assert status == 200
    assert '"status": "done"' in told
    assert '"url": "' in told


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("failed", '"status": "failed", "error": {"code": "internal_error"'),
        ("stopped", '{"status": "expired"}'),
        ("moderated", '"video": {"duration": 6, "respect_moderation": false}'),
    ],
)
async def test_a_clip_that_ends_badly_answers_200(rest: Rest, trouble: str, words: str) -> None:
    body = {"model": VIDEO, "prompt": f"trouble:{trouble}"}
    request_id = (await rest.post("videos/generations", body))[1]["request_id"]
    status, told = [await rest.get(f"videos/{request_id}") for _ in range(3)][-1]
    assert status == 200
    assert words in told


async def test_a_missing_key_and_a_wrong_one_differ(rest: Rest, emulator: XaiEmulator) -> None:
    body = {"model": IMAGE, "prompt": "a lantern"}
    rest.headers = {}
    assert await rest.post("images/generations", body) == (401, {"error": "No API key was provided."})
    rest.headers = {"Authorization": "Bearer xai-other"}
    status, answer = await rest.post("images/generations", body)
    assert (status, answer["error"]) == (400, "Incorrect API key provided: xa***ed.")
    assert emulator.paid == []
