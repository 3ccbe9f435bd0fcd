"""Tones shaped like speech: as many syllables as the text, in the time there is, high or low by the voice's name."""

import numpy as np
import pytest
from tests.unit.media.clip_kit import Sound

from pixeldojo.media.speech import read_syllables, speech_like, speech_seconds


def spoken(text: str, voice: str = "", seconds: float = 2.0, rate: int = 16_000) -> Sound:
    return np.concatenate(list(speech_like(text, voice, round(seconds * rate), rate)))


def pitch_of(sound: Sound, rate: int) -> float:
    """The pitch by self-likeness, between 70 and 350 hertz."""
    middle = sound[len(sound) // 4 : len(sound) // 4 + rate // 5, 0]
    likeness = np.correlate(middle, middle, "full")[len(middle) :]
    shortest, longest = rate // 350, rate // 70
    return rate / (float(np.argmax(likeness[shortest:longest])) + shortest + 1)


@pytest.mark.parametrize(
    ("text", "count"),
    [("hello", 2), ("a banana", 4), ("name", 1), ("the sandbox speaks", 4), ("42", 1), ("日本", 1), ("", 1), ("?!", 1)],
)
def test_syllables_are_counted(text: str, count: int) -> None:
    assert sum(1 for syllable in read_syllables(text) if syllable.vowel) == count


def test_longer_texts_take_longer_and_commas_make_pauses() -> None:
    assert speech_seconds("one two three four five six") > speech_seconds("one two three")
    assert speech_seconds("one, two, three") > speech_seconds("one two three")
    assert 60 < speech_seconds("every good word " * 60) < 90


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1.0, 7.77])
def test_it_is_exactly_as_long_as_asked(seconds: float) -> None:
    assert len(spoken("Hello, how are you?", seconds=seconds)) == round(seconds * 16_000)


def test_it_is_loud_while_it_speaks_and_silent_in_pauses() -> None:
    sound = spoken("ma ma ma ma. . . . ma ma ma ma", seconds=4.0)
    loud = np.abs(sound).max(axis=1)
    assert 0.2 < loud.max() <= 1
    assert np.abs(sound[round(1.9 * 16_000) : round(2.1 * 16_000)]).max() < 0.01


def test_male_voices_are_lower_than_female_ones() -> None:
    low, high = (pitch_of(spoken("ah ah ah ah ah ah", voice), 16_000) for voice in ("Puck (Male)", "Kore (Female)"))
    assert 80 < low < 150 < high < 300


def test_the_same_words_sound_the_same_and_other_words_do_not() -> None:
    assert (spoken("good morning") == spoken("good morning")).all()
    assert (spoken("good morning") != spoken("good evening")).any()
