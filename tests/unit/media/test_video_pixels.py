"""The ground under the clips: plane arithmetic, soft edges between pixels, a camera, and watching movement."""

from pathlib import Path

import numpy as np
import pytest
from av import VideoFrame
from PIL import Image
from tests.unit.media.clip_kit import Rgb, difference, make_video, marked, plain

from pixeldojo.media import planes
from pixeldojo.media.canvas import Canvas
from pixeldojo.media.clips.motion import Follower, watch_motion
from pixeldojo.media.clips.pictures import Camera, Still, read_camera
from pixeldojo.media.sprite import Lettered, sprite_from_image
from pixeldojo.media.video_source import open_video


def rgb(frame: VideoFrame) -> Rgb:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


@pytest.mark.parametrize("colour", [(200, 30, 60), (10, 120, 240), (128, 128, 128), (255, 255, 255), (0, 0, 0)])
def test_colours_survive(colour: tuple[int, int, int]) -> None:
    seen = rgb(Canvas(32, 32).from_rgb(plain(colour, 32, 32)))
    assert np.abs(seen.astype(int) - colour).max() <= 4


def test_a_canvas_never_gives_out_the_frame_it_was_given() -> None:
    canvas = Canvas(64, 64)
    frame = canvas.from_rgb(marked())
    for made in (canvas.stretch(frame), canvas.cover(frame), canvas.whole(frame)):
        planes.planes_of(made).y[...] = 0
    assert difference(rgb(frame), marked()) < 4


def test_a_frame_may_be_cut_anywhere_and_at_odd_sizes() -> None:
    frame = Canvas(64, 64).from_rgb(marked())
    for left, top, width, height in ((0, 0, 1, 1), (63, 63, 1, 1), (5, 3, 31, 17), (1, 1, 63, 63)):
        cut = planes.crop(frame, left, top, width, height)
        assert (cut.width, cut.height) == (width, height)
        assert (planes.planes_of(cut).y == planes.planes_of(frame).y[top : top + height, left : left + width]).all()


def test_mixing_goes_from_one_to_the_other() -> None:
    canvas = Canvas(16, 16)
    dark, bright = canvas.from_rgb(plain((0, 0, 0), 16, 16)), canvas.from_rgb(plain((255, 255, 255), 16, 16))
    lumas = [planes.planes_of(planes.mix(dark, bright, share)).y.mean() for share in (0, 0.25, 0.5, 1)]
    assert lumas == pytest.approx([16, 71, 125, 235], abs=2)


def test_a_sprite_moves_by_fractions_of_a_pixel() -> None:
    """Its middle of mass goes where it is told to, also between pixels, and past the edge it is cut."""
    white = sprite_from_image(Image.new("RGBA", (10, 10), (255, 255, 255, 255)))
    canvas = Canvas(40, 40)
    for place in (4.0, 4.25, 4.5, 4.9, 11.3):
        frame = canvas.from_rgb(plain((0, 0, 0), 40, 40))
        white.lay(frame, place, 8.0)
        mass = planes.planes_of(frame).y.astype(float).sum(axis=0) - 16 * 40
        assert float((mass * np.arange(40)).sum() / mass.sum()) == pytest.approx(place + 4.5, abs=0.05)
    for left, top in ((-5, -5), (35.5, 36.5), (-50, 3), (3, 90)):
        white.lay(canvas.from_rgb(plain((0, 0, 0), 40, 40)), left, top)


def test_a_sprite_may_be_half_there() -> None:
    frame = Canvas(16, 16).from_rgb(plain((0, 0, 0), 16, 16))
    sprite_from_image(Image.new("RGBA", (8, 8), (255, 255, 255, 255))).lay(frame, 4, 4, 0.5)
    assert int(planes.planes_of(frame).y[8, 8]) == pytest.approx(125, abs=2)
    assert planes.planes_of(frame).y[0, 0] == 16


def test_lettering_can_fade_while_the_mark_stays() -> None:
    lettered = Lettered("a prompt in words", 192, 108)
    grey = Canvas(192, 108).from_rgb(plain((90, 90, 90), 192, 108))
    with_words, without = planes.copy_frame(grey), planes.copy_frame(grey)
    lettered.stamp(with_words, 1.0)
    lettered.stamp(without, 0.0)
    assert np.ptp(rgb(with_words)[85:].astype(int)) > 90
    assert np.ptp(rgb(without)[85:].astype(int)) < 8
    assert np.ptp(rgb(without)[:30, 100:].astype(int)) > 90


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (40, 200), (4096, 2)])
def test_frames_too_small_for_words_are_left_alone_or_lettered_within(size: tuple[int, int]) -> None:
    frame = Canvas(*size).from_rgb(plain((90, 90, 90), *size))
    Lettered("many words that cannot all stand in here", *size).stamp(frame, 1.0)
    assert (frame.width, frame.height) == size


def test_a_camera_at_rest_sees_the_whole_picture_and_in_motion_a_part() -> None:
    still = Still(VideoFrame.from_ndarray(marked(), format="rgb24"), Canvas(64, 64))
    camera = Camera(zoom=1.0, across=-1.0, down=-1.0)
    assert difference(rgb(still.seen_by(camera, 0.0)), marked()) < 4
    close = np.asarray(Image.fromarray(marked()[:32, :32]).resize((64, 64), Image.Resampling.BICUBIC))
    assert difference(rgb(still.seen_by(camera, 1.0)), close) < 5


def test_words_move_the_camera() -> None:
    assert read_camera("pan right over the hills", 0).across > 0 > read_camera("pan left", 0).across
    assert read_camera("tilt down", 0).down > 0 > read_camera("look up", 0).down
    assert read_camera("static shot", 0).zoom == 0
    assert read_camera("zoom in", 0).zoom > read_camera("hills", 0).zoom > 0


def test_the_follower_finds_where_something_moves() -> None:
    follower = Follower()
    canvas = Canvas(96, 54)
    for number in range(30):
        picture = plain((60, 60, 60), 96, 54)
        picture[4:16, 70:90] = 250 if number % 2 else 0
        place = follower.look(canvas.from_rgb(picture))
    assert place[0] > 0.4
    assert place[1] < -0.4


def test_motion_and_cuts_are_noticed(tmp_path: Path) -> None:
    def scene(number: int) -> Rgb:
        if number >= 24:
            return plain((230, 210, 20))
        picture = plain((30, 30, 60))
        left = min(number, 12) * 4
        picture[10:30, left : left + 16] = 200
        return picture

    path = make_video(tmp_path / "a.mp4", scene, frames=36)
    curve = watch_motion(open_video(path), 1.5)
    assert curve.cuts == pytest.approx([1.0], abs=0.11)
    assert curve.between(0.1, 0.4, 10).mean() > 3 * curve.between(0.7, 0.9, 10).mean()
