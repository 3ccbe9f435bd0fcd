"""How each instrument sounds: one note as samples, made from wave tables, envelopes and shaped noise.

Owns timbre. Leaves which notes are played to `score`, and mixing to `music`. Everything is float32, shape
(samples, 2), and depends on nothing but its arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixeldojo.media.music.drums import DRUMS
from pixeldojo.media.music.noise import Wave, band_noise, fading
from pixeldojo.media.sound_source import Block

_TABLE_BITS = 12
_TABLE_SIZE = 1 << _TABLE_BITS
_CYCLE = 2.0**32
_HIGHEST_SHARE = 0.42
_CONCERT_A, _CONCERT_A_PITCH = 440.0, 69
_LONGEST_SECONDS = 12.0


def _rolled(count: int, slope: float) -> tuple[float, ...]:
    return tuple(1 / n**slope for n in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class _Partials:
    """A part of a sound whose harmonics fade together: their strengths, and how fast they fade (per second)."""

    strengths: tuple[float, ...]
    fade: float = 0.0


@dataclass(frozen=True, slots=True)
class _Voice:
    """A pitched instrument.

    Attributes:
        parts: What it is made of.
        gain: Loudness beside the others.
        attack: Seconds until it is at full loudness.
        release: Seconds it takes to die after its note ends; struck strings ring on instead (`rings`).
        detune: How far left and right drift apart, in cents.
        vibrato: Depth in cents.
        breath: Share of noise.
        rings: Whether it sounds on past the end of its note until it has faded.
        overtones: Inharmonic sines: frequency ratio, strength, fade per second.
    """

    parts: tuple[_Partials, ...]
    gain: float
    attack: float = 0.004
    release: float = 0.12
    detune: float = 1.2
    vibrato: float = 0.0
    breath: float = 0.0
    rings: bool = False
    overtones: tuple[tuple[float, float, float], ...] = ()


_PLUCKED = tuple(abs(float(np.sin(n * np.pi * 0.21))) / n for n in range(1, 15))

_VOICES: Final[Mapping[str, _Voice]] = {
    "piano": _Voice(
        (
            _Partials((1, 0.32, 0.1), 1.3),
            _Partials((0, 0.4, 0.36, 0.24, 0.16, 0.1), 3.2),
            _Partials((0, 0, 0, 0, 0.2, 0.2, 0.17, 0.12, 0.1, 0.06), 9.0),
        ),
        0.5,
        rings=True,
        detune=1.6,
    ),
    "keys": _Voice(
        (_Partials((1, 0.05, 0.08), 1.5), _Partials((0, 0.35, 0.1, 0.18), 5.0)),
        0.52,
        rings=True,
        detune=3.0,
        overtones=((14.02, 0.07, 14.0),),
    ),
    "guitar": _Voice(
        (
            _Partials(_PLUCKED[:2], 1.6),
            _Partials((0, 0, *_PLUCKED[2:5]), 3.6),
            _Partials((0, 0, 0, 0, 0, *_PLUCKED[5:]), 8.0),
        ),
        0.62,
        rings=True,
        attack=0.002,
    ),
    "marimba": _Voice((_Partials((1,), 5.5),), 0.7, rings=True, overtones=((3.93, 0.3, 16.0), (9.2, 0.09, 34.0))),
    "bell": _Voice(
        (_Partials((1, 0.12), 1.5),),
        0.42,
        rings=True,
        overtones=((2.76, 0.3, 3.2), (5.4, 0.14, 6.5), (8.93, 0.05, 11.0)),
    ),
    "musicbox": _Voice(
        (_Partials((1, 0.1, 0.04), 2.4),), 0.5, rings=True, overtones=((4.2, 0.22, 9.0), (8.1, 0.08, 18.0))
    ),
    "flute": _Voice((_Partials((1, 0.22, 0.08, 0.03)),), 0.42, attack=0.07, vibrato=9.0, breath=0.03),
    "strings": _Voice((_Partials(_rolled(14, 1.35)),), 0.3, attack=0.2, release=0.45, detune=9.0, vibrato=6.0),
    "cello": _Voice((_Partials(_rolled(10, 1.3)),), 0.42, attack=0.09, release=0.3, detune=6.0, vibrato=5.0),
    "brass": _Voice((_Partials(_rolled(7, 1.5)), _Partials(_rolled(14, 0.9), 2.5)), 0.3, attack=0.05, vibrato=4.0),
    "pad": _Voice((_Partials(_rolled(9, 1.9)),), 0.32, attack=0.45, release=0.8, detune=11.0),
    "saw": _Voice((_Partials(_rolled(8, 1.3)), _Partials(_rolled(26, 1.0), 5.0)), 0.24, detune=12.0, release=0.1),
    "square": _Voice(
        (_Partials(tuple((n % 2) / n for n in range(1, 20))),), 0.24, detune=0.0, release=0.03, attack=0.002
    ),
    "bass": _Voice((_Partials((1, 0.42, 0.16, 0.07), 1.4),), 0.62, attack=0.006, detune=0.0),
    "synth": _Voice((_Partials((1, 0.3), 0.6), _Partials(_rolled(16, 1.0), 7.0)), 0.46, attack=0.003, detune=0.0),
}

_SUNG_VOWELS: Final = ((800.0, 1150.0, 2900.0), (450.0, 800.0, 2830.0), (325.0, 700.0, 2530.0))


class Band:
    """The instruments at one sample rate. Each distinct note is made once and kept while the band lives."""

    def __init__(self, sample_rate: int, number: int) -> None:
        self._rate = sample_rate
        self._number = number
        self._kept: dict[tuple[str, int, int], Block] = {}

    def play(self, instrument: str, pitch: int, length: float) -> Block:
        """Return one note: a MIDI pitch held for `length` seconds (drums ignore both). Do not change it."""
        is_drum = instrument in DRUMS
        is_struck = is_drum or (instrument in _VOICES and _VOICES[instrument].rings)
        milliseconds = 0 if is_struck else round(min(length, _LONGEST_SECONDS) * 1_000)
        key = (instrument, 0 if is_drum else pitch, milliseconds)
        sound = self._kept.get(key)
        if sound is None:
            sound = self._make(instrument, pitch, milliseconds / 1_000)
            self._kept[key] = sound
        return sound

    def _make(self, instrument: str, pitch: int, length: float) -> Block:
        if instrument in DRUMS:
            hit = DRUMS[instrument](self._rate, self._number)
            return np.stack([hit, hit], axis=1)
        frequency = _CONCERT_A * 2 ** ((pitch - _CONCERT_A_PITCH) / 12)
        if instrument == "voice":
            return self._sung(frequency, length, pitch)
        return self._voiced(_VOICES[instrument], frequency, length)

    def _voiced(self, voice: _Voice, frequency: float, length: float) -> Block:
        slowest = min((part.fade for part in voice.parts if part.fade > 0), default=1.0)
        seconds = min(3.2, 5.0 / slowest) if voice.rings else length + voice.release
        count = max(1, round(seconds * self._rate))
        sides = [self._side(voice, frequency * 2 ** (cents / 1_200), count) for cents in (-voice.detune, voice.detune)]
        sound = np.stack(sides, axis=1)
        sound *= (self._envelope(voice, count, length) * np.float32(voice.gain))[:, None]
        return sound

    def _side(self, voice: _Voice, frequency: float, count: int) -> Wave:
        phase = _phase(frequency, count, self._rate, voice.vibrato)
        wave = np.zeros(count, np.float32)
        for part in voice.parts:
            tone = wave_table(part.strengths, frequency, self._rate)[phase >> np.uint32(32 - _TABLE_BITS)]
            wave += tone * fading(count, self._rate, part.fade) if part.fade else tone
        for ratio, strength, fade in voice.overtones:
            if frequency * ratio < _HIGHEST_SHARE * self._rate:
                overtone = _phase(frequency * ratio, count, self._rate, 0.0)
                tone = wave_table((strength,), frequency, self._rate)[overtone >> np.uint32(32 - _TABLE_BITS)]
                wave += tone * fading(count, self._rate, fade)
        if voice.breath:
            wave += band_noise(count, self._rate, frequency, frequency * 6, self._number) * np.float32(voice.breath)
        return wave

    def _envelope(self, voice: _Voice, count: int, length: float) -> Wave:
        shape = np.ones(count, np.float32)
        rise = min(count, max(2, round(voice.attack * self._rate)))
        shape[:rise] = np.sin(np.linspace(0, np.pi / 2, rise, dtype=np.float32)) ** 2
        fall = count - round(length * self._rate) if not voice.rings else count // 4
        fall = min(count, max(2, fall))
        shape[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
        return shape

    def _sung(self, frequency: float, length: float, pitch: int) -> Block:
        count = max(1, round((length + 0.15) * self._rate))
        vowel = _SUNG_VOWELS[(pitch + self._number) % len(_SUNG_VOWELS)]
        strengths = formant_strengths(frequency, vowel, self._rate)
        voice = _Voice((), 0.5, attack=0.06, release=0.15)
        sides = []
        for cents in (-4.0, 4.0):
            phase = _phase(frequency * 2 ** (cents / 1_200), count, self._rate, 22.0)
            sides.append(wave_table(strengths, frequency, self._rate)[phase >> np.uint32(32 - _TABLE_BITS)])
        sound = np.stack(sides, axis=1)
        sound *= (self._envelope(voice, count, length) * np.float32(voice.gain))[:, None]
        return sound


def formant_strengths(frequency: float, formants: tuple[float, ...], sample_rate: int) -> tuple[float, ...]:
    """Return how strong each harmonic of a voice is when the mouth stands at these formants (hertz)."""
    count = max(1, int(min(4_500.0, _HIGHEST_SHARE * sample_rate) / frequency))
    strengths = []
    for harmonic in range(1, count + 1):
        at = harmonic * frequency
        resonance = sum(
            gain / (1 + ((at - formant) / (60 + 0.07 * formant)) ** 2)
            for formant, gain in zip(formants, (1.0, 0.6, 0.22), strict=False)
        )
        strengths.append(resonance / harmonic**0.4 + 0.02 / harmonic)
    peak = sum(strengths) ** 0.5 * max(strengths) ** 0.5
    return tuple(strength / peak for strength in strengths)


def _phase(frequency: float, count: int, sample_rate: int, vibrato_cents: float) -> NDArray[np.uint32]:
    step = frequency / sample_rate * _CYCLE
    phase = np.arange(count, dtype=np.uint32) * np.uint32(int(step) & 0xFFFF_FFFF)
    if vibrato_cents:
        rate = 5.3
        time = np.arange(count, dtype=np.float32) / np.float32(sample_rate)
        depth = step * (2 ** (vibrato_cents / 1_200) - 1) * sample_rate / (2 * np.pi * rate)
        sway = np.sin(time * np.float32(2 * np.pi * rate)) * np.minimum(1, time / np.float32(0.5)) * np.float32(depth)
        phase = phase + sway.astype(np.int64).astype(np.uint32)
    return phase


def wave_table(strengths: tuple[float, ...], frequency: float, sample_rate: int) -> Wave:
    """Return one cycle with those harmonics, less the ones too high for the sample rate."""
    most = max(1, int(_HIGHEST_SHARE * sample_rate / frequency))
    spectrum = np.zeros(_TABLE_SIZE // 2 + 1, np.complex64)
    kept = strengths[:most]
    spectrum[1 : len(kept) + 1] = np.asarray(kept, np.float32) * (-0.5j * _TABLE_SIZE)
    return np.fft.irfft(spectrum, _TABLE_SIZE).astype(np.float32)
