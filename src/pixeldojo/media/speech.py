"""Tones shaped like speech, for faces whose script is text: a syllable for a syllable, and no word to be heard.

Owns syllables, their melody and their pace. Leaves harmonics of a voice to `music.synth`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from pixeldojo.media.music.noise import Wave, band_noise
from pixeldojo.media.music.synth import formant_strengths, wave_table
from pixeldojo.media.sound_source import Block

_SYLLABLES_PER_SECOND = 4.6
_PAUSES: Final[Mapping[str, float]] = MappingProxyType(
    {",": 0.9, ";": 1.2, ":": 1.2, ".": 1.8, "!": 1.8, "?": 1.8, "\n": 1.8, "-": 0.6}
)
_FORMANTS: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "a": (780.0, 1_250.0, 2_600.0),
        "e": (520.0, 1_850.0, 2_550.0),
        "i": (310.0, 2_250.0, 2_950.0),
        "o": (500.0, 900.0, 2_500.0),
        "u": (340.0, 800.0, 2_400.0),
    }
)
_VOWELS = "aeiouyäöüàâéèêëîïôûùáíóúãõåæø"
_VOWEL_LIKE: Final[Mapping[str, str]] = MappingProxyType({"y": "i", "ä": "e", "ö": "e", "ü": "i", "æ": "a", "ø": "o"})
_HISSES = frozenset("sfzxchtkp")
_LOW_VOICE, _HIGH_VOICE = 112.0, 205.0
_LEAST_STRETCH, _MOST_STRETCH = 0.55, 1.8


@dataclass(frozen=True, slots=True)
class Syllable:
    """One syllable: how many beats it takes (a plain one takes one), what vowel it has, whether it starts with a hiss.

    A pause has no vowel. `melody` is where its pitch lies in the sentence, in semitones.
    """

    beats: float
    vowel: str
    has_hiss: bool
    melody: float


def read_syllables(text: str) -> list[Syllable]:
    """Cut text into syllables and pauses; any text gives at least one syllable."""
    spoken: list[Syllable] = []
    for word in re.findall(r"\w+|[^\w\s]|\n", text.lower()):
        if word in _PAUSES:
            spoken.append(Syllable(_PAUSES[word], "", has_hiss=False, melody=0.0))
        elif word.isalnum():
            spoken.extend(_word_syllables(word))
    if not any(syllable.vowel for syllable in spoken):
        spoken.append(Syllable(1.0, "a", has_hiss=False, melody=0.0))
    return _with_melody(spoken, asks=text.rstrip().endswith("?"))


def speech_seconds(text: str) -> float:
    """Return how long the text takes at an easy pace, in seconds."""
    return sum(syllable.beats for syllable in read_syllables(text)) / _SYLLABLES_PER_SECOND + 0.3


def speech_like(text: str, voice: str, samples: int, sample_rate: int) -> Iterator[Block]:
    """Speak a text in tones, within exactly that many samples at that rate (hertz).

    The pace bends to fill the time; a text much too short leaves silence, one much too long is cut. The same text
    and voice give the same sound. A voice whose name says `male` is low; others are high.
    """
    spoken = read_syllables(text)
    beats = sum(syllable.beats for syllable in spoken)
    beat = min(_MOST_STRETCH, max(_LEAST_STRETCH, samples / sample_rate * _SYLLABLES_PER_SECOND / beats))
    beat_samples = beat / _SYLLABLES_PER_SECOND * sample_rate
    mouth = _Mouth(_voice_pitch(voice), sample_rate)
    beats_said, said = 0.0, 0
    for syllable in spoken:
        beats_said += syllable.beats
        end = min(samples, round(beats_said * beat_samples))
        if end > said:
            yield mouth.say(syllable, end - said)
        said = end
    if said < samples:
        yield np.zeros((samples - said, 2), np.float32)


class _Mouth:
    """One voice at one sample rate."""

    def __init__(self, pitch: float, sample_rate: int) -> None:
        self._pitch = pitch
        self._rate = sample_rate
        self._tables = {
            vowel: wave_table(formant_strengths(pitch, formants, sample_rate), pitch, sample_rate)
            for vowel, formants in _FORMANTS.items()
        }

    def say(self, syllable: Syllable, samples: int) -> Block:
        if not syllable.vowel:
            return np.zeros((samples, 2), np.float32)
        place = np.linspace(0, 1, samples, dtype=np.float32)
        frequency = self._pitch * np.exp2((syllable.melody + 1.2 * np.sin(np.pi * place) - 0.8 * place) / 12)
        cycles = np.cumsum(frequency / self._rate) % 1
        table = self._tables[syllable.vowel]
        opening = np.minimum(1, place / 0.18) * np.minimum(1, (1 - place) / 0.3)
        sound: Wave = table[(cycles * len(table)).astype(np.intp)] * opening * np.float32(0.62)
        if syllable.has_hiss:
            sound = sound + self._hiss(samples)
        return np.stack([sound, sound], axis=1).astype(np.float32)

    def _hiss(self, samples: int) -> Wave:
        hiss = np.zeros(samples, np.float32)
        count = min(samples, round(0.06 * self._rate))
        burst = band_noise(count, self._rate, 3_200, 7_500, samples)
        hiss[:count] = burst * np.hanning(count) * 0.16
        return hiss


def _word_syllables(word: str) -> list[Syllable]:
    vowels = list(re.finditer(f"[{_VOWELS}]+", word))
    if not vowels:
        # Numbers, and words without vowels of ours: about a syllable for every second sign.
        return [Syllable(1.0, "aeiou"[ord(sign) % 5], has_hiss=False, melody=0.0) for sign in word[::2]]
    if len(vowels) > 1 and vowels[-1].group() == "e" and word.endswith("e"):
        vowels.pop()
    starts = [0, *(match.end() for match in vowels[:-1])]
    return [
        Syllable(
            1.0 if number < len(vowels) - 1 else 1.25,
            _plain_vowel(match.group()[0]),
            has_hiss=bool(_HISSES & set(word[start : match.start()])),
            melody=0.0,
        )
        for number, (start, match) in enumerate(zip(starts, vowels, strict=True))
    ]


def _plain_vowel(sign: str) -> str:
    if sign in _FORMANTS:
        return sign
    return _VOWEL_LIKE.get(sign, "aeiou"[ord(sign) % 5])


def _with_melody(spoken: list[Syllable], *, asks: bool) -> list[Syllable]:
    """Let every phrase begin high and fall, wander a little with its sounds, and a question rise at its end."""
    sung: list[Syllable] = []
    place = 0
    for number, syllable in enumerate(spoken):
        place = 0 if not syllable.vowel else place + 1
        wander = hashlib.blake2b(f"{number}{syllable.vowel}".encode(), digest_size=1).digest()[0] / 255 * 2.4 - 1.2
        rise = 4.0 if asks and number >= len(spoken) - 3 else 0.0
        melody = 2.5 - min(place, 12) * 0.35 + wander + rise
        sung.append(Syllable(syllable.beats, syllable.vowel, syllable.has_hiss, melody))
    return sung


def _voice_pitch(voice: str) -> float:
    """A few hertz of its own for each name, around a low or a high voice."""
    is_low = re.search(r"\bmale\b", voice.lower()) is not None
    own = hashlib.blake2b(voice.encode("utf-8", "replace"), digest_size=1).digest()[0] / 255 - 0.5
    return (_LOW_VOICE if is_low else _HIGH_VOICE) * (1 + 0.24 * own)
