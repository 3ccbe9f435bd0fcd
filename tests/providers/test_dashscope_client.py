"""dashscope, as Alibaba publishes it, against the emulator: what it expects of the real service, the emulator does.

The client has two halves: one waits in threads, one is asynchronous. Both are driven here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import dashscope
import pytest
from dashscope.aigc.image_generation import ImageGeneration
from dashscope.aigc.video_synthesis import AioVideoSynthesis
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.api_entities.http_request import close_shared_sync_session
from dashscope.utils.oss_utils import OssUtils
from tests.emulators.dashscope import DashscopeEmulator
from tests.emulators.dashscope_requests import AT_ONCE
from tests.emulators.emulator import Emulator

CLIP: Final = "wan2.7-t2v"
PICTURE: Final = "wan2.6-t2i"
SERIES: Final = "wan2.5-t2i-preview"
EDITOR: Final = "qwen-image-edit-plus"
KINDS: Final = {
    f"{CLIP}@services/aigc/video-generation/video-synthesis": "video",
    f"{PICTURE}@services/aigc/image-generation/generation": "image",
    f"{SERIES}@services/aigc/text2image/image-synthesis": "image",
    f"{EDITOR}@{AT_ONCE}": "image",
}


@pytest.fixture
async def emulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    async with DashscopeEmulator(KINDS) as emulator:
        # The client's own ways to be told the address and the key; it keeps connections for the whole process.
        monkeypatch.setattr(dashscope, "base_http_api_url", f"{emulator.url}/api/v1")
        monkeypatch.setattr(dashscope, "api_key", emulator.key)
        yield emulator
        close_shared_sync_session()
        await close_shared_aio_session()


async def _call(function: Callable[..., Any], *arguments: object, **options: object) -> Any:
    return await asyncio.to_thread(function, *arguments, **options)


def _messages(*contents: dict[str, str]) -> list[dict[str, object]]:
    return [{"role": "user", "content": list(contents)}]


async def test_submit_poll_and_result(emulator: Emulator) -> None:
    task = await _call(dashscope.VideoSynthesis.async_call, CLIP, "a lantern", duration=5, resolution="720P")
    assert (task.status_code, task.output.task_status) == (HTTPStatus.OK, "PENDING")
    seen = [(await _call(dashscope.VideoSynthesis.fetch, task)).output.task_status for _ in range(2)]
    assert seen == ["PENDING", "SUCCEEDED"]
    result = await _call(dashscope.VideoSynthesis.wait, task)
    assert result.output.video_url.startswith(f"{emulator.url}/files/")
    assert result.usage.video_count == 1
    assert emulator.paid[0].arguments["parameters"] == {"duration": 5, "resolution": "720P"}


async def test_the_asynchronous_half(emulator: Emulator) -> None:
    task = await AioVideoSynthesis.async_call(CLIP, "a lantern", api_key=emulator.key)
    await AioVideoSynthesis.fetch(task, api_key=emulator.key)
    result = await AioVideoSynthesis.wait(task, api_key=emulator.key)
    assert result.output.task_status == "SUCCEEDED"
    assert result.output.video_url.endswith(".mp4")


async def test_pictures_as_a_task(emulator: Emulator) -> None:
    task = await _call(ImageGeneration.async_call, PICTURE, messages=_messages({"text": "a lantern"}), n=2)
    await _call(ImageGeneration.fetch, task)
    result = await _call(ImageGeneration.wait, task)
    [choice] = result.output.choices
    assert [part["image"][-4:] for part in choice.message.content] == [".png", ".png"]


async def test_pictures_at_once(emulator: Emulator) -> None:
    messages = _messages({"image": "https://files.test/a.png"}, {"text": "make it night"})
    result = await _call(dashscope.MultiModalConversation.call, EDITOR, messages, n=2, watermark=False)
    assert result.status_code == HTTPStatus.OK
    assert len(result.output.choices[0].message.content) == 2
    assert emulator.paid[0].arguments["parameters"] == {"n": 2, "watermark": False}


async def test_a_part_of_the_pictures(emulator: Emulator) -> None:
    task = await _call(dashscope.ImageSynthesis.async_call, SERIES, "trouble:partial", n=2)
    await _call(dashscope.ImageSynthesis.fetch, task)
    result = await _call(dashscope.ImageSynthesis.wait, task)
    assert [bool(one.url) for one in result.output.results] == [True, False]
    assert result.output.results[1]["code"] == "DataInspectionFailed"
    assert result.output.task_metrics == {"TOTAL": 2, "SUCCEEDED": 1, "FAILED": 1}


async def test_a_failed_task_says_why(emulator: Emulator) -> None:
    task = await _call(dashscope.VideoSynthesis.async_call, CLIP, "trouble:moderated")
    await _call(dashscope.VideoSynthesis.fetch, task)
    result = await _call(dashscope.VideoSynthesis.wait, task)
    assert (result.status_code, result.output.task_status) == (HTTPStatus.OK, "FAILED")
    assert result.output["code"] == "DataInspectionFailed"


async def test_cancelling_what_waits(emulator: Emulator) -> None:
    task = await _call(dashscope.VideoSynthesis.async_call, CLIP, "trouble:endless")
    assert (await _call(dashscope.VideoSynthesis.cancel, task)).status_code == HTTPStatus.OK
    assert (await _call(dashscope.VideoSynthesis.fetch, task)).output.task_status == "CANCELED"


async def test_what_runs_is_not_cancelled(emulator: Emulator) -> None:
    task = await _call(dashscope.VideoSynthesis.async_call, CLIP, "trouble:endless")
    for _ in range(2):
        await _call(dashscope.VideoSynthesis.fetch, task)
    refused = await _call(dashscope.VideoSynthesis.cancel, task)
    assert (refused.status_code, refused.code) == (HTTPStatus.BAD_REQUEST, "UnsupportedOperation")


async def test_a_task_that_nobody_knows(emulator: Emulator) -> None:
    assert (await _call(dashscope.VideoSynthesis.fetch, "another")).output.task_status == "UNKNOWN"


async def test_a_local_file_is_uploaded_and_used(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "lantern.png"
    path.write_bytes(b"a picture")
    messages = _messages({"image": f"file://{path}"}, {"text": "make it night"})
    result = await _call(dashscope.MultiModalConversation.call, EDITOR, messages)
    assert result.status_code == HTTPStatus.OK
    [(key, content)] = emulator.uploads.items()
    assert content == b"a picture"
    assert emulator.paid[0].arguments["input"]["messages"][0]["content"][0] == {"image": f"oss://{key}"}


async def test_a_file_is_for_one_model(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "lantern.png"
    path.write_bytes(b"a picture")
    address, _ = await _call(OssUtils.upload, PICTURE, str(path))
    messages = _messages({"image": address}, {"text": "make it night"})
    refused = await _call(dashscope.MultiModalConversation.call, EDITOR, messages)
    assert (refused.status_code, refused.code) == (HTTPStatus.BAD_REQUEST, "InvalidURL")


@pytest.mark.parametrize(
    ("key", "model", "prompt", "status", "code"),
    [
        ("sk-other", CLIP, "a lantern", 401, "InvalidApiKey"),
        (None, "wan3-t2v", "a lantern", 404, "ModelNotFound"),
        (None, CLIP, "", 400, "InvalidParameter"),
        (None, CLIP, "trouble:bad-input", 400, "InvalidParameter"),
        (None, CLIP, "trouble:quota", 400, "Arrearage"),
        (None, CLIP, "trouble:busy", 429, "Throttling.RateQuota"),
        (None, CLIP, "trouble:away", 503, "ServiceUnavailable"),
    ],
)
async def test_refusals(emulator: Emulator, key: str | None, model: str, prompt: str, status: int, code: str) -> None:
    refused = await _call(dashscope.VideoSynthesis.async_call, model, prompt, api_key=key or emulator.key)
    assert (refused.status_code, refused.code) == (status, code)
    assert emulator.paid == []


async def test_a_service_refuses_the_other_way_to_be_asked(emulator: Emulator) -> None:
    refused = await _call(ImageGeneration.async_call, EDITOR, messages=_messages({"text": "a lantern"}))
    assert refused.code == "ModelNotFound"
    messages = _messages({"text": "a lantern"})
    headers = {"X-DashScope-Async": "enable"}
    refused = await _call(dashscope.MultiModalConversation.call, EDITOR, messages, headers=headers)
    assert (refused.status_code, refused.code) == (HTTPStatus.FORBIDDEN, "AccessDenied")
