"""Composing: from a mood and a length to the notes of a piece with a beginning, an arc and an end.

Owns harmony, melody, rhythm and arrangement. Leaves what words mean to `mood` and how notes sound to `synth`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

from pixeldojo.media.music.mood import MODES, Mood

Chord = tuple[int, ...]

_PROGRESSIONS: Final[Mapping[str, tuple[Chord, ...]]] = MappingProxyType(
    {
        "major": ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (5, 3, 0, 4), (0, 2, 3, 4)),
        "lydian": ((0, 1, 0, 4), (0, 1, 5, 4), (0, 4, 1, 5)),
        "mixolydian": ((0, 6, 3, 0), (0, 4, 6, 3), (0, 3, 6, 3)),
        "dorian": ((0, 3, 0, 6), (0, 3, 5, 6), (0, 2, 3, 6)),
        "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (0, 2, 5, 6)),
        "phrygian": ((0, 1, 0, 6), (0, 5, 1, 0), (0, 1, 2, 1)),
    }
)

# Onset and length, in eighths.
_MOTIFS_IN_FOUR: Final = (
    ((0, 3), (3, 1), (4, 4)),
    ((0, 2), (2, 2), (4, 3), (7, 1)),
    ((0, 4), (4, 2), (6, 2)),
    ((1, 1), (2, 2), (4, 1), (5, 3)),
    ((0, 6), (6, 2)),
    ((0, 1), (1, 1), (2, 2), (4, 4)),
    ((2, 2), (4, 4)),
)
_MOTIFS_IN_THREE: Final = (((0, 4), (4, 2)), ((0, 2), (2, 2), (4, 2)), ((0, 6),), ((0, 3), (3, 1), (4, 2)))

# Sixteenths on which each drum of a pattern is struck, with how hard.
_DRUMS: Final[Mapping[str, Mapping[str, Mapping[int, float]]]] = MappingProxyType(
    {
        "none": {},
        "soft": {
            "kick": {0: 0.7, 8: 0.5},
            "rim": {4: 0.5, 12: 0.55},
            "shaker": {0: 0.3, 2: 0.5, 4: 0.3, 6: 0.5, 8: 0.3, 10: 0.5, 12: 0.3, 14: 0.5},
        },
        "four": {
            "kick": {0: 1.0, 4: 1.0, 8: 1.0, 12: 1.0},
            "clap": {4: 0.7, 12: 0.7},
            "hat": {0: 0.3, 4: 0.3, 8: 0.3, 12: 0.3, 14: 0.3},
            "open": {2: 0.6, 6: 0.6, 10: 0.6, 14: 0.6},
        },
        "back": {
            "kick": {0: 1.0, 7: 0.5, 8: 0.8, 10: 0.6},
            "snare": {4: 0.9, 12: 0.95},
            "hat": {0: 0.6, 2: 0.4, 4: 0.6, 6: 0.4, 8: 0.6, 10: 0.4, 12: 0.6, 14: 0.5},
        },
        "broken": {
            "kick": {0: 1.0, 3: 0.6, 10: 0.9, 13: 0.4},
            "snare": {4: 0.9, 12: 0.95, 15: 0.3},
            "hat": {0: 0.6, 2: 0.5, 4: 0.6, 6: 0.5, 7: 0.35, 8: 0.6, 10: 0.5, 12: 0.6, 14: 0.5, 15: 0.4},
        },
        "march": {
            "tom": {0: 1.0, 6: 0.5, 8: 0.8, 14: 0.45},
            "snare": {4: 0.35, 10: 0.2, 11: 0.25, 12: 0.4},
        },
        "sway": {
            "kick": {0: 0.5},
            "ride": {0: 0.5, 4: 0.6, 6: 0.4, 8: 0.5, 12: 0.6, 14: 0.4},
            "brush": {4: 0.5, 12: 0.5},
        },
        "latin": {
            "kick": {0: 0.7, 6: 0.5, 8: 0.7, 14: 0.5},
            "rim": {0: 0.5, 3: 0.55, 6: 0.55, 10: 0.5, 12: 0.55},
            "shaker": {0: 0.5, 2: 0.35, 4: 0.5, 6: 0.35, 8: 0.5, 10: 0.35, 12: 0.5, 14: 0.35},
        },
    }
)

_HELD = frozenset({"pad", "strings"})
_BARS_PER_PHRASE = 4
_SHORT_PIECE_PHRASES = 3
_LONG_PIECE_PHRASES = 6
_LEAST_TEMPO_CHANGE, _MOST_TEMPO_CHANGE = 0.8, 1.25
_CHORD_CENTRE, _BASS_CENTRE = 60, 40
_LEAD_LOW, _LEAD_HIGH = 60, 72
_HIGHEST_LEAD_ROOT = 6
_COMMON_TIME = 4
_BUSY = 0.6


class Note(NamedTuple):
    """One sound of a piece.

    `start` and `length` are in seconds; `pitch` is a MIDI number (drums ignore it); `loudness` is 0..1; `pan` is -1
    (left) to 1 (right).
    """

    start: float
    length: float
    instrument: str
    pitch: int
    loudness: float
    pan: float


def write_score(mood: Mood, seconds: float, *, with_voice: bool = False) -> list[Note]:
    """Compose a piece of that length; the notes come in order of start. The tempo bends so that bars fill it."""
    bars = max(1, round(seconds * mood.tempo / 60 / mood.beats_per_bar))
    beat = seconds / (bars * mood.beats_per_bar)
    stretch = beat * mood.tempo / 60
    if not _LEAST_TEMPO_CHANGE < stretch < _MOST_TEMPO_CHANGE:
        beat = 60 / mood.tempo
    score = _Score(mood, bars, beat, "voice" if with_voice else mood.lead)
    heard = (note for note in score.notes() if note.start < seconds)
    return sorted(heard, key=lambda note: (note.start, note.instrument, note.pitch))


@dataclass(frozen=True, slots=True)
class _Layers:
    """Who plays in a phrase."""

    lead: bool
    bass: bool
    drums: float
    chords: float


class _Score:
    """A piece while it is being written."""

    def __init__(self, mood: Mood, bars: int, beat_seconds: float, lead: str) -> None:
        self._mood = mood
        self._bars = bars
        self._beat = beat_seconds
        self._bar = beat_seconds * mood.beats_per_bar
        self._lead = lead
        self._dice = Random(mood.number)  # noqa: S311 - it composes, it does not guard anything
        self._steps = MODES[mood.mode]
        self._lead_base = _LEAD_HIGH if mood.root <= _HIGHEST_LEAD_ROOT else _LEAD_LOW
        self._progression = self._dice.choice(_PROGRESSIONS[mood.mode])
        motifs = _MOTIFS_IN_FOUR if mood.beats_per_bar == _COMMON_TIME else _MOTIFS_IN_THREE
        self._motifs = self._dice.sample(motifs, 2)
        self._climbs = [[self._dice.choice((-2, -1, -1, 1, 1, 2)) for _ in range(8)] for _ in range(2)]

    def notes(self) -> Iterator[Note]:
        phrases = -(-self._bars // _BARS_PER_PHRASE)
        melody_at = 2
        voicing: tuple[int, ...] = ()
        for bar in range(self._bars):
            phrase, place = divmod(bar, _BARS_PER_PHRASE)
            is_last = bar == self._bars - 1 and self._bars > 1
            layers = _layers_of(phrase, phrases, self._mood)
            degree = 0 if is_last else self._progression[place % len(self._progression)]
            voicing = self._voicing(degree, voicing)
            yield from self._chord_notes(bar, voicing, layers, is_last=is_last)
            if layers.bass:
                yield from self._bass_notes(bar, degree, is_last=is_last)
            if layers.lead or is_last:
                bar_notes = list(self._lead_notes(bar, place, voicing, melody_at, is_last=is_last))
                melody_at = bar_notes[-1][1] if bar_notes else melody_at
                yield from (note for note, _ in bar_notes)
            yield from self._drum_notes(bar, layers.drums, is_last=is_last, is_turn=place == _BARS_PER_PHRASE - 1)

    def _pitch(self, degree: int, centre: int) -> int:
        octave, step = divmod(degree, len(self._steps))
        return centre // 12 * 12 + self._mood.root + 12 * octave + self._steps[step]

    def _voicing(self, degree: int, last: tuple[int, ...]) -> tuple[int, ...]:
        """Return the chord with each of its notes as near as possible to the chord before."""
        colours = (0, 2, 4, 6) if self._mood.swing > 0 or self._mood.energy < _BUSY / 2 else (0, 2, 4)
        centre = sum(last) / len(last) if last else _CHORD_CENTRE
        notes = []
        for colour in colours:
            pitch = self._pitch(degree + colour, _CHORD_CENTRE)
            notes.append(pitch - 12 * round((pitch - (0.7 * centre + 0.3 * _CHORD_CENTRE)) / 12))
        return tuple(sorted(set(notes)))

    def _at(self, bar: int, eighths: float) -> float:
        late = self._mood.swing * self._beat if eighths % 2 == 1 else 0.0
        return bar * self._bar + eighths * self._beat / 2 + late

    def _chord_notes(self, bar: int, voicing: tuple[int, ...], layers: _Layers, *, is_last: bool) -> Iterator[Note]:
        instrument = self._mood.chords
        eighths = self._mood.beats_per_bar * 2
        if instrument in _HELD or is_last:
            length = self._bar * (1.6 if is_last else 1.02)
            for number, pitch in enumerate(voicing):
                strum = 0.0 if instrument in _HELD else number * 0.03
                pan = (number / max(1, len(voicing) - 1) - 0.5) * 0.7
                yield Note(self._at(bar, 0) + strum, length, instrument, pitch, 0.5 * layers.chords, pan)
            return
        ladder = (*voicing, voicing[1] + 12, voicing[0] + 12)
        order = (0, 2, 1, 3, 2, 4, 3, 1) if self._mood.number % 2 else (0, 1, 2, 3, 4, 3, 2, 1)
        for eighth in range(eighths):
            if self._mood.energy < _BUSY / 2 and eighth in (1, 5):
                continue
            pitch = ladder[order[eighth % len(order)] % len(ladder)]
            accent = 1.0 if eighth % 4 == 0 else 0.72
            loudness = 0.42 * layers.chords * accent
            yield Note(self._at(bar, eighth), self._beat * 1.5, instrument, pitch, loudness, 0.35 - 0.1 * (eighth % 8))

    def _bass_notes(self, bar: int, degree: int, *, is_last: bool) -> Iterator[Note]:
        root = self._pitch(degree, 36)
        root -= 12 * round((root - _BASS_CENTRE) / 12)
        fifth = root + self._steps[4] if root < _BASS_CENTRE else root - 12 + self._steps[4]
        for eighth, length, pitch in self._bass_pattern(root, fifth, is_last=is_last):
            loudness = 0.75 if eighth == 0 else 0.6
            yield Note(self._at(bar, eighth), length * self._beat / 2, self._mood.bass, pitch, loudness, 0.0)

    def _bass_pattern(self, root: int, fifth: int, *, is_last: bool) -> tuple[tuple[int, float, int], ...]:
        eighths = self._mood.beats_per_bar * 2
        if is_last or self._mood.beat in ("none", "soft") or self._mood.beats_per_bar != _COMMON_TIME:
            return ((0, eighths - 0.5, root),)
        match self._mood.beat:
            case "four":
                return tuple((eighth, 0.9, root) for eighth in (1, 3, 5, 7))
            case "sway":
                return (
                    (0, 1.8, root),
                    (2, 1.8, root + self._steps[2]),
                    (4, 1.8, fifth),
                    (6, 1.8, root + self._steps[1]),
                )
            case "latin":
                return ((0, 2.6, root), (3, 0.9, fifth), (4, 2.6, fifth), (7, 0.9, root))
            case "broken":
                return ((0, 2.4, root), (3, 0.9, root), (5, 1.8, fifth), (7, 0.8, root))
            case _:
                return ((0, 2.6, root), (3, 0.9, root), (4, 2.6, root), (7, 0.9, fifth))

    def _lead_notes(
        self, bar: int, place: int, voicing: tuple[int, ...], at: int, *, is_last: bool
    ) -> Iterator[tuple[Note, int]]:
        """Yield each note with the place in the scale that it leaves the melody at."""
        if is_last:
            pitch = self._near(at, {voice % 12 for voice in voicing[:1]} | {self._mood.root})
            yield (
                Note(self._at(bar, 0), self._bar * 1.4, self._lead, self._pitch(pitch, self._lead_base), 0.6, 0.1),
                pitch,
            )
            return
        which = 1 if place % _BARS_PER_PHRASE == 2 else 0
        motif, climb = self._motifs[which], self._climbs[which]
        chord = {voice % 12 for voice in voicing}
        for number, (eighth, length) in enumerate(motif):
            at = max(-3, min(8, at + climb[number % len(climb)]))
            if eighth % 4 == 0 or length > 2:
                at = self._near(at, chord)
            pitch = self._pitch(at, self._lead_base)
            loudness = 0.62 * (1.0 if eighth % 4 == 0 else 0.85) * self._dice.uniform(0.9, 1.0)
            yield Note(self._at(bar, eighth), length * self._beat / 2 * 0.98, self._lead, pitch, loudness, 0.12), at

    def _near(self, place: int, wanted: set[int]) -> int:
        offsets = (0, 1, -1, 2, -2, 3, -3)
        return next((place + step for step in offsets if self._pitch(place + step, 0) % 12 in wanted), place)

    def _drum_notes(self, bar: int, level: float, *, is_last: bool, is_turn: bool) -> Iterator[Note]:
        if level <= 0:
            return
        if is_last:
            yield Note(self._at(bar, 0), 2.0, "cymbal", 0, 0.5 * level, -0.2)
            yield Note(self._at(bar, 0), 0.5, "kick", 0, 0.8 * level, 0.0)
            return
        pans = {"hat": -0.25, "open": -0.25, "shaker": 0.3, "ride": 0.3, "rim": 0.2, "tom": -0.1}
        for drum, strokes in _DRUMS[self._mood.beat].items():
            for sixteenth, force in strokes.items():
                if sixteenth >= self._mood.beats_per_bar * 4:
                    continue
                loudness = force * level * self._dice.uniform(0.88, 1.0)
                yield Note(self._at(bar, sixteenth / 2), 0.4, drum, 0, loudness, pans.get(drum, 0.0))
        if is_turn and self._mood.energy > _BUSY and bar + 2 < self._bars:
            for step in range(4):
                start = self._at(bar, self._mood.beats_per_bar * 2 - 2 + step / 2)
                yield Note(start, 0.4, "tom", 0, level * (0.35 + 0.12 * step), -0.4 + 0.25 * step)


def _layers_of(phrase: int, phrases: int, mood: Mood) -> _Layers:
    drums = 0.35 + 0.65 * mood.energy if mood.beat != "none" else 0.0
    if phrases < _SHORT_PIECE_PHRASES:
        return _Layers(lead=True, bass=True, drums=drums, chords=1.0)
    is_opening = phrase == 0
    is_rest = phrases >= _LONG_PIECE_PHRASES and phrase == round(phrases * 0.6)
    if is_opening:
        return _Layers(lead=False, bass=False, drums=0.0 if mood.energy < _BUSY else drums * 0.6, chords=1.0)
    if is_rest:
        return _Layers(lead=True, bass=False, drums=0.0, chords=1.0)
    return _Layers(lead=phrase > 1 or phrases == _SHORT_PIECE_PHRASES, bass=True, drums=drums, chords=0.85)
