"""Pictures and videos lying in a clip as prints: where they lie, and how they move.

Owns layout and movement. Leaves edges and shadows to `sprite`, and what lies beneath to the operations.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from av import VideoFrame
from PIL import Image, ImageOps

from pixeldojo.media import planes
from pixeldojo.media.canvas import Canvas
from pixeldojo.media.clips.job import eased
from pixeldojo.media.sprite import Sprite, card
from pixeldojo.media.video_source import VideoSource

_MOST_IN_A_ROW = 3
_TILTS = (-3.0, 2.0, -1.5, 3.5)


class Laid(Protocol):
    """Something that draws itself into the frames of a clip, once for each frame and in order."""

    def lay(self, frame: VideoFrame, progress: float, /) -> None:
        """Draw it into `frame`, in place, at a progress of 0..1 through the clip."""
        ...


@dataclass(frozen=True, slots=True)
class Print:
    """A picture: where its middle is (pixels), how far it sways, and where in that it begins (0..1)."""

    sprite: Sprite
    across: float
    down: float
    sway: float
    phase: float

    def lay(self, frame: VideoFrame, progress: float, /) -> None:
        """Draw it where it has swayed to; in its first moments it comes up out of the picture."""
        turn = 2 * math.pi * (progress + self.phase)
        left = self.across - self.sprite.width / 2 + self.sway * math.sin(turn)
        top = self.down - self.sprite.height / 2 + self.sway * 0.6 * math.cos(turn * 2)
        self.sprite.lay(frame, left, top, eased(progress / 0.08 + 0.4))


class LivePrint:
    """A video playing in its print, from its start again when it ends."""

    def __init__(
        self, source: VideoSource, moments: Sequence[float], size: tuple[int, int], across: float, down: float
    ) -> None:
        width, height = (max(2, round(side / 2) * 2) for side in _contained((source.width, source.height), size))
        self._small = Canvas(width, height)
        self._left, self._top = round((across - width / 2) / 2) * 2, round((down - height / 2) / 2) * 2
        self._board = card(Image.new("RGB", (width, height)))
        self._frames: Iterator[VideoFrame] = source.walk(moment % max(0.001, source.seconds) for moment in moments)

    def lay(self, frame: VideoFrame, _progress: float, /) -> None:
        """Draw its next frame; the moments it was made with have settled which."""
        edge_across = (self._board.width - self._small.width) / 2
        edge_down = (self._board.height - self._small.height) / 2
        self._board.lay(frame, self._left - edge_across, self._top - edge_down)
        planes.paste(frame, self._small.stretch(next(self._frames)), self._left, self._top)


def lay_out_prints(
    pictures: Sequence[Image.Image], videos: Sequence[VideoSource], moments: Sequence[float], canvas: Canvas
) -> list[Laid]:
    """Return pictures and videos as large prints, in one row or two, above the caption."""
    count = len(pictures) + len(videos)
    rows = 1 if count <= _MOST_IN_A_ROW else 2
    columns = -(-count // rows)
    room = (canvas.width * 0.9 / columns, canvas.height * 0.72 / rows)
    size = (max(2, round(room[0] * 0.82)), max(2, round(room[1] * 0.8)))
    laid: list[Laid] = []
    for number in range(count):
        row, column = divmod(number, columns)
        across = canvas.width * 0.05 + room[0] * (column + 0.5)
        down = canvas.height * 0.06 + room[1] * (row + 0.5)
        if number < len(pictures):
            sprite = card(ImageOps.contain(pictures[number], size), _TILTS[number % len(_TILTS)])
            laid.append(Print(sprite, across, down, sway=canvas.width * 0.008, phase=number * 0.29))
        else:
            laid.append(LivePrint(videos[number - len(pictures)], moments, size, across, down))
    return laid


def lay_out_insets(pictures: Sequence[Image.Image], canvas: Canvas) -> list[Laid]:
    """Return the pictures as small prints down the left edge; as many as fit."""
    side = max(2.0, min(canvas.width, canvas.height) * 0.24)
    most = max(1, int(canvas.height * 0.75 / (side * 1.05)))
    return [
        Print(
            card(ImageOps.contain(picture, (round(side), round(side * 0.8))), _TILTS[number % len(_TILTS)]),
            across=side * 0.72,
            down=side * (0.6 + 1.05 * number),
            sway=0.0,
            phase=0.0,
        )
        for number, picture in enumerate(pictures[:most])
    ]


def _contained(size: tuple[int, int], room: tuple[int, int]) -> tuple[float, float]:
    scale = min(room[0] / size[0], room[1] / size[1])
    return size[0] * scale, size[1] * scale
