"""Whether an image file is whole, told by its own structure, which costs a hundredth of decoding it.

Owns the three formats in which upstreams answer. Says yes only where the file proves it; about everything else it says
no, and whoever asks decodes the file to know. Reads no pixel and trusts no length: nothing here can be made to work
long or to take memory by what a file says.

Sources: PNG (W3C, third edition, sections 5.2 to 5.3), JPEG (ITU T.81, annex B), WebP (RFC 9649, section 2).
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

_PNG_START: Final = 8
_CHUNK: Final = struct.Struct(">I4s")
_READ_BYTES: Final = 1024**2
_CRC_BYTES: Final = 4
_PNG_FIRST, _PNG_PIXELS, _PNG_LAST = b"IHDR", b"IDAT", b"IEND"
_PNG_TURNED = b"eXIf"

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS: Final = 0xDA
# Markers that stand alone: TEM, and the restarts.
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})

_RIFF_START: Final = 12
_RIFF_CHUNK: Final = struct.Struct("<4sI")
_WEBP_PIXELS: Final = frozenset({b"VP8 ", b"VP8L", b"ANMF"})

_MOST_PARTS: Final = 100_000


def is_whole(path: Path, content_type: str) -> bool:
    """Whether the file proves by its structure that nothing of it is missing.

    A PNG does so by the checksum of every chunk and its last one, unless it may say that it is to be turned, which only
    the decoder reads; a JPEG by segments that lead to the picture and the
    mark at its end; a WebP by lengths that add up to the file's own.

    Returns:
        False also where the format is none of these, or the file is well but has something after its end.
    """
    look = _LOOKS.get(content_type)
    if look is None:
        return False
    with path.open("rb") as file:
        return look(file, path.stat().st_size)


def _png(file: BinaryIO, size: int) -> bool:
    file.seek(_PNG_START)
    names: set[bytes] = set()
    for _ in range(_MOST_PARTS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            return False
        length, name = _CHUNK.unpack(head)
        if bool(names) == (name == _PNG_FIRST) or name == _PNG_TURNED or file.tell() + length + _CRC_BYTES > size:
            return False
        names.add(name)
        if _crc(file, name, length) != int.from_bytes(file.read(_CRC_BYTES), "big"):
            return False
        if name == _PNG_LAST:
            return _PNG_PIXELS in names
    return False


def _crc(file: BinaryIO, name: bytes, length: int) -> int:
    crc = zlib.crc32(name)
    while length > 0:
        part = file.read(min(length, _READ_BYTES))
        crc = zlib.crc32(part, crc)
        length -= len(part)
    return crc


def _jpeg(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - len(_EOI)))
    if file.read() != _EOI:
        return False
    file.seek(len(_SOI))
    for _ in range(_MOST_PARTS):
        mark = file.read(2)
        if len(mark) < 2 or mark[0] != 0xFF:
            return False
        if mark[1] == _SOS:
            return True
        if mark[1] in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(file.read(2), "big")
        if length < 2 or file.seek(length - 2, 1) >= size:
            return False
    return False


def _webp(file: BinaryIO, size: int) -> bool:
    start = file.read(_RIFF_START)
    if int.from_bytes(start[4:8], "little") + 8 != size:
        return False
    names: set[bytes] = set()
    for _ in range(_MOST_PARTS):
        head = file.read(_RIFF_CHUNK.size)
        if not head:
            return bool(names & _WEBP_PIXELS)
        if len(head) < _RIFF_CHUNK.size:
            return False
        name, length = _RIFF_CHUNK.unpack(head)
        names.add(name)
        # Chunks begin at even places.
        if file.seek(length + length % 2, 1) > size:
            return False
    return False


_LOOKS: Mapping[str, Callable[[BinaryIO, int], bool]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
