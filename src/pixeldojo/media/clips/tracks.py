"""The sound of a clip: composed, kept from the source, or carried from a file the caller gave.

Owns which of these it is. Leaves composing to `music`, decoding to `sound_source`, and exact length to whoever writes.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from pixeldojo.media.clips.job import ClipJob
from pixeldojo.media.encode import SOUND_RATE
from pixeldojo.media.music.mix import play_music
from pixeldojo.media.orders import Role
from pixeldojo.media.sound_source import Block, decode_audio, fit_sound
from pixeldojo.media.video_source import VideoSource


def new_sound(job: ClipJob) -> Iterator[Block] | None:
    """Where sound is wanted: the caller's own track if one was given, else a piece composed from the prompt."""
    if not job.order.with_audio:
        return None
    given = job.files(Role.AUDIO)
    return decode_audio(given[0], SOUND_RATE) if given else composed(job, job.sound_samples)


def kept_sound(job: ClipJob, source: VideoSource) -> Iterator[Block] | None:
    """The source's own sound, where it has any and sound is wanted."""
    if not job.order.with_audio or not source.has_sound:
        return None
    return decode_audio(source.path, SOUND_RATE, source.starts_at)


def kept_or_new_sound(job: ClipJob, source: VideoSource) -> Iterator[Block] | None:
    """The source's own sound, or a new one where it has none or the option `sound` says `new`."""
    kept = None if job.text("sound", "source") == "new" or job.files(Role.AUDIO) else kept_sound(job, source)
    return new_sound(job) if kept is None else kept


def composed(job: ClipJob, samples: int) -> Iterator[Block]:
    """A piece of that many samples, from the prompt."""
    return play_music(job.order.prompt, job.seed, max(1, samples), SOUND_RATE)


def joined(first: Iterator[Block], first_samples: int, second: Iterator[Block]) -> Iterator[Block]:
    """One sound for exactly that many samples, then the other; both are faded for a moment so that it never clicks."""
    fade = min(first_samples, SOUND_RATE // 50)
    return chain(_fading_out(fit_sound(first, first_samples), first_samples, fade), second)


def _fading_out(blocks: Iterator[Block], samples: int, fade: int) -> Iterator[Block]:
    position = 0
    for block in blocks:
        left = samples - np.arange(position, position + len(block), dtype=np.float32)
        yield block * np.minimum(1, left / np.float32(max(1, fade)))[:, None]
        position += len(block)
