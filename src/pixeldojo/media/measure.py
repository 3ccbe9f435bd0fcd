"""Measuring media files, defensively: they come from strangers.

Owns measuring each kind. Leaves telling types by their first bytes to `sniff`, opening containers to `media_file`,
the facts of a video's pictures to `video_source`. Runs in a process of the media pool, within its memory limit and
deadline.
"""

import json
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from PIL import Image, UnidentifiedImageError

from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.media_file import opened, refuse_unknown_codec
from pixeldojo.media.sniff import HEAD_BYTES, MATROSKA, is_mp3, sniff
from pixeldojo.media.video_source import open_video
from pixeldojo.media.whole import is_whole

MOST_IMAGE_PIXELS = 100_000_000

_TURNED = {5, 6, 7, 8}
_ORIENTATION_TAG = 0x0112
_UNKNOWN_LENGTH = 0xFFFFFFFF
_MP3_FRAME_BYTES = 1_500
_SEGMENT = b"\x18\x53\x80\x67"
_MATROSKA_HEAD_BYTES = 128
_MOST_LOST_SECONDS = 1.0
_MOST_LOST_SHARE = 0.10
_GLB_HEADER = struct.Struct("<4sIIII")
_JSON_CHUNK = 0x4E4F534A
# Pillow's names of the image formats; a file is opened as what it announces and as nothing else.
_DECODERS: Mapping[str, str] = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}


def measure_file(path: Path, *, decodes: bool = True) -> MediaFacts:
    """Measure a file.

    Args:
        path: The file.
        decodes: Whether every image is decoded. Otherwise one that is whole by its structure is not.

    Raises:
        UnreadableMedia: if it is broken, cut short, too large to decode, or not media we know.
    """
    with path.open("rb") as file:
        content_type = sniff(file.read(HEAD_BYTES))
    match content_type.partition("/")[0]:
        case "image":
            return _measure_image(path, content_type, decodes=decodes)
        case "video":
            return _measure_video(path, content_type)
        case "audio":
            return _measure_sound(path, content_type)
    return _measure_model(path, content_type)


def _measure_image(path: Path, content_type: str, *, decodes: bool) -> MediaFacts:
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels; the limit here is a little higher and is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=(_DECODERS[content_type],)) as image:
                _refuse_huge(image.width, image.height)
                is_decoded = decodes or not is_whole(path, content_type)
                if is_decoded:
                    image.load()
                width, height = image.size
                # Asked for what a PNG says of itself, the library decodes it.
                is_plain = content_type == "image/png" and not is_decoded
                if not is_plain and image.getexif().get(_ORIENTATION_TAG) in _TURNED:
                    width, height = height, width
    except Image.DecompressionBombError as error:
        raise UnreadableMedia(
            f"the image is over {MOST_IMAGE_PIXELS // 1_000_000} megapixels; send a smaller one"
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableMedia(f"the file begins like {content_type} but is no readable image") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError, RuntimeError) as error:
        # Pillow's decoders report broken data by any of these.
        raise UnreadableMedia(f"the image is broken or cut short ({_reason(error)}); send it whole") from error
    return MediaFacts("image", content_type, path.stat().st_size, width, height)


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MOST_IMAGE_PIXELS:
        raise UnreadableMedia(
            f"the image has {width}x{height} pixels; send at most {MOST_IMAGE_PIXELS // 1_000_000} megapixels"
        )


def _measure_video(path: Path, content_type: str) -> MediaFacts:
    _refuse_missing_bytes(path)
    with opened(path) as container:
        if not _has_pictures(container):
            return _measure_sound(path, content_type.replace("video/", "audio/"))
    video = open_video(path)
    _refuse_cut_short(path, float(video.seconds))
    return MediaFacts(
        kind="video",
        content_type=content_type,
        size_bytes=path.stat().st_size,
        width=video.width,
        height=video.height,
        duration_seconds=round(float(video.seconds), 6),
        frames_per_second=round(float(video.frames_per_second), 6),
        has_audio=video.has_sound,
    )


def _has_pictures(container: InputContainer) -> bool:
    """A cover picture inside a sound file does not make it a video."""
    return any(Disposition.attached_pic not in stream.disposition for stream in container.streams.video)


def _measure_sound(path: Path, content_type: str) -> MediaFacts:
    _refuse_missing_bytes(path)
    with opened(path) as container:
        if not container.streams.audio:
            raise UnreadableMedia(f"the file is {content_type} without any sound in it")
        if _has_pictures(container):
            raise UnreadableMedia(f"the file begins like {content_type} but holds a video")
        stream = container.streams.audio[0]
        refuse_unknown_codec(stream)
        if next(container.decode(stream), None) is None:
            raise UnreadableMedia("none of its sound can be decoded; send a whole file")
        declared = container.duration / 1_000_000 if container.duration is not None else 0.0
    counted = _refuse_cut_short(path, declared)
    seconds = declared or counted
    return MediaFacts(
        kind="audio",
        content_type=content_type,
        size_bytes=path.stat().st_size,
        duration_seconds=round(seconds, 6),
        has_audio=True,
    )


def _refuse_cut_short(path: Path, declared: float) -> float:
    """Count the packets and return the seconds they cover.

    Raises:
        UnreadableMedia: if they cover much less than the file's header declares, or there are none.
    """
    first, last = float("inf"), float("-inf")
    with opened(path) as container:
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base)
            first = min(first, start)
            last = max(last, start + float((packet.duration or 0) * packet.time_base))
    if last < first:
        raise UnreadableMedia("nothing in it can be decoded; send a whole file")
    counted = last - max(0.0, first) if last > 0 else 0.0
    if declared - last > max(_MOST_LOST_SECONDS, declared * _MOST_LOST_SHARE):
        raise UnreadableMedia(
            f"the file is cut short: it declares {declared:.1f} seconds and holds {max(last, 0):.1f}; send it whole"
        )
    return counted


def _refuse_missing_bytes(path: Path) -> None:
    """WAV, MP3 and WebM decode as far as they go, so what their headers say about their length is asked first."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MATROSKA_HEAD_BYTES)
        if head.startswith(b"RIFF"):
            declared = int.from_bytes(head[4:8], "little")
            # A writer that could not go back leaves nothing or all ones here.
            end = 0 if declared == _UNKNOWN_LENGTH else declared + 8
        elif head.startswith(MATROSKA):
            end = _matroska_end(head)
        elif is_mp3(head):
            start = _tag_bytes(head)
            file.seek(start)
            end = start + _mp3_bytes(file.read(_MP3_FRAME_BYTES))
        else:
            return
    if end > size:
        raise UnreadableMedia(f"the file is cut short: it declares {end} bytes and has {size}; send it whole")


def _matroska_end(head: bytes) -> int:
    """Return where the one segment of a Matroska file ends; 0 where its writer did not know."""
    header_bytes, at, _ = _matroska_length(head, len(MATROSKA))
    at += header_bytes
    if head[at : at + 4] != _SEGMENT:
        return 0
    length, start, is_known = _matroska_length(head, at + 4)
    return start + length if is_known else 0


def _matroska_length(head: bytes, at: int) -> tuple[int, int, bool]:
    """Read a length at a place: the length, the place after it, and whether it is known (all ones: it is not).

    The number of leading zero bits says how many more bytes it has.
    """
    first = head[at] if at < len(head) else 0
    count = 9 - first.bit_length()
    bits = (1 << 7 * count) - 1
    length = int.from_bytes(head[at : at + count], "big") & bits
    return length, at + count, length != bits


def _tag_bytes(head: bytes) -> int:
    """Return the length of an ID3 tag at the beginning: seven bits to a byte."""
    if not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _mp3_bytes(frame: bytes) -> int:
    """Return how many bytes of sound the encoder's note in the first frame declares; 0 where there is none."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or not frame[at + 7 : at + 8] or frame[at + 7] & 0b11 != 0b11:
        return 0
    return int.from_bytes(frame[at + 12 : at + 16], "big")


def _measure_model(path: Path, content_type: str) -> MediaFacts:
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_GLB_HEADER.size)
        if len(header) < _GLB_HEADER.size:
            raise UnreadableMedia("the glTF file is cut short")
        _, version, length, json_bytes, chunk = _GLB_HEADER.unpack(header)
        if version != 2 or chunk != _JSON_CHUNK:
            raise UnreadableMedia("the file is not a binary glTF of version 2")
        if length != size or json_bytes > size - _GLB_HEADER.size:
            raise UnreadableMedia(f"the glTF file is cut short: it declares {length} bytes and has {size}")
        document = file.read(json_bytes)
    try:
        meshes = json.loads(document)["meshes"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableMedia("the glTF file describes no model") from error
    if not meshes:
        raise UnreadableMedia("the glTF file holds no mesh")
    return MediaFacts("model3d", content_type, size)


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
