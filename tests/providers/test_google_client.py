"""google-genai, as Google publishes it, against the emulator: what it expects of the real API, the emulator does.

Version 2.34.0, the last that makes videos with a plain API key.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from google import genai
from google.auth import jwt
from google.genai import errors, types
from tests.emulators.google import GoogleEmulator
from tests.emulators.samples import Samples

VEO = "veo-3.1-generate-001"
GEMINI = "gemini-3-pro-image"

# The client's own affair, and said once for each process.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


@pytest.fixture
async def emulator() -> AsyncIterator[GoogleEmulator]:
    kinds = {f"models/{VEO}:predictLongRunning": "video", f"models/{GEMINI}:generateContent": "image"}
    async with GoogleEmulator(kinds, polls_until_done=2) as emulator:
        assert isinstance(emulator, GoogleEmulator)
        yield emulator


@pytest.fixture
async def client(emulator: GoogleEmulator) -> AsyncIterator[genai.client.AsyncClient]:
    client = _client(emulator, emulator.key)
    yield client
    await client.aclose()


def _client(emulator: GoogleEmulator, key: str) -> genai.client.AsyncClient:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=emulator.url)).aio


def _source(prompt: str, image: types.Image | None = None) -> types.GenerateVideosSource:
    return types.GenerateVideosSource(prompt=prompt, image=image)


async def _finished(client: genai.client.AsyncClient, prompt: str) -> types.GenerateVideosOperation:
    operation = await client.models.generate_videos(model=VEO, source=_source(prompt))
    for _ in range(2):
        operation = await client.operations.get(operation)
    return operation


def _read_token(token: str, public: bytes) -> Mapping[str, Any]:
    read: Callable[..., Mapping[str, Any]] = jwt.decode  # which has no types
    return read(token, certs=public, audience="https://dojo.test/back")


# Veo


async def test_submit_poll_and_download(client: genai.client.AsyncClient, emulator: GoogleEmulator) -> None:
    config = types.GenerateVideosConfig(
        number_of_videos=1, duration_seconds=8, aspect_ratio="16:9", resolution="1080p", negative_prompt="rain"
    )
    operation = await client.models.generate_videos(model=VEO, source=_source("a lantern"), config=config)
    seen = [operation.done]
    for _ in range(2):
        operation = await client.operations.get(operation)
        seen.append(operation.done)
    assert seen == [None, None, True]
    assert operation.response is not None
    [made] = operation.response.generated_videos or []
    assert await client.files.download(file=made) == emulator.samples.video
    assert emulator.paid[0].arguments["parameters"] == {
        "sampleCount": 1,
        "durationSeconds": 8,
        "aspectRatio": "16:9",
        "resolution": "1080p",
        "negativePrompt": "rain",
    }


async def test_frames_and_references_go_as_base64(client: genai.client.AsyncClient, emulator: GoogleEmulator) -> None:
    picture = types.Image(image_bytes=Samples().image, mime_type="image/png")
    reference = types.VideoGenerationReferenceImage(
        image=picture, reference_type=types.VideoGenerationReferenceType.ASSET
    )
    config = types.GenerateVideosConfig(last_frame=picture, reference_images=[reference])
    await client.models.generate_videos(model=VEO, source=_source("a lantern", image=picture), config=config)
    [instance] = emulator.paid[0].arguments["instances"]
    assert sorted(instance) == ["image", "lastFrame", "prompt", "referenceImages"]


async def test_callbacks_are_tokens_that_googles_own_library_verifies(
    client: genai.client.AsyncClient, emulator: GoogleEmulator
) -> None:
    config = types.GenerateVideosConfig(webhook_config=types.WebhookConfig(uris=["https://dojo.test/back"]))
    await client.models.generate_videos(model=VEO, source=_source("a lantern"), config=config)
    [work] = emulator.paid
    assert work.callback_url == "https://dojo.test/back"
    headers, _ = emulator.sign(work, datetime.now(UTC))
    public = emulator.certificate()
    claims = _read_token(headers["webhook-signature"], public)
    assert claims["iss"] == "https://generativelanguage.googleapis.com"
    forged, _ = emulator.sign(work, datetime.now(UTC), forged=True)
    with pytest.raises(ValueError, match="signature"):
        _read_token(forged["webhook-signature"], public)


async def test_moderation_arrives_as_success(client: genai.client.AsyncClient) -> None:
    operation = await _finished(client, "trouble:moderated")
    assert operation.error is None
    assert operation.response is not None
    assert not operation.response.generated_videos
    assert operation.response.rai_media_filtered_count == 1
    assert "filtered" in (operation.response.rai_media_filtered_reasons or [""])[0]


async def test_a_failed_operation_says_why(client: genai.client.AsyncClient) -> None:
    operation = await _finished(client, "trouble:failed")
    assert operation.error == {"code": 13, "message": "Video generation failed due to an internal issue."}
    assert operation.response is None


# Gemini


async def test_drawing(client: genai.client.AsyncClient, emulator: GoogleEmulator) -> None:
    strict = types.SafetySetting(
        category=types.HarmCategory.HARM_CATEGORY_HATE_SPEECH,
        threshold=types.HarmBlockThreshold.BLOCK_MEDIUM_AND_ABOVE,
    )
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"],
        image_config=types.ImageConfig(aspect_ratio="1:1", image_size="2K"),
        safety_settings=[strict],
    )
    contents: Any = ["a lantern", types.Part.from_bytes(data=Samples().image, mime_type="image/png")]
    answer = await client.models.generate_content(model=GEMINI, contents=contents, config=config)
    shown = [part.inline_data.data for part in answer.parts or [] if part.inline_data and not part.thought]
    assert shown == [Samples().image]
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 1_302
    assert emulator.paid[0].arguments["generationConfig"]["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "2K"}
    assert emulator.paid[0].arguments["safetySettings"] == [
        {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_MEDIUM_AND_ABOVE"}
    ]


async def test_blocked_prompts_and_pictures(client: genai.client.AsyncClient) -> None:
    blocked = await client.models.generate_content(model=GEMINI, contents="trouble:moderated")
    assert blocked.prompt_feedback is not None
    assert blocked.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    withheld = await client.models.generate_content(model=GEMINI, contents="trouble:partial")
    assert withheld.candidates
    assert withheld.candidates[0].finish_reason == types.FinishReason.IMAGE_SAFETY


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (types.GenerateContentConfig(image_config=types.ImageConfig(aspect_ratio="1:8")), "aspect_ratio"),
        (types.GenerateContentConfig(image_config=types.ImageConfig(image_size="2k")), "image_size"),
        (types.GenerateContentConfig(response_modalities=["VIDEO"]), "responseModalities"),
        (
            types.GenerateContentConfig(
                safety_settings=[
                    types.SafetySetting(
                        category=types.HarmCategory.HARM_CATEGORY_IMAGE_HATE,
                        threshold=types.HarmBlockThreshold.BLOCK_ONLY_HIGH,
                    )
                ]
            ),
            "safetySettings",
        ),
    ],
)
async def test_pictures_that_the_model_does_not_draw_are_refused(
    client: genai.client.AsyncClient, emulator: GoogleEmulator, config: types.GenerateContentConfig, told: str
) -> None:
    with pytest.raises(errors.ClientError, match=told):
        await client.models.generate_content(model=GEMINI, contents="a lantern", config=config)
    assert emulator.paid == []


# Refusals


@pytest.mark.parametrize(
    ("key", "model", "prompt", "status", "name"),
    [
        ("AIza-other", VEO, "a lantern", 400, "INVALID_ARGUMENT"),
        (None, "veo-9", "a lantern", 404, "NOT_FOUND"),
        (None, VEO, "trouble:quota", 400, "FAILED_PRECONDITION"),
        (None, VEO, "trouble:busy", 429, "RESOURCE_EXHAUSTED"),
        (None, VEO, "trouble:broken", 500, "INTERNAL"),
        (None, VEO, "trouble:away", 503, "UNAVAILABLE"),
    ],
)
async def test_refusals(
    emulator: GoogleEmulator, key: str | None, model: str, prompt: str, status: int, name: str
) -> None:
    client = _client(emulator, key or emulator.key)
    with pytest.raises(errors.APIError) as raised:
        await client.models.generate_videos(model=model, source=_source(prompt))
    await client.aclose()
    assert (raised.value.code, raised.value.status) == (status, name)
    assert emulator.paid == []


async def test_members_that_the_api_does_not_know_are_refused(
    client: genai.client.AsyncClient, emulator: GoogleEmulator
) -> None:
    extra = types.HttpOptions(extra_body={"parameters": {"seed": 7}})
    with pytest.raises(errors.ClientError, match="seed"):
        await client.models.generate_videos(
            model=VEO, source=_source("a lantern"), config=types.GenerateVideosConfig(http_options=extra)
        )
    # The client itself will not send it to this API.
    with pytest.raises(ValueError, match="seed"):
        await client.models.generate_videos(
            model=VEO, source=_source("a lantern"), config=types.GenerateVideosConfig(seed=7)
        )
    assert emulator.paid == []
