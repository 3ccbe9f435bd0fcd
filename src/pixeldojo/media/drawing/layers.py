"""What a scene is stacked from: each layer is prepared once for a frame size and then drawn at any moment.

Owns compositing and motion. Leaves shapes to `noise` and `subjects`, and what is stacked on what to `places`.
Pillow does the pixel work: pasting through a mask costs a third of the same sum in numpy.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixeldojo.media.drawing.palette import Colour, ink


class Layer(Protocol):
    """One thing in the picture."""

    def draw(self, canvas: Image.Image, time: float) -> None:
        """Draw onto `canvas` (RGB, in place) as of `time`, 0..1 over the clip."""
        ...


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The lowest layer: an opaque picture no smaller than the frame, panned from `start` to `end` (pixels)."""

    image: Image.Image
    start: tuple[int, int] = (0, 0)
    end: tuple[int, int] = (0, 0)

    def draw(self, canvas: Image.Image, time: float) -> None:
        left, top = _between(self.start, self.end, time)
        canvas.paste(self.image, (-left, -top))


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture with a mask that travels from `start` to `end` (its top left corner, pixels), bobbing on its way.

    Attributes:
        image: RGB.
        mask: L, the same size.
        start: Where it is at time 0.
        end: Where it is at time 1.
        bob: Pixels it rises and falls.
        beats: How many times it does so over the clip.
        base: RGB, what stands below it without a mask: pasting that costs a twentieth.
    """

    image: Image.Image
    mask: Image.Image
    start: tuple[int, int]
    end: tuple[int, int]
    bob: float = 0.0
    beats: float = 1.0
    base: Image.Image | None = None

    def draw(self, canvas: Image.Image, time: float) -> None:
        left, top = _between(self.start, self.end, time)
        top += round(self.bob * math.sin(2 * math.pi * self.beats * time))
        canvas.paste(self.image, (left, top), self.mask)
        if self.base is not None:
            canvas.paste(self.base, (left, top + self.image.height))


@dataclass(frozen=True, slots=True)
class Twinkle:
    """Stars: two fields of one colour, one brightening while the other fades."""

    image: Image.Image
    first: Image.Image
    second: Image.Image
    beats: float = 3.0

    def draw(self, canvas: Image.Image, time: float) -> None:
        share = 0.5 - 0.35 * math.cos(2 * math.pi * self.beats * time)
        canvas.paste(self.image, (0, 0), Image.blend(self.first, self.second, share))


@dataclass(frozen=True, slots=True)
class Flow:
    """A field of moving colour: two height maps slide over one another and their sum picks the colour.

    Attributes:
        first: Heights, uint8, larger than the frame by the way it travels.
        second: The same.
        colours: 256 colours, whose end meets their beginning.
        travel: Pixels (across, down) that each map slides over the clip.
        cycles: How many times the colours go round.
    """

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    colours: Colour
    travel: tuple[int, int]
    cycles: float = 0.5

    def draw(self, canvas: Image.Image, time: float) -> None:
        width, height = canvas.size
        across, down = round(self.travel[0] * time), round(self.travel[1] * time)
        one = self.first[down : down + height, across : across + width]
        back = self.travel[0] - across
        two = self.second[down : down + height, back : back + width]
        heights = one + two + np.uint8(round(256 * self.cycles * time) & 255)
        indexed = Image.fromarray(heights)
        indexed.putpalette(ink(self.colours))
        canvas.paste(indexed.convert("RGB"))


@dataclass(frozen=True, slots=True)
class Water:
    """Mirrors what stands above the shore line, ripples it and deepens it towards the viewer.

    Attributes:
        shore: First row of water.
        squash: How many rows above the shore one row of water covers.
        deep: RGB, the water's own colour, the size of the water.
        depth: L, how much of its own colour shows.
        glints: RGB, light on the waves, larger than the water by `glint_travel` columns.
        glint_mask: L, where the glints are.
        glint_travel: Columns they slide over the clip.
        ripple: Pixels of the widest ripple.
        seed: Turns the ripples.
    """

    shore: int
    squash: float
    deep: Image.Image
    depth: Image.Image
    glints: Image.Image
    glint_mask: Image.Image
    glint_travel: int
    ripple: float
    seed: float

    def draw(self, canvas: Image.Image, time: float) -> None:
        rows = canvas.height - self.shore
        if rows < 1 or self.shore < 1:
            return
        mirror = Image.fromarray(self._mirror(canvas, rows, time))
        mirror.paste(self.deep, (0, 0), self.depth)
        mirror.paste(self.glints, (-round(self.glint_travel * time), 0), self.glint_mask)
        canvas.paste(mirror, (0, self.shore))

    def _mirror(self, canvas: Image.Image, rows: int, time: float) -> NDArray[np.uint8]:
        depth = np.arange(rows, dtype=np.float32)
        near = depth / rows
        phase = 2 * math.pi * (4 * time) + self.seed
        wave = np.sin(156 * np.sqrt(near + 0.02) - phase) + 0.6 * np.sin(205 * np.sqrt(near + 0.05) + phase / 2)
        above = self.shore - 1 - depth * self.squash - wave * self.ripple * (0.2 + near)
        sources = np.clip(np.rint(above), 0, self.shore - 1).astype(np.intp)
        first = int(sources.min())
        pixels = np.asarray(canvas.crop((0, first, canvas.width, self.shore)))
        shifts = np.rint(wave * self.ripple * (0.3 + 1.4 * near)).astype(np.intp)
        shifts = np.clip(shifts, 1 - canvas.width, canvas.width - 1)
        mirrored = pixels[sources - first]
        for row, (source, shift) in enumerate(zip((sources - first).tolist(), shifts.tolist(), strict=True)):
            if shift > 0:
                mirrored[row, shift:] = pixels[source, :-shift]
            elif shift < 0:
                mirrored[row, :shift] = pixels[source, -shift:]
        return mirrored


def _between(start: tuple[int, int], end: tuple[int, int], time: float) -> tuple[int, int]:
    return round(start[0] + (end[0] - start[0]) * time), round(start[1] + (end[1] - start[1]) * time)
