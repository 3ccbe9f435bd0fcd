"""A caller's sound as it is decoded: at the right pitch and time, as long as needed, refused when there is none."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.media.clip_kit import counting, loudest_tone, make_sound, make_video, sine

from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.sound_source import decode_audio, fit_sound, loudness_curve, silence, sound_seconds


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_resampling_keeps_pitch_and_length(tmp_path: Path, rate: int) -> None:
    path = make_sound(tmp_path / "a.wav", 523.0, 0.8, rate=22_050)
    sound = np.concatenate(list(decode_audio(path, rate)))
    assert sound.dtype == np.float32
    assert sound.shape[1] == 2
    assert len(sound) == pytest.approx(0.8 * rate, abs=rate * 0.003)
    assert loudest_tone(sound, rate) == pytest.approx(523, abs=2)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.05)


def test_blocks_are_small(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.wav", 440.0, 5.0)
    assert max(len(block) for block in decode_audio(path, 48_000)) < 48_000


@pytest.mark.parametrize(("starts_at", "silent"), [(-0.25, 0.25), (0.0, 0.0)])
def test_sound_that_comes_later_than_the_pictures_is_preceded_by_silence(
    tmp_path: Path, starts_at: float, silent: float
) -> None:
    path = make_sound(tmp_path / "a.wav", 440.0, 0.5)
    sound = np.concatenate(list(decode_audio(path, 16_000, starts_at)))
    assert len(sound) == pytest.approx((0.5 + silent) * 16_000, abs=80)
    assert (sound[: round(silent * 16_000)] == 0).all()


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.wav", 440.0, 0.5)
    assert len(np.concatenate(list(decode_audio(path, 16_000, 0.2)))) == pytest.approx(0.3 * 16_000, abs=80)


@pytest.mark.parametrize("samples", [0, 1, 3_000, 8_000, 100_000])
def test_fitting_is_exact(samples: int) -> None:
    fitted = list(fit_sound(iter([sine(440, 0.25, 16_000), sine(440, 0.25, 16_000)]), samples))
    assert sum(map(len, fitted)) == samples
    assert sum(len(block) for block in silence(samples)) == samples


def test_loudness_follows_the_sound(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.wav", 440.0, 0.5)
    curve = loudness_curve(path, 10.0, 10)
    assert curve[:4] == pytest.approx([1, 1, 1, 1], abs=0.1)
    assert curve[6:] == pytest.approx([0, 0, 0, 0], abs=0.01)


def test_length_is_measured_by_decoding(tmp_path: Path) -> None:
    assert sound_seconds(make_sound(tmp_path / "a.wav", 440.0, 0.7)) == pytest.approx(0.7, abs=0.01)


def test_no_sound_and_no_file_of_ours_are_refused(tmp_path: Path) -> None:
    mute = make_video(tmp_path / "mute.mp4", counting)
    with pytest.raises(UnreadableMedia, match="no sound"):
        next(decode_audio(mute, 16_000))
    (tmp_path / "text.mp3").write_text("just words")
    with pytest.raises(UnreadableMedia, match="send a whole"):
        next(decode_audio(tmp_path / "text.mp3", 16_000))
