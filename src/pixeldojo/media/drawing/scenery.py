"""Sky, clouds, mist and water: the layers that most places share.

Owns how each is drawn. Leaves which of them make up a place to `places`.
"""

import itertools
from statistics import NormalDist

import numpy as np
from PIL import Image

from pixeldojo.media.drawing.layers import Backdrop, Plate, Twinkle, Water
from pixeldojo.media.drawing.noise import Field, fractal, stars
from pixeldojo.media.drawing.palette import Colour, blend, ink, ramp
from pixeldojo.media.drawing.stage import Stage

_COARSE_SIDE = 96
_GRAIN_ROWS = 199
_SPREAD = NormalDist()


def sky(stage: Stage, horizon: float, light: tuple[float, float] | None = None, lamps: float = 0.0) -> Backdrop:
    """Return the sky: a gradient down to `horizon` (share of the height), lit around the light.

    `lamps` is how strongly a town below the horizon lights it, 0..1.
    """
    drift = stage.pixels(0.03)
    width, height = stage.width, stage.height + drift
    rows, columns = coarse(width, height)
    across = np.linspace(0, width / stage.unit, columns, dtype=np.float32)[None, :]
    down = np.linspace(0, height / stage.unit, rows, dtype=np.float32)[:, None]
    light_x, light_y = light or stage.light
    far = np.hypot(across - light_x * width / stage.unit, down - light_y * horizon * height / stage.unit)
    haze = fractal(stage.chance("haze"), rows, columns, cells=2.2, octaves=3, stretch=2.5)
    steps = np.clip(down * stage.unit / (horizon * height) + 0.10 * (haze - 0.5) - 0.04 * across, 0, 1)
    table = ramp(*stage.palette.sky)
    colours = table[(255 * steps).astype(np.intp)]
    halo = 0.62 * np.exp(-((far / 0.20) ** 2)) + 0.38 * np.exp(-far / 0.38)
    if stage.palette.is_dark:
        halo *= 0.45
    colours += (stage.palette.light - colours) * np.clip(halo, 0, 1)[..., None] * 0.85
    if lamps:
        town = blend(stage.palette.accent, stage.palette.sky[3], 0.5)
        colours += town * (lamps * radiance(stage, (rows, columns), (0.5, horizon), 0.9))[..., None]
    return Backdrop(enlarge(colours, stage, width, height), (0, 0), (0, drift))


def sun(stage: Stage, horizon: float, size: float = 0.075) -> Plate:
    """Return the disc of the sun, or of a cratered moon where the palette is dark."""
    side = stage.pixels(size * stage.pick("sun-size", 0.8, 1.5)) * 2
    spread = np.linspace(-1.12, 1.12, side + 8, dtype=np.float32)
    across, down = spread[None, :], spread[:, None]
    distance = np.hypot(across, down)
    shade = np.clip(1.04 - 0.06 * distance**2, 0, 1)
    if stage.palette.is_dark:
        rows = max(16, min(64, side))
        craters = fractal(stage.chance("moon"), rows, rows, cells=3.5, octaves=3)
        shade *= 1 - 0.22 * np.asarray(Image.fromarray(craters).resize(distance.shape, Image.Resampling.BICUBIC))
    image = Image.fromarray(np.clip(stage.palette.light * shade[..., None], 0, 255).astype(np.uint8))
    edge = max(2.0, side / 2.24)
    mask = Image.fromarray((255 * np.clip((1 - distance) * edge, 0, 1)).astype(np.uint8))
    light_x, light_y = stage.light
    left = round(light_x * stage.width - image.width / 2)
    top = round(light_y * horizon * stage.height - image.height / 2)
    return Plate(image, mask, (left, top), (left, top - stage.pixels(0.03)))


def starfield(stage: Stage, horizon: float, density: float = 1.0) -> Twinkle:
    """Return stars that thin out towards the horizon."""
    rows = max(1, round(stage.height * min(1.0, horizon)))
    count = round(density * 620 * stage.width * rows / stage.unit**2)
    fields = [
        Image.fromarray(stars(stage.chance(name), (rows, stage.width), count)) for name in ("stars", "more stars")
    ]
    white = Image.new("RGB", (stage.width, rows), (255, 250, 240))
    return Twinkle(white, fields[0], fields[1])


def clouds(stage: Stage, name: str, top: float, bottom: float, *, cover: float, stretch: float = 2.6) -> Plate:
    """Return a bank of clouds between two rows (shares of the height); `cover` 0..1 says how much sky it hides."""
    travel = stage.pixels(0.16)
    width, height = stage.width + travel, max(4, round((bottom - top) * stage.height))
    rows, columns = coarse(width, height, finer=2.0)
    heights = fractal(stage.chance(name), rows, columns, cells=2.4, octaves=5, stretch=stretch)
    above = np.roll(heights, 2, axis=0)
    level = float(heights.mean() + heights.std() * _SPREAD.inv_cdf(1 - cover))
    fade = np.sin(np.linspace(0, np.pi, rows, dtype=np.float32)).clip(0) ** 0.6
    mask = np.clip((heights - level) * 4.2, 0, 1) ** 0.9 * fade[:, None]
    lit = np.clip(0.62 + 3.2 * (heights - above) + 0.5 * (heights - level), 0, 1)
    shades = Image.fromarray((255 * lit).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    shades.putpalette(ink(ramp(stage.palette.shade, stage.palette.cloud)))
    veil = Image.fromarray((235 * mask).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    at = round(top * stage.height)
    return Plate(shades.convert("RGB"), veil, (0, at), (-travel, at))


def water(stage: Stage, shore: float, *, ripple: float = 0.006, squash: float = 1.0) -> Water:
    """Return water from `shore` (share of the height) down, with a path of light below the sun."""
    first = round(shore * stage.height)
    width, rows = stage.width, max(1, stage.height - first)
    near = np.linspace(0, 1, rows, dtype=np.float32)
    table = ramp(blend(stage.palette.water, stage.palette.sky[3], 0.25), stage.palette.water, size=rows)
    deep = Image.fromarray(np.broadcast_to(table[:, None].astype(np.uint8), (rows, width, 3)).copy())
    depth = Image.fromarray(np.broadcast_to((70 + 120 * near).astype(np.uint8)[:, None], (rows, width)).copy())
    travel = stage.pixels(0.12)
    glints = Image.new("RGB", (width + travel, rows), tuple(int(value) for value in stage.palette.light))
    return Water(
        shore=first,
        squash=squash,
        deep=deep,
        depth=depth,
        glints=glints,
        glint_mask=_glints(stage, width + travel, rows, travel),
        glint_travel=travel,
        ripple=max(1.0, ripple * stage.unit),
        seed=stage.pick("ripples", 0, 6),
    )


def mist(stage: Stage, name: str, top: float, bottom: float, *, strength: float) -> Plate:
    """Return a bank of mist between two rows (shares of the height)."""
    travel = stage.pixels(0.10)
    width, height = stage.width + travel, max(4, round((bottom - top) * stage.height))
    rows, columns = coarse(width, height)
    wisps = fractal(stage.chance(name), rows, columns, cells=1.6, octaves=3, stretch=3.5)
    fade = np.sin(np.linspace(0, np.pi, rows, dtype=np.float32)).clip(0)[:, None]
    mask = Image.fromarray((255 * strength * fade * (0.35 + 0.65 * wisps)).astype(np.uint8))
    image = Image.new("RGB", (width, height), tuple(int(value) for value in stage.palette.sky[3]))
    at = round(top * stage.height)
    veil = mask.resize((width, height), Image.Resampling.BILINEAR)
    return Plate(image, veil, (-travel, at), (0, at))


def coarse(width: int, height: int, finer: float = 1.0) -> tuple[int, int]:
    """Return the rows and columns of a small field with the shape of a large picture."""
    side = _COARSE_SIDE * finer
    scale = min(1.0, side / min(width, height))
    return max(4, round(height * scale)), max(4, round(width * scale))


def enlarge(colours: Colour, stage: Stage, width: int, height: int) -> Image.Image:
    """Return a small field of colours, shape (rows, columns, 3), as a smooth picture of that size.

    Rows are mixed here, in blocks that stay in the processor's cache, because a dither added before rounding keeps
    gradients from banding; Pillow rounds before anything can be added.
    """
    small = Image.fromarray(np.clip(colours, 0, 254).astype(np.uint8))
    wide = np.asarray(small.resize((width, small.height), Image.Resampling.BICUBIC)).reshape(small.height, -1)
    lines = np.minimum(wide, 254).astype(np.uint16)
    tallest = height // small.height + 2
    grain = stage.chance("grain").integers(0, 256, (_GRAIN_ROWS + tallest, width), np.uint16).repeat(3, axis=1)
    at = (np.arange(height, dtype=np.float32) + 0.5) * small.height / height - 0.5
    at = np.clip(at, 0, small.height - 1.001)
    above, share = at.astype(np.intp), (at % 1 * 256).astype(np.uint16)[:, None]
    pixels = np.empty((height, width * 3), np.uint8)
    edges = [*np.flatnonzero(np.diff(above, prepend=-1)).tolist(), height]
    for start, end in itertools.pairwise(edges):
        upper, lower = lines[above[start]], lines[above[start] + 1]
        first = start % _GRAIN_ROWS
        # Of sixteen bits, in which a negative step comes out right too.
        mixed = (lower - upper) * share[start:end]
        mixed += upper << 8
        mixed += grain[first : first + end - start]
        mixed >>= 8
        pixels[start:end] = mixed
    return Image.fromarray(pixels.reshape(height, width, 3))


def radiance(stage: Stage, shape: tuple[int, int], at: tuple[float, float], size: float) -> Field:
    """Return how far a round glow reaches, 0..1, over a coarse field of `shape` (rows, columns).

    `at` is its centre in shares of width and height, `size` its radius in units.
    """
    across = (np.linspace(0, 1, shape[1], dtype=np.float32)[None, :] - at[0]) * stage.width / stage.unit
    down = (np.linspace(0, 1, shape[0], dtype=np.float32)[:, None] - at[1]) * stage.height / stage.unit
    return (np.clip(1 - np.hypot(across, down) / size, 0, 1) ** 2.2).astype(np.float32)


def _glints(stage: Stage, width: int, rows: int, travel: int) -> Image.Image:
    """Return where waves catch the light: short strokes, longer and sparser towards the viewer."""
    high = max(4, min(rows, 130))
    wide = max(8, min(width, 420))
    near = np.linspace(0, 1, high, dtype=np.float32)[:, None]
    strokes = np.zeros((high, wide), np.float32)
    rng = stage.chance("glints")
    for row in range(high):
        length = max(3, round(wide * (0.012 + 0.05 * row / high)))
        dots = np.repeat(rng.random(wide // length + 2, dtype=np.float32), length)
        start = int(rng.integers(0, length))
        strokes[row] = dots[start : start + wide]
    middle = (stage.light[0] * stage.width + travel / 2) / width
    across = np.linspace(0, 1, wide, dtype=np.float32)[None, :]
    path = np.exp(-(((across - middle) / (0.05 + 0.13 * near)) ** 2))
    bright = np.clip((strokes - 0.62) * 2.6, 0, 1) * (0.85 * path + 0.08)
    small = Image.fromarray((235 * bright).astype(np.uint8))
    return small.resize((width, rows), Image.Resampling.BILINEAR)
