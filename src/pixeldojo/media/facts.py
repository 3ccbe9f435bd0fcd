"""What a media file turned out to be, and the error for one that cannot be used. Measuring is `probe`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

EXTENSIONS: Final[Mapping[str, str]] = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/tiff": "tiff",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/quicktime": "m4a",
    "audio/webm": "weba",
    "audio/x-matroska": "mka",
    "model/gltf-binary": "glb",
}
"""The types of media known here, and what the names of such files end in."""


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
