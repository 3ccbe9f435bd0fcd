"""What a prompt's words mean for music: tempo, mode, instruments, rhythm and the sounds around it.

Owns the words. Leaves notes to `score`, and how an instrument sounds to `synth`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Final, TypedDict

MODES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "major": (0, 2, 4, 5, 7, 9, 11),
        "lydian": (0, 2, 4, 6, 7, 9, 11),
        "mixolydian": (0, 2, 4, 5, 7, 9, 10),
        "dorian": (0, 2, 3, 5, 7, 9, 10),
        "minor": (0, 2, 3, 5, 7, 8, 10),
        "phrygian": (0, 1, 3, 5, 7, 8, 10),
    }
)
"""Steps of each mode, in semitones above its root."""


@dataclass(frozen=True, slots=True)
class Mood:
    """How a piece is to sound.

    Attributes:
        tempo: Beats per minute.
        mode: One of `MODES`.
        energy: 0..1; how dense and how loud the rhythm is, 0 for none.
        lead: The instrument of the melody.
        chords: The instrument that carries the harmony.
        bass: The instrument of the bass line.
        beat: The pattern of the drums: `none`, `soft`, `four`, `back`, `broken`, `march`, `sway`, `latin`.
        beats_per_bar: 3 or 4.
        swing: 0..0.33; how late every second eighth comes, in beats.
        air: The sound around it: `none`, `rain`, `sea`, `wind`, `fire`, `night`, `dust`.
        root: Semitones above C, 0..11.
        number: Settles whatever the words leave open.
    """

    tempo: float = 96.0
    mode: str = "major"
    energy: float = 0.45
    lead: str = "keys"
    chords: str = "pad"
    bass: str = "bass"
    beat: str = "soft"
    beats_per_bar: int = 4
    swing: float = 0.0
    air: str = "none"
    root: int = 0
    number: int = 0


class _Kind(TypedDict, total=False):
    tempo: float
    mode: str
    energy: float
    lead: str
    chords: str
    bass: str
    beat: str
    beats_per_bar: int
    swing: float
    air: str


class _Bend(TypedDict, total=False):
    faster: float
    livelier: float
    mode: str
    lead: str
    chords: str
    air: str


# Kinds of music set what they are known by; words of feeling and place only bend it.
_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "ambient": {"tempo": 64.0, "mode": "lydian", "energy": 0.0, "lead": "bell", "chords": "pad", "beat": "none"},
        "meditation": {"tempo": 56.0, "mode": "lydian", "energy": 0.0, "lead": "bell", "beat": "none"},
        "lofi": {"tempo": 78.0, "mode": "dorian", "energy": 0.4, "chords": "keys", "beat": "back", "swing": 0.16},
        "jazz": {"tempo": 116.0, "mode": "dorian", "lead": "piano", "chords": "keys", "beat": "sway", "swing": 0.3},
        "blues": {"tempo": 84.0, "mode": "mixolydian", "lead": "guitar", "chords": "keys", "swing": 0.3},
        "piano": {"lead": "piano", "chords": "piano", "energy": 0.15, "beat": "none"},
        "guitar": {"lead": "guitar", "chords": "guitar", "energy": 0.3},
        "folk": {"tempo": 104.0, "lead": "guitar", "chords": "guitar", "energy": 0.3},
        "country": {"tempo": 112.0, "mode": "mixolydian", "lead": "guitar", "chords": "guitar", "beat": "back"},
        "orchestral": {"tempo": 92.0, "lead": "strings", "chords": "strings", "bass": "cello", "beat": "march"},
        "classical": {"tempo": 100.0, "lead": "piano", "chords": "strings", "bass": "cello", "beat": "none"},
        "strings": {"lead": "strings", "chords": "strings", "bass": "cello", "beat": "none"},
        "cinematic": {"tempo": 84.0, "mode": "minor", "lead": "strings", "chords": "strings", "beat": "march"},
        "epic": {"tempo": 96.0, "mode": "minor", "energy": 0.9, "lead": "brass", "chords": "strings", "beat": "march"},
        "techno": {"tempo": 130.0, "mode": "minor", "energy": 0.9, "lead": "saw", "beat": "four", "bass": "synth"},
        "house": {"tempo": 122.0, "mode": "dorian", "energy": 0.8, "chords": "keys", "beat": "four", "bass": "synth"},
        "edm": {"tempo": 126.0, "mode": "minor", "energy": 0.95, "lead": "saw", "beat": "four", "bass": "synth"},
        "trance": {"tempo": 136.0, "mode": "minor", "energy": 0.85, "lead": "saw", "beat": "four", "bass": "synth"},
        "synthwave": {"tempo": 100.0, "mode": "minor", "energy": 0.7, "lead": "saw", "beat": "back", "bass": "synth"},
        "electronic": {"tempo": 118.0, "energy": 0.7, "lead": "saw", "beat": "four", "bass": "synth"},
        "rock": {
            "tempo": 124.0,
            "mode": "mixolydian",
            "energy": 0.85,
            "lead": "saw",
            "chords": "guitar",
            "beat": "back",
        },
        "metal": {"tempo": 148.0, "mode": "phrygian", "energy": 1.0, "lead": "saw", "chords": "saw", "beat": "back"},
        "pop": {"tempo": 112.0, "energy": 0.65, "lead": "keys", "beat": "back"},
        "funk": {"tempo": 106.0, "mode": "mixolydian", "energy": 0.75, "chords": "keys", "beat": "broken"},
        "hiphop": {"tempo": 88.0, "mode": "minor", "energy": 0.65, "beat": "broken", "swing": 0.12},
        "trap": {"tempo": 72.0, "mode": "phrygian", "energy": 0.7, "lead": "bell", "beat": "broken", "bass": "synth"},
        "reggae": {"tempo": 76.0, "energy": 0.55, "chords": "keys", "beat": "latin"},
        "bossa": {
            "tempo": 124.0,
            "mode": "lydian",
            "energy": 0.4,
            "lead": "guitar",
            "chords": "guitar",
            "beat": "latin",
        },
        "latin": {"tempo": 108.0, "mode": "minor", "energy": 0.7, "lead": "guitar", "beat": "latin"},
        "chiptune": {
            "tempo": 140.0,
            "energy": 0.75,
            "lead": "square",
            "chords": "square",
            "bass": "synth",
            "beat": "back",
        },
        "waltz": {"tempo": 144.0, "beats_per_bar": 3, "lead": "strings", "energy": 0.3, "beat": "sway"},
        "lullaby": {"tempo": 72.0, "lead": "musicbox", "chords": "musicbox", "energy": 0.0, "beat": "none"},
        "march": {"tempo": 112.0, "lead": "brass", "energy": 0.7, "beat": "march"},
    }
)

_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chill": "lofi", "chillhop": "lofi", "meditative": "meditation", "yoga": "meditation",
        "spa": "meditation", "drone": "ambient", "swing": "jazz", "pianos": "piano", "acoustic": "folk",
        "ukulele": "guitar", "orchestra": "orchestral", "symphony": "orchestral", "symphonic": "orchestral",
        "violin": "strings", "cello": "strings", "film": "cinematic", "trailer": "cinematic", "score": "cinematic",
        "heroic": "epic", "battle": "epic", "dance": "house", "club": "house", "disco": "house",
        "dubstep": "edm", "retro": "synthwave", "neon": "synthwave", "cyberpunk": "synthwave", "synth": "electronic",
        "punk": "rock", "rap": "hiphop", "beats": "hiphop", "samba": "latin", "salsa": "latin",
        "8bit": "chiptune", "game": "chiptune", "arcade": "chiptune", "baby": "lullaby",
    }
)  # fmt: skip

_BENDS: Final[Mapping[str, _Bend]] = MappingProxyType(
    {
        "happy": {"mode": "major", "faster": 1.06, "livelier": 0.1},
        "joyful": {"mode": "major", "faster": 1.08, "livelier": 0.1},
        "uplifting": {"mode": "major", "livelier": 0.1},
        "bright": {"mode": "lydian", "livelier": 0.05},
        "playful": {"mode": "mixolydian", "lead": "marimba", "faster": 1.05},
        "sad": {"mode": "minor", "faster": 0.86, "livelier": -0.2},
        "melancholic": {"mode": "minor", "faster": 0.88, "livelier": -0.15},
        "dark": {"mode": "phrygian", "livelier": 0.0},
        "tense": {"mode": "phrygian", "livelier": 0.1},
        "scary": {"mode": "phrygian", "faster": 0.85},
        "mysterious": {"mode": "dorian", "lead": "bell"},
        "romantic": {"mode": "major", "faster": 0.9, "chords": "strings"},
        "dreamy": {"mode": "lydian", "lead": "bell", "faster": 0.92, "livelier": -0.15},
        "nostalgic": {"mode": "dorian", "faster": 0.94, "air": "dust"},
        "calm": {"faster": 0.85, "livelier": -0.25},
        "gentle": {"faster": 0.88, "livelier": -0.2},
        "soft": {"faster": 0.92, "livelier": -0.2},
        "quiet": {"faster": 0.9, "livelier": -0.25},
        "peaceful": {"faster": 0.85, "livelier": -0.25},
        "slow": {"faster": 0.75, "livelier": -0.1},
        "fast": {"faster": 1.25, "livelier": 0.15},
        "upbeat": {"faster": 1.15, "livelier": 0.2},
        "energetic": {"faster": 1.18, "livelier": 0.3},
        "powerful": {"livelier": 0.3},
        "aggressive": {"faster": 1.1, "livelier": 0.35, "mode": "phrygian"},
        "triumphant": {"mode": "major", "lead": "brass", "livelier": 0.2},
        "bells": {"lead": "bell"}, "harp": {"lead": "guitar"}, "marimba": {"lead": "marimba"},
        "flute": {"lead": "flute"}, "brass": {"lead": "brass"}, "trumpet": {"lead": "brass"},
        "rain": {"air": "rain"}, "rainy": {"air": "rain"}, "stormy": {"air": "rain"}, "windy": {"air": "wind"},
        "storm": {"air": "rain", "mode": "minor"}, "sea": {"air": "sea"},
        "ocean": {"air": "sea"}, "waves": {"air": "sea"}, "beach": {"air": "sea"}, "wind": {"air": "wind"},
        "desert": {"air": "wind"}, "mountain": {"air": "wind"}, "snow": {"air": "wind"}, "fire": {"air": "fire"},
        "campfire": {"air": "fire"}, "night": {"air": "night"}, "forest": {"air": "night"},
        "summer": {"air": "night"}, "vinyl": {"air": "dust"}, "old": {"air": "dust"},
        "sunset": {"mode": "mixolydian"}, "space": {"mode": "lydian", "chords": "pad"}, "city": {"livelier": 0.1},
    }
)  # fmt: skip

_SPLIT_NAMES = re.compile(r"\b(lo|hip|8)[ -](fi|hop|bit)\b")
_OPEN_LEADS = ("keys", "piano", "guitar", "marimba", "bell", "flute")
_SLOWEST, _FASTEST = 48.0, 176.0
_SEMITONES = 12


def read_mood(prompt: str, seed: int) -> Mood:
    """Return the mood of a prompt; the seed settles what its words leave open. Same prompt and seed, same mood."""
    number = int.from_bytes(hashlib.blake2b(f"{seed}\n{prompt}".encode("utf-8", "replace"), digest_size=8).digest())
    dice = Random(number)  # noqa: S311 - it composes, it does not guard anything
    words = re.findall(r"[a-z0-9]+", _SPLIT_NAMES.sub(r"\1\2", prompt.lower()))
    mood = Mood(
        tempo=dice.uniform(84, 112),
        mode=dice.choice(("major", "dorian", "minor", "lydian")),
        lead=dice.choice(_OPEN_LEADS),
        root=dice.randrange(_SEMITONES),
        number=number,
    )
    for word in words:
        kind = _KINDS.get(_ALIASES.get(word, word))
        if kind is not None:
            mood = replace(mood, **kind)
    for word in words:
        mood = _bent(mood, _BENDS.get(word, {}))
    return _with_tempo_of(prompt, mood)


def _bent(mood: Mood, bend: _Bend) -> Mood:
    return replace(
        mood,
        tempo=min(_FASTEST, max(_SLOWEST, mood.tempo * bend.get("faster", 1.0))),
        energy=min(1.0, max(0.0, mood.energy + bend.get("livelier", 0.0))),
        mode=bend.get("mode", mood.mode),
        lead=bend.get("lead", mood.lead),
        chords=bend.get("chords", mood.chords),
        air=bend.get("air", mood.air),
    )


def _with_tempo_of(prompt: str, mood: Mood) -> Mood:
    asked = re.search(r"\b(\d{2,3})\s*bpm\b", prompt.lower())
    return mood if asked is None else replace(mood, tempo=min(_FASTEST, max(_SLOWEST, float(asked.group(1)))))
