"""A caller's still pictures on their way into a clip: loaded safely, and seen by a moving camera.

Owns camera moves and how large a picture needs to be. Leaves decoding to `retouch`, scaling to `canvas` and
pictures lying in a clip to `prints`.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation
from PIL import Image

from pixeldojo.media import planes
from pixeldojo.media.canvas import Canvas
from pixeldojo.media.retouch import open_picture

_LARGEST_SIDE = 4096
_LARGE_PIXELS = 2560 * 1440
_MOST_ENLARGED = 2.0
_ZOOM = 0.17


def load_picture(path: Path) -> Image.Image:
    """Load a picture as RGB, upright, at most 4096 pixels a side.

    Raises:
        UnreadableMedia: if it is no picture, is broken or decodes to far too much.
    """
    picture = open_picture(path)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.BICUBIC)
    return picture


def frame_of(picture: Image.Image) -> VideoFrame:
    """Return the picture as a frame of its own size."""
    return VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")


@dataclass(frozen=True, slots=True)
class Camera:
    """How a camera travels over a picture.

    Attributes:
        zoom: How much closer it is at the end.
        across: -1 (left) to 1 (right), where it then looks.
        down: -1 (up) to 1 (down).
    """

    zoom: float
    across: float
    down: float


def read_camera(prompt: str, seed: int) -> Camera:
    """Return the move that the prompt asks for; without a word of it, one that the seed settles."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    if words & {"static", "fixed", "locked", "motionless"}:
        return Camera(0.0, 0.0, 0.0)
    across = 1.0 if "right" in words else -1.0 if "left" in words else (seed % 3 - 1) * 0.6
    down = 1.0 if "down" in words else -1.0 if "up" in words else (seed // 3 % 3 - 1) * 0.4
    return Camera(_ZOOM * (1.8 if words & {"zoom", "fast", "dolly", "push"} else 1.0), across, down)


class Still:
    """A picture as a camera sees it. At rest it fills the canvas exactly, what sticks out cut equally on both sides."""

    def __init__(self, frame: VideoFrame, canvas: Canvas) -> None:
        self._canvas = canvas
        self._whole = canvas.cover(frame)
        # A camera moves in whole pixels of what it looks at; on a finer picture the steps cannot be seen.
        scale = math.sqrt(_LARGE_PIXELS / (canvas.width * canvas.height))
        scale = min(_MOST_ENLARGED, max(1.0, scale))
        large = Canvas(round(canvas.width * scale / 2) * 2, round(canvas.height * scale / 2) * 2)
        self._large = large.cover(frame)

    def at_rest(self) -> VideoFrame:
        """Return the picture as it is."""
        return planes.copy_frame(self._whole)

    def seen_by(self, camera: Camera, progress: float) -> VideoFrame:
        """Return what the camera sees at a progress of 0 (at rest) to 1 (all the way)."""
        if progress <= 0 or camera.zoom == 0:
            return self.at_rest()
        return self.close_up(1 + camera.zoom * progress, camera.across * progress, camera.down * progress)

    def close_up(self, zoom: float, across: float, down: float) -> VideoFrame:
        """Return the picture enlarged `zoom` times (1 or more), looking at -1..1 of the room that gives."""
        width = max(2, round(self._large.width / zoom))
        height = max(2, round(self._large.height / zoom))
        left = round((self._large.width - width) * (0.5 + 0.5 * _within(across)))
        top = round((self._large.height - height) * (0.5 + 0.5 * _within(down)))
        # Every frame has another size here, and preparing a finer filter each time would cost twice the scaling.
        return self._canvas.stretch(planes.crop(self._large, left, top, width, height), Interpolation.BILINEAR)


def _within(value: float) -> float:
    return min(1.0, max(-1.0, value))
