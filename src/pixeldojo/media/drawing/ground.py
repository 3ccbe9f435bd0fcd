"""Land: everything below a line, shaded by its depth and by the light on its bumps.

Owns filling a line in. Leaves the lines themselves to `landforms`.
"""

import numpy as np
from PIL import Image

from pixeldojo.media.drawing.layers import Plate
from pixeldojo.media.drawing.noise import Field, fractal
from pixeldojo.media.drawing.palette import Colour, blend, ink, ramp
from pixeldojo.media.drawing.stage import Stage

_COARSE_SIDE = 170


def ridge(
    stage: Stage,
    line: Field,
    colours: tuple[Colour, Colour],
    *,
    travel: int = 0,
    bumps: Image.Image | None = None,
    relief: float = 0.6,
    foot: float = 1.0,
) -> Plate:
    """Return land below a line.

    Args:
        stage: The picture.
        line: The first row of land (pixels, fractions welcome) for each column, as wide as frame and travel.
        colours: At the crest and at the foot.
        travel: Columns it slides to the left over the clip.
        bumps: How its surface is lit (see `uneven`); None for flat land.
        relief: How strongly that light models it, 0..1.
        foot: Where it ends (share of the height), below which something else covers it.
    """
    top = max(0, int(line.min()) - 1)
    rows = max(2, round(foot * stage.height) - top)
    shade, mask = _below(line - np.float32(top), rows)
    crest, low = colours
    if bumps is None:
        picture = _coloured(shade, crest, low)
    else:
        light = _coloured(shade, blend(crest, stage.palette.light, 0.42 * relief), low)
        shadow = _coloured(shade, blend(crest, stage.palette.near, 0.45 * relief) * np.float32(0.92), low)
        picture = Image.composite(light, shadow, bumps.crop((0, top, line.size, top + rows)))
    upper, base = _split(picture, mask.height)
    return Plate(upper, mask, (0, top), (-travel, top), base=base)


def uneven(stage: Stage, *, cells: float, travel: int = 0, is_rocky: bool = False) -> Image.Image:
    """Return how brightly bumpy ground is lit (L, as wide as frame and travel), with the light from the sun's side.

    `cells` is how many bumps make one unit; rocky ground is broken into faces, other ground is soft. All ridges of a
    picture share one such ground: it takes longer to make than a ridge.
    """
    columns, rows = stage.width + travel, stage.height + 2
    scale = min(1.0, _COARSE_SIDE / min(columns, rows))
    high, wide = max(6, round(rows * scale)), max(6, round(columns * scale))
    bumps = fractal(stage.chance("uneven"), high, wide, cells=cells, octaves=5 if is_rocky else 3)
    folded = 1 - np.abs(2 * bumps - 1) if is_rocky else bumps
    sideways = np.roll(folded, -1 if stage.is_lit_from_left else 1, axis=1)
    lit = sideways - folded + 0.5 * (np.roll(folded, 1, axis=0) - folded)
    lit /= max(1.65 * float(lit.std()), 1e-6)
    small = Image.fromarray((127.5 + 127.5 * np.clip(lit * 0.75, -1, 1)).astype(np.uint8))
    return small.resize((columns, rows), Image.Resampling.BILINEAR)


def _split(picture: Image.Image, row: int) -> tuple[Image.Image, Image.Image | None]:
    """Cut a picture in two above a row."""
    width, height = picture.size
    if row >= height:
        return picture, None
    return picture.crop((0, 0, width, row)), picture.crop((0, row, width, height))


def _below(line: Field, rows: int) -> tuple[Image.Image, Image.Image]:
    """Return how deep each pixel lies below a line (L, 12 at the line) and which pixels do (L, smooth at the line,
    cut off below its lowest point).

    In whole sixteenths and sixty-fourths, which numpy sums four times faster than floats.
    """
    slope = 64 * 230 / rows
    foot = np.clip(line, -rows, rows)
    depth = np.rint(np.arange(rows) * slope).astype(np.int16)[:, None] - np.rint(foot * slope).astype(np.int16)[None, :]
    shade = np.clip((depth >> 6) + np.int16(12), 0, 255).astype(np.uint8)
    band = min(rows, max(1, int(foot.max()) + 2))
    edge = (np.arange(band) * 16).astype(np.int16)[:, None] - np.rint(foot * 16 - 8).astype(np.int16)[None, :]
    return Image.fromarray(shade), Image.fromarray((np.clip(edge, 0, 15) * 17).astype(np.uint8))


def _coloured(shade: Image.Image, crest: Colour, foot: Colour) -> Image.Image:
    """Return shades (L) from 0 at the crest to 255 at the foot in those colours."""
    indexed = shade.copy()
    indexed.putpalette(ink(ramp(crest, blend(crest, foot, 0.55), foot)))
    return indexed.convert("RGB")
