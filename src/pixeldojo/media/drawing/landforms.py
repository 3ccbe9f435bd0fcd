"""Outlines of land and of what grows or is built on it, as one height for each column.

Owns lines and the colours of distance. Leaves filling them in to `scenery.ridge`.
"""

import numpy as np

from pixeldojo.media.drawing.noise import Field, peaks, profile
from pixeldojo.media.drawing.palette import Colour, blend, tint
from pixeldojo.media.drawing.stage import Stage

_CREST = 0.72  # where along a dune its long slope ends
_MEADOW = np.array((122, 168, 66), np.float32)


def rolling(
    stage: Stage, name: str, level: float, height: float, *, cells: float, octaves: int, travel: int = 0
) -> Field:
    """Return the line of soft hills around `level` (share of the height), `height` units high."""
    columns = stage.columns(stage.width + travel)
    line = profile(stage.chance(name), columns, cells=cells, octaves=octaves)
    return (level * stage.height - line * height * stage.unit).astype(np.float32)


def summits(stage: Stage, name: str, level: float, height: float, *, cells: float, travel: int = 0) -> Field:
    """Return the line of a mountain range."""
    columns = stage.columns(stage.width + travel)
    line = peaks(stage.chance(name), columns, cells=cells, octaves=6)
    return (level * stage.height - line * height * stage.unit).astype(np.float32)


def dunes(stage: Stage, name: str, level: float, height: float, *, travel: int = 0) -> Field:
    """Return the line of sand dunes: long slopes that break at a sharp crest."""
    columns = stage.columns(stage.width + travel)
    rng = stage.chance(name)
    swell = profile(rng, columns, cells=0.5, octaves=1)
    phase = columns * np.float32(rng.uniform(0.7, 1.1)) + swell * 0.8 + np.float32(rng.uniform(0, 1))
    part = phase % 1.0
    slope = np.where(part < _CREST, part / _CREST, (1 - part) / (1 - _CREST))
    eased = slope**1.4 * (0.7 + 0.3 * swell)
    return (level * stage.height - (eased - 0.4) * height * stage.unit).astype(np.float32)


def pines(
    stage: Stage, name: str, level: float, height: float, spread: float, *, travel: int = 0, part: float = 1.0
) -> Field:
    """Return the line of a wood of firs standing on `level`.

    `height` and `spread` (half a tree's width) are in units; `part` is the share of the ground that is wooded.
    """
    width = stage.width + travel
    columns = stage.columns(width)
    ground = profile(stage.chance(f"{name} ground"), columns, cells=1.2, octaves=3) * 0.25 * height + 0.35 * height
    rng = stage.chance(f"{name} trees")
    line = ground.copy()
    count = max(3, round(1.6 * 4.0 / spread))
    wooded = profile(stage.chance(f"{name} wood"), np.linspace(0, 4, count, dtype=np.float32), cells=1.4, octaves=2)
    centres = np.linspace(-0.1, 4.1, count) + rng.uniform(-1, 1, count) * spread * 0.8
    talls = height * rng.uniform(0.45, 1.0, count)
    halves = spread * rng.uniform(0.8, 1.15, count) * (0.55 + 0.45 * talls / height)
    stands = (wooded <= 2 * part - 1) & (centres - halves <= columns[-1])
    bounds = np.searchsorted(columns, np.stack([centres - halves, centres + halves]))
    for number in np.flatnonzero(stands):
        centre, tall, half = centres[number], talls[number], halves[number]
        first, last = bounds[:, number]
        away = np.abs(columns[first:last] - centre) / half
        steps = 5 + int(tall * 20)
        branches = (1 - away) + 0.55 / steps * ((away * steps) % 1.0)
        base = ground[min(max(first, 0), width - 1)]
        line[first:last] = np.maximum(line[first:last], base + tall * branches * (away < 1))
    return (level * stage.height - line * stage.unit).astype(np.float32)


def groves(stage: Stage, name: str, ground: Field, size: float, *, part: float) -> Field:
    """Return a line with round trees on it; `size` is the tallest tree in units, `part` the share that is wooded."""
    columns = stage.columns(ground.size)
    rng = stage.chance(name)
    line = ground.copy()
    wood = profile(rng, np.linspace(0, 4, 600, dtype=np.float32), cells=1.6, octaves=2)
    highs = size * rng.uniform(0.5, 1.0, 600)
    centres = np.linspace(0, 4, 600) + rng.uniform(-0.01, 0.01, 600)
    bounds = np.searchsorted(columns, np.stack([centres - highs / 2, centres + highs / 2]))
    for number in np.flatnonzero((wood <= 2 * part - 1) & (bounds[1] - bounds[0] >= 2)):
        high, centre = highs[number], centres[number]
        first, last = bounds[:, number]
        away = (columns[first:last] - centre) / (high / 2)
        crown = high * (0.45 + 0.55 * np.sqrt(np.clip(1 - away**2, 0, 1)))
        base = ground[min((first + last) // 2, ground.size - 1)]
        line[first:last] = np.minimum(line[first:last], base - crown * stage.unit)
    return line


def distance_colours(stage: Stage, depth: float, *, green: float = 0.0) -> tuple[Colour, Colour]:
    """Return the colours of land at a distance: crest and foot; `depth` 0 is the horizon and 1 is at our
    feet; `green` is how much of it is meadow.
    """
    palette = stage.palette
    crest = blend(palette.far, palette.near, depth)
    foot = blend(blend(palette.far, palette.sky[3], 0.55), palette.near, min(1.0, depth * 1.05))
    if green and not palette.is_dark:
        meadow = tint(np.stack([crest, foot]), _MEADOW, 0.9) * np.float32(1.12)
        crest, foot = blend(crest, meadow[0], green), blend(foot, meadow[1], green)
    return crest, foot
