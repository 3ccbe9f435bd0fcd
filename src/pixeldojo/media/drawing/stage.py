"""What every layer of one picture is built from: the frame, the colours, where the light stands, and chance.

Chance is handed out by name: each layer draws from its own generator, so that adding a layer leaves the others as
they were, and a scene is the same composition at every size.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from pixeldojo.media.drawing.noise import Field
from pixeldojo.media.drawing.palette import Palette
from pixeldojo.media.drawing.vocabulary import Reading

_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """One picture about to be built.

    Attributes:
        reading: What the prompt says.
        palette: Its colours.
        number: Everything left to chance comes from this.
        width: Frame width in pixels.
        height: Frame height in pixels.
    """

    reading: Reading
    palette: Palette
    number: int
    width: int
    height: int

    @property
    def unit(self) -> int:
        """The shorter side in pixels: sizes are given in it."""
        return min(self.width, self.height)

    def chance(self, name: str) -> np.random.Generator:
        """Return the generator of that name."""
        digest = hashlib.blake2b(f"{self.number}:{name}".encode(), digest_size=8).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def pick(self, name: str, low: float, high: float) -> float:
        """Return a number between `low` and `high`, always the same one for that name."""
        return float(self.chance(name).uniform(low, high))

    @property
    def light(self) -> tuple[float, float]:
        """Where the sun or moon stands: share of the width, share of the way from zenith to horizon."""
        return self.pick("light-x", 0.22, 0.78), self.pick("light-y", 0.45, 0.86)

    @property
    def is_lit_from_left(self) -> bool:
        """Whether the light stands left of the middle."""
        return self.light[0] < _MIDDLE

    def columns(self, width: int) -> Field:
        """Return the place of each of `width` columns in units."""
        return (np.arange(width, dtype=np.float32) / self.unit).astype(np.float32)

    def pixels(self, units: float) -> int:
        """Return a length in units as whole pixels, at least one."""
        return max(1, round(units * self.unit))
