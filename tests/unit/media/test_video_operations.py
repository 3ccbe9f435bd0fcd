"""Each operation truly works on its inputs: what the caller gave can be found again in the result, by measure."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.media.clip_kit import (
    Rgb,
    counting,
    difference,
    loudest_tone,
    make_picture,
    make_sound,
    make_video,
    marked,
    plain,
    render,
)

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.orders import Role, VideoOperation


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return make_picture(tmp_path / "start.png", marked())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Half a second in which every frame is a little brighter, with a tone of 440 Hz."""
    return make_video(tmp_path / "source.mp4", counting, tone=440.0)


def brightness(frame: Rgb) -> float:
    return float(frame[frame.shape[0] // 2 :, : frame.shape[1] // 2].mean())


def test_from_image_begins_with_the_image_and_then_moves(tmp_path: Path, start: Path) -> None:
    made = render(tmp_path, VideoOperation.FROM_IMAGE, {Role.START_IMAGE: (start,)})
    assert difference(made.frames[0], marked()) < 4
    assert difference(made.frames[-1], marked()) > 6


def test_from_image_ends_on_the_end_image(tmp_path: Path, start: Path) -> None:
    last = marked()[::-1, ::-1].copy()
    end = make_picture(tmp_path / "end.png", last)
    made = render(tmp_path, VideoOperation.FROM_IMAGE, {Role.START_IMAGE: (start,), Role.END_IMAGE: (end,)})
    assert difference(made.frames[0], marked()) < 4
    assert difference(made.frames[-1], last) < 5
    middle = made.frames[len(made.frames) // 2]
    assert min(difference(middle, marked()), difference(middle, last)) > 8


def test_with_only_an_end_image_the_clip_leads_up_to_it(tmp_path: Path, start: Path) -> None:
    made = render(tmp_path, VideoOperation.FROM_IMAGE, {Role.END_IMAGE: (start,)})
    assert difference(made.frames[0], marked()) > 12
    assert difference(made.frames[-1], marked()) < 5


def test_from_image_cuts_what_sticks_out_on_both_sides(tmp_path: Path) -> None:
    wide = np.concatenate([plain((250, 0, 0), 32), marked(), plain((0, 0, 250), 32)], axis=1)
    image = make_picture(tmp_path / "wide.png", wide)
    made = render(tmp_path, VideoOperation.FROM_IMAGE, {Role.START_IMAGE: (image,)})
    assert difference(made.frames[0], marked()) < 4


def test_a_fixed_camera_stays_where_it_is(tmp_path: Path, start: Path) -> None:
    moving, fixed = (
        render(tmp_path, VideoOperation.FROM_IMAGE, {Role.START_IMAGE: (start,)}, options={"camera_fixed": is_fixed})
        for is_fixed in (False, True)
    )
    column = np.abs(np.diff(fixed.frames[-1][12].astype(int).sum(axis=1)))
    assert np.argmax(column[15:30]) + 15 == pytest.approx(64 // 3, abs=2)
    assert difference(moving.frames[-1], marked()) > difference(fixed.frames[-1], marked()) + 2


def test_a_turned_photograph_is_shown_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(marked(), 1).copy()).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    made = render(tmp_path, VideoOperation.FROM_IMAGE, {Role.START_IMAGE: (tmp_path / "phone.jpg",)})
    assert difference(made.frames[0], marked()) < 5


def test_extend_plays_the_whole_source_first(tmp_path: Path, clip: Path) -> None:
    made = render(tmp_path, VideoOperation.EXTEND, {Role.SOURCE_VIDEO: (clip,)}, seconds=1.0)
    assert len(made.frames) == 24
    for number in range(12):
        assert brightness(made.frames[number]) == pytest.approx(20 + 15 * number, abs=4)
    assert difference(made.frames[12], made.frames[11]) < 12
    assert difference(made.frames[-1], made.frames[11]) > 12


def test_extend_arrives_at_the_end_image(tmp_path: Path, clip: Path, start: Path) -> None:
    sources = {Role.SOURCE_VIDEO: (clip,), Role.END_IMAGE: (start,)}
    made = render(tmp_path, VideoOperation.EXTEND, sources, seconds=1.0)
    for number in range(12):
        assert brightness(made.frames[number]) == pytest.approx(20 + 15 * number, abs=4)
    assert difference(made.frames[12], made.frames[11]) < 12
    assert difference(made.frames[-1], marked()) < 5


def test_extend_at_the_start_leads_up_to_the_source(tmp_path: Path, clip: Path) -> None:
    options = {"extend_at": "start"}
    made = render(tmp_path, VideoOperation.EXTEND, {Role.SOURCE_VIDEO: (clip,)}, options=options, seconds=1.0)
    for number in range(12):
        assert brightness(made.frames[12 + number]) == pytest.approx(20 + 15 * number, abs=4)
    assert difference(made.frames[0], made.frames[12]) > 12


@pytest.mark.parametrize("place", ["start", "end"])
def test_extend_keeps_the_sound_where_the_source_plays(tmp_path: Path, clip: Path, place: str) -> None:
    sources = {Role.SOURCE_VIDEO: (clip,)}
    made = render(tmp_path, VideoOperation.EXTEND, sources, options={"extend_at": place}, seconds=1.0, with_audio=True)
    half = 24_000
    own, added = (made.sound[half : 2 * half], made.sound[:half])
    if place == "end":
        own, added = added, own
    assert loudest_tone(own[2_000:-2_000], 48_000) == pytest.approx(440, abs=4)
    assert np.abs(added).max() > 0.01


def test_edit_shows_the_source_in_other_colours(tmp_path: Path) -> None:
    source = make_video(tmp_path / "source.mp4", lambda _: marked())
    made = render(
        tmp_path, VideoOperation.EDIT, {Role.SOURCE_VIDEO: (source,)}, prompt="a fire in the night", width=128
    )
    seen = np.asarray(Image.fromarray(made.frames[6]).convert("L").crop((32, 0, 96, 40)), float)
    given = np.asarray(Image.fromarray(marked()).convert("L"), float)[:40]
    keep = np.ones_like(given, bool)
    keep[:, 40:] = False
    assert np.corrcoef(seen[keep], given[keep])[0, 1] > 0.9
    assert difference(made.frames[6][:, 32:96], marked()) > 10


def test_edit_shows_the_references_at_the_edge(tmp_path: Path) -> None:
    source = make_video(tmp_path / "grey.mp4", lambda _: plain((128, 128, 128), 128, 128))
    picture = make_picture(tmp_path / "green.png", plain((0, 255, 0)))
    sources = {Role.SOURCE_VIDEO: (source,), Role.REFERENCE_IMAGES: (picture,)}
    made = render(tmp_path, VideoOperation.EDIT, sources, width=128, height=128)
    red, green, blue = (made.frames[-1][:40, :40, channel].astype(int) for channel in range(3))
    assert int(((green - red > 100) & (green - blue > 100)).sum()) > 150


def test_edit_keeps_the_sound_unless_a_new_one_is_wanted(tmp_path: Path, clip: Path) -> None:
    sources = {Role.SOURCE_VIDEO: (clip,)}
    kept, new = (
        render(tmp_path, VideoOperation.EDIT, sources, options={"sound": sound}, with_audio=True)
        for sound in ("source", "new")
    )
    assert loudest_tone(kept.sound, 48_000) == pytest.approx(440, abs=4)
    assert np.abs(new.sound).max() > 0.01
    assert loudest_tone(new.sound, 48_000) != pytest.approx(440, abs=1)


def test_edit_longer_than_its_source_plays_it_again(tmp_path: Path, clip: Path) -> None:
    made = render(tmp_path, VideoOperation.EDIT, {Role.SOURCE_VIDEO: (clip,)}, seconds=1.0)
    assert brightness(made.frames[13]) < brightness(made.frames[11]) - 30


def test_upscale_enlarges_raises_the_rate_and_keeps_length_and_sound(tmp_path: Path) -> None:
    source = make_video(tmp_path / "small.mp4", lambda _: marked(48, 32), tone=440.0)
    made = render(
        tmp_path,
        VideoOperation.UPSCALE,
        {Role.SOURCE_VIDEO: (source,)},
        width=192,
        height=128,
        frames_per_second=48.0,
        with_audio=True,
    )
    assert made.size == (192, 128)
    assert len(made.frames) == 24
    assert made.seconds == pytest.approx(0.5, abs=0.01)
    enlarged = np.asarray(Image.fromarray(marked(48, 32)).resize((192, 128), Image.Resampling.BICUBIC))
    assert difference(made.frames[10], enlarged) < 5
    assert loudest_tone(made.sound, 48_000) == pytest.approx(440, abs=4)


def test_upscale_shows_each_frame_at_its_time(tmp_path: Path, clip: Path) -> None:
    made = render(tmp_path, VideoOperation.UPSCALE, {Role.SOURCE_VIDEO: (clip,)}, frames_per_second=48.0)
    for number, frame in enumerate(made.frames):
        assert brightness(frame) == pytest.approx(20 + 15 * (number // 2), abs=4)


def test_a_silent_source_stays_silent(tmp_path: Path) -> None:
    source = make_video(tmp_path / "mute.mp4", counting)
    made = render(tmp_path, VideoOperation.UPSCALE, {Role.SOURCE_VIDEO: (source,)}, with_audio=True)
    assert made.sound_codec is None


def test_reframe_keeps_the_source_whole_on_a_ground(tmp_path: Path) -> None:
    source = make_video(tmp_path / "source.mp4", lambda _: marked())
    made = render(tmp_path, VideoOperation.REFRAME, {Role.SOURCE_VIDEO: (source,)}, width=64, height=112)
    assert difference(made.frames[6][24:88], marked()) < 5
    assert made.frames[6][100:].mean() < marked().mean()
    assert made.frames[6][100:].std() < marked().std()


def test_reframe_puts_the_source_where_it_was_asked_to_be(tmp_path: Path) -> None:
    source = make_video(tmp_path / "source.mp4", lambda _: marked())
    options = {"x_start": 64, "y_start": 64, "x_end": 128, "y_end": 128}
    made = render(
        tmp_path, VideoOperation.REFRAME, {Role.SOURCE_VIDEO: (source,)}, options=options, width=128, height=128
    )
    assert difference(made.frames[6][64:, 64:], marked()) < 5


@pytest.mark.parametrize("box", [(-50, -50, 900, 900), (100, 100, 20, 20), (63, 63, 64, 64), (128, 128, 128, 128)])
def test_reframe_survives_any_box(tmp_path: Path, box: tuple[int, int, int, int]) -> None:
    source = make_video(tmp_path / "source.mp4", lambda _: marked(), frames=2)
    options = dict(zip(("x_start", "y_start", "x_end", "y_end"), box, strict=True))
    sources = {Role.SOURCE_VIDEO: (source,)}
    made = render(tmp_path, VideoOperation.REFRAME, sources, options=options, width=128, height=128, seconds=0.1)
    assert made.size == (128, 128)


def test_lip_sync_carries_the_given_sound(tmp_path: Path, clip: Path) -> None:
    audio = make_sound(tmp_path / "voice.wav", 880.0, 0.5)
    made = render(tmp_path, VideoOperation.LIP_SYNC, {Role.SOURCE_VIDEO: (clip,), Role.AUDIO: (audio,)})
    assert loudest_tone(made.sound, made.sound_rate) == pytest.approx(880, abs=4)


@pytest.mark.parametrize(
    ("mode", "numbers"),
    [
        ("loop", {0: 0, 11: 11, 12: 0, 20: 8}),
        ("bounce", {0: 0, 11: 11, 14: 10, 20: 4}),
        ("cut_off", {0: 0, 11: 11, 12: 11, 23: 11}),
        ("silence", {0: 0, 11: 11, 12: 11, 23: 11}),
        ("remap", {0: 0, 12: 6, 20: 10}),
    ],
)
def test_lip_sync_fits_a_shorter_video_to_the_sound(
    tmp_path: Path, clip: Path, mode: str, numbers: dict[int, int]
) -> None:
    audio = make_sound(tmp_path / "voice.wav", 880.0, 1.0)
    sources = {Role.SOURCE_VIDEO: (clip,), Role.AUDIO: (audio,)}
    made = render(tmp_path, VideoOperation.LIP_SYNC, sources, options={"sync_mode": mode}, seconds=1.0)
    for number, source_number in numbers.items():
        corner = made.frames[number][30:50, :12]
        assert float(corner.mean()) == pytest.approx(20 + 15 * source_number, abs=16 if mode == "bounce" else 5)


def test_an_avatar_speaks_with_the_given_sound(tmp_path: Path, start: Path) -> None:
    audio = make_sound(tmp_path / "voice.wav", 660.0, 0.5)
    made = render(tmp_path, VideoOperation.AVATAR, {Role.START_IMAGE: (start,), Role.AUDIO: (audio,)})
    assert loudest_tone(made.sound, 48_000) == pytest.approx(660, abs=4)
    assert difference(made.frames[0], marked(), slice(48)) < 5
    assert difference(made.frames[-1], made.frames[0], slice(48)) > 1


def test_an_avatar_speaks_its_script_in_tones(tmp_path: Path, start: Path) -> None:
    options = {"script": "Hello, it is me. Is it you?", "voice": "Puck (Male)"}
    made = render(tmp_path, VideoOperation.AVATAR, {Role.START_IMAGE: (start,)}, options=options, seconds=1.5)
    loud = np.abs(made.sound).max(axis=1)
    assert loud.max() > 0.1
    assert made.seconds == pytest.approx(1.5, abs=0.01)
    steps = loud[: len(loud) // 480 * 480].reshape(-1, 480).max(axis=1)
    assert (steps < 0.02).any()


def test_an_avatar_stands_before_the_given_ground(tmp_path: Path, start: Path) -> None:
    ground = make_picture(tmp_path / "ground.png", plain((0, 0, 250), 128, 72))
    sources = {Role.START_IMAGE: (start,), Role.BACKGROUND: (ground,)}
    made = render(tmp_path, VideoOperation.AVATAR, sources, options={"script": "Hi"}, width=128, height=72)
    assert made.frames[6][30:60, 4].mean(axis=0)[2] > 200
    yellow = made.frames[6].astype(int)
    assert int(((yellow[..., 0] > 180) & (yellow[..., 2] < 110)).sum()) > 80


def test_animate_moves_the_character_and_shows_who_leads(tmp_path: Path, start: Path) -> None:
    def walker(number: int) -> Rgb:
        picture = plain((10, 10, 10), 96, 64)
        picture[20:44, 4 + 6 * number : 16 + 6 * number] = 250
        return picture

    driving = make_video(tmp_path / "walk.mp4", walker)
    sources = {Role.SOURCE_VIDEO: (driving,), Role.REFERENCE_IMAGES: (start,)}
    made = render(tmp_path, VideoOperation.ANIMATE, sources, width=128, height=128)
    character = made.frames[1][:80, :80]
    assert int(((character[..., 0] > 190) & (character[..., 2] < 110)).sum()) > 200
    assert difference(made.frames[-1][:80, :64], made.frames[1][:80, :64]) > 1
    inset = made.frames[6][90:126, 70:126].astype(int)
    assert int((inset.max(axis=2) < 60).sum()) > 100


def test_replace_stands_the_character_where_the_video_moves(tmp_path: Path) -> None:
    def waver(left: int) -> Path:
        def draw(number: int) -> Rgb:
            picture = plain((100, 100, 100), 128, 128)
            picture[50:80, left : left + 24] = 250 if number % 2 else 10
            return picture

        return make_video(tmp_path / f"{left}.mp4", draw)

    picture = make_picture(tmp_path / "green.png", plain((0, 200, 0)))
    places = []
    for left in (8, 96):
        sources = {Role.SOURCE_VIDEO: (waver(left),), Role.REFERENCE_IMAGES: (picture,)}
        made = render(tmp_path, VideoOperation.REPLACE, sources, width=128, height=128, seconds=0.5)
        frame = made.frames[-1].astype(int)
        green = (frame[..., 1] - frame[..., 0] > 60) & (frame[..., 1] - frame[..., 2] > 60)
        places.append(float(np.argwhere(green)[:, 1].mean()))
    assert places[0] < 64 - 8 < 64 + 8 < places[1]


def test_captions_follow_the_words_over_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "grey.mp4", lambda _: plain((90, 90, 90), 192, 108))
    options: JsonObject = {"text": "one two three four", "max_chars": 9, "font_size": 14, "position": "center"}
    made = render(
        tmp_path, VideoOperation.CAPTION, {Role.SOURCE_VIDEO: (source,)}, options=options, width=192, height=108
    )

    def spoken(frame: Rgb) -> float:
        band = frame[40:70].astype(int)
        yellow = (band[..., 0] > 170) & (band[..., 1] > 170) & (band[..., 2] < 110)
        assert yellow.any()
        return float(np.argwhere(yellow)[:, 1].mean())

    first_word, second_word = spoken(made.frames[0]), spoken(made.frames[4])
    assert first_word < second_word
    assert spoken(made.frames[6]) < second_word
    assert np.ptp(made.frames[6][80:].astype(int)) < 12


def test_caption_without_any_words_says_so(tmp_path: Path) -> None:
    source = make_video(tmp_path / "grey.mp4", lambda _: plain((90, 90, 90), 192, 108), frames=4)
    sources = {Role.SOURCE_VIDEO: (source,)}
    made = render(
        tmp_path, VideoOperation.CAPTION, sources, options={"color": "no colour"}, prompt="", width=192, height=108
    )
    assert made.frames[2][70:95].max() > 220


def test_references_can_be_seen_and_their_videos_play(tmp_path: Path) -> None:
    def blink(number: int) -> Rgb:
        return plain((255, 0, 0) if number < 6 else (0, 0, 255))

    picture = make_picture(tmp_path / "green.png", plain((0, 255, 0)))
    video = make_video(tmp_path / "blink.mp4", blink)
    sources = {Role.REFERENCE_IMAGES: (picture,), Role.REFERENCE_VIDEOS: (video,)}
    made = render(tmp_path, VideoOperation.REFERENCE, sources, prompt="fog", width=160, height=90)

    def pure(frame: Rgb, channel: int) -> int:
        others = [frame[..., other].astype(int) for other in range(3) if other != channel]
        return int(((frame[..., channel] > 170) & (others[0] < 70) & (others[1] < 70)).sum())

    assert pure(made.frames[3], 1) > 300
    assert (pure(made.frames[3], 0) > 300, pure(made.frames[3], 2) > 300) == (True, False)
    assert (pure(made.frames[10], 0) > 300, pure(made.frames[10], 2) > 300) == (False, True)


def test_a_given_sound_is_laid_under_a_drawn_clip(tmp_path: Path) -> None:
    audio = make_sound(tmp_path / "voice.wav", 523.0, 0.3)
    made = render(tmp_path, VideoOperation.GENERATE, {Role.AUDIO: (audio,)}, with_audio=True)
    assert loudest_tone(made.sound[:14_000], 48_000) == pytest.approx(523, abs=5)
    assert np.abs(made.sound[16_000:]).max() < 0.02


def test_a_clip_without_sound_leaves_a_given_sound_out(tmp_path: Path) -> None:
    audio = make_sound(tmp_path / "voice.wav", 523.0, 0.3)
    made = render(tmp_path, VideoOperation.REFERENCE, {Role.AUDIO: (audio,)}, with_audio=False)
    assert made.sound_codec is None
