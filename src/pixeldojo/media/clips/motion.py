"""Watching how a video moves: how much, where, and at which moments it cuts.

Owns these measures. Leaves what is done with them to sound and to the operations that follow a performer.
"""

from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from pixeldojo.media import planes
from pixeldojo.media.canvas import Canvas
from pixeldojo.media.video_source import VideoSource

_STEPS_PER_SECOND = 10.0
_WIDTH, _HEIGHT = 32, 18
_LEAST_MOVE = 1.5
_CALM = 0.12
_CUT_TIMES_USUAL, _CUT_LEAST = 4.0, 25.0


@dataclass(frozen=True, slots=True)
class MotionCurve:
    """How much a video moves over time.

    Attributes:
        levels: 0 (still) to 1 (the most it moves), at even steps.
        steps_per_second: How many levels there are to a second.
        cuts: Seconds at which one picture gives way to quite another.
    """

    levels: NDArray[np.float32]
    steps_per_second: float
    cuts: tuple[float, ...]

    def between(self, start: float, end: float, count: int) -> NDArray[np.float32]:
        """Return `count` levels, evenly spaced from `start` to `end` in seconds."""
        at = np.linspace(start * self.steps_per_second, end * self.steps_per_second, count, endpoint=False)
        return np.interp(at, np.arange(len(self.levels)), self.levels).astype(np.float32)


def watch_motion(source: VideoSource, seconds: float) -> MotionCurve:
    """Measure the first `seconds` of a video.

    Raises:
        UnreadableMedia: if it cannot be decoded.
    """
    thumb = Canvas(_WIDTH, _HEIGHT)
    count = max(2, round(seconds * _STEPS_PER_SECOND))
    steps = np.zeros(count, np.float32)
    last = None
    for number, frame in enumerate(source.walk(number / _STEPS_PER_SECOND for number in range(count))):
        now = planes.planes_of(thumb.stretch(frame)).y.astype(np.float32)
        if last is not None:
            steps[number] = float(np.abs(now - last).mean())
        last = now
    usual = float(np.median(steps))
    is_cut = steps > max(_CUT_LEAST, usual * _CUT_TIMES_USUAL)
    smooth = np.convolve(np.where(is_cut, usual, steps), np.full(5, 0.2), mode="same")
    most = float(smooth.max())
    levels = smooth / most if most > 0 else smooth
    cuts = tuple(int(step) / _STEPS_PER_SECOND for step in np.flatnonzero(is_cut))
    return MotionCurve(levels.astype(np.float32), _STEPS_PER_SECOND, cuts)


class Follower:
    """Follows where a video moves, as the eye would: gently, and staying where it was when nothing moves."""

    def __init__(self) -> None:
        self._thumb = Canvas(_WIDTH, _HEIGHT)
        self._last: NDArray[np.float32] | None = None
        self._place = (0.0, 0.0)

    def look(self, frame: VideoFrame) -> tuple[float, float]:
        """Take the next frame; return where it moves, -1..1 from left to right and from top to bottom."""
        now = planes.planes_of(self._thumb.stretch(frame)).y.astype(np.float32)
        if self._last is not None:
            moved = np.abs(now - self._last)
            total = float(moved.sum())
            if total > _LEAST_MOVE * moved.size / 4:
                across = float((moved.sum(axis=0) * np.linspace(-1, 1, _WIDTH)).sum()) / total
                down = float((moved.sum(axis=1) * np.linspace(-1, 1, _HEIGHT)).sum()) / total
                self._place = (
                    self._place[0] + _CALM * (across - self._place[0]),
                    self._place[1] + _CALM * (down - self._place[1]),
                )
        self._last = now
        return self._place
