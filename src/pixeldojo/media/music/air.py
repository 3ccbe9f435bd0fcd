"""The sound around a piece: rain, sea, wind, fire, night or dust, as a loop without a seam.

Owns these noises. Leaves when they are wanted to `mood`.
"""

import numpy as np
from numpy.typing import NDArray

from pixeldojo.media.music.noise import band_noise
from pixeldojo.media.sound_source import CHANNELS, Block

_LOOP_SECONDS = 8


class Air:
    """One kind of surrounding sound at one sample rate; `none` is silence."""

    def __init__(self, kind: str, sample_rate: int, number: int) -> None:
        self._rate = sample_rate
        self._number = number
        self._count = _LOOP_SECONDS * sample_rate
        makers = {
            "rain": self._rain,
            "sea": self._sea,
            "wind": self._wind,
            "fire": self._fire,
            "night": self._night,
            "dust": self._dust,
        }
        self._loop: Block | None = makers[kind]() if kind in makers else None

    def block(self, start: int, count: int) -> Block:
        """Return `count` samples from sample `start` of an endless loop, shape (count, 2)."""
        if self._loop is None:
            return np.zeros((count, CHANNELS), np.float32)
        return self._loop[np.arange(start, start + count) % self._count]

    def _rain(self) -> Block:
        return self._sides(1_800, 9_000, 0.05) + self._clicks(260, 0.18, 900)

    def _sea(self) -> Block:
        swell = 0.35 + 0.65 * self._wave(1) ** 2
        return self._sides(120, 900, 0.16) * swell + self._sides(1_500, 6_000, 0.05) * swell**3

    def _wind(self) -> Block:
        gust = 0.4 + 0.6 * self._wave(2) * self._wave(3)
        return self._sides(220, 620, 0.16) * gust

    def _fire(self) -> Block:
        return self._sides(60, 240, 0.1) + self._clicks(90, 0.5, 2_500)

    def _night(self) -> Block:
        time = np.arange(self._count) / self._rate
        chirp = np.sin(2 * np.pi * min(4_300, self._rate * 0.3) * time) * np.maximum(0, np.sin(2 * np.pi * 26 * time))
        song = chirp * (np.sin(2 * np.pi * time * 5 / _LOOP_SECONDS) > 0.3) * 0.025
        sides = np.stack([song, np.roll(song, self._rate * 3 // 2)], axis=1).astype(np.float32)
        return self._sides(200, 1_600, 0.02) + sides

    def _dust(self) -> Block:
        return self._sides(2_500, 9_000, 0.01) + self._clicks(14, 0.3, 3_500)

    def _sides(self, low: float, high: float, gain: float) -> Block:
        noises = [band_noise(self._count, self._rate, low, high, self._number + side) for side in (11, 12)]
        return np.stack(noises, axis=1) * np.float32(gain)

    def _wave(self, cycles: int) -> NDArray[np.float32]:
        turn = np.arange(self._count, dtype=np.float32) * np.float32(2 * np.pi * cycles / self._count)
        wave: NDArray[np.float32] = (0.5 - 0.5 * np.cos(turn))[:, None].astype(np.float32)
        return wave

    def _clicks(self, per_second: int, gain: float, fade: float) -> Block:
        """Scatter tiny strikes; each is a short burst that fades (per second) at once."""
        dice = np.random.default_rng(self._number & 0xFFFF_FFFF)
        strikes = np.zeros((self._count, CHANNELS), np.float32)
        count = per_second * _LOOP_SECONDS
        strikes[dice.integers(0, self._count, count), dice.integers(0, CHANNELS, count)] = dice.random(count) ** 3
        length = max(2, round(4 / fade * self._rate))
        burst = np.exp(-np.arange(length) * fade / self._rate) * dice.standard_normal(length)
        spectrum = np.fft.rfft(burst, self._count)[:, None]
        return (np.fft.irfft(np.fft.rfft(strikes, axis=0) * spectrum, self._count, axis=0) * gain).astype(np.float32)
