"""What the sandbox's tests share: calls, and an upstream whose studio and books are in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import Call, HttpAnswer, InputFile

IMAGE_OUTPUT: JsonObject = {
    "kind": "image",
    "formats": ["png", "jpg", "webp"],
    "format_parameter": "output_format",
    "quality_parameter": "output_quality",
    "count_parameter": "num_outputs",
    "size": {
        "aspect_parameter": "aspect_ratio",
        "default_aspect": "1:1",
        "table": {"*": {"1:1": [64, 64], "16:9": [128, 72]}},
    },
    "roles": {
        "image_url": "source_image",
        "image_urls": "reference_images",
        "mask_url": "mask",
        "kept_url": "kept_mask",
    },
}
VIDEO_OUTPUT: JsonObject = {
    "kind": "video",
    "formats": ["mp4", "webm"],
    "format_parameter": "output_format",
    "size": {"table": {"*": {"*": [128, 72]}}},
    "length": {"parameter": "duration", "seconds": 5},
    "frame_rate": {"value": 24},
    "sound": {"default": True, "parameter": "generate_audio"},
    "roles": {
        "image_url": "start_image",
        "end_image_url": "end_image",
        "image_urls": "reference_images",
        "video_url": "source_video",
        "video_urls": "reference_videos",
        "audio_url": "audio",
    },
}
AUDIO_OUTPUT: JsonObject = {
    "kind": "audio",
    "formats": ["mp3", "wav"],
    "format_parameter": "output_format",
    "format_values": {"wav_16khz": {"format": "wav", "sample_rate": 16_000}},
    "length": {"parameter": "duration", "seconds": 10},
    "roles": {"video_url": "source_video"},
}
MODEL_OUTPUT: JsonObject = {
    "kind": "model3d",
    "formats": ["glb"],
    "faces_parameter": "face_count",
    "roles": {"image_url": "source_image"},
}


def image_file(parameter: str = "image_url", index: int = 0, width: int = 96, height: int = 64) -> InputFile:
    key = f"inputs/{parameter}-{index}"
    return InputFile(parameter, index, None, key, "image", "image/png", 1_000, width, height)


def video_file(parameter: str = "video_url", seconds: float = 4.0, *, has_audio: bool = False) -> InputFile:
    key = f"inputs/{parameter}"
    return InputFile(parameter, 0, None, key, "video", "video/mp4", 1_000, 128, 72, seconds, 30.0, has_audio)


def audio_file(parameter: str = "audio_url", seconds: float = 3.0) -> InputFile:
    return InputFile(parameter, 0, None, "inputs/audio", "audio", "audio/wav", 1_000, duration_seconds=seconds)


def call(
    given: Mapping[str, JsonValue] | None = None,
    *,
    model_id: str = "flux-1.1-pro",
    task: str = "text-to-image",
    output: JsonObject = IMAGE_OUTPUT,
    files: Sequence[InputFile] = (),
    rehearsal: str | None = None,
    attempt_id: str = "attempt_1",
    job_id: str = "job_1",
) -> Call:
    inputs = {"prompt": "a boat on the sea", **(given or {})}
    return Call(job_id, attempt_id, model_id, task, model_id, inputs, inputs, output, tuple(files), None, rehearsal)


class Studio:
    """Draws nothing: remembers what was ordered and answers with made-up paths."""

    def __init__(self) -> None:
        self.orders: list[JsonObject] = []
        self.inputs: list[list[Path]] = []
        self.failure: Exception | None = None
        self.open_now: set[str] = set()

    async def draw(self, order: JsonObject, input_paths: Sequence[Path]) -> Sequence[Path]:
        if self.failure is not None:
            raise self.failure
        assert {path.name for path in input_paths} == self.open_now, "the inputs are at hand while it draws"
        self.orders.append(order)
        self.inputs.append(list(input_paths))
        return [Path(f"made-{number}") for number in range(int(str(order.get("count", 1))))]

    @asynccontextmanager
    async def open_input(self, blob_key: str) -> AsyncIterator[Path]:
        name = blob_key.replace("/", "-")
        self.open_now.add(name)
        yield Path(name)
        self.open_now.discard(name)


class Ledger:
    """Books in memory."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], bytes] = {}

    async def record(self, job_id: str, name: str, content: bytes) -> bool:
        is_new = (job_id, name) not in self.entries
        self.entries.setdefault((job_id, name), content)
        return is_new

    @property
    def paid_calls(self) -> list[str]:
        return [name for _, name in self.entries if name.startswith("call-")]


class NoHttp:
    """The sandbox is reached without HTTP."""

    async def request(self, *_: object, **__: object) -> HttpAnswer:
        raise AssertionError("the sandbox makes no outbound call")
