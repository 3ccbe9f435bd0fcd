"""Every clip, whatever is in it: exact size, rate, length and format, the same bytes twice, honest about itself."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.unit.media.clip_kit import AllChanges, make_video, order, plain, read_clip, render

from pixeldojo.media.orders import Role, VideoOperation
from pixeldojo.media.video import render_video


def test_a_clip_has_exactly_the_ordered_size_rate_and_length(tmp_path: Path) -> None:
    clip = read_clip(render_video(order(width=96, height=54, seconds=0.7, frames_per_second=30.0), tmp_path)[0])
    assert clip.size == (96, 54)
    assert clip.rate == 30
    assert len(clip.frames) == 21
    assert clip.seconds == pytest.approx(0.7, abs=0.001)
    assert (clip.picture_codec, clip.pixel_format) == ("h264", "yuv420p")


def test_without_sound_there_is_no_sound_track(tmp_path: Path) -> None:
    assert read_clip(render_video(order(), tmp_path)[0]).sound_codec is None


def test_the_sound_track_is_as_long_as_the_pictures(tmp_path: Path) -> None:
    clip = read_clip(render_video(order(with_audio=True, seconds=0.9), tmp_path)[0])
    assert clip.sound_codec == "aac"
    assert clip.seconds == pytest.approx(22 / 24, abs=0.002)
    # AAC comes in blocks of 1,024 samples; the last one may be padded.
    assert 0 <= len(clip.sound) - 44_000 <= 1_024
    assert 0.01 < np.abs(clip.sound).max() <= 1


def test_the_index_lies_before_the_pictures_so_that_playing_starts_at_once(tmp_path: Path) -> None:
    content = render_video(order(), tmp_path)[0].read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("asked", "exact"),
    [
        (23.976, Fraction(24_000, 1_001)),
        (29.97, Fraction(30_000, 1_001)),
        (12.5, Fraction(25, 2)),
        (60, Fraction(60)),
        (5, Fraction(5)),
    ],
)
def test_rates_are_exact(tmp_path: Path, asked: float, exact: Fraction) -> None:
    clip = read_clip(render_video(order(frames_per_second=asked, seconds=0.4), tmp_path)[0])
    assert clip.rate == exact
    assert len(clip.frames) == round(exact * 2 / 5)


def test_odd_sides_are_rounded_up_because_the_codec_has_only_even_ones(tmp_path: Path) -> None:
    assert read_clip(render_video(order(width=63, height=51), tmp_path)[0]).size == (64, 52)


@pytest.mark.parametrize(("file_format", "picture", "sound"), [("mov", "h264", "aac"), ("webm", "vp9", "opus")])
def test_other_containers(tmp_path: Path, file_format: str, picture: str, sound: str) -> None:
    path = render_video(order(file_format=file_format, with_audio=True), tmp_path)[0]
    clip = read_clip(path)
    assert path.suffix == f".{file_format}"
    assert (clip.picture_codec, clip.sound_codec, len(clip.frames)) == (picture, sound, 12)
    assert "PixelDojo sandbox" in clip.tags["comment"]


@pytest.mark.parametrize("file_format", ["mp4", "webm"])
def test_the_same_order_gives_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    made = order(with_audio=True, file_format=file_format, seconds=0.3)
    first, second = (render_video(made, tmp_path)[0] for _ in range(2))
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_other_seeds_and_further_clips_are_other_pictures(tmp_path: Path) -> None:
    one, two = render_video(order(count=2, seconds=0.2), tmp_path)
    other = render_video(order(seed=6, seconds=0.2), tmp_path)[0]
    assert len({path.read_bytes() for path in (one, two, other)}) == 3


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    tags = read_clip(render_video(order(prompt="two\nlines\x00 and ünïcode"), tmp_path)[0]).tags
    assert tags["comment"] == "PixelDojo sandbox; model test-model; seed 5"
    assert tags["title"] == "two lines and ünïcode"


def test_every_frame_carries_the_mark(tmp_path: Path) -> None:
    source = make_video(tmp_path / "grey.mp4", lambda _: plain((120, 120, 120)))
    clip = render(tmp_path, VideoOperation.UPSCALE, {Role.SOURCE_VIDEO: (source,)}, width=128, height=128)
    for frame in clip.frames:
        marked_corner = frame[:24, 64:].astype(int)
        assert marked_corner.max() - marked_corner.min() > 90
        assert np.ptp(frame[40:, :64].astype(int)) < 12


def test_the_prompt_can_be_read_in_a_drawn_clip(tmp_path: Path) -> None:
    worded, wordless = (
        read_clip(render_video(order(prompt=prompt, width=192, height=108), tmp_path)[0]).frames[5]
        for prompt in ("plain grey fog", "")
    )
    white = [int((frame[84:] > 225).all(axis=2).sum()) for frame in (worded, wordless)]
    assert white[0] > white[1] + 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seconds": 601.0}, "at most 600 s"),
        ({"seconds": 0.0}, "over 0"),
        ({"width": 10_000, "height": 10_000}, "pixels a frame"),
        ({"width": 0}, "pixels a frame"),
        ({"frames_per_second": 0.5}, "1 to 120"),
        ({"frames_per_second": 500.0}, "1 to 120"),
        ({"file_format": "avi"}, "mp4, mov, webm"),
        ({"operation": VideoOperation.UPSCALE}, "source_video"),
        ({"operation": VideoOperation.FROM_IMAGE}, "start_image"),
        ({"operation": VideoOperation.AVATAR}, "start_image"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(tmp_path: Path, changes: AllChanges, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render_video(order(**changes), tmp_path)
