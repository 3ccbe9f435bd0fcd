"""Words on pictures: the caption that repeats the prompt, and the small mark that says where a picture is from.

Owns fonts, wrapping and placing. The text is drawn once (`Lettering`), then stamped on any number of frames.
"""

import re
import string
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

MARK = "sandbox"

_SMALLEST_SIDE = 48
_MOST_LINES = 3
# No caption has room for more; measuring text costs time by its length.
_MOST_CHARACTERS = 1_000
_ELLIPSIS = "…"
_GLYPHS = frozenset(string.digits + string.ascii_letters + string.punctuation + " ©«°±·»“”…™")
_SPELLINGS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u02bc", "'")
)

Pixels = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Lettering:
    """Text ready to be stamped on frames of one size.

    Attributes:
        strips: For each piece of text: its top row, its left column, its colour times opacity, and how much of
            the frame stays (both shape (rows, columns, 1 or 3), the second in 256ths).
    """

    strips: tuple[tuple[int, int, NDArray[np.uint16], NDArray[np.uint16]], ...]

    def stamp(self, frame: Pixels) -> Pixels:
        """Draw the text into `frame` (in place) and return it."""
        for top, left, ink, keep in self.strips:
            rows, columns = keep.shape[:2]
            patch = frame[top : top + rows, left : left + columns]
            patch[...] = ((patch * keep + ink) >> 8).astype(np.uint8)
        return frame


def prepare_lettering(prompt: str, width: int, height: int, mark: str = MARK) -> Lettering:
    """Lay out the caption (wrapped, ellipsised, at the foot) and the mark (top right) for a frame size in pixels.

    An empty prompt gives the mark alone; a frame too small to carry legible text gets neither.
    """
    if min(width, height) < _SMALLEST_SIDE:
        return Lettering(())
    plates = [_caption_plate(prompt, width, height), _mark_plate(mark, width, height)]
    return Lettering(tuple(_strip(plate, top, left) for plate, top, left in filter(None, plates)))


def prepare_mark(width: int, height: int, *, at_left: bool, at_foot: bool, mark: str = MARK) -> Lettering:
    """Lay out the mark alone, in one of the four corners."""
    if min(width, height) < _SMALLEST_SIDE:
        return Lettering(())
    plate, top, left = _mark_plate(mark, width, height)
    right, foot = width - plate.width - left, height - plate.height - top
    return Lettering((_strip(plate, foot if at_foot else top, right if at_left else left),))


def caption(frame: Pixels, prompt: str, mark: str = MARK) -> Pixels:
    """Draw caption and mark into one frame, in place, and return it; for many, prepare the lettering once."""
    height, width = frame.shape[:2]
    return prepare_lettering(prompt, width, height, mark).stamp(frame)


def wrap(text: str, font: Font, room: float, most_lines: int) -> list[str]:
    """Break text into at most `most_lines` lines within `room` pixels; the rest becomes an ellipsis."""
    words = text[:_MOST_CHARACTERS].split()
    lines: list[str] = []
    while words and len(lines) < most_lines:
        line, words = _fill_line(words, font, room)
        lines.append(line)
    if lines and (words or len(text) > _MOST_CHARACTERS):
        lines[-1] = _shorten(lines[-1] + _ELLIPSIS, font, room)
    return lines


def _fill_line(words: list[str], font: Font, room: float) -> tuple[str, list[str]]:
    count = 1
    while count < len(words) and font.getlength(" ".join(words[: count + 1])) <= room:
        count += 1
    line = " ".join(words[:count])
    if font.getlength(line) <= room:
        return line, words[count:]
    kept = max(1, bisect_right(range(1, len(line) + 1), room, key=lambda count: font.getlength(line[:count])))
    return line[:kept], [line[kept:], *words[1:]] if line[kept:] else words[1:]


def _shorten(line: str, font: Font, room: float) -> str:
    while font.getlength(line) > room and len(line) > 1:
        line = line[:-2].rstrip() + _ELLIPSIS
    return line


def _caption_plate(prompt: str, width: int, height: int) -> tuple[Image.Image, int, int] | None:
    size = max(11.0, min(width, height) / 26)
    font = ImageFont.load_default(size)
    margin = round(size * 0.9)
    lines = wrap(drawable(prompt), font, width - 2 * margin, _MOST_LINES if height > 8 * size else 1)
    if not lines:
        return None
    plate = _write(lines, font, size, margin, width, fade=True)
    return plate, height - plate.height, 0


def _mark_plate(mark: str, width: int, height: int) -> tuple[Image.Image, int, int]:
    size = max(9.0, min(width, height) / 44)
    font = ImageFont.load_default(size)
    text = _shorten(mark, font, width - size)
    plate = _write([text], font, size, round(size * 0.45), round(font.getlength(text) + size * 0.9), fade=False)
    inset = round(size * 0.8)
    return plate, min(inset, height - plate.height), max(0, width - plate.width - inset)


def _write(lines: list[str], font: Font, size: float, margin: int, width: int, *, fade: bool) -> Image.Image:
    step = round(size * 1.25)
    lead = round(size * 1.2) if fade else 0
    rows = lead + step * len(lines) + 2 * margin - round(size * 0.25)
    plate = Image.new("LA", (width, rows))
    shade = Image.fromarray(_shade(rows, width, lead, fade=fade))
    plate.putalpha(shade)
    text = Image.new("L", plate.size)
    draw = ImageDraw.Draw(text)
    for number, line in enumerate(lines):
        draw.text((margin, lead + margin + number * step), line, fill=255, font=font)
    halo = text.filter(ImageFilter.GaussianBlur(size / 10))
    plate.putalpha(Image.fromarray(np.maximum(np.asarray(shade), np.asarray(halo) // 2)))
    plate.paste((250, 255), (0, 0), text)
    return plate


def _shade(rows: int, columns: int, lead: int, *, fade: bool) -> Pixels:
    depth = np.full(rows, 0.42)
    if fade:
        depth = 0.62 * np.clip(np.arange(rows) / (lead * 2), 0, 1) ** 1.5
    return np.broadcast_to((depth * 255).astype(np.uint8)[:, None], (rows, columns)).copy()


def _strip(plate: Image.Image, top: int, left: int) -> tuple[int, int, NDArray[np.uint16], NDArray[np.uint16]]:
    pixels = np.asarray(plate).astype(np.uint32)
    value, alpha = pixels[..., :1], pixels[..., 1:]
    ink = (value * alpha * 256 // 255).astype(np.uint16)
    keep = (256 - alpha * 256 // 255).astype(np.uint16)
    return top, left, ink, keep


def drawable(text: str) -> str:
    """Return text in the characters the bundled font has: accents dropped, other scripts shown as an ellipsis."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLINGS))
    kept = (character for character in plain if not unicodedata.combining(character))
    shown = "".join(character if character in _GLYPHS else _unknown(character) for character in kept)
    words = re.sub(f"{_ELLIPSIS}[{_ELLIPSIS} ]*", f"{_ELLIPSIS} ", shown).split()
    return " ".join(words) if any(word != _ELLIPSIS for word in words) else ""


def _unknown(character: str) -> str:
    return " " if character.isspace() or not character.isprintable() else _ELLIPSIS
