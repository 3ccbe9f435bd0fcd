"""fal-client, as fal publishes it, against the emulator: what it expects of the real queue, the emulator does."""

from collections.abc import AsyncIterator

import fal_client
import fal_client.client
import pytest
from tests.emulators.fal import FalEmulator

ENDPOINT = "fal-ai/flux/dev"
STATUS = "fal-ai/flux"


@pytest.fixture
async def emulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FalEmulator]:
    emulator = FalEmulator({ENDPOINT: "image", "fal-ai/veo3.1": "video"}, polls_until_done=3)
    async with emulator:
        # The client has no argument for the address, and its variables lead to https only.
        monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{emulator.url}/")
        yield emulator


@pytest.fixture
async def client(emulator: FalEmulator) -> AsyncIterator[fal_client.AsyncClient]:
    client = fal_client.AsyncClient(key=emulator.key)
    yield client
    await (await client._client).aclose()


async def test_submit_poll_and_result(client: fal_client.AsyncClient, emulator: FalEmulator) -> None:
    handle = await client.submit(ENDPOINT, {"prompt": "a lantern", "num_images": 2})
    seen = [type(event).__name__ async for event in handle.iter_events(with_logs=True, interval=0)]
    result = await handle.get(interval=0)
    assert seen == ["Queued", "InProgress", "Completed"]
    assert len(result["images"]) == 2
    assert all(image["url"].startswith(f"{emulator.url}/files/") for image in result["images"])
    assert [work.arguments["prompt"] for work in emulator.paid] == ["a lantern"]


async def test_a_request_is_found_again_by_its_id(client: fal_client.AsyncClient) -> None:
    handle = await client.submit(ENDPOINT, {"prompt": "a lantern"})
    for _ in range(3):
        status = await client.status(ENDPOINT, handle.request_id)
    assert isinstance(status, fal_client.Completed)
    assert (await client.result(ENDPOINT, handle.request_id))["seed"] == 7


async def test_a_webhook_address_goes_into_the_query(client: fal_client.AsyncClient, emulator: FalEmulator) -> None:
    await client.submit(ENDPOINT, {"prompt": "a lantern"}, webhook_url="https://dojo.test/back?a=1&b=2")
    assert emulator.paid[0].callback_url == "https://dojo.test/back?a=1&b=2"


async def test_a_failed_request_raises_what_the_model_said(client: fal_client.AsyncClient) -> None:
    handle = await client.submit("fal-ai/veo3.1", {"prompt": "trouble:moderated"})
    with pytest.raises(fal_client.FalClientHTTPError, match="flagged by a content checker") as raised:
        await handle.get(interval=0)
    assert raised.value.status_code == 422


async def test_cancelling(client: fal_client.AsyncClient, emulator: FalEmulator) -> None:
    handle = await client.submit(ENDPOINT, {"prompt": "trouble:endless"})
    await handle.cancel()
    assert emulator.paid[0].is_canceled
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        await handle.cancel()
    assert raised.value.status_code == 400


async def test_a_busy_queue_is_asked_again(client: fal_client.AsyncClient, emulator: FalEmulator) -> None:
    await client.submit(ENDPOINT, {"prompt": "trouble:busy-quiet"})
    assert [seen.status for seen in emulator.log] == [429, 200]
    assert len(emulator.paid) == 1


@pytest.mark.parametrize(
    ("key", "endpoint", "status"), [("somebody:else", ENDPOINT, 401), (None, "fal-ai/nothing-here", 404)]
)
async def test_refusals(emulator: FalEmulator, key: str | None, endpoint: str, status: int) -> None:
    client = fal_client.AsyncClient(key=key or emulator.key)
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        await client.submit(endpoint, {"prompt": "a lantern"})
    await (await client._client).aclose()
    assert raised.value.status_code == status
    assert emulator.paid == []
