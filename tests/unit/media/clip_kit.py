"""What the clip tests share: tiny sources made from scratch, and reading a finished file back.

Owns nothing of the product: files are written and read with PyAV directly, so that a fault of ours cannot hide itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, Unpack

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.orders import Sources, VideoOperation, VideoOrder
from pixeldojo.media.video import render_video

Rgb = NDArray[np.uint8]
Sound = NDArray[np.float32]


@dataclass(frozen=True)
class ReadClip:
    """A finished file, decoded whole."""

    frames: list[Rgb]
    times: list[float]
    rate: Fraction
    seconds: float
    picture_codec: str
    pixel_format: str
    sound_codec: str | None
    sound_rate: int
    sound: Sound
    tags: Mapping[str, str]

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].shape[1], self.frames[0].shape[0]


def read_clip(path: Path) -> ReadClip:
    with av.open(path) as container:
        stream = container.streams.video[0]
        pictures = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in container.decode(stream)]
        facts = (stream.average_rate, stream.codec_context.name, stream.pix_fmt)
        seconds = (container.duration or 0) / 1e6
        tags = {key.lower(): value for key, value in container.metadata.items()}
    sound_codec, rate, sound = read_sound(path)
    return ReadClip(
        frames=[np.asarray(picture, np.uint8) for picture, _ in pictures],
        times=[time for _, time in pictures],
        rate=Fraction(facts[0] or 0),
        seconds=seconds,
        picture_codec=facts[1],
        pixel_format=facts[2] or "",
        sound_codec=sound_codec,
        sound_rate=rate,
        sound=sound,
        tags=tags,
    )


def read_sound(path: Path) -> tuple[str | None, int, Sound]:
    """Return codec, rate and samples, shape (samples, channels)."""
    with av.open(path) as container:
        if not container.streams.audio:
            return None, 0, np.zeros((0, 2), np.float32)
        stream = container.streams.audio[0]
        blocks = []
        for frame in container.decode(stream):
            block = frame.to_ndarray()
            samples = block.T if frame.format.is_planar else block.reshape(-1, len(frame.layout.channels))
            blocks.append(samples.astype(np.float32) / (32_767 if block.dtype == np.int16 else 1))
        return stream.codec_context.name, stream.rate, np.concatenate(blocks)


def make_video(
    path: Path,
    draw: Callable[[int], Rgb],
    *,
    frames: int = 12,
    rate: int = 24,
    tone: float | None = None,
    codec: str = "libx264",
    times: list[int] | None = None,
    rotation: int = 0,
    mangle: Callable[[VideoStream], None] | None = None,
) -> Path:
    """Write a small video whose frame `number` is `draw(number)`, with a sine of `tone` hertz under it."""
    first = draw(0)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        stream.codec_context.options = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if mangle is not None:
            mangle(stream)
        sound = None
        if tone is not None:
            sound = container.add_stream("libopus" if path.suffix == ".webm" else "aac", 48_000)
            assert isinstance(sound, AudioStream)
            sound.layout = "mono"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts = number if times is None else times[number]
            if times is not None:
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None and tone is not None:
            _add_tone(container, sound, tone, frames / rate)
    return path


def _add_tone(container: av.container.OutputContainer, stream: AudioStream, tone: float, seconds: float) -> None:
    samples = np.ascontiguousarray(sine(tone, seconds, 48_000)[:, 0])
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate = 48_000
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def make_sound(path: Path, tone: float, seconds: float, rate: int = 24_000) -> Path:
    """Write a WAV of a sine."""
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        samples = (sine(tone, seconds, rate)[:, 0] * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_picture(path: Path, pixels: Rgb) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def sine(tone: float, seconds: float, rate: int) -> Sound:
    wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 64) -> Rgb:
    return np.full((height, width, 3), colour, np.uint8)


def marked(width: int = 64, height: int = 64) -> Rgb:
    """A picture that cannot be mistaken for another or for itself turned: a ramp with a bright square top left."""
    across, down = np.meshgrid(np.linspace(30, 200, width), np.linspace(20, 160, height))
    picture = np.stack([across, down, 220 - across], axis=2).astype(np.uint8)
    picture[height // 8 : height // 3, width // 8 : width // 3] = (240, 240, 40)
    return picture


def counting(number: int, width: int = 64, height: int = 64) -> Rgb:
    """Frame `number` of a video whose brightness tells which frame it is."""
    return plain((20 + 15 * number,) * 3, width, height)


class Changes(TypedDict, total=False):
    """What a test orders otherwise than `order` does."""

    prompt: str
    seed: int
    width: int
    height: int
    seconds: float
    frames_per_second: float
    with_audio: bool
    count: int
    file_format: str
    options: JsonObject


class AllChanges(Changes, total=False):
    """Those, and what is done to what."""

    operation: VideoOperation
    sources: Sources


def order(**changes: Unpack[AllChanges]) -> VideoOrder:
    """A tiny order: 64x64, half a second, 24 frames a second."""
    tiny = VideoOrder("test-model", "a red boat on a lake", 5, 64, 64, seconds=0.5, frames_per_second=24.0)
    return replace(tiny, **changes)


def render(folder: Path, operation: VideoOperation, sources: Sources, **changes: Unpack[Changes]) -> ReadClip:
    """Render a tiny order on sources and read it back."""
    made = replace(order(**changes), operation=operation, sources=sources)
    return read_clip(render_video(made, folder)[0])


def difference(one: Rgb, other: Rgb, rows: slice = slice(None)) -> float:
    """The mean difference of two pictures, in 255ths, leaving out the corner that carries the mark."""
    keep = np.ones(one.shape[:2], bool)
    keep[: one.shape[0] * 2 // 5, one.shape[1] // 4 :] = False
    return float(np.abs(one.astype(float) - other.astype(float))[rows][keep[rows]].mean())


def loudest_tone(sound: Sound, rate: int) -> float:
    """The frequency (hertz) that is strongest in a sound."""
    mono = sound.mean(axis=1)
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    return float(np.argmax(spectrum) * rate / len(mono))
