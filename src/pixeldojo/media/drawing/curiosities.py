"""Layers that only some places have: a skyline with lit windows, a planet, rays, bubbles, shoals, soft lights.

Owns these. Leaves what all places share to `scenery`.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pixeldojo.media.drawing.layers import Layer, Plate
from pixeldojo.media.drawing.noise import fractal
from pixeldojo.media.drawing.palette import Colour, blend, ramp
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.subjects import draw_subject
from pixeldojo.media.drawing.vocabulary import Subject

_SHORTEST_WITH_SPIRE = 0.30


def skyline(stage: Stage, name: str, shore: float, nearness: int) -> Plate:
    """Return one row of buildings standing on `shore`; `nearness` 0 is the furthest row, 2 the closest."""
    travel = stage.pixels(0.02 * (nearness + 1))
    width, foot = stage.width + travel, round(shore * stage.height)
    reach = (0.42, 0.36, 0.20)[nearness]
    rows = min(foot, stage.pixels(reach * 1.35))
    depth = (0.15, 0.5, 0.85)[nearness]
    crest = blend(blend(stage.palette.far, stage.palette.sky[3], 0.30 * (1 - depth)), stage.palette.near, depth)
    base = blend(crest, stage.palette.sky[3], 0.35 * (1 - depth))
    table = ramp(crest, base, size=max(2, rows))
    picture = Image.fromarray(np.broadcast_to(table[:rows, None].astype(np.uint8), (rows, width, 3)).copy())
    mask = Image.new("L", (width, rows))
    windows = np.zeros((rows, width), np.uint8)
    rng = stage.chance(name)
    left = -rng.uniform(0, 0.05)
    while left * stage.unit < width:
        wide, high = rng.uniform(0.045, 0.11), reach * rng.uniform(0.25, 1.0) ** 1.4
        box = round(left * stage.unit), max(0, rows - stage.pixels(high)), round((left + wide) * stage.unit) - 1, rows
        _cut_building(stage, rng, ImageDraw.Draw(mask), box, has_spire=high > _SHORTEST_WITH_SPIRE)
        _light_windows(stage, rng, windows, box)
        left += wide + max(0.0, rng.uniform(-0.015, 0.02))
    lamp = blend(crest, blend(stage.palette.accent, stage.palette.light, 0.4), 0.25 + 0.65 * depth)
    picture.paste(Image.new("RGB", picture.size, _whole(lamp)), (0, 0), Image.fromarray(windows))
    return Plate(picture, mask, (0, foot - rows), (-travel, foot - rows))


_Box = tuple[int, int, int, int]


def _cut_building(
    stage: Stage, rng: np.random.Generator, cut: ImageDraw.ImageDraw, box: _Box, *, has_spire: bool
) -> None:
    left, top, right, _ = box
    cut.rectangle((left, top, max(left, right), box[3]), fill=255)
    if has_spire:
        middle = (left + right) // 2
        cut.line((middle, max(0, top - stage.pixels(0.05)), middle, top), fill=255, width=stage.pixels(0.003))
    elif rng.random() < 0.4:
        inset = (right - left) // 4
        cut.rectangle((left + inset, top - stage.pixels(0.015), max(left + inset, right - inset), top), fill=255)


def _light_windows(stage: Stage, rng: np.random.Generator, windows: NDArray[np.uint8], box: _Box) -> None:
    """Light some windows of one building: a grid of panes, each a part of its cell."""
    pitch = max(3, stage.pixels(0.0125))
    left, top, right, foot = max(0, box[0]) + pitch // 2, box[1] + pitch, box[2] - pitch // 3, box[3] - pitch
    share = rng.random() * 0.5 + (0.12 if stage.palette.is_dark else -0.2)
    floors, columns = max(0, foot - top) // pitch, max(0, right - left) // pitch
    pane = np.zeros((pitch, pitch), np.uint8)
    pane[: max(1, pitch // 2), : max(1, pitch * 2 // 5)] = 255
    lit = np.kron(rng.random((floors, columns)) < share, pane).astype(np.uint8)
    patch = windows[top : top + lit.shape[0], left : left + lit.shape[1]]
    np.maximum(patch, lit[: patch.shape[0], : patch.shape[1]], out=patch)


def planet_place(stage: Stage) -> tuple[tuple[float, float], float]:
    """Return where the planet is (shares of width and height) and its radius in units."""
    at = stage.pick("planet x", 0.25, 0.75), stage.pick("planet y", 0.30, 0.50)
    return at, stage.pick("planet size", 0.17, 0.30)


def planet(stage: Stage) -> Plate:
    """Return a planet with bands and a night side."""
    at, radius = planet_place(stage)
    side = stage.pixels(radius) * 2
    small = min(side, 360)
    spread = np.linspace(-1.02, 1.02, small, dtype=np.float32)
    across, down = spread[None, :], spread[:, None]
    distance = np.hypot(across, down)
    bulge = np.sqrt(np.clip(1 - distance**2, 0, 1))
    stretch = stage.pick("band", 1.5, 7)
    bands = fractal(stage.chance("bands"), small, small, cells=2.6, octaves=6, stretch=stretch)
    tilt = -1.0 if stage.is_lit_from_left else 1.0
    day = np.clip(0.66 * tilt * across - 0.35 * down + 0.62 * bulge, 0.03, 1)
    palette = stage.palette
    table = ramp(palette.sky[1], palette.sky[2], palette.accent, palette.light, palette.sky[3])
    colours = table[(255 * bands).astype(np.intp)] * (day * (0.35 + 0.65 * bulge) * 1.25)[..., None]
    rim = np.clip(1 - np.abs(distance - 0.97) * 14, 0, 1) * day
    colours += palette.sky[3] * (0.5 * rim)[..., None]
    image = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.fromarray((255 * np.clip((1 - distance) * small / 2.04, 0, 1)).astype(np.uint8))
    left, top = round(at[0] * stage.width - side / 2), round(at[1] * stage.height - side / 2)
    drift = stage.pixels(0.03)
    large = mask.resize((side, side), Image.Resampling.BICUBIC)
    return Plate(image, large, (left + drift, top), (left - drift, top))


def rays(stage: Stage) -> Plate:
    """Return shafts of light from above that slowly swing."""
    rows, columns = 60, 110
    across = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    angle = (across - 0.3 * down) / (0.35 + 0.75 * down)
    lattice = Image.fromarray(stage.chance("rays").random((1, 26), dtype=np.float32))
    strengths = np.asarray(lattice.resize((512, 1), Image.Resampling.BICUBIC))[0]
    beams = strengths[np.clip(256 + angle * 170, 0, 511).astype(np.intp)]
    light = np.clip(beams - 0.45, 0, 1) * 1.5 * (1 - down) ** 1.3
    travel = stage.pixels(0.10)
    size = stage.width + travel, round(stage.height * 0.9)
    mask = Image.fromarray((140 * np.clip(light, 0, 1)).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    return Plate(Image.new("RGB", size, _whole(stage.palette.light)), mask, (-travel, 0), (0, 0))


def bubbles(stage: Stage) -> list[Layer]:
    """Return rising bubbles."""
    rng = stage.chance("bubbles")
    layers: list[Layer] = []
    for _ in range(9):
        side = stage.pixels(rng.uniform(0.012, 0.034))
        spread = np.linspace(-1, 1, max(6, side), dtype=np.float32)
        distance = np.hypot(spread[None, :], spread[:, None])
        shine = np.hypot(spread[None, :] + 0.35, spread[:, None] + 0.35)
        alpha = np.clip(1 - np.abs(distance - 0.82) * 6, 0, 1) * 0.7 + np.clip(1 - shine * 4, 0, 1)
        alpha = np.where(distance < 1, np.clip(alpha + 0.10, 0, 1), 0)
        mask = Image.fromarray((255 * alpha).astype(np.uint8))
        white = Image.new("RGB", mask.size, (236, 252, 252))
        left, top = round(rng.uniform(0.08, 0.92) * stage.width), round(rng.uniform(0.3, 0.9) * stage.height)
        rise = stage.pixels(rng.uniform(0.15, 0.4))
        layers.append(Plate(white, mask, (left, top), (left, top - rise)))
    return layers


def shoal(stage: Stage) -> list[Layer]:
    """Return a few fish crossing the picture."""
    rng = stage.chance("shoal")
    middle = rng.uniform(0.30, 0.5)
    layers: list[Layer] = []
    sizes = ((0.09, False), (0.12, False), (0.17, True))
    sprites = [draw_subject(stage, Subject.FISH, stage.pixels(size), lit=near) for size, near in sizes]
    for number in range(9):
        sprite = sprites[number % 3]
        left = round(rng.uniform(0.12, 0.85) * stage.width)
        top = round((middle + rng.uniform(-0.17, 0.22)) * stage.height)
        swim = stage.pixels(rng.uniform(0.15, 0.32))
        bob = stage.unit * 0.008
        layers.append(Plate(sprite.image, sprite.mask, (left, top), (left - swim, top), bob=bob, beats=number % 3 + 1))
    return layers


def bokeh(stage: Stage) -> Plate:
    """Return a few large discs of light, out of focus."""
    rng = stage.chance("bokeh")
    width, height = stage.width, stage.height
    scale = max(1, stage.unit // 240)
    small = Image.new("L", (max(2, width // scale), max(2, height // scale)))
    draw = ImageDraw.Draw(small)
    for _ in range(14):
        across, down = rng.uniform(0, small.width), rng.uniform(0, small.height * 0.85)
        radius = rng.uniform(0.03, 0.11) * min(small.size)
        draw.ellipse((across - radius, down - radius, across + radius, down + radius), fill=int(rng.integers(24, 84)))
    soft = small.filter(ImageFilter.GaussianBlur(1.6)).resize((width, height), Image.Resampling.BICUBIC)
    colour = _whole(blend(stage.palette.light, stage.palette.accent, 0.3))
    drift = stage.pixels(0.02)
    return Plate(Image.new("RGB", (width, height), colour), soft, (0, drift), (0, -drift))


def _whole(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in colour)
    return red, green, blue
