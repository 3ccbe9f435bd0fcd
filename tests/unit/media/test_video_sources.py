"""A caller's video as it is decoded: upright, at its own times, in any direction, and refused in words when broken."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from tests.unit.media.clip_kit import counting, make_picture, make_sound, make_video, marked, order, plain, render

from pixeldojo.media import planes
from pixeldojo.media.clips.pictures import load_picture
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.orders import Role, VideoOperation
from pixeldojo.media.video import render_video
from pixeldojo.media.video_source import VideoSource, open_video


def numbers(source: VideoSource, moments: list[float]) -> list[int]:
    """Which frames of a counting video are seen at these moments."""
    seen = (float(planes.planes_of(frame).y.mean()) for frame in source.walk(moments))
    return [round(((luma - 16) * 255 / 219 - 20) / 15) for luma in seen]


def test_what_a_video_is(tmp_path: Path) -> None:
    source = open_video(make_video(tmp_path / "a.mp4", lambda _: marked(96, 64), frames=10, rate=25, tone=300.0))
    assert (source.width, source.height) == (96, 64)
    assert source.frames_per_second == 25
    assert source.seconds == pytest.approx(0.4)
    assert source.has_sound


def test_each_moment_shows_its_frame(tmp_path: Path) -> None:
    source = open_video(make_video(tmp_path / "a.mp4", counting))
    assert numbers(source, [number / 24 for number in range(12)]) == list(range(12))
    assert numbers(source, [number / 48 for number in range(6)]) == [0, 0, 1, 1, 2, 2]
    assert numbers(source, [-1.0, 0.0, 99.0]) == [0, 0, 11]


def test_times_rounded_by_the_container_still_find_their_frames(tmp_path: Path) -> None:
    """Matroska keeps whole milliseconds: 1/24 s becomes 42 ms."""
    source = open_video(make_video(tmp_path / "a.mkv", counting, codec="libx264"))
    assert numbers(source, [number / 24 for number in range(12)]) == list(range(12))


def test_uneven_frames_are_seen_when_they_are_due(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", counting, frames=4, times=[0, 100, 400, 450])
    assert numbers(open_video(path), [0.0, 0.09, 0.1, 0.39, 0.41, 0.46]) == [0, 0, 1, 1, 2, 3]


def test_stepping_back_and_starting_over(tmp_path: Path) -> None:
    def two_key_frames(stream: VideoStream) -> None:
        stream.gop_size = 6

    source = open_video(make_video(tmp_path / "a.mp4", counting, mangle=two_key_frames))
    assert numbers(source, [0.3, 0.0, 0.3]) == [7, 0, 7]
    falling = [number / 24 for number in range(11, -1, -1)]
    lumas = [float(planes.planes_of(frame).y.mean()) for frame in source.walk_back(falling)]
    assert lumas == sorted(lumas, reverse=True)
    assert len(lumas) == 12


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    turned = np.rot90(marked(64, 96), -1).copy()
    path = make_video(tmp_path / "phone.mp4", lambda _: turned, rotation=90)
    source = open_video(path)
    assert (source.width, source.height) == (64, 96)
    made = render(tmp_path, VideoOperation.UPSCALE, {Role.SOURCE_VIDEO: (path,)}, width=64, height=96)
    seen = made.frames[3].astype(float)
    assert np.abs(seen - marked(64, 96))[40:].mean() < 5
    assert np.abs(seen - marked(64, 96))[:, :12].mean() < 6


def test_wide_pixels_are_made_square(tmp_path: Path) -> None:
    def anamorphic(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    source = open_video(make_video(tmp_path / "wide.mp4", lambda _: marked(), mangle=anamorphic))
    assert (source.width, source.height) == (128, 64)
    assert (source.first().width, source.first().height) == (128, 64)


def test_a_length_that_is_not_written_down_is_counted(tmp_path: Path) -> None:
    """Browsers record to WebM without a length."""
    path = make_video(tmp_path / "recorded.webm", counting, codec="libvpx")
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88")  # Duration, an eight-byte number; becomes an element that readers skip
    content[at : at + 2] = b"\xec\x89"
    path.write_bytes(content)
    with av.open(path) as container:
        assert container.duration is None
    assert open_video(path).seconds == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_video_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    dice = np.random.default_rng(1)
    path = make_video(tmp_path / "whole.mp4", lambda _: dice.integers(0, 255, (64, 64, 3)).astype(np.uint8))
    whole = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UnreadableMedia, match="whole"):
        render_video(order(operation=VideoOperation.UPSCALE, sources={Role.SOURCE_VIDEO: (cut,)}), tmp_path)


def test_a_fast_start_video_cut_short_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    whole = render_video(order(seconds=1.0), tmp_path)[0].read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: whole.index(b"mdat") + 200])
    with pytest.raises(UnreadableMedia, match="cut short"):
        open_video(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a video at all",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"<html>no</html>",
    ],
    ids=["empty", "text", "playlist", "concat", "html"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "upload.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableMedia, match="send a whole MP4"):
        open_video(path)


def test_sound_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match="no pictures"):
        open_video(make_sound(tmp_path / "a.wav", 440.0, 0.1))


def test_a_video_is_no_sound(tmp_path: Path) -> None:
    mute = make_video(tmp_path / "mute.mp4", counting)
    sources = {Role.SOURCE_VIDEO: (mute,), Role.AUDIO: (mute,)}
    with pytest.raises(UnreadableMedia, match="no sound"):
        render_video(order(operation=VideoOperation.LIP_SYNC, sources=sources), tmp_path)


@pytest.mark.parametrize("size", [(2, 2), (2, 256), (256, 2)])
@pytest.mark.parametrize("operation", [VideoOperation.UPSCALE, VideoOperation.EDIT, VideoOperation.EXTEND])
def test_the_oddest_shapes_are_worked_on(tmp_path: Path, operation: VideoOperation, size: tuple[int, int]) -> None:
    tiny = make_video(tmp_path / "tiny.mp4", lambda _: plain((200, 60, 30), *size), frames=3)
    made = render(tmp_path, operation, {Role.SOURCE_VIDEO: (tiny,)}, seconds=0.3)
    assert made.size == (64, 64)
    assert len(made.frames) == 7


def test_a_broken_picture_is_refused(tmp_path: Path) -> None:
    path = make_picture(tmp_path / "a.png", marked())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableMedia, match="picture"):
        load_picture(path)


def test_a_huge_picture_is_brought_to_a_workable_size(tmp_path: Path) -> None:
    path = make_picture(tmp_path / "long.png", plain((9, 9, 9), 9_000, 20))
    assert load_picture(path).width == 4_096
