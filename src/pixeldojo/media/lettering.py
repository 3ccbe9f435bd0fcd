"""Words on pictures: the caption that repeats the prompt, and the small mark that says where a picture is from.

Owns fonts, wrapping and placing. The text is drawn once (`Lettering`), then printed on any number of pictures.
"""

import re
import string
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

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

_HALVES = tuple(value // 2 for value in range(256))

Pixels = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Lettering:
    """Text ready to be printed on pictures of one size.

    Attributes:
        plates: Each piece of text as grey and opacity (LA), with its left column and top row.
    """

    plates: tuple[tuple[Image.Image, int, int], ...]

    def print_on(self, picture: Image.Image) -> None:
        """Draw the text into a picture (RGB, in place)."""
        for plate, left, top in self.plates:
            picture.paste(plate.convert("RGB"), (left, top), plate.getchannel("A"))


def prepare_lettering(prompt: str, width: int, height: int, mark: str = MARK) -> Lettering:
    """Lay out the caption (wrapped, ellipsised, at the foot) and the mark (top right) for a frame size in pixels.

    An empty prompt gives the mark alone; a frame too small to carry legible text gets neither.
    """
    if min(width, height) < _SMALLEST_SIDE:
        return Lettering(())
    plates = [_caption_plate(prompt, width, height), _mark_plate(mark, width, height)]
    return Lettering(tuple(filter(None, plates)))


def prepare_mark(width: int, height: int, *, at_left: bool, at_foot: bool, mark: str = MARK) -> Lettering:
    """Lay out the mark alone, in one of the four corners."""
    if min(width, height) < _SMALLEST_SIDE:
        return Lettering(())
    plate, left, top = _mark_plate(mark, width, height)
    right, foot = width - plate.width - left, height - plate.height - top
    return Lettering(((plate, right if at_left else left, foot if at_foot else top),))


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
    return plate, 0, height - plate.height


def _mark_plate(mark: str, width: int, height: int) -> tuple[Image.Image, int, int]:
    size = max(9.0, min(width, height) / 44)
    font = ImageFont.load_default(size)
    text = _shorten(mark, font, width - size)
    plate = _write([text], font, size, round(size * 0.45), round(font.getlength(text) + size * 0.9), fade=False)
    inset = round(size * 0.8)
    return plate, max(0, width - plate.width - inset), min(inset, height - plate.height)


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
    box = text.getbbox()
    if box is None:
        return plate
    # Only the text and what its rim reaches are worked on: most of a plate is empty.
    radius = size / 10
    reach = round(4 * radius) + 2
    left, top = max(0, box[0] - reach), max(0, box[1] - reach)
    near = left, top, min(width, box[2] + reach), min(rows, box[3] + reach)
    letters = text.crop(near)
    rim = letters.filter(ImageFilter.GaussianBlur(radius)).point(_HALVES)
    shade.paste(ImageChops.lighter(shade.crop(near), rim), near)
    plate.putalpha(shade)
    plate.paste((250, 255), near, letters)
    return plate


def _shade(rows: int, columns: int, lead: int, *, fade: bool) -> Pixels:
    depth = np.full(rows, 0.42)
    if fade:
        depth = 0.62 * np.clip(np.arange(rows) / (lead * 2), 0, 1) ** 1.5
    return np.broadcast_to((depth * 255).astype(np.uint8)[:, None], (rows, columns)).copy()


def drawable(text: str) -> str:
    """Return text in the characters the bundled font has: accents dropped, other scripts shown as an ellipsis."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLINGS))
    kept = (character for character in plain if not unicodedata.combining(character))
    shown = "".join(character if character in _GLYPHS else _unknown(character) for character in kept)
    words = re.sub(f"{_ELLIPSIS}[{_ELLIPSIS} ]*", f"{_ELLIPSIS} ", shown).split()
    return " ".join(words) if any(word != _ELLIPSIS for word in words) else ""


def _unknown(character: str) -> str:
    return " " if character.isspace() or not character.isprintable() else _ELLIPSIS
