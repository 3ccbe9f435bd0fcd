"""The drums: one stroke of each, made from sweeps and noise.

Owns their sounds. Leaves when they are struck to `score`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pixeldojo.media.music.noise import Wave, band_noise

Drum: TypeAlias = Callable[[int, int], Wave]
"""Makes one stroke from a sample rate (hertz) and the number that settles its noise."""


def _kick(rate: int, _number: int) -> Wave:
    return _skin(rate, seconds=0.32, low=47, above=105, settling=32, fade=11, gain=0.95)


def _tom(rate: int, _number: int) -> Wave:
    return _skin(rate, seconds=0.5, low=72, above=38, settling=18, fade=7, gain=0.8)


def _skin(rate: int, *, seconds: float, low: float, above: float, settling: float, fade: float, gain: float) -> Wave:
    """A tone that falls to `low` hertz from `above` hertz over it."""
    time = _time(rate, seconds)
    cycles = low * time + above / settling * (1 - np.exp(-settling * time))
    return (np.sin(2 * np.pi * cycles) * np.exp(-fade * time) * gain).astype(np.float32)


def _snare(rate: int, number: int) -> Wave:
    time = _time(rate, 0.22)
    body = np.sin(2 * np.pi * 185 * time) * np.exp(-26 * time) * 0.45
    rattle = band_noise(len(time), rate, 1_200, 9_000, number) * np.exp(-19 * time) * 0.4
    return (body + rattle).astype(np.float32)


def _rim(rate: int, _number: int) -> Wave:
    time = _time(rate, 0.06)
    tone = np.sin(2 * np.pi * 1_720 * time) + 0.6 * np.sin(2 * np.pi * 2_650 * time)
    return (tone * np.exp(-90 * time) * 0.3).astype(np.float32)


def _clap(rate: int, number: int) -> Wave:
    time = _time(rate, 0.2)
    hands = np.zeros(len(time))
    for at, fade, gain in ((0.0, 160, 0.35), (0.011, 160, 0.35), (0.023, 160, 0.35), (0.03, 22, 0.4)):
        hands += np.exp(-fade * np.maximum(0, time - at)) * (time >= at) * gain
    return (band_noise(len(time), rate, 800, 5_000, number) * hands).astype(np.float32)


def _shaker(rate: int, number: int) -> Wave:
    time = _time(rate, 0.09)
    swell = np.minimum(1, time / 0.02) * np.exp(-38 * np.maximum(0, time - 0.02))
    grains: NDArray[np.floating] = band_noise(len(time), rate, 5_000, 12_000, number) * swell * 0.3
    return grains.astype(np.float32)


def _hissing(seconds: float, low: float, high: float, fade: float, gain: float) -> Drum:
    def strike(rate: int, number: int) -> Wave:
        time = _time(rate, seconds)
        hiss: NDArray[np.floating] = band_noise(len(time), rate, low, high, number) * np.exp(-fade * time) * gain
        return hiss.astype(np.float32)

    return strike


def _time(rate: int, seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate)) / rate


DRUMS: Final[Mapping[str, Drum]] = MappingProxyType(
    {
        "kick": _kick,
        "tom": _tom,
        "snare": _snare,
        "rim": _rim,
        "clap": _clap,
        "shaker": _shaker,
        "hat": _hissing(0.05, 5_500, 15_000, fade=60, gain=0.3),
        "open": _hissing(0.25, 5_500, 15_000, fade=14, gain=0.26),
        "ride": _hissing(0.5, 5_500, 15_000, fade=7, gain=0.18),
        "brush": _hissing(0.2, 1_500, 6_000, fade=16, gain=0.35),
        "cymbal": _hissing(2.2, 5_500, 15_000, fade=2, gain=0.3),
    }
)
"""Every drum by its name."""
