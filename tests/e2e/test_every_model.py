"""Every model on the sandbox, from request to file: with what it requires and no more, and with all it takes.

The files are decoded and compared with what the input promised (`promises`), not with what the sandbox planned.
"""

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from PIL import Image
from tests.e2e.harness import Server, call, running
from tests.e2e.largest_input import Input, largest_input, smallest_input
from tests.e2e.promises import Promise, promise_of
from tests.e2e.sample_media import Sample, Samples, make_samples, serving

from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model

pytestmark = pytest.mark.slow

MODELS = load_catalog().models
# A clip's frames, or a job's pictures, in millions of pixels: what one core draws in about a second.
AFFORDABLE_FRAMES, AFFORDABLE_PICTURES, AFFORDABLE_SECONDS = 70.0, 8.0, 40.0


@dataclass(frozen=True)
class Stage:
    """A server with credit enough for everything, and the files that models are given."""

    server: Server
    samples: Samples
    address: str

    def file_at(self, parameter: Parameter) -> str:
        """Return where a server can fetch the file for a parameter."""
        return f"{self.address}/{self.samples.name_for(parameter)}"

    def file_inside(self, parameter: Parameter) -> str:
        """Return the file for a parameter as it travels inside a request."""
        return self.samples.sample_for(parameter).data_uri


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("every-model")
    samples = make_samples(folder)
    with serving(samples) as address, running(folder / "data", PIXELDOJO_FIRST_CREDITS="10000000") as server:
        yield Stage(server, samples, address)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_with_what_it_requires(stage: Stage, model: Model) -> None:
    check(stage, model, smallest_input(model, stage.file_inside))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_with_all_it_takes(stage: Stage, model: Model) -> None:
    def is_affordable(given: Input) -> bool:
        return work_of(model, given, stage.samples) <= 1

    check(stage, model, largest_input(model, stage.file_at, is_affordable))


def check(stage: Stage, model: Model, body: Input) -> None:
    """Run a job to its end and compare every file with what was promised."""
    answer = stage.server.run(model.id, body, Prefer="wait=60")
    assert answer.status in {200, 202}, answer.body
    job = stage.server.ended(answer.json["jobId"]) if answer.status == 202 else answer.json
    assert job["status"] == "completed", job["error"]
    promised = promise_of(model, job["input"], sources_of(model, job["input"], stage.samples))
    addresses = job["output"][promised.member]
    assert [asset["url"] for asset in job["assets"]] == (addresses if promised.member == "images" else [addresses])
    assert len(job["assets"]) == promised.count
    for asset in job["assets"]:
        check_file(asset, call("GET", asset["url"]).body, promised)


def sources_of(model: Model, given: Input, samples: Samples) -> dict[str, Sample]:
    """Return the files of an input by the parameter they were given for."""
    return {p.name: samples.sample_for(p) for p in model.media_parameters if p.name in given and p.media != "file"}


def check_file(asset: dict[str, Any], content: bytes, promised: Promise) -> None:
    """Decode a file: it is what was promised, what the job says it is, and shows or sounds like something."""
    assert asset["contentType"] == promised.content_type
    assert asset["sizeBytes"] == len(content)
    match promised.member:
        case "images":
            size = check_picture(content, promised)
            assert (asset["width"], asset["height"]) == size
        case "video":
            size = check_clip(content, promised)
            assert (asset["width"], asset["height"]) == size
        case "audio":
            check_sound(content)
        case _:
            check_mesh(content)
    if promised.seconds is not None:
        assert asset["durationSeconds"] == pytest.approx(promised.seconds, abs=0.15)


def check_picture(content: bytes, promised: Promise) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as picture:
        assert Image.MIME[str(picture.format)] == promised.content_type
        pixels = np.asarray(picture.convert("RGB").reduce(4))
        size = picture.size
    assert promised.shape is not None
    assert promised.shape.fits(*size), (size, promised.shape)
    assert pixels.std() > 8, "there is something in the picture"
    return size


def check_clip(content: bytes, promised: Promise) -> tuple[int, int]:
    with av.open(io.BytesIO(content), "r") as container:
        (stream,) = container.streams.video
        size, rate = (stream.width, stream.height), float(stream.average_rate or 0)
        times = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        has_sound = bool(container.streams.audio)
    with av.open(io.BytesIO(content), "r") as container:
        check_frames(container)
    if has_sound:
        check_sound(content)
    assert promised.shape is not None
    assert promised.seconds is not None
    assert promised.shape.fits(*size), (size, promised.shape)
    assert rate == pytest.approx(promised.frames_per_second, rel=0.01)
    assert len(times) == pytest.approx(promised.seconds * rate, abs=1)
    assert has_sound is promised.has_sound
    return size


def check_frames(container: InputContainer) -> None:
    """Decode the key frames."""
    stream = container.streams.video[0]
    stream.codec_context.skip_frame = "NONKEY"
    pictures = [frame.to_ndarray(format="gray")[::4, ::4].astype(int) for frame in container.decode(stream)]
    assert pictures
    assert pictures[0].std() > 8, "there is something in the picture"
    # The last may be the first again: both ends of a clip can be given the same picture.
    if len(pictures) > 1:
        assert max(np.abs(picture - pictures[0]).mean() for picture in pictures) > 0.5, "something moves"


def check_sound(content: bytes) -> None:
    """Decode the whole track."""
    with av.open(io.BytesIO(content), "r") as container:
        loudest = max(np.abs(frame.to_ndarray().astype(float)).max() for frame in container.decode(audio=0))
    assert loudest > 0.01, "something sounds"


def check_mesh(content: bytes) -> None:
    magic, version, length, json_length, kind = struct.unpack_from("<4sIIII", content)
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), 0x4E4F534A)
    document = json.loads(content[20 : 20 + json_length])
    faces = document["accessors"][document["meshes"][0]["primitives"][0]["indices"]]["count"] // 3
    assert faces > 1_000


def work_of(model: Model, given: Input, samples: Samples) -> float:
    """Return what drawing an input would take, as a share of what tests can spare; a budget, not an expectation."""
    filled = read_input(model, given)
    files = [
        _Given(media.parameter, samples.sample_for(parameter))
        for media in media_values(model, filled)
        if (parameter := model.parameter(media.parameter)) is not None
    ]
    output = model.output
    if output.kind == "model3d":
        return 0.0
    if output.kind == "audio":
        return output.seconds(filled, files) / AFFORDABLE_SECONDS
    width, height = output.pixels(filled, files)
    if output.kind == "image":
        return width * height * output.count(filled) / 1e6 / AFFORDABLE_PICTURES
    frames = output.seconds(filled, files) * output.frames_per_second(filled, files)
    return width * height * frames / 1e6 / AFFORDABLE_FRAMES


class _Given:
    """A sample as the catalog looks at it."""

    def __init__(self, parameter: str, sample: Sample) -> None:
        self.parameter = parameter
        self.kind = sample.content_type.partition("/")[0]
        self.width = sample.width or None
        self.height = sample.height or None
        self.duration_seconds = sample.seconds or None
        self.frames_per_second = sample.frames_per_second or None
        self.has_audio = sample.seconds > 0
