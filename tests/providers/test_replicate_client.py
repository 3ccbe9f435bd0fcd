"""replicate, as Replicate publishes it, against the emulator: what it expects of the real API, the emulator does."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret
from tests.emulators.replicate import ReplicateEmulator

OFFICIAL = "black-forest-labs/flux-2-pro"
VERSION = "0123456789abcdef" * 4
COMMUNITY = f"someone/lanterns:{VERSION}"


@pytest.fixture
async def emulator() -> AsyncIterator[ReplicateEmulator]:
    async with ReplicateEmulator({OFFICIAL: "image", COMMUNITY: "image"}, polls_until_done=3) as emulator:
        assert isinstance(emulator, ReplicateEmulator)
        yield emulator


@pytest.fixture
async def client(emulator: ReplicateEmulator) -> AsyncIterator[Client]:
    client = Client(api_token=emulator.key, base_url=emulator.url)
    client.poll_interval = 0.0
    yield client
    await client._async_client.aclose()


async def test_running_an_official_model(client: Client, emulator: ReplicateEmulator) -> None:
    output = await client.async_run(OFFICIAL, {"prompt": "a lantern"}, wait=False)
    assert str(output).startswith(f"{emulator.url}/files/")
    assert [work.arguments for work in emulator.paid] == [{"prompt": "a lantern"}]


async def test_running_a_version(client: Client, emulator: ReplicateEmulator) -> None:
    output = await client.async_run(COMMUNITY, {"prompt": "a lantern", "num_outputs": 2}, wait=False)
    assert isinstance(output, list)
    assert len(output) == 2
    assert emulator.paid[0].endpoint == VERSION


async def test_submit_poll_and_result(client: Client) -> None:
    prediction = await client.models.predictions.async_create(OFFICIAL, {"prompt": "a lantern"})
    seen = [prediction.status]
    while prediction.status in {"starting", "processing"}:
        await prediction.async_reload()
        seen.append(prediction.status)
    assert seen == ["starting", "starting", "processing", "succeeded"]
    assert prediction.metrics == {"predict_time": 1.25, "total_time": 1.5}


async def test_a_webhook_is_taken_along(client: Client, emulator: ReplicateEmulator) -> None:
    await client.predictions.async_create(
        version=VERSION, input={}, webhook="https://dojo.test/back", webhook_events_filter=["completed"]
    )
    assert emulator.paid[0].callback_url == "https://dojo.test/back"


async def test_a_failed_prediction_says_why(client: Client) -> None:
    with pytest.raises(ModelError, match="E005"):
        await client.async_run(OFFICIAL, {"prompt": "trouble:moderated"}, wait=False)


async def test_cancelling(client: Client) -> None:
    prediction = await client.models.predictions.async_create(OFFICIAL, {"prompt": "trouble:endless"})
    await prediction.async_cancel()
    await prediction.async_reload()
    assert prediction.status == "canceled"


async def test_uploading(client: Client, emulator: ReplicateEmulator) -> None:
    file = await client.files.async_create(io.BytesIO(b"a picture"), filename="lantern.png")
    assert emulator.uploads[file.id] == b"a picture"
    assert (file.size, file.content_type) == (9, "image/png")
    assert file.urls["get"].endswith(f"/v1/files/{file.id}")


async def test_callbacks_are_signed_as_the_client_verifies_them(client: Client, emulator: ReplicateEmulator) -> None:
    secret = await client.webhooks.default.async_secret()
    assert isinstance(secret, WebhookSigningSecret)
    await client.models.predictions.async_create(OFFICIAL, {}, webhook="https://dojo.test/back")
    headers, body = emulator.sign(emulator.paid[0], datetime.now(UTC))
    Webhooks.validate(headers=dict(headers), body=body.decode(), secret=secret, tolerance=60)
    headers, body = emulator.sign(emulator.paid[0], datetime.now(UTC), forged=True)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=dict(headers), body=body.decode(), secret=secret)


@pytest.mark.parametrize(
    ("token", "model", "given", "status"),
    [
        ("r8_other", OFFICIAL, {}, 401),
        (None, "black-forest-labs/flux-3", {}, 404),
        (None, OFFICIAL, {"prompt": "trouble:quota"}, 402),
        (None, OFFICIAL, {"prompt": "trouble:bad-input"}, 422),
        (None, OFFICIAL, {"prompt": "trouble:busy"}, 429),
    ],
)
async def test_refusals(
    emulator: ReplicateEmulator, token: str | None, model: str, given: dict[str, str], status: int
) -> None:
    client = Client(api_token=token or emulator.key, base_url=emulator.url)
    with pytest.raises(ReplicateError) as raised:
        await client.models.predictions.async_create(model, given)
    await client._async_client.aclose()
    assert raised.value.status == status
    assert emulator.paid == []
