"""A caller's video, decoded one frame at a time and never held whole.

Owns upright frames with their times, and stepping through them at any rate, forwards or backwards. Leaves scaling
to `canvas`, sound to `sound_source`, and refusing oversized files before a job to `probe`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pixeldojo.media import planes
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.media_file import opened, refuse_unknown_codec

MOST_PIXELS = 8192 * 4320
MOST_FRAMES_PER_SECOND = 120

_TIME_SLACK_SECONDS = 0.0015
_LEAST_PLAUSIBLE_SHARE = 0.5
_BACKWARD_BYTES = 96 << 20
_BACKWARD_FRAMES = 48
_DEFAULT_RATE = Fraction(25)


class TimedFrame(NamedTuple):
    """A frame and when it appears, in seconds from the first one."""

    seconds: float
    frame: VideoFrame


@dataclass(frozen=True, slots=True)
class VideoSource:
    """One video file. Frames come upright and in square pixels' proportions.

    Attributes:
        path: The file.
        width: Pixels, as people see it (turned upright, pixels made square).
        height: Pixels, likewise.
        frames_per_second: On average.
        seconds: How long the pictures last.
        starts_at: When the first picture appears on the file's own clock; its sound is on that clock too.
        has_sound: Whether it carries a sound track.
    """

    path: Path
    width: int
    height: int
    frames_per_second: Fraction
    seconds: float
    starts_at: float
    has_sound: bool

    def frames(self, from_seconds: float = 0.0) -> Iterator[TimedFrame]:
        """Decode from the last key frame at or before that time to the end.

        Raises:
            UnreadableMedia: if the file breaks, or ends long before the time it says it lasts.
        """
        reached = None
        with opened(self.path) as container:
            stream = _video_stream(container)
            if from_seconds > 0:
                container.seek(_timestamp(stream, self.starts_at + from_seconds), stream=stream)
            for frame in container.decode(stream):
                reached = (frame.time or 0.0) - self.starts_at
                yield TimedFrame(reached, _upright(frame, self.width, self.height))
        if reached is None or reached < self.seconds * _LEAST_PLAUSIBLE_SHARE - 1:
            raise UnreadableMedia(
                f"the video says it lasts {self.seconds:.1f} s but its pictures end after {reached or 0:.1f} s; "
                "send it whole"
            )

    def first(self) -> VideoFrame:
        """Return the first frame."""
        return next(self.walk([0.0]))

    def walk(self, moments: Iterable[float]) -> Iterator[VideoFrame]:
        """Return the frame to be seen at each of the moments (seconds); before the start the first, after the end
        the last. A frame may be handed out more than once, and its memory belongs to the decoder: copy to change it.
        """
        cursor = _Cursor(self.frames())
        for moment in moments:
            if moment + _TIME_SLACK_SECONDS < cursor.seconds:
                cursor = _Cursor(self.frames(moment))
            yield cursor.at(moment)

    def walk_back(self, moments: Sequence[float]) -> Iterator[VideoFrame]:
        """Like `walk` for falling moments: short stretches are decoded forwards and handed out in reverse."""
        frame_bytes = self.width * self.height * 3 // 2
        stretch = max(2, min(_BACKWARD_FRAMES, _BACKWARD_BYTES // frame_bytes))
        for start in range(0, len(moments), stretch):
            rising = moments[start : start + stretch][::-1]
            yield from reversed([planes.copy_frame(frame) for frame in self._stretch(rising)])

    def _stretch(self, rising: Sequence[float]) -> Iterator[VideoFrame]:
        cursor = _Cursor(self.frames(max(0.0, rising[0])))
        for moment in rising:
            yield cursor.at(moment)


def open_video(path: Path) -> VideoSource:
    """Read what a video is, without decoding more than it takes.

    Raises:
        UnreadableMedia: if the file holds no pictures, is broken, or its frames are too large.
    """
    with opened(path) as container:
        stream = _video_stream(container)
        shape = stream.codec_context
        if not 0 < shape.width * shape.height <= MOST_PIXELS:
            raise UnreadableMedia(
                f"its frames are {shape.width}x{shape.height} pixels; send at most {MOST_PIXELS:,} pixels a frame"
            )
        has_sound = bool(container.streams.audio)
        seconds = _declared_seconds(container, stream)
        first = next(container.decode(stream), None)
        if first is None:
            raise UnreadableMedia("none of its pictures can be decoded; send a whole video")
        starts_at = first.time or 0.0
        # A stream must not be asked anything once its container is closed.
        width, height = _upright_size(first, stream)
        rate = _rate(stream)
    return VideoSource(
        path=path,
        width=width,
        height=height,
        frames_per_second=rate,
        seconds=_counted_seconds(path) if seconds is None else seconds,
        starts_at=starts_at,
        has_sound=has_sound,
    )


class _Cursor:
    """Where we are in a run of frames."""

    def __init__(self, frames: Iterator[TimedFrame]) -> None:
        self._frames = frames
        self._current = next(frames)
        self._next = next(frames, None)

    @property
    def seconds(self) -> float:
        return self._current.seconds

    def at(self, seconds: float) -> VideoFrame:
        while self._next is not None and self._next.seconds <= seconds + _TIME_SLACK_SECONDS:
            self._current, self._next = self._next, next(self._frames, None)
        return self._current.frame


def _video_stream(container: InputContainer) -> VideoStream:
    # A cover picture inside a sound file is a stream of pictures too, and no video.
    moving = [stream for stream in container.streams.video if Disposition.attached_pic not in stream.disposition]
    if not moving:
        raise UnreadableMedia("the file holds no pictures; send a video")
    stream = moving[0]
    refuse_unknown_codec(stream)
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def _timestamp(stream: VideoStream, seconds: float) -> int:
    return int(seconds / (stream.time_base or Fraction(1, 1000)))


def _upright_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    stretch = stream.sample_aspect_ratio or Fraction(1)
    width, height = max(1, round(frame.width * stretch)), frame.height
    return (height, width) if planes.upright_turn(frame) in (90, 270) else (width, height)


def _upright(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    degrees = planes.upright_turn(frame)
    if degrees == 0 and frame.width == width:
        return frame
    across, down = (height, width) if degrees in (90, 270) else (width, height)
    flat = frame.reformat(across, down, "yuv420p", threads=1)
    return planes.turn(flat, degrees)


def _rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 1 <= rate <= MOST_FRAMES_PER_SECOND:
            return Fraction(rate)
    return _DEFAULT_RATE


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration is not None else None


def _counted_seconds(path: Path) -> float:
    """Recorders in browsers leave the length out, so the packets have to tell."""
    with opened(path) as container:
        stream = _video_stream(container)
        moments = sorted(
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        )
    step = min((later - earlier for earlier, later in pairwise(moments) if later > earlier), default=0.04)
    return moments[-1] - moments[0] + step if moments else 0.0
