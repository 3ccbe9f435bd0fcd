"""What may stand in a picture: an outline turned into pixels and a mask, with light on it.

Leaves the outlines to `outlines`, and where a subject stands to `places`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from pixeldojo.media.drawing.outlines import SHAPES
from pixeldojo.media.drawing.palette import Colour, blend
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.vocabulary import Subject

_LARGE_SIDE = 320


@dataclass(frozen=True, slots=True)
class Sprite:
    """A subject ready to be placed.

    Attributes:
        image: RGB, square.
        mask: L, the same size.
    """

    image: Image.Image
    mask: Image.Image


def draw_subject(stage: Stage, subject: Subject, side: int, *, lit: bool) -> Sprite:
    """Draw a subject into a square of `side` pixels.

    `lit` gives it its own colours, as in a studio; otherwise it stands dark against the light with a bright rim.
    """
    name = subject.value if lit or subject not in _PEOPLE else "figure"
    finer = 2 if side > _LARGE_SIDE else 3
    tones = {tone: _whole(colour) for tone, colour in _tones(stage, lit=lit).items()}
    canvas = Image.new("RGB", (side * finer, side * finer), tones[SHAPES[name][0].tone])
    mask = Image.new("L", canvas.size)
    pens = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for shape in SHAPES[name]:
        points = shape.points * np.float32(side * finer / 100)
        _fill(pens[0], shape.kind, points, tones[shape.tone])
        _fill(pens[1], shape.kind, points, 255)
    return _model(stage, canvas.reduce(finer), mask.reduce(finer), lit=lit)


def _model(stage: Stage, flat: Image.Image, mask: Image.Image, *, lit: bool) -> Sprite:
    """Model flat shapes: a rim where the light comes from, shade on the other side."""
    reach = max(1, flat.width // (34 if lit else 70))
    towards = reach if stage.is_lit_from_left else -reach
    soft = mask.filter(ImageFilter.BoxBlur(reach * 0.9))
    rim = ImageChops.subtract(mask, _moved(soft, towards, reach))
    dim = ImageChops.subtract(mask, _moved(soft, -towards, -(reach // 2)))
    shadow = Image.new("RGB", flat.size, _whole(stage.palette.near * np.float32(0.5)))
    light = Image.new("RGB", flat.size, _whole(stage.palette.light))
    flat.paste(shadow, (0, 0), dim.point([value * (45 if lit else 30) // 100 for value in range(256)]))
    flat.paste(light, (0, 0), rim.point([value * (42 if lit else 60) // 100 for value in range(256)]))
    return Sprite(flat, mask)


def _moved(mask: Image.Image, across: int, down: int) -> Image.Image:
    """Return the mask moved by whole pixels, its lowest row repeated below: figures are cut off by the frame."""
    moved = Image.new("L", mask.size)
    moved.paste(mask, (across, down))
    if down < 0:
        foot = mask.crop((0, mask.height - 1, mask.width, mask.height)).resize((mask.width, -down))
        moved.paste(foot, (across, mask.height + down))
    return moved


def _whole(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    return red, green, blue


def _tones(stage: Stage, *, lit: bool) -> dict[str, Colour]:
    palette = stage.palette
    dark = palette.near
    glow = blend(palette.light, palette.accent, 0.55)
    if not lit:
        far = blend(dark, palette.far, 0.25)
        return {
            **dict.fromkeys(("body", "fur", "cloth", "hair", "skin", "dark", "lips", "leaf"), dark),
            "dusk": blend(dark, palette.far, 0.12),
            "pale": blend(far, palette.light, 0.22),
            "shine": blend(far, palette.light, 0.22),
            "sail": blend(palette.cloud, palette.light, 0.5),
            "light": blend(palette.cloud, palette.light, 0.8),
            "white": palette.light,
            "accent": blend(dark, palette.accent, 0.62),
            "glow": glow,
        }
    choice = int(stage.chance("skin").integers(0, len(_SKINS)))
    skin = np.array(_SKINS[choice], np.float32)
    body = blend(palette.near, palette.accent, 0.42)
    fur = np.array(_FURS[int(stage.chance("fur").integers(0, len(_FURS)))], np.float32)
    if stage.reading.colour is not None:
        fur = blend(fur, palette.accent, 0.75)
    return {
        "body": body,
        "fur": fur,
        "pale": blend(fur, palette.light, 0.7),
        "cloth": blend(palette.far, palette.accent, 0.35),
        "hair": np.array(_HAIR[int(stage.chance("hair").integers(0, len(_HAIR)))], np.float32),
        "skin": skin,
        "dusk": blend(skin * np.float32(0.72), body, 0.2),
        "dark": np.array((30, 24, 28), np.float32),
        "lips": blend(skin, np.array((196, 62, 70), np.float32), 0.6),
        "leaf": np.array((58, 122, 74), np.float32),
        "shine": blend(palette.light, body, 0.18),
        "sail": palette.light,
        "light": palette.cloud,
        "white": np.array((250, 247, 240), np.float32),
        "accent": palette.accent,
        "glow": glow,
    }


_SKINS = ((248, 214, 186), (234, 188, 152), (206, 152, 112), (160, 108, 76), (112, 72, 52))
_HAIR = ((36, 26, 28), (72, 44, 30), (132, 82, 44), (206, 160, 92), (164, 70, 40), (150, 150, 158))
_FURS = ((186, 110, 52), (92, 66, 52), (214, 190, 158), (62, 58, 64), (150, 140, 136), (232, 222, 208))
_PEOPLE = {Subject.WOMAN, Subject.MAN}


def _fill(draw: ImageDraw.ImageDraw, kind: str, points: NDArray[np.float32], fill: int | tuple[int, ...]) -> None:
    if kind == "o":
        draw.ellipse(points.ravel().tolist(), fill=fill)
        return
    outline = _smooth(points) if kind == "s" else points
    draw.polygon(outline.ravel().tolist(), fill=fill)


def _smooth(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a closed Catmull-Rom curve through the points."""
    before, after, beyond = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    steps = np.linspace(0, 1, 10, endpoint=False, dtype=np.float32)[None, :, None]
    first, second, third, fourth = (part[:, None, :] for part in (before, points, after, beyond))
    curve = 0.5 * (
        2 * second
        + (third - first) * steps
        + (2 * first - 5 * second + 4 * third - fourth) * steps**2
        + (3 * second - first - 3 * third + fourth) * steps**3
    )
    outline: NDArray[np.float32] = curve.reshape(-1, 2).astype(np.float32)
    return outline
