"""runware-sdk, as Runware publishes it, against the emulator: what it expects of the real API, the emulator does."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from runware import Runware, RunwareError
from tests.emulators.emulator import Emulator
from tests.emulators.endpoints import endpoints_of
from tests.emulators.published import runware_types
from tests.emulators.runware import RunwareEmulator
from tests.providers.pairs import whole_catalog

PICTURE: Final = {"taskType": "imageInference", "model": "prunaai:1@1", "width": 64, "height": 64}
CLIP: Final = {"taskType": "videoInference", "model": "google:3@3"}


@pytest.fixture
async def emulator(request: pytest.FixtureRequest) -> AsyncIterator[Emulator]:
    kinds = {"prunaai:1@1": "image", "google:3@3": "video"}
    async with RunwareEmulator(kinds, polls_until_done=getattr(request, "param", 2)) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Runware]:
    async with _client(emulator) as client:
        yield client


def _client(emulator: Emulator, key: str | None = None) -> Runware:
    url = f"{emulator.url}/v1"
    return Runware(api_key=key or emulator.key, transport="rest", http_base_url=url, max_retries=0)


def _picture(prompt: str, **more: object) -> dict[str, Any]:
    return {**PICTURE, "positivePrompt": prompt, **more}


async def _begin(client: Runware, emulator: Emulator, task: dict[str, Any]) -> str:
    """Have the client submit a task, and stop it before its first look; return the task's UUID."""
    running = asyncio.ensure_future(client.run({**task, "deliveryMethod": "async"}))
    work = await emulator.until_accepted()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return work.id


@pytest.mark.parametrize("emulator", [1], indirect=True)
async def test_the_client_waits_for_what_it_submitted(client: Runware, emulator: Emulator) -> None:
    # The client waits a second before it looks; so all that is to be looked at is waited for at once.
    tasks: list[dict[str, Any]] = [
        _picture("a lantern", numberResults=2),
        {**CLIP, "positivePrompt": "a lantern", "duration": 8, "outputType": "URL"},
        {**CLIP, "positivePrompt": "trouble:moderated"},
    ]
    done, clip, refused = await asyncio.gather(*map(client.run, tasks), return_exceptions=True)
    assert isinstance(done, list)
    assert isinstance(clip, list)
    assert [item["resultIndex"] for item in done] == [0, 1]
    assert all(item["imageURL"].startswith(f"{emulator.url}/files/") for item in done)
    assert clip[0]["videoURL"].endswith(".mp4")
    assert isinstance(refused, RunwareError)
    assert refused.code == "safety"
    assert len(emulator.paid) == 3


async def test_an_answer_at_once(client: Runware, emulator: Emulator) -> None:
    [item] = await client.run(_picture("a lantern", deliveryMethod="sync", includeCost=True))
    assert item["imageURL"].endswith(".png")
    assert (item["cost"], item["NSFWContent"]) == (0.0013, False)


async def test_each_result_comes_when_it_is_done(client: Runware, emulator: Emulator) -> None:
    task_id = await _begin(client, emulator, _picture("trouble:endless", numberResults=2))
    seen = [await client.get_response({"taskUUID": task_id}) for _ in range(2)]
    assert [[item["status"] for item in items] for items in seen] == [["processing"] * 2, ["success", "processing"]]
    assert seen[0][0]["progress"] == 50


async def test_a_part_of_the_results(client: Runware, emulator: Emulator) -> None:
    with pytest.raises(RunwareError) as raised:
        await client.run(_picture("trouble:partial", numberResults=2, deliveryMethod="sync"))
    assert raised.value.code == "provider"


async def test_a_task_that_nobody_knows(client: Runware) -> None:
    with pytest.raises(RunwareError) as raised:
        await client.get_response({"taskUUID": str(uuid4())})
    assert raised.value.code == "notFound"


async def test_a_uuid_is_used_once(client: Runware, emulator: Emulator) -> None:
    task = _picture("a lantern", deliveryMethod="sync", taskUUID=str(uuid4()))
    await client.run(task)
    with pytest.raises(RunwareError) as raised:
        await client.run(task)
    assert (raised.value.code, raised.value.parameter) == ("validation", "taskUUID")
    assert len(emulator.paid) == 1


async def test_a_webhook_is_taken_along_and_told_what_a_look_would(client: Runware, emulator: Emulator) -> None:
    await _begin(client, emulator, _picture("a lantern", webhookURL="https://dojo.test/back?token=abc"))
    [work] = emulator.paid
    assert work.callback_url == emulator.callback_address(work) == "https://dojo.test/back?token=abc"
    emulator.finish(work)
    _, body = emulator.sign(work, datetime.now(UTC))
    assert json.loads(body)["data"] == await client.get_response({"taskUUID": work.id})


async def test_media_are_stored_and_used(client: Runware, emulator: Emulator) -> None:
    [stored] = await client.media_storage({"operation": "upload", "media": "data:image/png;base64,cGljdHVyZQ=="})
    assert stored["operation"] == "upload"
    assert emulator.uploads == {stored["mediaUUID"]: b"picture"}
    frames = [{"image": stored["mediaURL"], "frame": "first"}]
    await _begin(client, emulator, {**CLIP, "positivePrompt": "a lantern", "inputs": {"frameImages": frames}})
    assert emulator.paid[0].arguments["inputs"] == {"frameImages": frames}


@pytest.mark.parametrize(
    ("key", "task", "status", "code"),
    [
        ("other", {}, 401, "auth"),
        (None, {"model": "prunaai:9@9"}, 400, "validation"),
        (None, {"steps": 30}, 400, "validation"),
        (None, {"outputFormat": "GIF"}, 400, "validation"),
        (None, {"taskUUID": "1"}, 400, "validation"),
        (None, {"webhookURL": "http://dojo.test/"}, 400, "validation"),
        (None, {"positivePrompt": "trouble:bad-input"}, 400, "validation"),
        (None, {"positivePrompt": "trouble:quota"}, 400, "quota"),
        (None, {"positivePrompt": "trouble:busy"}, 429, "rateLimit"),
        (None, {"positivePrompt": "trouble:away"}, 503, "serverError"),
    ],
)
async def test_refusals(emulator: Emulator, key: str | None, task: dict[str, object], status: int, code: str) -> None:
    async with _client(emulator, key) as client:
        with pytest.raises(RunwareError) as raised:
            await client.run({**_picture("a lantern"), **task})
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert emulator.paid == []


def test_the_kept_types_are_those_of_the_client() -> None:
    kept = Path(runware_types.__file__).with_name("runware.json").read_text(encoding="utf-8")
    assert json.loads(kept) == runware_types.read_types(endpoints_of(whole_catalog(), "runware"))
