"""Clips drawn from the prompt alone, and drawn clips in which the caller's references are shown.

Owns GENERATE and REFERENCE. Leaves the picture itself to `scene`.
"""

import math
from collections.abc import Iterator

from av import VideoFrame

from pixeldojo.media.canvas import Canvas
from pixeldojo.media.clips.job import ClipJob, Shot, always
from pixeldojo.media.clips.pictures import load_picture
from pixeldojo.media.clips.prints import Laid, lay_out_prints
from pixeldojo.media.clips.tracks import new_sound
from pixeldojo.media.orders import Role
from pixeldojo.media.scene import Scene
from pixeldojo.media.video_source import open_video

_PAINTED_PIXELS = 800 * 450
_WASH_SIDE = 24
_MOST_REFERENCES = 8


class Backdrop:
    """The scene of a clip as frames."""

    def __init__(self, scene: Scene, canvas: Canvas) -> None:
        self._scene = scene
        self._canvas = canvas
        # Large frames are painted smaller and enlarged: painting is what takes the time, and a scene is soft.
        share = min(1.0, math.sqrt(_PAINTED_PIXELS / (canvas.width * canvas.height)))
        self._size = max(2, round(canvas.width * share)), max(2, round(canvas.height * share))

    def at(self, progress: float) -> VideoFrame:
        """Return the scene at a progress of 0..1 through its motion."""
        return self._canvas.from_rgb(self._scene.paint(*self._size, progress))


class Wash:
    """The colours of a scene without its shapes: light to bathe another picture in."""

    def __init__(self, scene: Scene, canvas: Canvas) -> None:
        self._scene = scene
        self._canvas = canvas

    def at(self, progress: float) -> VideoFrame:
        """Return the light at a progress of 0..1 through the scene's motion."""
        return self._canvas.from_rgb(self._scene.paint(_WASH_SIDE, _WASH_SIDE, progress))


def generate(job: ClipJob) -> Shot:
    """Draw the scene of the prompt in motion."""
    backdrop = Backdrop(job.scene, job.canvas)
    frames = (backdrop.at(job.progress(number)) for number in range(job.count))
    return Shot(frames, new_sound(job), always)


def show_references(job: ClipJob) -> Shot:
    """Draw the scene with the reference pictures, and the reference videos playing, as prints over it."""
    pictures = [load_picture(path) for path in job.files(Role.REFERENCE_IMAGES)[:_MOST_REFERENCES]]
    videos = [open_video(path) for path in job.files(Role.REFERENCE_VIDEOS)[: _MOST_REFERENCES - len(pictures)]]
    if not pictures and not videos:
        return generate(job)
    return Shot(_with_prints(job, lay_out_prints(pictures, videos, job.moments, job.canvas)), new_sound(job), always)


def _with_prints(job: ClipJob, prints: list[Laid]) -> Iterator[VideoFrame]:
    backdrop = Backdrop(job.scene, job.canvas)
    for number in range(job.count):
        progress = job.progress(number)
        frame = backdrop.at(progress)
        for each in prints:
            each.lay(frame, progress)
        yield frame
