"""A picture composed from a prompt: words choose palette, composition and motion; a hash settles the rest.

Owns `compose` and `Scene`. Leaves words, colours, layers and places to `drawing`, lettering to `lettering`, and
files to `image` and `video`.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pixeldojo.media.drawing.layers import Layer
from pixeldojo.media.drawing.palette import Palette, mix_palette
from pixeldojo.media.drawing.places import build_place
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.vocabulary import Reading, Style, read_prompt

Pixels = NDArray[np.uint8]

_SMALLEST_SIDE = 16
_MOST_PAINTED_PIXELS = 9_000_000  # a frame of 4K video is below
_HUGE_PAINTED_PIXELS = 4_200_000
_POSTER_BITS = 3
_BLOCKS_ACROSS = 112


class Scene:
    """One composition, paintable at any size and at any moment of its motion.

    The layers are prepared for a frame size when it is first painted, and kept for the next frame of that size.

    Attributes:
        reading: What the prompt was taken to say.
        palette: Its colours.
    """

    def __init__(self, prompt: str, seed: int) -> None:
        self.reading: Reading = read_prompt(prompt)
        self.palette: Palette = mix_palette(self.reading)
        digest = hashlib.blake2b(f"{seed}\n{prompt}".encode(), digest_size=8).digest()
        self._number = int.from_bytes(digest, "big")
        self._size = (0, 0)
        self._layers: list[Layer] = []

    def paint(self, width: int, height: int, time: float = 0.0) -> Pixels:
        """Return the picture, shape (height, width, 3), at `time`, 0..1 over the clip; a new array."""
        return np.array(self.picture(width, height, time))

    def picture(self, width: int, height: int, time: float = 0.0) -> Image.Image:
        """Return the picture, RGB, at `time`, 0..1 over the clip; a new one."""
        size = _painted_size(width, height)
        if self._size != size:
            stage = Stage(self.reading, self.palette, self._number, *size)
            self._layers, self._size = build_place(stage), size
        canvas = Image.new("RGB", size)
        for layer in self._layers:
            layer.draw(canvas, time)
        picture = _styled(canvas, self.reading.style)
        return picture if size == (width, height) else picture.resize((width, height))


def compose(prompt: str, seed: int) -> Scene:
    """Return the scene for a prompt; the same prompt and seed give the same pixels."""
    return Scene(prompt, seed)


def _painted_size(width: int, height: int) -> tuple[int, int]:
    """Return the size to paint at: tiny pictures are shrunk afterwards, huge ones enlarged, which nobody can see."""
    if width * height > _MOST_PAINTED_PIXELS:
        scale = math.sqrt(_HUGE_PAINTED_PIXELS / (width * height))
        width, height = round(width * scale), round(height * scale)
    return max(width, _SMALLEST_SIDE), max(height, _SMALLEST_SIDE)


def _styled(canvas: Image.Image, style: Style) -> Image.Image:
    match style:
        case Style.MONOCHROME:
            return ImageOps.autocontrast(canvas.convert("L"), cutoff=1).convert("RGB")
        case Style.POSTER:
            return ImageOps.posterize(canvas, _POSTER_BITS)
        case Style.PIXEL:
            block = max(2, max(canvas.size) // _BLOCKS_ACROSS)
            return canvas.reduce(block).resize(canvas.size, Image.Resampling.NEAREST)
        case Style.PLAIN:
            return canvas
