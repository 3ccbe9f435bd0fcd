"""What a file is by its first bytes, whatever its name or its sender says.

Owns the types that are known here, and the words for those that are not. Pure, and free of media libraries, so that a
server may ask while a file still comes in; whether the rest of the file keeps what its beginning promises is measured
by `measure`.
"""

from collections.abc import Mapping
from typing import Final

from pixeldojo.media.facts import UnreadableMedia

HEAD_BYTES: Final = 4_096
"""How much of a file is enough."""
MATROSKA: Final = b"\x1a\x45\xdf\xa3"
KNOWN: Final = (
    "PNG, JPEG, WebP, GIF, AVIF, BMP and TIFF images, MP4, MOV, WebM and MKV videos, "
    "and WAV, MP3, OGG, FLAC and M4A sound"
)
"""What callers may send; 3D models only ever come from upstreams."""

_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_BY_FIRST_BYTES: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"glTF": "model/gltf-binary",
}


def sniff(head: bytes) -> str:
    """Return the content type that the first `HEAD_BYTES` of a file announce, such as `image/png`.

    A container of video may turn out to hold only sound.

    Raises:
        UnreadableMedia: if it is empty or not media we know; says what is.
    """
    if not head:
        raise UnreadableMedia("the file is empty")
    for start, content_type in _BY_FIRST_BYTES.items():
        if head.startswith(start):
            return content_type
    if head.startswith(b"RIFF"):
        return _riff(head)
    if head[4:8] == b"ftyp":
        return _iso_base_media(head)
    if head.startswith(MATROSKA):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if is_mp3(head):
        return "audio/mpeg"
    raise UnreadableMedia(f"{_looks_like(head)}; send one of {KNOWN}")


def is_mp3(head: bytes) -> bool:
    """Whether this begins an MPEG audio frame: eleven set bits, layer III, no reserved version or rate; or a tag."""
    if head.startswith(b"ID3"):
        return True
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C


def _riff(head: bytes) -> str:
    if head[8:12] == b"WEBP":
        return "image/webp"
    if head[8:12] == b"WAVE":
        return "audio/wav"
    raise UnreadableMedia(f"this RIFF file is neither WebP nor WAV; send one of {KNOWN}")


def _iso_base_media(head: bytes) -> str:
    brand = head[8:12]
    if brand in _AVIF_BRANDS or any(head[at : at + 4] in _AVIF_BRANDS for at in range(16, 64, 4)):
        return "image/avif"
    if brand in _HEIF_BRANDS:
        raise UnreadableMedia("HEIC images cannot be read; send the picture as JPEG or PNG")
    if brand in _SOUND_BRANDS:
        return "audio/mp4"
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _looks_like(head: bytes) -> str:
    text = head.lstrip()[:64].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "the file is an HTML page, not media"
    if text.startswith((b"<svg", b"<?xml")):
        return "the file is XML or SVG, which is not decoded here"
    if text.startswith((b"{", b"[")):
        return "the file is JSON, not media"
    return "the file is of no type known here"
