"""Rendering a music or sound order to a file.

Owns what an order's fields mean for sound. Leaves composing to `music`, watching a video to `clips.motion`, and
files to `encode`.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np

from pixeldojo.media.clips.motion import watch_motion
from pixeldojo.media.encode import tags_for, write_track
from pixeldojo.media.music.mix import play_music
from pixeldojo.media.music.synth import Band
from pixeldojo.media.orders import AudioOperation, AudioOrder, Role
from pixeldojo.media.sound_source import Block
from pixeldojo.media.video_source import open_video

MOST_SECONDS = 600.0

_LEAST_RATE, _MOST_RATE = 8_000, 48_000
_QUIETEST = 0.35
_STROKES = (("tom", 0.6), ("cymbal", 0.35))


def render_music(order: AudioOrder, folder: Path) -> list[Path]:
    """Render the order into `folder` and return the one file: exactly `order.seconds` long, stereo.

    The same order gives the same bytes.

    Raises:
        ValueError: if the length, sample rate or format is out of range, or a SOUND order has no video.
        UnreadableMedia: if the video cannot be decoded.
    """
    _check(order)
    samples = max(1, round(order.seconds * order.sample_rate))
    path = folder / f"{uuid4().hex}.{order.file_format}"
    sound = _sound_for_video(order, samples) if order.operation is AudioOperation.SOUND else _music(order, samples)
    tags = tags_for(order.model_id, order.prompt, order.seed)
    write_track(path, order.file_format, order.sample_rate, order.bit_rate, sound, tags)
    return [path]


def _check(order: AudioOrder) -> None:
    if not 0 < order.seconds <= MOST_SECONDS:
        raise ValueError(
            f"a track of {order.seconds} s was ordered; it has to be over 0 and at most {MOST_SECONDS:g} s"
        )
    if not _LEAST_RATE <= order.sample_rate <= _MOST_RATE:
        raise ValueError(f"a sample rate of {order.sample_rate} Hz was ordered; it has to be 8,000 to 48,000 Hz")


def _music(order: AudioOrder, samples: int) -> Iterator[Block]:
    sings = order.options.get("instrumental", True) is False
    return play_music(order.prompt, order.seed, samples, order.sample_rate, with_voice=sings)


def _sound_for_video(order: AudioOrder, samples: int) -> Iterator[Block]:
    """Let the music swell where the pictures move, and mark their cuts."""
    paths = order.sources.get(Role.SOURCE_VIDEO, ())
    if not paths:
        raise ValueError("a sound order needs a source_video to fit; none was given")
    rate = order.sample_rate
    motion = watch_motion(open_video(paths[0]), order.seconds)
    band = Band(rate, order.seed)
    strokes = [
        (round(cut * rate), band.play(drum, 0, 0.0) * np.float32(gain))
        for cut in motion.cuts
        for drum, gain in _STROKES
    ]
    start = 0
    for block in play_music(order.prompt, order.seed, samples, rate):
        end = start + len(block)
        level = motion.between(start / rate, end / rate, len(block))
        swelling = block * (_QUIETEST + (1 - _QUIETEST) * level)[:, None]
        for begin, stroke in strokes:
            first, last = max(begin, start), min(begin + len(stroke), end)
            if first < last:
                swelling[first - start : last - start] += stroke[first - begin : last - begin]
        yield np.tanh(swelling)
        start = end
