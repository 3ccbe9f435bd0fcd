"""What a media file turned out to be: light types that any process may import. Measuring is `probe`'s."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A media file, judged by its content alone.

    Attributes:
        kind: `image`, `video`, `audio` or `model3d`.
        content_type: Such as `image/webp`.
        size_bytes: Length of the file.
        width: Pixels, as shown (rotation applied); None for sound and 3D.
        height: Pixels; None for sound and 3D.
        duration_seconds: None for images and 3D.
        frames_per_second: Of a video.
        has_audio: Whether a video carries a sound track.
    """

    kind: str
    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frames_per_second: float | None = None
    has_audio: bool = False


class UnreadableMedia(Exception):
    """A file is broken, cut short, too large to decode, or no media we know; the message is for its sender."""
