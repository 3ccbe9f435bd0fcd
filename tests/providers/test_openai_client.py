"""openai, as OpenAI publishes it, against the emulator: what it expects of the real API, the emulator does."""

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import openai
import pytest
from tests.emulators.openai import OpenAiEmulator
from tests.emulators.samples import Samples
from tests.emulators.trouble import Trouble

PICTURE = Samples().image


@pytest.fixture
async def emulator() -> AsyncIterator[OpenAiEmulator]:
    kinds = {
        f"{model}@images/{path}": "image"
        for model in ("gpt-image-2", "gpt-image-1-mini")
        for path in ("generations", "edits")
    }
    async with OpenAiEmulator(kinds) as emulator:
        assert isinstance(emulator, OpenAiEmulator)
        yield emulator


@pytest.fixture
async def client(emulator: OpenAiEmulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with _client(emulator) as client:
        yield client


def _client(emulator: OpenAiEmulator, key: str | None = None, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key or emulator.key, base_url=f"{emulator.url}/v1", max_retries=retries)


async def test_generating(client: openai.AsyncOpenAI, emulator: OpenAiEmulator) -> None:
    answer = await client.images.generate(
        model="gpt-image-2", prompt="a lantern", n=2, size="1536x864", quality="low", output_format="webp"
    )
    assert [base64.b64decode(picture.b64_json or "") for picture in answer.data or ()] == [PICTURE] * 2
    assert answer.usage is not None
    assert answer.usage.total_tokens == 284
    assert emulator.paid[0].arguments["size"] == "1536x864"


@pytest.mark.parametrize("count", [1, 2])
async def test_editing(client: openai.AsyncOpenAI, emulator: OpenAiEmulator, count: int) -> None:
    pictures: Any = [(f"{number}.png", PICTURE, "image/png") for number in range(count)]
    answer = await client.images.edit(
        model="gpt-image-2",
        prompt="Make it night",
        image=pictures if count > 1 else pictures[0],
        mask=("mask.png", PICTURE, "image/png"),
        n=1,
    )
    assert answer.data
    assert base64.b64decode(answer.data[0].b64_json or "") == PICTURE
    [work] = emulator.paid
    sent = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    assert work.arguments == {
        "model": "gpt-image-2",
        "prompt": "Make it night",
        "n": 1,
        "image": [sent] * count,
        "mask": [sent],
    }


@pytest.mark.parametrize(
    ("prompt", "changed", "error", "code"),
    [
        ("trouble:moderated", {}, openai.BadRequestError, "moderation_blocked"),
        ("trouble:bad-input", {}, openai.BadRequestError, "string_above_max_length"),
        ("trouble:busy", {}, openai.RateLimitError, "rate_limit_exceeded"),
        ("trouble:quota", {}, openai.RateLimitError, "insufficient_quota"),
        ("trouble:broken", {}, openai.InternalServerError, "server_error"),
        ("a lantern", {"model": "gpt-image-3"}, openai.NotFoundError, "model_not_found"),
        ("a lantern", {"size": "500x500"}, openai.BadRequestError, "invalid_value"),
        ("a lantern", {"size": "3840x1024"}, openai.BadRequestError, "invalid_value"),
        ("a lantern", {"output_compression": 50}, openai.BadRequestError, "invalid_value"),
        ("a lantern", {"n": 11}, openai.BadRequestError, "invalid_value"),
        ("a lantern", {"extra_body": {"seed": 7}}, openai.BadRequestError, "unknown_parameter"),
        ("a lantern", {"model": "gpt-image-1-mini", "size": "1536x864"}, openai.BadRequestError, "invalid_value"),
    ],
)
async def test_refusals(
    client: openai.AsyncOpenAI,
    emulator: OpenAiEmulator,
    prompt: str,
    changed: dict[str, Any],
    error: type[openai.APIStatusError],
    code: str,
) -> None:
    with pytest.raises(error) as raised:
        await client.images.generate(**{"model": "gpt-image-2", "prompt": prompt, **changed})
    assert raised.value.code == code
    assert [work for work in emulator.paid if "moderated" not in prompt] == []


async def test_a_wrong_key(emulator: OpenAiEmulator) -> None:
    async with _client(emulator, key="sk-other") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.images.generate(model="gpt-image-2", prompt="a lantern")
    assert emulator.paid == []


async def test_a_file_that_is_no_picture_is_refused(client: openai.AsyncOpenAI, emulator: OpenAiEmulator) -> None:
    with pytest.raises(openai.BadRequestError, match="application/pdf"):
        await client.images.edit(
            model="gpt-image-2", prompt="Make it night", image=("a.pdf", b"%PDF", "application/pdf")
        )
    assert emulator.paid == []


class Hasty(OpenAiEmulator):
    """Asks for the shortest wait, which is the client's to keep."""

    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        trouble: (status, body, {"retry-after-ms": "1"})
        for trouble, (status, body, _) in OpenAiEmulator.refusals.items()
    }


async def test_a_busy_service_is_asked_again() -> None:
    async with Hasty({"gpt-image-2@images/generations": "image"}) as emulator:
        assert isinstance(emulator, Hasty)
        async with _client(emulator, retries=1) as client:
            await client.images.generate(model="gpt-image-2", prompt="trouble:busy")
    assert [seen.status for seen in emulator.log] == [429, 200]
    assert len(emulator.paid) == 1
