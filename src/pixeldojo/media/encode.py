"""Writing clips and tracks to files, streaming: H.264 or VP9 pictures with a sound track, MP3 and WAV sound.

Owns codecs, containers and tags, chosen so that the same frames and samples give the same bytes. Leaves what is
drawn and played to others.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from pixeldojo.media.sound_source import Block

_Item = TypeVar("_Item")

SOUND_RATE = 48_000
"""Hertz of the sound in every clip: the one rate that AAC and Opus share."""

MAKER = "PixelDojo sandbox"
"""What every file names as its maker."""

_LONGEST_TAG = 400
_SOUND_BITS_PER_SECOND = 128_000
_KEY_FRAME_SECONDS = 2
_VP9_BITS_PER_PIXEL = 0.1
_BT601 = 6
_BT709_COLOURS = 1
_LIMITED_RANGE = 1
# The number of threads is part of the bytes, so it must not follow the machine. H.264 takes less time than drawing,
# which goes on beside it; VP9 takes more.
_H264_THREADS, _VP9_THREADS = "1", "2"


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures and sound on their way into a file; each is taken once, one frame and one block at a time.

    Attributes:
        width: Pixels, even.
        height: Pixels, even.
        frames_per_second: Exact.
        frames: `yuv420p` frames of that size.
        sound: Stereo blocks at `SOUND_RATE`; None for a silent file.
    """

    width: int
    height: int
    frames_per_second: Fraction
    frames: Iterator[VideoFrame]
    sound: Iterator[Block] | None


@dataclass(frozen=True, slots=True)
class _Codecs:
    picture: str
    picture_options: Mapping[str, str]
    sound: str
    sound_options: Mapping[str, str]
    container_options: Mapping[str, str]


# A constant quantiser: rating every frame for an even quality (crf) took as long as encoding it. 22 gives 47 dB.
_H264 = {"preset": "ultrafast", "qp": "22", "threads": _H264_THREADS}
_AAC = {"aac_coder": "fast"}
_MP4 = _Codecs("libx264", _H264, "aac", _AAC, {"movflags": "+faststart"})
_CLIP_FORMATS = {
    "mp4": _MP4,
    "mov": _MP4,
    "webm": _Codecs(
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "8", "tile-columns": "1", "threads": _VP9_THREADS},
        "libopus",
        {},
        {},
    ),
}
_TRACK_FORMATS = {
    # Joint stereo would take a third more time and, at these bit rates, cannot be told from plain.
    "mp3": ("libmp3lame", "fltp", {"compression_level": "7", "joint_stereo": "0"}),
    "wav": ("pcm_s16le", "s16", {}),
}


def write_clip(path: Path, file_format: str, clip: Clip, tags: Mapping[str, str]) -> None:
    """Write a clip as `mp4`, `mov` or `webm`. The sound is written as it comes: make it as long as the pictures.

    Raises:
        ValueError: if the format is none of those.
    """
    codecs = _CLIP_FORMATS.get(file_format)
    if codecs is None:
        raise ValueError(f"clips cannot be written as {file_format!r}; known are {', '.join(_CLIP_FORMATS)}")
    with av.open(path, "w", format=file_format, options=_bitexact(codecs.container_options)) as container:
        container.metadata.update(tags)
        picture = _picture_stream(container, codecs, clip)
        sound = None if clip.sound is None else _SoundWriter(container, _clip_sound_stream(container, codecs))
        for number, frame in enumerate(_made_ahead(clip.frames)):
            frame.pts = number
            frame.time_base = 1 / clip.frames_per_second
            container.mux(picture.encode(frame))
            if sound is not None and clip.sound is not None:
                sound.write_until((number + 1) / clip.frames_per_second, clip.sound)
        container.mux(picture.encode(None))
        if sound is not None and clip.sound is not None:
            sound.finish(clip.sound)


def write_track(
    path: Path, file_format: str, sample_rate: int, bit_rate: int, sound: Iterator[Block], tags: Mapping[str, str]
) -> None:
    """Write sound as `mp3` (bit rate in bits per second) or 16-bit `wav`, stereo, sample rate in hertz.

    Raises:
        ValueError: if the format is neither.
    """
    if file_format not in _TRACK_FORMATS:
        raise ValueError(f"sound cannot be written as {file_format!r}; known are {', '.join(_TRACK_FORMATS)}")
    codec, sample_format, options = _TRACK_FORMATS[file_format]
    with av.open(path, "w", format=file_format, options=_bitexact({})) as container:
        container.metadata.update(tags)
        stream = _sound_stream(container, codec, sample_rate, sample_format, options)
        if file_format == "mp3":
            stream.codec_context.bit_rate = bit_rate
        _SoundWriter(container, stream).finish(_made_ahead(sound))


def _made_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Let the next item be made while this one is encoded; both let go of the interpreter for most of their time."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


def tags_for(model_id: str, prompt: str, seed: int) -> dict[str, str]:
    """Return what every sandbox file says about itself: that it is one, and what it was made from."""
    return {"title": _plain(prompt), "artist": MAKER, "comment": f"{MAKER}; model {_plain(model_id)}; seed {seed}"}


def _plain(text: str) -> str:
    sayable = text.encode("utf-8", "replace").decode()
    return " ".join("".join(sign if sign.isprintable() else " " for sign in sayable).split())[:_LONGEST_TAG]


class _SoundWriter:
    """Feeds blocks of sound to an encoder and counts them."""

    def __init__(self, container: OutputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._written = 0

    def write_until(self, seconds: Fraction, blocks: Iterator[Block]) -> None:
        wanted = seconds * self._stream.rate
        while self._written < wanted:
            block = next(blocks, None)
            if block is None:
                return
            self._write(block)

    def finish(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            self._write(block)
        self._container.mux(self._stream.encode(None))

    def _write(self, block: Block) -> None:
        if len(block) == 0:
            return
        frame = _audio_frame(block, self._stream.format.name)
        frame.sample_rate = self._stream.rate
        frame.pts = self._written
        frame.time_base = Fraction(1, self._stream.rate)
        self._container.mux(self._stream.encode(frame))
        self._written += len(block)


def _audio_frame(block: Block, sample_format: str) -> AudioFrame:
    limited = np.clip(block, -1, 1)
    if sample_format == "s16":
        samples = np.rint(limited * 32_767).astype(np.int16)
        return AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
    if sample_format == "flt":
        return AudioFrame.from_ndarray(np.ascontiguousarray(limited).reshape(1, -1), format="flt", layout="stereo")
    return AudioFrame.from_ndarray(np.ascontiguousarray(limited.T), format="fltp", layout="stereo")


def _picture_stream(container: OutputContainer, codecs: _Codecs, clip: Clip) -> VideoStream:
    stream = container.add_stream(codecs.picture, clip.frames_per_second, dict(codecs.picture_options))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
    context.time_base = 1 / clip.frames_per_second
    stream.gop_size = max(1, round(_KEY_FRAME_SECONDS * clip.frames_per_second))
    context.colorspace, context.color_range = _BT601, _LIMITED_RANGE
    context.color_primaries = context.color_trc = _BT709_COLOURS
    if codecs.picture == "libvpx-vp9":
        context.bit_rate = round(clip.width * clip.height * clip.frames_per_second * _VP9_BITS_PER_PIXEL)
    return stream


def _clip_sound_stream(container: OutputContainer, codecs: _Codecs) -> AudioStream:
    sample_format = "flt" if codecs.sound == "libopus" else "fltp"
    stream = _sound_stream(container, codecs.sound, SOUND_RATE, sample_format, codecs.sound_options)
    stream.codec_context.bit_rate = _SOUND_BITS_PER_SECOND
    return stream


def _sound_stream(
    container: OutputContainer, codec: str, sample_rate: int, sample_format: str, options: Mapping[str, str]
) -> AudioStream:
    stream = container.add_stream(codec, sample_rate, dict(options))
    assert isinstance(stream, AudioStream)
    stream.layout = "stereo"
    stream.format = sample_format
    return stream


def _bitexact(options: Mapping[str, str]) -> dict[str, str]:
    # Without it the WebM writer draws a random id for each file.
    return {**options, "fflags": "+bitexact"}
