"""One clip being made: what was ordered, in the terms that drawing needs, and what an operation gives back.

Owns timing, sizes, options and the files by role. Leaves every picture to the operations beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from av import VideoFrame

from pixeldojo.media.canvas import Canvas
from pixeldojo.media.encode import SOUND_RATE
from pixeldojo.media.orders import Role, VideoOrder
from pixeldojo.media.scene import Scene, compose
from pixeldojo.media.sound_source import Block
from pixeldojo.media.video_source import VideoSource, open_video

MOST_SECONDS = 600.0
MOST_PIXELS = 4096 * 2304
MOST_FRAMES_PER_SECOND = 120

_NTSC = Fraction(1000, 1001)
_NTSC_SLACK = 0.005


@dataclass(frozen=True, slots=True)
class Shot:
    """What an operation gives back.

    Attributes:
        frames: As many as the job's `count`, of the canvas's size, without lettering.
        sound: Blocks at `SOUND_RATE`, of any length: it is fitted to the pictures. None for a silent clip.
        caption: How strongly the prompt stands in the picture (0..1) at a progress of 0..1.
    """

    frames: Iterator[VideoFrame]
    sound: Iterator[Block] | None
    caption: Callable[[float], float]


class ClipJob:
    """One clip of an order.

    Attributes:
        order: As it was given.
        seed: Of this clip.
        canvas: Its frame size; odd sides are rounded up, because H.264 in 4:2:0 has none.
        frames_per_second: Exact; 29.97 and its kin are taken for the broadcast rates they stand for.
        count: How many frames.
    """

    def __init__(self, order: VideoOrder, seed: int) -> None:
        """Raises ValueError if the length, size or rate is out of range."""
        _check(order)
        self.order = order
        self.seed = seed
        self.canvas = Canvas(order.width + order.width % 2, order.height + order.height % 2)
        self.frames_per_second = _exact_rate(order.frames_per_second)
        self.count = max(1, round(Fraction(order.seconds) * self.frames_per_second))

    @cached_property
    def scene(self) -> Scene:
        """What the prompt describes, composed once."""
        return compose(self.order.prompt, self.seed)

    @property
    def seconds(self) -> float:
        """The length of the pictures."""
        return float(self.count / self.frames_per_second)

    @property
    def sound_samples(self) -> int:
        """How many samples, at `SOUND_RATE`, last as long as the pictures."""
        return round(self.count / self.frames_per_second * SOUND_RATE)

    @property
    def moments(self) -> list[float]:
        """When each frame appears, in seconds."""
        return [float(number / self.frames_per_second) for number in range(self.count)]

    def progress(self, number: int) -> float:
        """Where frame `number` lies in the clip: 0 for the first, 1 for the last."""
        return number / max(1, self.count - 1)

    def files(self, role: Role) -> tuple[Path, ...]:
        """The order's files in a role; empty if there are none."""
        return tuple(self.order.sources.get(role, ()))

    def file(self, role: Role) -> Path:
        """Raises ValueError if the order has no file in that role."""
        files = self.files(role)
        if not files:
            raise ValueError(f"the operation {self.order.operation} needs a file in the role {role}; none was given")
        return files[0]

    def video(self) -> VideoSource:
        """Open the source video. Raises ValueError if there is none, UnreadableMedia if it cannot be read."""
        return open_video(self.file(Role.SOURCE_VIDEO))

    def text(self, option: str, default: str) -> str:
        """An option's text, or the default where it is missing or no text."""
        value = self.order.options.get(option)
        return value if isinstance(value, str) else default

    def number(self, option: str) -> float | None:
        """An option's number, or None where it is missing or no number."""
        value = self.order.options.get(option)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def always(_progress: float) -> float:
    """Caption: from the first frame to the last."""
    return 1.0


def never(_progress: float) -> float:
    """Caption: not at all; the picture is the caller's own."""
    return 0.0


def in_the_middle(progress: float) -> float:
    """Caption: neither on the first frame nor on the last, where the caller's own pictures stand."""
    return min(1.0, max(0.0, min(progress - 0.06, 0.94 - progress) / 0.12))


def eased(progress: float) -> float:
    """Return 0..1 as it would be travelled by something that has to start and stop."""
    inside = min(1.0, max(0.0, progress))
    return inside * inside * (3 - 2 * inside)


def _check(order: VideoOrder) -> None:
    if not 0 < order.seconds <= MOST_SECONDS:
        raise ValueError(f"a clip of {order.seconds} s was ordered; it has to be over 0 and at most {MOST_SECONDS:g} s")
    if order.width < 1 or order.height < 1 or order.width * order.height > MOST_PIXELS:
        raise ValueError(
            f"a clip of {order.width}x{order.height} was ordered; it has to be at most {MOST_PIXELS:,} pixels a frame"
        )
    if not 1 <= order.frames_per_second <= MOST_FRAMES_PER_SECOND:
        raise ValueError(
            f"{order.frames_per_second} frames a second were ordered; it has to be 1 to {MOST_FRAMES_PER_SECOND}"
        )


def _exact_rate(frames_per_second: float) -> Fraction:
    broadcast = round(frames_per_second / float(_NTSC)) * _NTSC
    off = abs(float(broadcast) - frames_per_second)
    if off < min(_NTSC_SLACK, abs(round(frames_per_second) - frames_per_second)):
        return broadcast
    return Fraction(frames_per_second).limit_denominator(1_000)
