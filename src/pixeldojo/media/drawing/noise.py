"""Random shapes that look natural: fractal fields, ridge lines, stars. Every function draws only from the
generator it is handed, so the same generator state gives the same shapes.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]


def fractal(
    rng: np.random.Generator, rows: int, columns: int, *, cells: float, octaves: int = 4, stretch: float = 1.0
) -> Field:
    """Return smooth noise in 0..1, shape (rows, columns).

    `cells` is how many blobs of the coarsest octave span the shorter side; `stretch` makes them that much wider
    than high.
    """
    total = np.zeros((rows, columns), np.float32)
    side = min(rows, columns)
    weight = 1.0
    for octave in range(octaves):
        scale = cells * 2.0**octave / side
        high = max(3, round(rows * scale) + 3)
        wide = max(3, round(columns * scale / stretch) + 3)
        lattice = Image.fromarray(rng.random((high, wide), dtype=np.float32))
        total += weight * np.asarray(lattice.resize((columns, rows), Image.Resampling.BICUBIC))
        weight *= 0.5
    low, high_value = float(total.min()), float(total.max())
    return (total - low) / max(high_value - low, 1e-6)


def profile(rng: np.random.Generator, positions: Field, *, cells: float, octaves: int, rough: float = 0.5) -> Field:
    """Return a ridge line in -1..1 for each of `positions` (in units of the picture's shorter side).

    `cells` is how many hills fit into one unit; `rough` is how much each octave keeps of the one before.
    """
    total = np.zeros_like(positions)
    weight, reach = 1.0, 0.0
    for octave in range(octaves):
        lattice = rng.uniform(-1.0, 1.0, 512).astype(np.float32)
        place = positions * np.float32(cells * 2.0**octave) + 4
        cell = np.floor(place).astype(np.int64)
        part = place - cell
        eased = part * part * (3 - 2 * part)
        total += weight * (lattice[cell & 511] * (1 - eased) + lattice[(cell + 1) & 511] * eased)
        reach += weight
        weight *= rough
    return (total / reach).astype(np.float32)


def peaks(rng: np.random.Generator, positions: Field, *, cells: float, octaves: int) -> Field:
    """Return a line of sharp summits in -1..1: folded noise, as mountains are."""
    folded = 1 - 2 * np.abs(profile(rng, positions, cells=cells, octaves=2))
    fine = profile(rng, positions, cells=cells * 3, octaves=octaves, rough=0.55)
    return (0.78 * folded + 0.22 * fine).astype(np.float32)


def stars(rng: np.random.Generator, shape: tuple[int, int], count: int) -> NDArray[np.uint8]:
    """Return a sky of stars as brightness: many faint, few bright with a small cross, paler towards the foot."""
    rows = shape[0]
    sky = np.zeros(shape, np.uint8)
    down = rng.integers(0, rows, count)
    across = rng.integers(0, shape[1], count)
    high = 1 - 0.8 * down / rows
    sky[down, across] = ((60 + 195 * rng.random(count) ** 4) * high).astype(np.uint8)
    for row, column in zip(down[: count // 30].tolist(), across[: count // 30].tolist(), strict=True):
        bright = 235 - 150 * row // rows
        sky[max(0, row - 1) : row + 2, column] = bright * 3 // 4
        sky[row, max(0, column - 1) : column + 2] = bright * 3 // 4
        sky[row, column] = bright
    return sky


def flow_field(rng: np.random.Generator, rows: int, columns: int, *, bands: float) -> NDArray[np.uint8]:
    """Return heights of a marbled surface, shape (rows, columns): bands bent twice, 0..255 and back without a step.

    `bands` is how many of them span the shorter side.
    """
    side = min(rows, columns)
    across = np.arange(columns, dtype=np.float32)[None, :] / side
    down = np.arange(rows, dtype=np.float32)[:, None] / side
    angle = rng.uniform(0, np.pi)
    bend = fractal(rng, rows, columns, cells=1.1, octaves=3) - 0.5
    twist = fractal(rng, rows, columns, cells=1.7, octaves=3) - 0.5
    course = (across + 0.9 * bend) * np.cos(angle) + (down + 0.9 * twist) * np.sin(angle)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (bands * course + 0.8 * bend * twist * 4 + rng.uniform(0, 1)))
    heights: NDArray[np.uint8] = (127 * wave).astype(np.uint8)
    return heights
