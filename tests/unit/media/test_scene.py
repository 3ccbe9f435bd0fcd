"""Drawn pictures: the same every time, different for every prompt, alike for like prompts, and in smooth motion."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from pixeldojo.media.drawing.vocabulary import Mood, Place, Subject, read_prompt
from pixeldojo.media.scene import compose

PLACES = {
    Place.SEA: "the ocean at sunset",
    Place.LAKE: "a lake at dawn",
    Place.MOUNTAINS: "mountains in the snow",
    Place.HILLS: "a meadow with a cottage",
    Place.FOREST: "a misty forest with a fox",
    Place.DESERT: "dunes of the sahara",
    Place.CITY: "tokyo at night",
    Place.SPACE: "a galaxy with a rocket",
    Place.UNDERWATER: "a reef underwater",
    Place.SKY: "clouds and a balloon",
    Place.STUDIO: "portrait of a man",
    Place.ABSTRACT: "an abstract swirl",
}
each_place = pytest.mark.parametrize(("place", "prompt"), PLACES.items())


@each_place
def test_a_picture_has_the_size_asked_for_and_something_to_see(place: Place, prompt: str) -> None:
    assert read_prompt(prompt).place is place
    picture = compose(prompt, 1).paint(160, 96)
    assert picture.shape == (96, 160, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 8, "not one flat colour"
    steps = np.abs(np.diff(picture.astype(int), axis=1)).mean()
    assert steps < 0.5 * picture.std(), "shapes, not noise: neighbours resemble one another"


@each_place
def test_the_same_words_and_seed_draw_the_same_pixels(place: Place, prompt: str) -> None:
    first, second = compose(prompt, 5), compose(prompt, 5)
    second.paint(96, 96, 0.7)
    assert np.array_equal(first.paint(96, 64, 0.25), second.paint(96, 64, 0.25))


@each_place
def test_another_seed_draws_another_picture(place: Place, prompt: str) -> None:
    assert not np.array_equal(compose(prompt, 1).paint(96, 64), compose(prompt, 2).paint(96, 64))


@each_place
def test_a_clip_moves_and_moves_smoothly(place: Place, prompt: str) -> None:
    scene = compose(prompt, 3)
    frames = [scene.paint(128, 72, time).astype(int) for time in (0.0, 0.5, 0.51)]
    across_half = np.abs(frames[1] - frames[0]).mean()
    across_one_frame = np.abs(frames[2] - frames[1]).mean()
    assert across_half > 0
    assert across_one_frame <= across_half


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16), (700, 20), (33, 257)])
def test_any_size_can_be_painted(size: tuple[int, int]) -> None:
    for prompt in PLACES.values():
        assert compose(prompt, 1).paint(*size, 0.5).shape == (size[1], size[0], 3)


def test_pixels_do_not_depend_on_the_process() -> None:
    program = (
        "import hashlib; from pixeldojo.media.scene import compose;"
        "print(hashlib.sha256(compose('a fox in an unheard-of woodland', 9).paint(64, 64).tobytes()).hexdigest())"
    )
    here = hashlib.sha256(compose("a fox in an unheard-of woodland", 9).paint(64, 64).tobytes()).hexdigest()
    environment = {"PYTHONHASHSEED": "123", "LC_ALL": "C", "TZ": "Asia/Kathmandu"}
    other = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == here


def test_prompts_that_share_words_look_more_alike_than_others() -> None:
    def colours(prompt: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.asarray(compose(prompt, 4).paint(48, 48).reshape(-1, 3).mean(axis=0), np.float64)

    calm = colours("sunset over the calm ocean")
    wild = colours("sunset over the wild ocean")
    other = colours("a green jungle in spring")
    assert np.linalg.norm(calm - wild) < np.linalg.norm(calm - other)


def test_every_prompt_gets_its_own_picture() -> None:
    prompts = ["", "?", "qwertz", "qwertz plim", "日本の山", "a", "b", "x" * 10_000, "12 34", "\x00\n"]
    pictures = {compose(prompt, 1).paint(48, 32).tobytes() for prompt in prompts}
    assert len(pictures) == len(prompts)


@pytest.mark.parametrize(
    ("prompt", "mood", "subject"),
    [
        ("A sunset", Mood.SUNSET, None),
        ("two cats at midnight", Mood.NIGHT, Subject.CAT),
        ("portrait of a man, foggy morning", Mood.MIST, Subject.MAN),
        ("her portrait in neon light", Mood.NEON, Subject.WOMAN),
        ("berries and a lighthouse in a storm", Mood.STORM, Subject.LIGHTHOUSE),
    ],
)
def test_words_choose_mood_and_subject(prompt: str, mood: Mood, subject: Subject | None) -> None:
    reading = read_prompt(prompt)
    assert (reading.mood, reading.subject) == (mood, subject)


def test_a_named_colour_tints_the_picture() -> None:
    plain = compose("a car in a studio, daylight", 2).paint(64, 64).astype(int)
    red = compose("a red car in a studio, daylight", 2).paint(64, 64).astype(int)
    assert (red[..., 0] - red[..., 2]).mean() > (plain[..., 0] - plain[..., 2]).mean()


def test_black_and_white_has_no_colour() -> None:
    picture = compose("noir city street", 1).paint(64, 48)
    assert np.array_equal(picture[..., 0], picture[..., 1])
    assert np.array_equal(picture[..., 1], picture[..., 2])


def test_pixel_art_is_made_of_blocks() -> None:
    picture = compose("pixel art castle", 1).paint(448, 224)
    assert np.array_equal(picture[0::4], picture[1::4])
    assert np.array_equal(picture[:, 0::4], picture[:, 3::4])


def test_a_poster_has_few_tones() -> None:
    assert len(np.unique(compose("poster of a forest", 1).paint(96, 64))) <= 8


def test_a_huge_picture_has_its_size_too() -> None:
    assert compose("an abstract swirl", 1).paint(5_000, 2_000).shape == (2_000, 5_000, 3)


def test_a_prompt_without_a_subject_gets_a_still_life() -> None:
    """Words that name nothing lead to the studio, which then chooses what to show."""
    for seed in range(30):
        assert compose("logo", seed).paint(64, 64).shape == (64, 64, 3)
