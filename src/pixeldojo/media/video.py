"""Rendering a video order to files.

Owns which operation draws what, and what every clip has in common: lettering, exact length, tags. Leaves the
operations to `clips`, and files to `encode`.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from av import VideoFrame

from pixeldojo.media.clips.captioned import burn_captions
from pixeldojo.media.clips.drawn import generate, show_references
from pixeldojo.media.clips.followed import animate, replace
from pixeldojo.media.clips.job import ClipJob, Shot
from pixeldojo.media.clips.moved import extend, start_from_image
from pixeldojo.media.clips.reworked import edit, reframe, upscale
from pixeldojo.media.clips.spoken import avatar, lip_sync
from pixeldojo.media.encode import Clip, tags_for, write_clip
from pixeldojo.media.image import derive_seed
from pixeldojo.media.orders import VideoOperation, VideoOrder
from pixeldojo.media.sound_source import fit_sound
from pixeldojo.media.sprite import Lettered

_OPERATIONS: Final[Mapping[VideoOperation, Callable[[ClipJob], Shot]]] = MappingProxyType(
    {
        VideoOperation.GENERATE: generate,
        VideoOperation.FROM_IMAGE: start_from_image,
        VideoOperation.REFERENCE: show_references,
        VideoOperation.EXTEND: extend,
        VideoOperation.EDIT: edit,
        VideoOperation.UPSCALE: upscale,
        VideoOperation.REFRAME: reframe,
        VideoOperation.LIP_SYNC: lip_sync,
        VideoOperation.AVATAR: avatar,
        VideoOperation.ANIMATE: animate,
        VideoOperation.REPLACE: replace,
        VideoOperation.CAPTION: burn_captions,
    }
)


def render_video(order: VideoOrder, folder: Path) -> list[Path]:
    """Render the order's clips into `folder` and return them in order.

    Each has exactly round(seconds x rate) frames of exactly the ordered size (odd sides are rounded up to even ones,
    which H.264 needs) and, with sound, a track of the same length. The same order gives the same bytes.

    Raises:
        ValueError: if the length, size, rate or format is out of range, or a file that the operation needs is missing.
        UnreadableMedia: if a source cannot be decoded.
    """
    job = uuid4().hex
    paths = [folder / f"{job}-{position}.{order.file_format}" for position in range(order.count)]
    for position, path in enumerate(paths):
        _render_clip(ClipJob(order, derive_seed(order.model_id, order.seed, position)), path)
    return paths


def _render_clip(job: ClipJob, path: Path) -> None:
    shot = _OPERATIONS[job.order.operation](job)
    clip = Clip(
        width=job.canvas.width,
        height=job.canvas.height,
        frames_per_second=job.frames_per_second,
        frames=_lettered(job, shot),
        sound=None if shot.sound is None else fit_sound(shot.sound, job.sound_samples),
    )
    write_clip(path, job.order.file_format, clip, tags_for(job.order.model_id, job.order.prompt, job.order.seed))


def _lettered(job: ClipJob, shot: Shot) -> Iterator[VideoFrame]:
    lettering = Lettered(job.order.prompt, job.canvas.width, job.canvas.height)
    for number, frame in enumerate(shot.frames):
        lettering.stamp(frame, shot.caption(job.progress(number)))
        yield frame
