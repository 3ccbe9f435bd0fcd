"""Clips that are the caller's video, changed: regraded, enlarged or put on another canvas.

Owns EDIT, UPSCALE and REFRAME. Leaves scaling to `canvas` and the scene's colours to `scene`.
"""

from collections.abc import Iterator

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from pixeldojo.media import planes
from pixeldojo.media.clips.job import ClipJob, Shot, always, never
from pixeldojo.media.clips.pictures import load_picture
from pixeldojo.media.clips.prints import lay_out_insets
from pixeldojo.media.clips.tracks import kept_or_new_sound, kept_sound
from pixeldojo.media.drawing.palette import Palette
from pixeldojo.media.orders import Role
from pixeldojo.media.sprite import coded_colour
from pixeldojo.media.video_source import VideoSource

_COLOUR_SHARE = 0.62
_LIGHT_SHARE = 0.22
_FADE_IN = 0.06


def edit(job: ClipJob) -> Shot:
    """Show the whole source in the colours of the prompt's scene, with the reference pictures at its edge.

    A clip ordered longer than its source plays the source again from its start.
    """
    source = job.video()
    return Shot(_regraded(job, source), kept_or_new_sound(job, source), always)


def upscale(job: ClipJob) -> Shot:
    """Resample the source to the ordered size and rate."""
    source = job.video()
    frames = map(job.canvas.whole, source.walk(job.moments))
    return Shot(frames, kept_sound(job, source), never)


def reframe(job: ClipJob) -> Shot:
    """Put the whole source on a canvas of another shape, on a soft ground made of its own colours."""
    source = job.video()
    box = _asked_box(job, source)
    frames = (
        job.canvas.whole(frame) if box is None else job.canvas.placed(frame, *box) for frame in source.walk(job.moments)
    )
    return Shot(frames, kept_sound(job, source), never)


class Grade:
    """A look: every brightness gets a colour of the palette, dark ones its land, bright ones its light."""

    def __init__(self, palette: Palette) -> None:
        stops = np.array([palette.near * 0.6, palette.water, palette.sky[2], palette.light])
        places = np.linspace(0, 255, len(stops))
        brightness = np.arange(256)
        ramp = np.stack([np.interp(brightness, places, stops[:, channel]) for channel in range(3)], axis=1)
        coded = coded_colour(ramp)
        curve = brightness + 14 * np.sin((brightness - 16) / 219 * 2 * np.pi - np.pi)
        self._y = np.clip(curve * (1 - _LIGHT_SHARE) + coded[:, 0] * _LIGHT_SHARE, 16, 235).astype(np.uint8)
        self._u = coded[:, 1]
        self._v = coded[:, 2]

    def apply(self, frame: VideoFrame, strength: float) -> None:
        """Regrade a frame in place, with a strength of 0..1."""
        y, u, v = planes.planes_of(frame)
        dim = y[::2, ::2]
        share = _COLOUR_SHARE * strength
        for target, tint in ((u, self._u), (v, self._v)):
            target[...] = _blended(target, tint[dim], share)
        full = self._y[y]
        y[...] = full if strength >= 1 else _blended(y, full, strength)


def _blended(
    one: NDArray[np.uint8], other: NDArray[np.floating] | NDArray[np.uint8], share: float
) -> NDArray[np.uint8]:
    return (one * np.float32(1 - share) + other * np.float32(share) + np.float32(0.5)).astype(np.uint8)


def _regraded(job: ClipJob, source: VideoSource) -> Iterator[VideoFrame]:
    grade = Grade(job.scene.palette)
    insets = lay_out_insets([load_picture(path) for path in job.files(Role.REFERENCE_IMAGES)], job.canvas)
    length = max(source.seconds, 1 / float(job.frames_per_second))
    moments = [moment if job.seconds <= length else moment % length for moment in job.moments]
    for number, seen in enumerate(source.walk(moments)):
        progress = job.progress(number)
        frame = job.canvas.whole(seen)
        grade.apply(frame, min(1.0, 0.6 + progress / _FADE_IN * 0.4))
        for inset in insets:
            inset.lay(frame, progress)
        yield frame


def _asked_box(job: ClipJob, source: VideoSource) -> tuple[int, int, int, int] | None:
    """The rectangle the caller gave for the source, with the source's shape kept inside it; None if none was given."""
    corners = [job.number(option) for option in ("x_start", "y_start", "x_end", "y_end")]
    across, down = job.number("grid_position_x"), job.number("grid_position_y")
    canvas = job.canvas
    if all(corner is None for corner in corners) and across is None and down is None:
        return None
    left, top = corners[0] or across or 0.0, corners[1] or down or 0.0
    right, bottom = corners[2] or canvas.width, corners[3] or canvas.height
    left, right = sorted(min(canvas.width, max(0.0, side)) for side in (left, right))
    top, bottom = sorted(min(canvas.height, max(0.0, side)) for side in (top, bottom))
    scale = min((right - left) / source.width, (bottom - top) / source.height)
    width, height = max(2, int(source.width * scale / 2) * 2), max(2, int(source.height * scale / 2) * 2)
    left = min(canvas.width - width, int(left + (right - left - width) / 2))
    top = min(canvas.height - height, int(top + (bottom - top - height) / 2))
    return max(0, left // 2 * 2), max(0, top // 2 * 2), width, height
