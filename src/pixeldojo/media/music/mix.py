"""Playing a score: notes and the air around them, mixed block by block with an echo, in bounded memory.

Owns balance and space. Leaves the notes to `score` and the instruments to `synth`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pixeldojo.media.music.air import Air
from pixeldojo.media.music.mood import read_mood
from pixeldojo.media.music.noise import band_noise
from pixeldojo.media.music.score import Note, write_score
from pixeldojo.media.music.synth import Band
from pixeldojo.media.sound_source import CHANNELS, Block

_BLOCK = 1 << 16
_ECHO_SECONDS = 1.4
_ECHO_LEVEL = 0.55
_DRY = frozenset({"kick", "bass", "synth", "snare", "rim", "clap", "hat", "open", "shaker", "brush", "ride"})
_LOUDNESS = 0.62
_OPENING_SECONDS = 0.02
_ENDING_SHARE, _LONGEST_ENDING_SECONDS = 0.2, 3.0


def play_music(prompt: str, seed: int, samples: int, sample_rate: int, *, with_voice: bool = False) -> Iterator[Block]:
    """Compose and play exactly that many samples at that rate (hertz); the same arguments give the same sound."""
    mood = read_mood(prompt, seed)
    score = write_score(mood, samples / sample_rate, with_voice=with_voice)
    band = Band(sample_rate, mood.number)
    air = Air(mood.air, sample_rate, mood.number)
    echo = _Echo(sample_rate, mood.number)
    stage = _Stage(score, band, sample_rate)
    for start in range(0, samples, _BLOCK):
        dry, wet = stage.block(start)
        sound = dry + wet + echo.of(wet) + air.block(start, _BLOCK)
        sound = np.tanh(sound * np.float32(_LOUDNESS))[: samples - start]
        yield sound * _edges(start, len(sound), samples, sample_rate)[:, None]


class _Stage:
    """Lays the notes of a score into blocks, in order."""

    def __init__(self, score: Sequence[Note], band: Band, sample_rate: int) -> None:
        self._score = score
        self._band = band
        self._rate = sample_rate
        self._next = 0
        self._sounding: list[tuple[int, Block, NDArray[np.float32], bool]] = []

    def block(self, start: int) -> tuple[Block, Block]:
        """Return the block from sample `start`: what stays close, and what also goes into the echo."""
        self._begin_notes(start + _BLOCK)
        buses = (np.zeros((_BLOCK, CHANNELS), np.float32), np.zeros((_BLOCK, CHANNELS), np.float32))
        still: list[tuple[int, Block, NDArray[np.float32], bool]] = []
        for begin, sound, gains, is_dry in self._sounding:
            first, last = max(begin, start), min(begin + len(sound), start + _BLOCK)
            if last > first:
                buses[0 if is_dry else 1][first - start : last - start] += sound[first - begin : last - begin] * gains
            if begin + len(sound) > start + _BLOCK:
                still.append((begin, sound, gains, is_dry))
        self._sounding = still
        return buses

    def _begin_notes(self, end: int) -> None:
        while self._next < len(self._score) and self._score[self._next].start * self._rate < end:
            note = self._score[self._next]
            sound = self._band.play(note.instrument, note.pitch, note.length)
            sides = np.array([min(1.0, 1 - note.pan), min(1.0, 1 + note.pan)], np.float32) * np.float32(note.loudness)
            self._sounding.append((round(note.start * self._rate), sound, sides, note.instrument in _DRY))
            self._next += 1


class _Echo:
    """A room, at half the sample rate: what it swallows of the treble is what a room would."""

    def __init__(self, sample_rate: int, number: int) -> None:
        length = round(_ECHO_SECONDS * sample_rate / 2)
        time = np.arange(length, dtype=np.float32) / np.float32(sample_rate / 2)
        fade = np.exp(-3.6 * time) * np.minimum(1, time / np.float32(0.012))
        sides = [band_noise(length, sample_rate // 2, 180, 3_200, number + side) * fade for side in (1, 2)]
        self._size = 1 << (_BLOCK // 2 + length - 1).bit_length()
        scale = _ECHO_LEVEL / np.sqrt(float(sum((side**2).sum() for side in sides)) / CHANNELS)
        self._spectra = [np.fft.rfft(side * np.float32(scale), self._size) for side in sides]
        self._tail = np.zeros((self._size, CHANNELS), np.float32)

    def of(self, block: Block) -> Block:
        half = _BLOCK // 2
        sent = block.mean(axis=1).reshape(half, 2).mean(axis=1)
        spectrum = np.fft.rfft(sent, self._size)
        sides = [np.fft.irfft(spectrum * side, self._size) for side in self._spectra]
        answer: Block = np.stack(sides, axis=1).astype(np.float32, copy=False)
        answer += self._tail
        self._tail = np.concatenate([answer[half:], np.zeros((half, CHANNELS), np.float32)])
        return _doubled(answer[: half + 1])


def _doubled(block: Block) -> Block:
    """Return the block at twice the rate; the last of its samples only serves to lead towards it."""
    out = np.empty(((len(block) - 1) * 2, CHANNELS), np.float32)
    out[::2] = block[:-1]
    out[1::2] = (block[:-1] + block[1:]) * np.float32(0.5)
    return out


def _edges(start: int, count: int, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return how loud each sample may be so that the piece neither starts nor stops with a click."""
    position = np.arange(start, start + count, dtype=np.float32)
    opening = np.minimum(1, position / np.float32(_OPENING_SECONDS * sample_rate))
    ending_samples = min(_LONGEST_ENDING_SECONDS * sample_rate, samples * _ENDING_SHARE)
    ending = np.clip((samples - 1 - position) / np.float32(max(1.0, ending_samples)), 0, 1)
    edges: NDArray[np.float32] = (opening * ending**1.5).astype(np.float32)
    return edges
