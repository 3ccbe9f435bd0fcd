"""A caller's sound, decoded and resampled block by block, and made exactly as long as it has to be.

Owns samples as numpy sees them: float32, shape (samples, 2), -1..1. Leaves composing to `music` and `speech`, and
files to `encode`.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.media_file import opened, refuse_unknown_codec

Block: TypeAlias = NDArray[np.float32]

CHANNELS = 2
BLOCK_SAMPLES = 16_384

_AUDIBLE_GAP_SECONDS = 0.001


def decode_audio(path: Path, sample_rate: int, starts_at: float | None = None) -> Iterator[Block]:
    """Decode a file's first sound track to stereo at `sample_rate` hertz.

    Args:
        path: An audio or video file.
        sample_rate: Hertz of what comes out.
        starts_at: When to start on the file's own clock, in seconds; silence fills what comes before the first
            sample. None starts at the first sample.

    Raises:
        UnreadableMedia: if there is no sound in the file or it breaks.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise UnreadableMedia("the file carries no sound; send audio, or a video with a sound track")
        stream = container.streams.audio[0]
        refuse_unknown_codec(stream)
        # One channel is doubled by us: the resampler would make it quieter on its way to two.
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        resampler = AudioResampler(format="flt", layout=layout, rate=sample_rate)
        skipped = None if starts_at is not None else 0
        for frame in chain(container.decode(stream), (None,)):
            if skipped is None and starts_at is not None and frame is not None:
                gap = (frame.time or 0.0) - starts_at
                yield from silence(round(max(0.0, gap) * sample_rate) if gap > _AUDIBLE_GAP_SECONDS else 0)
                skipped = round(max(0.0, -gap) * sample_rate)
            for block in map(_samples, resampler.resample(frame)):
                kept = block[skipped or 0 :]
                skipped = max(0, (skipped or 0) - len(block))
                if len(kept):
                    yield kept


def sound_seconds(path: Path) -> float:
    """Return how long a file's sound lasts, by decoding it.

    Raises:
        UnreadableMedia: as `decode_audio`.
    """
    rate = 8_000
    return sum(len(block) for block in decode_audio(path, rate)) / rate


def loudness_curve(path: Path, steps_per_second: float, count: int) -> NDArray[np.float32]:
    """Return how loud a file's sound is at each of `count` steps, 0..1 with 1 the loudest.

    Raises:
        UnreadableMedia: as `decode_audio`.
    """
    rate = 8_000
    return curve_of(decode_audio(path, rate), rate, steps_per_second, count)


def curve_of(blocks: Iterable[Block], sample_rate: int, steps_per_second: float, count: int) -> NDArray[np.float32]:
    """Return how loud sound is at each of `count` steps, 0..1 with 1 the loudest."""
    energy = np.zeros(count)
    position = 0
    for block in blocks:
        steps = ((position + np.arange(len(block))) * (steps_per_second / sample_rate)).astype(np.intp)
        np.add.at(energy, np.minimum(steps, count - 1), (block**2).mean(axis=1))
        position += len(block)
        if position >= count / steps_per_second * sample_rate:
            break
    curve = np.sqrt(energy)
    peak = float(curve.max(initial=0.0))
    return (curve / peak if peak > 0 else curve).astype(np.float32)


def fit_sound(blocks: Iterable[Block], samples: int) -> Iterator[Block]:
    """Return exactly that many samples: what is too long is cut, what is too short ends in silence."""
    left = samples
    for block in blocks:
        if left <= 0:
            return
        yield block[:left]
        left -= min(left, len(block))
    yield from silence(left)


def silence(samples: int) -> Iterator[Block]:
    """Return that many samples of silence."""
    for start in range(0, samples, BLOCK_SAMPLES):
        yield np.zeros((min(BLOCK_SAMPLES, samples - start), CHANNELS), np.float32)


def _samples(frame: AudioFrame) -> Block:
    samples = frame.to_ndarray().astype(np.float32, copy=False)
    return np.repeat(samples.T, CHANNELS, axis=1) if len(frame.layout.channels) == 1 else samples.reshape(-1, CHANNELS)
