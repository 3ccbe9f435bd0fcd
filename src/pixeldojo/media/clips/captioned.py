"""The caller's video with words burned into it over time.

Owns CAPTION: cutting text into lines, timing them and drawing each word's moment. The sandbox does not listen: the
words are shared out evenly over the clip. Leaves laying soft edges to `sprite`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from av import VideoFrame
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pixeldojo.media.canvas import Canvas
from pixeldojo.media.clips.job import ClipJob, Shot, never
from pixeldojo.media.clips.tracks import kept_sound
from pixeldojo.media.sprite import Sprite, sprite_from_image
from pixeldojo.media.video_source import VideoSource

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

_NO_WORDS = "This clip has no transcript, and the sandbox does not listen: here is where its words would stand."
_DEFAULT_SIZE, _LEAST_SIZE, _MOST_SIZE = 7.0, 2.0, 25.0
_DEFAULT_LINE, _LEAST_LINE, _MOST_LINE = 20, 4, 60
_DEFAULT_STROKE, _MOST_STROKE = 2.6, 12.0
_DOWN = {"bottom75": 0.75, "center": 0.5, "top": 0.12, "bottom": 0.88, "left": 0.5, "right": 0.5}
_ACROSS = {"left": 0.0, "right": 1.0}
_MARGIN = 0.04


@dataclass(frozen=True, slots=True)
class _Line:
    """Words seen together, from a share of the clip (0..1) on, and when each of them is spoken."""

    words: tuple[str, ...]
    starts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """How the words are drawn; sizes in pixels."""

    font: Font
    colour: Colour
    highlight: Colour
    stroke: Colour
    stroke_width: int
    across: float
    down: float


def burn_captions(job: ClipJob) -> Shot:
    """Write the option `text` (else the prompt) over the video, line by line, the spoken word highlighted.

    Options: `position` (`bottom75`, `center`, `top`, `bottom`, `left`, `right`), `font_size` (percent of the height),
    `color`, `highlight_color`, `stroke_color` (names or #rrggbb), `stroke_width`, `max_chars` (in a line).
    """
    source = job.video()
    text = job.text("text", job.order.prompt).strip() or _NO_WORDS
    most = round(min(_MOST_LINE, max(_LEAST_LINE, job.number("max_chars") or _DEFAULT_LINE)))
    return Shot(_written(job, source, _cut(text.split(), most), _look(job)), kept_sound(job, source), never)


def _written(job: ClipJob, source: VideoSource, lines: list[_Line], look: _Look) -> Iterator[VideoFrame]:
    current: tuple[int, int] | None = None
    sprite: Sprite | None = None
    for number, seen in enumerate(source.walk(job.moments)):
        frame = job.canvas.whole(seen)
        at = number / job.count
        line = max(index for index, each in enumerate(lines) if each.starts[0] <= at)
        word = max(index for index, start in enumerate(lines[line].starts) if start <= at)
        if sprite is None or current != (line, word):
            current, sprite = (line, word), _draw(lines[line], word, look, job.canvas)
        left = (job.canvas.width - sprite.width) * look.across
        sprite.lay(frame, round(left), round(job.canvas.height * look.down - sprite.height / 2))
        yield frame


def _cut(words: list[str], most: int) -> list[_Line]:
    """Share the clip out among the words by their length, and gather them in lines of at most `most` signs."""
    weights = [len(word) + 2 for word in words]
    starts = [0, *accumulate(weights)]
    lines: list[tuple[list[str], list[float]]] = []
    for word, start in zip(words, starts, strict=False):
        if not lines or len(" ".join([*lines[-1][0], word])) > most:
            lines.append(([], []))
        lines[-1][0].append(word)
        lines[-1][1].append(start / starts[-1])
    return [_Line(tuple(line), tuple(times)) for line, times in lines]


def _look(job: ClipJob) -> _Look:
    percent = min(_MOST_SIZE, max(_LEAST_SIZE, job.number("font_size") or _DEFAULT_SIZE))
    size = max(9.0, job.canvas.height * percent / 100)
    stroke = job.number("stroke_width")
    stroke = min(_MOST_STROKE, max(0.0, _DEFAULT_STROKE if stroke is None else stroke))
    position = job.text("position", "bottom75")
    return _Look(
        font=ImageFont.load_default(size),
        colour=_colour(job.text("color", ""), "white"),
        highlight=_colour(job.text("highlight_color", ""), "yellow"),
        stroke=_colour(job.text("stroke_color", ""), "black"),
        stroke_width=round(stroke * size / 50),
        across=_ACROSS.get(position, 0.5),
        down=_DOWN.get(position, _DOWN["bottom75"]),
    )


def _colour(name: str, default: str) -> Colour:
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        return ImageColor.getrgb(default)[:3]


def _draw(line: _Line, spoken: int, look: _Look, canvas: Canvas) -> Sprite:
    room = canvas.width * (1 - 2 * _MARGIN)
    text = " ".join(line.words)
    edge = look.stroke_width + 2
    length = look.font.getlength(text) + 2 * edge
    height = sum(look.font.getbbox("Ágj")[1::2]) + 2 * edge
    board = Image.new("RGBA", (max(2, round(length)), max(2, round(height))), (0, 0, 0, 0))
    draw = ImageDraw.Draw(board)
    across = float(edge)
    for index, word in enumerate(line.words):
        fill = look.highlight if index == spoken else look.colour
        draw.text(
            (across, edge), word, fill=fill, font=look.font, stroke_width=look.stroke_width, stroke_fill=look.stroke
        )
        across += look.font.getlength(word + " ")
    if board.width > room:
        board = board.resize((max(2, round(room)), max(2, round(board.height * room / board.width))))
    return sprite_from_image(board)
