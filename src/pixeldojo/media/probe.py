"""What a media file is: its kind and type by content, its size, its length.

Owns the answer and the error. The measuring itself is in `measure`, which needs the media libraries and is therefore
loaded where `probe_media` runs: in a process of the media pool, never in the server's own.
"""

from dataclasses import dataclass
from pathlib import Path


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


def probe_media(path: Path) -> MediaFacts:
    """Measure a file: an image is decoded whole, of a video the first frame, and every packet is counted.

    Raises:
        UnreadableMedia: if it is broken, cut short, too large to decode, or not media we know.
    """
    from pixeldojo.media.measure import measure_file  # noqa: PLC0415 (the module says why)

    return measure_file(path)
