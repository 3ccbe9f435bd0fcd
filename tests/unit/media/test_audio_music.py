"""Music and sounds: exactly as long as asked, the same bytes twice, music and not noise, and what the words say."""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import pytest
from tests.unit.media.clip_kit import Rgb, Sound, make_sound, make_video, plain, read_sound

from pixeldojo.media.audio import render_music
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.music.mix import play_music
from pixeldojo.media.music.mood import read_mood
from pixeldojo.media.music.score import write_score
from pixeldojo.media.orders import AudioOperation, AudioOrder, Role, Sources

_KINDS = (
    "ambient", "meditation", "lofi", "jazz", "blues", "solo piano", "guitar", "folk", "country", "orchestral",
    "classical", "strings", "cinematic", "epic", "techno", "house", "edm", "trance", "synthwave", "rock", "metal",
    "pop", "funk", "hip hop", "trap", "reggae", "bossa nova", "latin", "8-bit chiptune", "waltz", "lullaby", "march",
)  # fmt: skip


class Changes(TypedDict, total=False):
    """What a test orders otherwise than `music` does."""

    prompt: str
    seconds: float
    operation: AudioOperation
    file_format: str
    sample_rate: int
    bit_rate: int
    sources: Sources


def music(**changes: Unpack[Changes]) -> AudioOrder:
    base = AudioOrder("text-to-music", "calm piano", 3, 1.0, file_format="wav", sample_rate=16_000)
    return replace(base, **changes)


def played(prompt: str, seconds: float, rate: int = 16_000, seed: int = 3) -> Sound:
    return np.concatenate(list(play_music(prompt, seed, round(seconds * rate), rate)))


def flatness(sound: Sound) -> float:
    """How noise-like a sound is: near 1 for white noise, near 0 for tones."""
    power = np.abs(np.fft.rfft(sound.mean(axis=1))) ** 2 + 1e-9
    return float(np.exp(np.log(power).mean()) / power.mean())


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_wav_is_exact_to_the_sample(tmp_path: Path, rate: int) -> None:
    codec, seen_rate, sound = read_sound(render_music(music(seconds=0.71, sample_rate=rate), tmp_path)[0])
    assert (codec, seen_rate, sound.shape) == ("pcm_s16le", rate, (round(0.71 * rate), 2))


@pytest.mark.parametrize("bit_rate", [128_000, 192_000])
def test_mp3_is_exact_to_a_frame_and_has_its_bit_rate(tmp_path: Path, bit_rate: int) -> None:
    path = render_music(music(file_format="mp3", sample_rate=44_100, bit_rate=bit_rate, seconds=2.0), tmp_path)[0]
    codec, rate, sound = read_sound(path)
    assert codec is not None
    assert codec.startswith("mp3")
    assert rate == 44_100
    assert abs(len(sound) - 88_200) <= 1_152
    assert path.stat().st_size * 8 / 2.0 == pytest.approx(bit_rate, rel=0.08)


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
def test_the_same_order_gives_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    made = music(file_format=file_format, sample_rate=44_100, seconds=0.5)
    contents = {render_music(made, tmp_path)[0].read_bytes() for _ in range(2)}
    assert len(contents) == 1
    assert render_music(replace(made, seed=4), tmp_path)[0].read_bytes() not in contents


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_is_music(kind: str) -> None:
    sound = played(kind, 4.0, 8_000)
    assert np.isfinite(sound).all()
    assert 0.05 < np.abs(sound).max() <= 1
    assert 0.01 < float(np.sqrt((sound**2).mean())) < 0.5
    assert abs(float(sound.mean())) < 0.02
    assert flatness(sound) < 0.1


def test_it_neither_starts_nor_stops_with_a_click() -> None:
    sound = played("techno", 2.0)
    assert np.abs(sound[:4]).max() < 0.02
    assert np.abs(sound[-4:]).max() < 0.02


@pytest.mark.parametrize("seconds", [0.01, 0.2, 600.0])
def test_any_length_is_filled_exactly_in_bounded_blocks(seconds: float) -> None:
    rate = 8_000 if seconds < 100 else 1_000
    blocks = [len(block) for block in play_music("pop", 1, round(seconds * rate), rate)]
    assert sum(blocks) == round(seconds * rate)
    assert max(blocks) <= 65_536


def test_words_choose_tempo_mode_instruments_and_surroundings() -> None:
    assert read_mood("fast techno", 1).tempo > read_mood("techno", 1).tempo > read_mood("slow ambient", 1).tempo
    assert read_mood("pop song at 101 BPM", 1).tempo == 101
    assert read_mood("sad piano", 1).mode == "minor"
    assert read_mood("happy piano", 1).mode == "major"
    assert read_mood("sad piano", 1).lead == "piano"
    assert read_mood("lo-fi, rainy evening", 1).air == "rain"
    assert read_mood("an 8-bit tune", 1).lead == "square"
    assert read_mood("a bit of hip hop for 8 people", 1).lead != "square"
    assert read_mood("romantic waltz", 1).beats_per_bar == 3


def test_the_asked_tempo_can_be_heard() -> None:
    """At 120 beats a minute, house has a kick every half second."""
    rate = 8_000
    sound = played("house 120 bpm", 12.0, rate).mean(axis=1)
    window = rate // 50
    power = (sound[: len(sound) // window * window].reshape(-1, window) ** 2).mean(axis=1)
    onsets = np.maximum(0, np.diff(np.log(power + 1e-5)))
    strength = [float((onsets[lag:] * onsets[:-lag]).mean()) for lag in range(10, 60)]
    assert (np.argmax(strength) + 10) % 25 == pytest.approx(0, abs=1)


def test_melody_and_harmony_stay_in_the_mode() -> None:
    mood = read_mood("happy pop", 9)
    scale = {(mood.root + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
    pitched = [note for note in write_score(mood, 30.0) if note.pitch]
    assert len(pitched) > 50
    assert {note.pitch % 12 for note in pitched} <= scale
    assert pitched[-1].pitch % 12 in {(mood.root + step) % 12 for step in (0, 4, 7, 11)}


def test_a_score_fits_its_length() -> None:
    for seconds in (0.3, 5.0, 17.3, 300.0):
        score = write_score(read_mood("rock", 2), seconds)
        assert score
        assert score == sorted(score, key=lambda note: note.start)
        assert max(note.start for note in score) < seconds


def test_a_song_with_words_has_a_voice(tmp_path: Path) -> None:
    order = music(prompt="pop", seconds=4.0)
    instrumental, sung = (
        render_music(replace(order, options={"instrumental": flag}), tmp_path)[0].read_bytes() for flag in (True, False)
    )
    assert instrumental != sung
    assert "voice" in {note.instrument for note in write_score(read_mood("pop", 3), 8.0, with_voice=True)}


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    content = render_music(music(file_format="mp3", sample_rate=44_100), tmp_path)[0].read_bytes()
    for text in ("PixelDojo sandbox; model text-to-music; seed 3", "calm piano"):
        assert text.encode() in content


def test_sound_for_a_video_swells_where_it_moves(tmp_path: Path) -> None:
    def scene(number: int) -> Rgb:
        picture = plain((40, 40, 40))
        if number >= 24:
            picture[10:50, (number * 7) % 40 : (number * 7) % 40 + 20] = 220
        return picture

    video = make_video(tmp_path / "a.mp4", scene, frames=48)
    made = music(operation=AudioOperation.SOUND, prompt="ambient", seconds=2.0, sources={Role.SOURCE_VIDEO: (video,)})
    _, rate, sound = read_sound(render_music(made, tmp_path)[0])
    assert len(sound) == 2 * rate
    calm, lively = (
        float(np.sqrt((sound[round(a * rate) : round(b * rate)] ** 2).mean())) for a, b in ((0.2, 0.8), (1.1, 1.7))
    )
    assert lively > 1.3 * calm


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seconds": 0.0}, "at most 600 s"),
        ({"seconds": 601.0}, "at most 600 s"),
        ({"sample_rate": 96_000}, "8,000 to 48,000 Hz"),
        ({"file_format": "flac"}, "mp3, wav"),
        ({"operation": AudioOperation.SOUND}, "source_video"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(tmp_path: Path, changes: Changes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render_music(music(**changes), tmp_path)


def test_a_sound_for_what_is_no_video_is_refused(tmp_path: Path) -> None:
    no_video = make_sound(tmp_path / "a.wav", 440, 0.2)
    with pytest.raises(UnreadableMedia):
        render_music(music(operation=AudioOperation.SOUND, sources={Role.SOURCE_VIDEO: (no_video,)}), tmp_path)
