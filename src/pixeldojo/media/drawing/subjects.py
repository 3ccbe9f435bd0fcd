"""What may stand in a picture, as shapes: outlines in a square of 100 by 100, `y` down, standing on `y` = 100.

Owns the outlines and turning one into pixels and a mask. Leaves where it stands to `places`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from pixeldojo.media.drawing.palette import Colour, blend
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.vocabulary import Subject

_LARGE_SIDE = 320

# Each shape: a tone, a kind (`o` ellipse by its box, `p` straight outline, `s` smooth outline), then numbers.
_OUTLINES = {
    "woman": """
        hair s 30 42 29 26 38 13 52 11 65 16 71 29 71 46 75 60 70 68 60 66 40 66 29 68 25 60
        cloth s 2 104 5 88 17 79 34 74 42 72 50 76 58 72 66 74 83 79 95 88 98 104
        skin s 42 54 43 71 50 79 57 71 58 54
        dusk s 42.4 60 46 64 50 65 54 64 57.6 60 57.4 64 54 67.4 50 68.4 46 67.4 42.6 64
        skin s 35 32 36 46 40 57 46 63.5 50 65 54 63.5 60 57 64 46 65 32 58 20 42 20
        hair s 33 41 34 25 42 14 55 13 65 21 68 41 65 38 63 29 57 25 47 27 40 31 36 34
        dark s 40 38.4 43 37 46.4 38 43 38.2
        dark s 53.6 38 57 37 60 38.4 57 38.2
        white s 40.6 42.4 43.2 41 46 42.6 43.2 44
        white s 54 42.6 56.8 41 59.4 42.4 56.8 44
        dark o 42 41 44.6 43.9
        dark o 55.4 41 58 43.9
        dusk s 49.4 43 48.2 50 50 51.4 52 50.4 50.2 49.6
        lips s 45.4 56 48.4 54.8 50 55.4 51.6 54.8 54.6 56 52 58 48 58
        accent s 34 78 42 73 50 78 58 73 66 78 58 84 50 81 42 84""",
    "man": """
        cloth s 0 104 3 88 14 79 33 74 41 71 50 76 59 71 67 74 86 79 97 88 100 104
        shine p 43 72 57 72 54 86 50 90 46 86
        accent p 48.4 77 51.6 77 53 98 50 102 47 98
        skin s 41 54 42 71 50 79 58 71 59 54
        dusk s 41.4 60 45.4 64.6 50 65.6 54.6 64.6 58.6 60 58.4 64 54 67.6 50 68.6 46 67.6 41.6 64
        skin o 32 39 37 49
        skin o 63 39 68 49
        skin s 34.4 30 34.6 44 37 55 43 63.4 50 65.4 57 63.4 63 55 65.4 44 65.6 30 58 18 42 18
        hair s 33.6 38 33 27 36 18 44 12.6 53 12 62 15.6 66.4 23 66.8 36 64.8 37 63.6 29 58 24 48 25.4 41 22.6 37 28
            35.4 38
        dark p 39 37.4 46.6 36.6 46.6 38.2 39 39
        dark p 53.4 36.6 61 37.4 61 39 53.4 38.2
        white s 40.4 42.6 43.2 41.2 46 42.8 43.2 44
        white s 54 42.8 56.8 41.2 59.6 42.6 56.8 44
        dark o 42 41.2 44.6 43.9
        dark o 55.4 41.2 58 43.9
        dusk s 49.2 43 47.8 50.6 50 52.2 52.2 51 50.4 50
        lips s 44.6 57.4 50 56.4 55.4 57.4 50 59""",
    "figure": """
        body o 45.6 34 54.4 43.6
        body s 43 45 50 43.4 57 45 58.6 55 57 66 56 74 44 74 43 66 41.4 55
        body s 44 70 50 70 49 84 47.6 99 43 99.6 43.6 86
        body s 50 70 56 70 56.8 85 58 99 53.4 99.6 52 86
        body s 43 46 40 55 38.4 66 40.4 66.6 43.6 57
        body s 57 46 60 55 62.6 64 60.8 65.2 57 57""",
    "cat": """
        fur s 32 100 30 82 33 66 38 55 37 46 38 37 36 22 43 30 50 31 57 30 64 22 62 37 63 46 62 55 67 66 70 82
            68 100
        fur s 66 96 76 95 82 86 80 74 75 68 79 64 86 72 88 86 82 98 70 101
        glow o 42 38 47 43
        glow o 53 38 58 43
        dark o 44 38 45.4 43
        dark o 54.8 38 56.2 43
        accent p 48.6 46 51.4 46 50 48
        pale s 45 68 50 72 55 68 53 86 47 86""",
    "dog": """
        fur s 33 100 33 80 36 66 40 56 38 48 37 38 41 30 50 27 59 30 63 38 62 48 60 56 64 66 67 80 67 100
        fur s 39 31 32 33 29 44 31 53 36 51 38 42
        fur s 61 31 68 33 71 44 69 53 64 51 62 42
        pale s 45 44 50 42 55 44 56 50 50 54 44 50
        dark s 47 45 50 44 53 45 50 48
        dark o 42.6 37 45.6 40.4
        dark o 54.4 37 57.4 40.4
        accent s 40 57 50 61 60 57 59.6 60 50 64 40.4 60""",
    "fox": """
        fur s 20 70 30 60 46 58 58 57 62 50 63 42 66 48 70 49 75 43 75 51 77 56 84 61 84 63 76 66 70 69 67 76 66 99
            62 99 60 80 46 80 41 84 40 99 36 99 34 82 28 84
        fur s 30 64 20 60 10 64 3 76 4 84 12 80 20 80 28 78
        pale s 3 77 4 84 11 80 8 77
        pale s 76 62 84 62 78 65 71 68 69 65
        dark o 71.6 54 73.4 56.4""",
    "horse": """
        fur s 22 56 32 50 46 51 58 48 64 38 68 28 70 22 72 27 76 28 83 38 86 43 83 47 78 44 74 46 71 56 68 64 66 70
            67 99 64 99 62 76 56 68 44 68 36 70 34 80 33 99 30 99 29 80 26 72 24 66
        fur s 24 55 16 58 12 70 11 84 15 80 18 70 24 64
        dusk s 70 24 64 30 60 40 57 49 60 48 65 40 69 32""",
    "bird": """
        body s 2 40 16 33 32 37 45 49 50 52 55 49 68 37 84 33 98 40 84 40 70 46 58 56 50 60 42 56 30 46 16 40""",
    "fish": """
        body s 10 50 22 38 42 33 60 38 74 48 90 36 87 50 90 64 74 53 60 63 42 67 22 62
        accent s 36 34 48 22 58 30 56 37
        shine s 24 56 42 62 60 56 42 59
        dark o 19 45 24 50""",
    "whale": """
        body s 6 52 14 40 32 34 54 36 72 46 84 48 90 38 99 34 96 46 99 56 90 55 82 58 66 66 44 69 22 66 10 60
        body s 42 66 48 80 56 84 55 72
        shine s 10 59 28 62 50 66 40 68 20 65
        dark o 19 50 22 53""",
    "boat": """
        body s 16 84 50 86 84 83 78 94 66 98 32 98 22 94
        sail p 52 20 52 80 82 80
        light s 49 26 44 54 26 80 49 80
        body p 50 12 51.4 12 51.4 86 50 86
        accent p 51.4 12 60 15 51.4 18""",
    "house": """
        body p 24 100 24 66 76 66 76 100
        dusk p 16 68 50 40 84 68
        body p 62 40 69 40 69 58 62 52
        glow p 33 76 43 76 43 87 33 87
        glow p 57 76 67 76 67 87 57 87
        dark p 46 82 54 82 54 100 46 100""",
    "castle": """
        body p 18 100 18 58 34 58 34 100
        body p 66 100 66 58 82 58 82 100
        body p 30 100 30 68 70 68 70 100
        body p 40 70 40 40 60 40 60 70
        dusk p 14 58 26 36 38 58
        dusk p 62 58 74 36 86 58
        dusk p 37 40 50 14 63 40
        accent p 50 14 50 7 58 9.6 50.6 12
        glow p 48 48 52 48 52 56 48 56
        glow p 24.6 66 27.4 66 27.4 72 24.6 72
        glow p 72.6 66 75.4 66 75.4 72 72.6 72
        dark s 45 100 45 86 50 81 55 86 55 100""",
    "lighthouse": """
        shine p 44 34 56 34 59 96 41 96
        accent p 43.2 48 56.8 48 57.6 58 42.4 58
        accent p 42.2 72 57.8 72 58.6 82 41.4 82
        body p 41 31 59 31 59 35 41 35
        glow p 45.6 22 54.4 22 54.4 31 45.6 31
        body p 43.6 22 50 14 56.4 22
        body s 22 100 30 93 45 95 60 92 76 95 84 100""",
    "tree": """
        body s 46 100 48 80 47 66 44 58 56 58 53 66 52 80 55 100
        body s 50 8 62 10 72 18 78 24 84 36 82 48 74 58 64 62 52 64 40 63 26 60 18 50 17 38 22 26 32 18 38 10
        shine s 34 18 44 13 56 14 50 22 40 26 30 34 24 36""",
    "palm": """
        body s 46 100 50 74 55 50 58 34 61 34 59 52 55 76 53 100
        body s 60 35 46 24 32 24 22 34 34 30 48 32
        body s 60 35 50 17 38 10 28 12 42 18 52 26
        body s 60 35 66 18 78 10 88 14 76 19 68 27
        body s 60 35 74 26 88 29 96 42 84 35 72 34
        body s 60 35 70 38 78 48 80 60 72 50 64 42
        body s 60 35 50 38 42 48 40 60 48 50 56 42""",
    "flower": """
        leaf s 49 100 48.6 70 49 48 51 48 51.4 70 51 100
        leaf s 50 88 36 84 28 72 40 74 48 82
        leaf s 50 80 62 76 70 64 60 66 52 74
        accent s 50 36 40 28 38 14 50 6 62 14 60 28
        accent s 50 36 60 26 74 24 80 34 72 44 58 44
        accent s 50 36 62 44 66 58 56 64 46 58 46 46
        accent s 50 36 52 50 44 64 32 62 30 50 38 42
        accent s 50 36 36 44 22 40 20 28 30 22 42 26
        glow o 42 28 58 44""",
    "balloon": """
        accent s 50 4 68 9 78 24 76 42 64 58 56 68 44 68 36 58 24 42 22 24 32 9
        shine s 50 4 58 9 61 28 58 50 53 68 47 68 42 50 39 28 42 9
        dark p 44 68 45 68 46.6 80 46 80
        dark p 56 68 55 68 53.4 80 54 80
        body p 45 80 55 80 54 90 46 90""",
    "rocket": """
        shine s 50 4 59 18 62 38 61 62 57 76 43 76 39 62 38 38 41 18
        accent s 50 4 56.4 13 59 20 41 20 43.6 13
        accent s 39 54 28 68 27 84 40 74
        accent s 61 54 72 68 73 84 60 74
        dark o 44 30 56 42
        glow o 45.6 31.6 54.4 40.4
        glow s 44 77 56 77 55 86 50 99 45 86""",
    "car": """
        accent s 6 84 8 74 20 70 32 68 42 58 62 58 72 68 88 71 95 77 95 86 90 90 12 90
        dusk s 36 68 44 61 52 61 52 69
        dusk s 55 61 61 61 68 69 55 69
        dark o 18 80 36 98
        dark o 66 80 84 98
        shine o 23 85 31 93
        shine o 71 85 79 93
        glow s 90 76 95 78 94 81 90 80""",
    "robot": """
        shine s 32 32 34 24 50 22 66 24 68 32 68 48 66 54 50 56 34 54 32 48
        body p 49 14 51 14 51 23 49 23
        glow o 47 8 53 15
        dark s 37 34 50 32 63 34 63 44 50 46 37 44
        glow o 40.6 35.4 46.6 42.6
        glow o 53.4 35.4 59.4 42.6
        body p 44 55 56 55 56 60 44 60
        shine s 28 62 50 59 72 62 74 80 70 101 30 101 26 80
        body s 26 64 20 68 17 84 16 99 21 99 23 84 26 74
        body s 74 64 80 68 83 84 84 99 79 99 77 84 74 74
        accent o 44 70 56 82""",
    "cup": """
        shine s 30 52 50 50 70 52 69 70 64 90 58 97 42 97 36 90 31 70
        dusk o 31 48 69 56.6
        dark o 33.4 49.4 66.6 55.4
        shine s 69 58 80 56 84 66 78 78 66 82 67 77 75 73 78 66 76 61 69 63
        accent s 31.4 66 50 69 68.6 66 67.6 74 50 77 32.4 74
        dusk s 16 98 34 96 66 96 84 98 66 101 34 101""",
    "bottle": """
        accent s 40 100 36 96 35 70 36 50 43 40 44 26 56 26 57 40 64 50 65 70 64 96 60 100
        body p 43 16 57 16 57 27 43 27
        shine p 37 60 63 60 63 80 37 80
        dusk p 42 66 58 66 58 68 42 68
        dusk p 45 72 55 72 55 73.6 45 73.6
        shine s 39 52 44 44 45 30 47 30 46 46 41 56""",
}


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
    canvas = Image.new("RGB", (side * finer, side * finer), tones[_SHAPES[name][0][0]])
    mask = Image.new("L", canvas.size)
    pens = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for tone, kind, numbers in _SHAPES[name]:
        points = numbers * np.float32(side * finer / 100)
        _fill(pens[0], kind, points, tones[tone])
        _fill(pens[1], kind, points, 255)
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


def _parse(outline: str) -> list[tuple[str, str, NDArray[np.float32]]]:
    shapes: list[tuple[str, str, NDArray[np.float32]]] = []
    tokens = outline.split()
    starts = [at for at, token in enumerate(tokens) if token[0].isalpha() and len(token) > 1]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        numbers = np.array([float(token) for token in tokens[start + 2 : end]], np.float32).reshape(-1, 2)
        shapes.append((tokens[start], tokens[start + 1], numbers))
    return shapes


_SHAPES = {name: _parse(outline) for name, outline in _OUTLINES.items()}
