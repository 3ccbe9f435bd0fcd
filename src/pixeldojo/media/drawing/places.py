"""The compositions: which layers, in which order, make up each place.

Owns `build_place`. Leaves how a layer is drawn to `scenery`, `subjects` and `layers`.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from pixeldojo.media.drawing.curiosities import bokeh, bubbles, planet, planet_place, rays, shoal, skyline
from pixeldojo.media.drawing.ground import ridge, uneven
from pixeldojo.media.drawing.landforms import distance_colours, dunes, groves, pines, rolling, summits
from pixeldojo.media.drawing.layers import Backdrop, Flow, Layer, Plate
from pixeldojo.media.drawing.noise import flow_field, fractal
from pixeldojo.media.drawing.palette import Colour, blend, ramp, tint
from pixeldojo.media.drawing.scenery import (
    clouds,
    coarse,
    enlarge,
    mist,
    radiance,
    sky,
    starfield,
    sun,
    water,
)
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.subjects import draw_subject
from pixeldojo.media.drawing.vocabulary import Mood, Place, Subject

_MIDDLE = 0.5
_SAND = np.array((226, 172, 110), np.float32)
_ALOFT = {Subject.BIRD, Subject.BALLOON, Subject.ROCKET}
_AFLOAT = {Subject.BOAT, Subject.WHALE, Subject.FISH}
_BARE = {Mood.WINTER, Mood.STORM, Mood.SEPIA, Mood.FIRE, Mood.AUTUMN, Mood.MIST}
_PEOPLE = {Subject.WOMAN, Subject.MAN}
_WITH_BANK = {Place.SEA, Place.LAKE, Place.CITY}
_STILL_LIFE = (Subject.CUP, Subject.BOTTLE, Subject.FLOWER)
_LARGE = {Subject.CASTLE, Subject.LIGHTHOUSE, Subject.PALM, Subject.TREE, Subject.HOUSE, Subject.ROCKET}


def build_place(stage: Stage) -> list[Layer]:
    """Return the layers of the place that the prompt chose, lowest first."""
    return _BUILDERS[stage.reading.place](stage)


def _sea(stage: Stage) -> list[Layer]:
    shore = stage.pick("shore", 0.56, 0.66)
    layers = _heaven(stage, shore, cover=0.36)
    line = rolling(stage, "island", shore + 0.012, 0.07, cells=1.1, octaves=5)
    layers.append(ridge(stage, line, distance_colours(stage, 0.25)))
    layers += [water(stage, shore), *_bank(stage, _SAND), *_subjects(stage, shore + 0.16, 0.34)]
    return layers


def _lake(stage: Stage) -> list[Layer]:
    shore = stage.pick("shore", 0.56, 0.64)
    layers = _heaven(stage, shore, cover=0.28)
    far = summits(stage, "far", shore - 0.20, 0.17, cells=1.1)
    layers.append(
        ridge(stage, far, distance_colours(stage, 0.05), bumps=uneven(stage, cells=6, is_rocky=True), foot=shore)
    )
    layers.append(mist(stage, "mist", shore - 0.16, shore + 0.02, strength=0.6))
    layers.append(
        ridge(stage, pines(stage, "woods", shore - 0.02, 0.07, 0.018), distance_colours(stage, 0.62), foot=shore)
    )
    layers += [water(stage, shore, ripple=0.004), *_bank(stage), *_subjects(stage, shore + 0.18, 0.30)]
    return layers


def _mountains(stage: Stage) -> list[Layer]:
    layers = _heaven(stage, 0.74, cover=0.30)
    rock = uneven(stage, cells=5, travel=stage.pixels(0.04), is_rocky=True)
    for number, (level, height, depth) in enumerate(((0.52, 0.22, 0.0), (0.64, 0.20, 0.25), (0.76, 0.15, 0.5))):
        name, travel = f"peaks {number}", stage.pixels(0.012 * (number + 1))
        line = summits(stage, name, level, height, cells=1.0 + 0.3 * number, travel=travel)
        colours = distance_colours(stage, depth)
        layers.append(ridge(stage, line, colours, travel=travel, bumps=rock, relief=0.8, foot=level + 0.36))
        layers.append(mist(stage, f"mist {number}", level - 0.02, level + 0.22, strength=0.42))
    travel = stage.pixels(0.07)
    near = pines(stage, "near", 0.93, 0.13, 0.035, travel=travel)
    layers += [
        ridge(stage, near, distance_colours(stage, 0.92), travel=travel),
        *_subjects(stage, 0.93, 0.26),
    ]
    return layers


def _hills(stage: Stage) -> list[Layer]:
    layers = _heaven(stage, 0.62, cover=0.40)
    meadow = stage.reading.mood not in _BARE
    soil = uneven(stage, cells=3.5, travel=stage.pixels(0.05))
    for number in range(4):
        level, travel = 0.56 + 0.115 * number, stage.pixels(0.012 * (number + 1))
        name = f"hill {number}"
        line = rolling(stage, name, level, 0.055 + 0.012 * number, cells=0.9, octaves=3, travel=travel)
        if number in {1, 2}:
            line = groves(stage, f"{name} trees", line, 0.020 + 0.016 * number, part=0.45 - 0.1 * number)
        colours = distance_colours(stage, 0.12 + 0.22 * number, green=0.75 if meadow else 0.0)
        layers.append(ridge(stage, line, colours, travel=travel, bumps=soil, foot=level + 0.26))
    layers += _subjects(stage, 0.90, 0.34)
    return layers


def _forest(stage: Stage) -> list[Layer]:
    layers: list[Layer] = [sky(stage, 0.85)]
    if stage.palette.is_dark:
        layers.append(starfield(stage, 0.6))
    layers.append(sun(stage, 0.62, 0.06))
    for number in range(4):
        depth, travel = 0.12 + 0.24 * number, stage.pixels(0.014 * (number + 1))
        height = 0.26 + 0.09 * number
        name = f"trees {number}"
        line = pines(stage, name, 0.62 + 0.12 * number, height, 0.05 + 0.016 * number, travel=travel)
        layers.append(mist(stage, name, 0.42 + 0.10 * number, 0.84 + 0.10 * number, strength=0.5))
        crest, foot = distance_colours(stage, depth)
        misty = blend(foot, stage.palette.sky[3], 0.5 * (1 - depth))
        layers.append(ridge(stage, line, (crest, misty), travel=travel))
    travel = stage.pixels(0.08)
    ground = rolling(stage, "ground", 0.93, 0.02, cells=2, octaves=4, travel=travel)
    layers += [
        ridge(stage, ground, distance_colours(stage, 0.96), travel=travel),
        *_subjects(stage, 0.95, 0.34),
    ]
    return layers


def _desert(stage: Stage) -> list[Layer]:
    layers = _heaven(stage, 0.60, cover=0.14)
    palette = stage.palette
    sand_bumps = uneven(stage, cells=4, travel=stage.pixels(0.07))
    sand = blend(blend(palette.far, palette.sky[3], 0.4), _SAND, 0.25 if palette.is_dark else 0.6)
    for number in range(5):
        travel = stage.pixels(0.012 * (number + 1))
        line = dunes(stage, f"dune {number}", 0.60 + 0.095 * number, 0.06 + 0.022 * number, travel=travel)
        crest = blend(blend(sand, palette.light, 0.35 - 0.05 * number), palette.near, 0.04 * number)
        foot_row = 0.86 + 0.095 * number
        foot = blend(sand, palette.near, 0.42 + 0.09 * number)
        colours = (crest, foot)
        layers.append(ridge(stage, line, colours, travel=travel, bumps=sand_bumps, relief=0.35, foot=foot_row))
    layers += _subjects(stage, 0.90, 0.30)
    return layers


def _city(stage: Stage) -> list[Layer]:
    shore = stage.pick("shore", 0.70, 0.78)
    layers = _heaven(stage, shore, cover=0.30, lamps=0.45)
    layers += [skyline(stage, f"skyline {number}", shore, number) for number in range(3)]
    layers += [water(stage, shore, ripple=0.008, squash=1.5), *_bank(stage), *_subjects(stage, shore + 0.16, 0.30)]
    return layers


def _space(stage: Stage) -> list[Layer]:
    rows, columns = coarse(stage.width, stage.height, finer=1.6)
    dust = fractal(stage.chance("nebula"), rows, columns, cells=1.8, octaves=5)
    lanes = fractal(stage.chance("lanes"), rows, columns, cells=2.6, octaves=5)
    gas = np.clip(dust * 1.7 - 0.42, 0, 1) ** 1.2 * (0.35 + 0.65 * lanes)
    table = ramp(stage.palette.sky[0], stage.palette.sky[1], stage.palette.sky[3], stage.palette.accent)
    colours = table[np.clip(gas * 300, 0, 255).astype(np.intp)]
    at, radius = planet_place(stage)
    colours += stage.palette.sky[3] * (0.55 * radiance(stage, (rows, columns), at, radius * 1.7))[..., None]
    back = Backdrop(enlarge(colours, stage, stage.width, stage.height))
    layers: list[Layer] = [back, starfield(stage, 2.0, density=1.5), planet(stage)]
    layers += _subjects(stage, 0.80, 0.42)
    return layers


def _underwater(stage: Stage) -> list[Layer]:
    layers: list[Layer] = [sky(stage, 1.0, light=(_MIDDLE, -0.1)), rays(stage)]
    rock = uneven(stage, cells=9, travel=stage.pixels(0.07), is_rocky=True)
    for number in range(3):
        travel = stage.pixels(0.02 * (number + 1))
        line = rolling(stage, f"reef {number}", 0.74 + 0.10 * number, 0.10, cells=2.4, octaves=5, travel=travel)
        colours = distance_colours(stage, 0.25 + 0.32 * number)
        layers.append(ridge(stage, line, colours, travel=travel, bumps=rock, relief=0.8))
    layers += bubbles(stage)
    layers += shoal(stage)
    if stage.reading.subject is not Subject.FISH:
        layers += _subjects(stage, 0.66, 0.46)
    return layers


def _sky(stage: Stage) -> list[Layer]:
    layers = _heaven(stage, 0.92, cover=0.30)
    layers.append(clouds(stage, "middle clouds", 0.34, 0.80, cover=0.45, stretch=1.8))
    layers += _subjects(stage, 0.62, 0.40)
    layers.append(clouds(stage, "low clouds", 0.60, 1.10, cover=0.72, stretch=1.5))
    return layers


def _studio(stage: Stage) -> list[Layer]:
    palette = stage.palette
    rows, columns = coarse(stage.width, stage.height)
    across = np.linspace(-1, 1, columns, dtype=np.float32)[None, :] * stage.width / stage.unit
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None] * stage.height / stage.unit
    bright = np.exp(-(((across - 0.3) / 1.3) ** 2) - ((down + 0.25) / 1.2) ** 2)
    clouded = 0.12 * fractal(stage.chance("cloth"), rows, columns, cells=2, octaves=3)
    table = ramp(blend(palette.sky[0], palette.near, 0.3), palette.sky[1], palette.sky[2], palette.sky[3])
    colours = table[np.clip(255 * (bright * 0.95 + clouded - 0.06), 0, 255).astype(np.intp)]
    layers: list[Layer] = [Backdrop(enlarge(colours, stage, stage.width, stage.height)), bokeh(stage)]
    subject = stage.reading.subject or _STILL_LIFE[int(stage.chance("still life").integers(0, len(_STILL_LIFE)))]
    sprite = draw_subject(stage, subject, stage.pixels(0.94), lit=True)
    left = (stage.width - sprite.image.width) // 2
    foot = stage.height - sprite.image.height
    if subject not in _PEOPLE:
        foot -= stage.pixels(0.06)
        layers.append(_floor_shadow(stage))
    layers.append(Plate(sprite.image, sprite.mask, (left, foot), (left, foot), bob=0.006 * stage.unit))
    return layers


def _floor_shadow(stage: Stage) -> Plate:
    """Return the soft shadow below something that stands in a studio."""
    wide, high = stage.pixels(0.9), stage.pixels(0.14)
    across = np.linspace(-1, 1, 90, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, 30, dtype=np.float32)[:, None]
    dark = np.clip(1 - np.hypot(across, down), 0, 1) ** 1.5
    mask = Image.fromarray((150 * dark).astype(np.uint8)).resize((wide, high), Image.Resampling.BICUBIC)
    colour = tuple(int(value) for value in stage.palette.near * np.float32(0.6))
    corner = ((stage.width - wide) // 2, stage.height - stage.pixels(0.06) - high // 2)
    return Plate(Image.new("RGB", (wide, high), colour), mask, corner, corner)


def _abstract(stage: Stage) -> list[Layer]:
    palette = stage.palette
    travel = (stage.pixels(0.20), stage.pixels(0.12))
    width, height = stage.width + travel[0], stage.height + travel[1]
    rows, columns = coarse(width, height, finer=1.5)
    maps = []
    for name, bands in (("flow", 1.6), ("counterflow", 1.1)):
        heights = Image.fromarray(flow_field(stage.chance(name), rows, columns, bands=bands))
        maps.append(np.asarray(heights.resize((width, height), Image.Resampling.BICUBIC)))
    colours = ramp(
        palette.sky[0],
        palette.sky[1],
        palette.accent,
        palette.sky[3],
        palette.sky[2],
        palette.near,
        palette.sky[0],
    )
    layers: list[Layer] = [Flow(maps[0], maps[1], colours, travel)]
    if stage.reading.subject is not None:
        layers += _subjects(stage, 0.84, 0.6)
    return layers


def _heaven(stage: Stage, horizon: float, *, cover: float, lamps: float = 0.0) -> list[Layer]:
    """Return sky, sun or moon and stars, and clouds."""
    layers: list[Layer] = [sky(stage, horizon, lamps=lamps)]
    if stage.palette.is_dark:
        layers.append(starfield(stage, horizon))
    layers.append(sun(stage, horizon))
    layers.append(clouds(stage, "clouds", 0.02, horizon * 0.86, cover=cover))
    return layers


def _bank(stage: Stage, ground: Colour | None = None) -> list[Layer]:
    """Return the near shore, where the subject is one that has to stand on something."""
    if stage.reading.subject in {None, Subject.LIGHTHOUSE, *_ALOFT, *_AFLOAT}:
        return []
    line = rolling(stage, "bank", 0.86, 0.015, cells=1.2, octaves=4)
    crest, foot = distance_colours(stage, 0.8)
    if ground is not None and not stage.palette.is_dark:
        crest, foot = tint(np.stack([blend(crest, stage.palette.light, 0.55), crest]), ground, 0.8)
    return [ridge(stage, line, (crest, foot), bumps=uneven(stage, cells=5), relief=0.5)]


def _subjects(stage: Stage, ground: float, size: float) -> list[Layer]:
    """Return the prompt's subject standing on `ground` (share of the height), `size` units high, if it has one."""
    subject = stage.reading.subject
    if subject is None:
        return []
    side = stage.pixels(size * (1.25 if subject in _LARGE else 1.0))
    sprite = draw_subject(stage, subject, side, lit=subject in _ALOFT)
    left = round(stage.pick("subject", 0.22, 0.78) * stage.width - side / 2)
    if subject not in _AFLOAT and stage.reading.place in _WITH_BANK:
        ground = 0.92
    foot = min(stage.height, round(ground * stage.height)) - side
    if subject in _ALOFT:
        foot = round(stage.pick("flight", 0.16, 0.30) * stage.height)
        away = (left + stage.pixels(0.10), foot - stage.pixels(0.10))
        return [Plate(sprite.image, sprite.mask, (left, foot), away, bob=0.01 * stage.unit)]
    moves = subject in _AFLOAT
    away = (left + (stage.pixels(0.08) if moves else 0), foot)
    return [Plate(sprite.image, sprite.mask, (left, foot), away, bob=0.006 * stage.unit if moves else 0.0, beats=2)]


_BUILDERS: dict[Place, Callable[[Stage], list[Layer]]] = {
    Place.SEA: _sea,
    Place.LAKE: _lake,
    Place.MOUNTAINS: _mountains,
    Place.HILLS: _hills,
    Place.FOREST: _forest,
    Place.DESERT: _desert,
    Place.CITY: _city,
    Place.SPACE: _space,
    Place.UNDERWATER: _underwater,
    Place.SKY: _sky,
    Place.STUDIO: _studio,
    Place.ABSTRACT: _abstract,
}
