"""Video frames in YUV 4:2:0, as numpy sees them: views, copies, crops, turns and mixes.

Owns the pixel layout. Leaves sizes and colour conversion to `canvas`, files to `video_source` and `encode`.
"""

from typing import Literal, NamedTuple, cast

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.uint8]
Turn = Literal[0, 90, 180, 270]

BLACK = 16
NO_COLOUR = 128


class Planes(NamedTuple):
    """Brightness (rows, columns) and two colour planes at half that size, rounded up."""

    y: Plane
    u: Plane
    v: Plane


def planes_of(frame: VideoFrame) -> Planes:
    """Return writable views into a `yuv420p` frame; the views keep the frame alive."""
    return Planes(*(_view(frame, index) for index in range(3)))


def new_frame(width: int, height: int) -> VideoFrame:
    """Return a frame of that size in pixels whose content is still undefined."""
    return VideoFrame(width, height, "yuv420p")


def copy_frame(frame: VideoFrame) -> VideoFrame:
    """Return a frame of its own memory; a decoder may still need the original untouched."""
    return crop(frame, 0, 0, frame.width, frame.height)


def crop(frame: VideoFrame, left: int, top: int, width: int, height: int) -> VideoFrame:
    """Return a rectangle of the frame, in pixels. Colour is taken at the nearest even corner."""
    out = new_frame(width, height)
    for target, source, half in zip(planes_of(out), planes_of(frame), (0, 1, 1), strict=True):
        rows, columns = target.shape
        row = min(top >> half, source.shape[0] - rows)
        column = min(left >> half, source.shape[1] - columns)
        target[...] = source[row : row + rows, column : column + columns]
    return out


def paste(onto: VideoFrame, frame: VideoFrame, left: int, top: int) -> None:
    """Lay a frame onto a larger one, in place, at an even corner inside it."""
    for target, source, half in zip(planes_of(onto), planes_of(frame), (0, 1, 1), strict=True):
        row, column = top >> half, left >> half
        room = target[row : row + source.shape[0], column : column + source.shape[1]]
        room[...] = source[: room.shape[0], : room.shape[1]]


def turn(frame: VideoFrame, degrees: Turn) -> VideoFrame:
    """Return the frame turned counter-clockwise."""
    if degrees == 0:
        return frame
    swaps_sides = degrees in (90, 270)
    width, height = (frame.height, frame.width) if swaps_sides else (frame.width, frame.height)
    out = new_frame(width, height)
    for target, source in zip(planes_of(out), planes_of(frame), strict=True):
        target[...] = np.rot90(source, degrees // 90)
    return out


def mix(first: VideoFrame, second: VideoFrame, share: float) -> VideoFrame:
    """Return `first` with `share` (0..1) of `second`; the sizes are the same."""
    if share <= 0:
        return first
    if share >= 1:
        return second
    out = new_frame(first.width, first.height)
    for target, one, other in zip(planes_of(out), planes_of(first), planes_of(second), strict=True):
        target[...] = np.asarray(Image.blend(Image.fromarray(one), Image.fromarray(other), share))
    return out


def upright_turn(frame: VideoFrame) -> Turn:
    """Return the turn that brings a frame upright, from what its camera noted."""
    quarter = round(frame.rotation / 90) * 90 % 360
    return cast(Turn, quarter)


def _view(frame: VideoFrame, index: int) -> Plane:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
