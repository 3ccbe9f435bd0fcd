"""wavespeed, as WaveSpeedAI publishes it, against the emulator: what it expects of the real API, the emulator does."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.emulators.wavespeed import WaveSpeedEmulator
from wavespeed.api.client import Client

ENDPOINT = "wavespeed-ai/z-image/turbo"
MUSIC = "elevenlabs/music"


@pytest.fixture
async def emulator() -> AsyncIterator[WaveSpeedEmulator]:
    async with WaveSpeedEmulator({ENDPOINT: "image", MUSIC: "audio"}, polls_until_done=3) as emulator:
        assert isinstance(emulator, WaveSpeedEmulator)
        yield emulator


@pytest.fixture
def client(emulator: WaveSpeedEmulator) -> Client:
    return Client(emulator.key, emulator.url, retry_interval=0.0)


async def _in_thread(call: Callable[..., Any], *arguments: object, **options: object) -> Any:
    """The client waits where it stands, and the emulator lives in this loop."""
    return await asyncio.to_thread(call, *arguments, **options)


async def test_running_a_model(client: Client, emulator: WaveSpeedEmulator) -> None:
    made = await _in_thread(client.run, ENDPOINT, {"prompt": "a lantern", "num_images": 2}, poll_interval=0.0)
    assert [url.startswith(f"{emulator.url}/files/") for url in made["outputs"]] == [True, True]
    assert [work.arguments["prompt"] for work in emulator.paid] == ["a lantern"]
    assert emulator.paid[0].polls == 3


async def test_a_prediction_is_found_again_by_its_id(client: Client, emulator: WaveSpeedEmulator) -> None:
    made = await _in_thread(client.run_no_throw, ENDPOINT, {"prompt": "a lantern"}, poll_interval=0.0)
    seen = await _in_thread(client.get_result, made["task_id"])
    assert (seen["code"], seen["data"]["status"]) == (200, "completed")
    assert seen["data"]["outputs"] == made["outputs"]
    assert seen["data"]["urls"]["get"] == f"{emulator.url}/api/v3/predictions/{emulator.paid[0].id}/result"


async def test_waiting_inside_the_request(client: Client, emulator: WaveSpeedEmulator) -> None:
    made = await _in_thread(client.run, ENDPOINT, {"prompt": "a lantern"}, enable_sync_mode=True)
    assert len(made["outputs"]) == 1
    late = await _in_thread(client.run_no_throw, ENDPOINT, {"prompt": "trouble:endless"}, enable_sync_mode=True)
    assert (late["status"], late["task_id"]) == ("processing", emulator.paid[1].id)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("failed", "Prediction failed .*Internal error"),
        ("moderated", "Prediction failed .*potentially sensitive"),
        ("stopped", "Prediction cancelled"),
    ],
)
async def test_a_prediction_that_ended_badly_says_why(client: Client, trouble: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        await _in_thread(client.run, ENDPOINT, {"prompt": f"trouble:{trouble}"}, poll_interval=0.0)


async def test_a_busy_service_is_asked_again(client: Client, emulator: WaveSpeedEmulator) -> None:
    await _in_thread(client.run, ENDPOINT, {"prompt": "trouble:asked-busy-quiet*2"}, poll_interval=0.0)
    assert [seen.status for seen in emulator.log] == [200, 429, 429, 200, 200, 200]


async def test_uploading(client: Client, emulator: WaveSpeedEmulator) -> None:
    file = io.BytesIO(b"a picture")
    file.name = "lantern.png"
    address = await _in_thread(client.upload, file)
    [(file_id, content)] = emulator.uploads.items()
    assert content == b"a picture"
    assert address.endswith(f"/{file_id}/lantern.png")
    await _in_thread(client.run, ENDPOINT, {"prompt": "a lantern", "image": address}, poll_interval=0.0)
    assert emulator.paid[0].arguments["image"] == address


@pytest.mark.parametrize(
    ("key", "endpoint", "given", "status"),
    [
        ("wsk_other", ENDPOINT, {}, 401),
        (None, "wavespeed-ai/nothing", {}, 404),
        (None, ENDPOINT, {"prompt": "trouble:quota"}, 403),
        (None, ENDPOINT, {"prompt": "trouble:busy"}, 429),
        (None, ENDPOINT, {"image": "data:image/png;base64,AAAA"}, 400),
        (None, MUSIC, {}, 400),
        (None, MUSIC, {"prompt": "a waltz", "lyrics": "la"}, 400),
        (None, MUSIC, {"prompt": "a waltz", "music_length_ms": 1}, 400),
    ],
)
async def test_refusals(
    emulator: WaveSpeedEmulator, key: str | None, endpoint: str, given: dict[str, object], status: int
) -> None:
    client = Client(key or emulator.key, emulator.url)
    with pytest.raises(RuntimeError, match=f"Failed to submit prediction: HTTP {status}"):
        await _in_thread(client.run, endpoint, given)
    assert emulator.paid == []
