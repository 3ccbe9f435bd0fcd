"""Shaped noise and fading, from which drums, breath, rain and rooms are made.

Owns nothing but these two curves. Leaves what they are used for to its neighbours.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Wave: TypeAlias = NDArray[np.float32]

_STEEPNESS = 2.5


def band_noise(samples: int, sample_rate: int, low: float, high: float, number: int) -> Wave:
    """Return noise between two frequencies (hertz), at most about 1 in size; it can be looped without a seam."""
    count = max(2, samples)
    dice = np.random.default_rng(number & 0xFFFF_FFFF)
    spectrum = np.fft.rfft(dice.standard_normal(count).astype(np.float32))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / sample_rate), 1e-6)
    octaves_out = np.log2(np.maximum(low / frequencies, frequencies / high))
    spectrum *= np.exp2(-_STEEPNESS * np.maximum(0, octaves_out))
    noise = np.fft.irfft(spectrum, count)[:samples]
    return (noise / (3 * max(1e-9, float(noise.std())))).astype(np.float32)


def fading(samples: int, sample_rate: int, per_second: float) -> Wave:
    """Return a curve that starts at 1 and falls by e^per_second each second."""
    curve: Wave = np.exp(np.arange(samples, dtype=np.float32) * np.float32(-per_second / sample_rate))
    return curve
