"""What a media file turned out to be, and the error for one that cannot be used. Measuring is `probe`'s."""

from dataclasses import dataclass


class UnreadableMedia(Exception):
    """A file that cannot be used; the message says what is wrong with it and what would be right."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file is, by its content and never by its name.

    Attributes:
        kind: `image`, `video`, `audio` or `model3d`.
        content_type: Such as `image/png`.
        size_bytes: Length of the file.
        width: Pixels, as shown (after any rotation the file asks for); None for audio and 3D.
        height: Pixels; None for audio and 3D.
        duration_seconds: Of video and audio.
        frames_per_second: Of video.
        has_audio: Whether there is sound.
    """

    kind: str
    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frames_per_second: float | None = None
    has_audio: bool = False
