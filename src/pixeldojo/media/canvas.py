"""The frame size of a clip, and the ways a picture gets onto it: stretched, covering, or whole on a soft ground.

Owns scaling and colour conversion. Leaves what is drawn to the operations, and writing to `encode`.
"""

from typing import TypeAlias

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from pixeldojo.media import planes

Pixels: TypeAlias = NDArray[np.uint8]

_HD_LINES = 720
_UNSPECIFIED_MATRIX = 2
_SAME_SHAPE = 0.02
_GROUND_SIDE = 14
_GROUND_LIGHT = 0.55


class Canvas:
    """A clip's frame size. Every frame it gives out is `yuv420p` of that size and belongs to the caller.

    Colours are coded by BT.601 at every size and tagged so: readers that obey the tag and readers that assume
    swscale's default (OpenCV, older PyAV) then see the same colours.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._scalers: dict[str, VideoReformatter] = {}

    def from_rgb(self, pixels: Pixels) -> VideoFrame:
        """Return RGB pixels, shape (rows, columns, 3), stretched onto the canvas.

        They are ours and soft, so the finer interpolation, which takes twice as long, would not show.
        """
        return self.stretch(VideoFrame.from_ndarray(pixels, format="rgb24"), Interpolation.BILINEAR)

    def stretch(self, frame: VideoFrame, interpolation: Interpolation = Interpolation.BICUBIC) -> VideoFrame:
        """Return a frame of any size and format, scaled to exactly the canvas."""
        return self._scale("stretch", frame, self.width, self.height, interpolation)

    def cover(self, frame: VideoFrame) -> VideoFrame:
        """Return the middle of a frame filling the canvas; its shape is kept and what sticks out is cut."""
        width, height = _even_outside(frame.width, frame.height, self.width, self.height)
        large = self._scale("cover", frame, width, height)
        left, top = (width - self.width) // 4 * 2, (height - self.height) // 4 * 2
        return planes.crop(large, left, top, self.width, self.height)

    def whole(self, frame: VideoFrame) -> VideoFrame:
        """Return the whole frame as large as it fits, on a soft dark ground made of its own colours."""
        if self.has_shape_of(frame.width, frame.height):
            return self.stretch(frame)
        scale = min(self.width / frame.width, self.height / frame.height)
        width, height = _even(frame.width * scale, self.width), _even(frame.height * scale, self.height)
        left, top = (self.width - width) // 4 * 2, (self.height - height) // 4 * 2
        return self.placed(frame, left, top, width, height)

    def placed(self, frame: VideoFrame, left: int, top: int, width: int, height: int) -> VideoFrame:
        """Return the frame scaled into a rectangle (even numbers of pixels, inside the canvas) on a soft ground."""
        out = self._ground(frame)
        planes.paste(out, self._scale("placed", frame, width, height), left, top)
        return out

    def has_shape_of(self, width: int, height: int) -> bool:
        """Whether a picture of that size can be stretched onto the canvas without anyone noticing."""
        return abs(width * self.height / (height * self.width) - 1) < _SAME_SHAPE

    def _ground(self, frame: VideoFrame) -> VideoFrame:
        tiny = self._scale("tiny", frame, _GROUND_SIDE, _GROUND_SIDE, Interpolation.AREA)
        out = self._scale("ground", tiny, self.width, self.height, Interpolation.BICUBIC)
        light = planes.planes_of(out).y
        light[...] = (light * _GROUND_LIGHT + planes.BLACK * (1 - _GROUND_LIGHT)).astype(np.uint8)
        return out

    def _scale(
        self,
        purpose: str,
        frame: VideoFrame,
        width: int,
        height: int,
        interpolation: Interpolation = Interpolation.BICUBIC,
    ) -> VideoFrame:
        # One scaler for each purpose: a scaler set up anew for every call would cost more than the scaling.
        scaler = self._scalers.setdefault(purpose, VideoReformatter())
        out = scaler.reformat(
            frame,
            width,
            height,
            "yuv420p",
            src_colorspace=_assumed_matrix(frame),
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=interpolation,
            threads=1,
        )
        return planes.copy_frame(out) if out is frame else out


def _assumed_matrix(frame: VideoFrame) -> int | None:
    if frame.format.is_rgb or frame.colorspace != _UNSPECIFIED_MATRIX:
        return None
    return Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601


def _even(length: float, limit: int) -> int:
    return min(limit, max(2, round(length / 2) * 2))


def _even_outside(width: int, height: int, wanted_width: int, wanted_height: int) -> tuple[int, int]:
    scale = max(wanted_width / width, wanted_height / height)
    return (
        max(wanted_width, round(width * scale / 2) * 2),
        max(wanted_height, round(height * scale / 2) * 2),
    )
