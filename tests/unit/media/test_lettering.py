"""The caption can be read, the mark is small, and text never leaves its place."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from pixeldojo.media.lettering import drawable, prepare_lettering, prepare_mark, wrap

LONG = "a very long prompt about many things that will never fit into the room there is " * 6


def lettered(prompt: str, width: int, height: int, grey: int = 128) -> NDArray[np.uint8]:
    """Return a grey picture with a caption and the mark on it, shape (height, width, 3)."""
    picture = Image.new("RGB", (width, height), (grey, grey, grey))
    prepare_lettering(prompt, width, height).print_on(picture)
    return np.asarray(picture)


def test_the_caption_stands_at_the_foot_and_can_be_read() -> None:
    frame = lettered("a sunset", 320, 180)
    foot = frame[-40:, :120].max(axis=2)
    assert foot.max() > 230, "white letters"
    assert foot.min() < 90, "on a dark ground"
    assert (frame[60:100] == 128).all(), "the middle of the picture stays free"


def test_white_letters_have_a_dark_rim() -> None:
    mark = lettered("", 600, 600, grey=255)[:40, 480:]
    ground = mark[mark < 255].max()
    assert mark.min() < ground - 10, "darker than the plate around them"


def test_the_mark_is_small_and_top_right() -> None:
    frame = lettered("", 200, 200)
    rows, columns = np.nonzero((frame != 128).any(axis=2))
    assert rows.max() < 40
    assert columns.min() > 100
    assert len(rows) < 0.05 * 200 * 200


@pytest.mark.parametrize(("at_left", "at_foot"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_mark_goes_into_the_corner_asked_for(at_left: bool, at_foot: bool) -> None:
    picture = Image.new("RGB", (300, 200), (128, 128, 128))
    prepare_mark(300, 200, at_left=at_left, at_foot=at_foot).print_on(picture)
    rows, columns = np.nonzero((np.asarray(picture) != 128).any(axis=2))
    assert (columns.mean() < 150) == at_left
    assert (rows.mean() > 100) == at_foot


def test_lettering_may_be_printed_on_many_pictures() -> None:
    lettering = prepare_lettering("a sunset", 160, 96)
    one, two = Image.new("RGB", (160, 96)), Image.new("RGB", (160, 96))
    lettering.print_on(one)
    lettering.print_on(two)
    assert np.array_equal(np.asarray(one), np.asarray(two))
    assert np.asarray(one).any()


def test_a_tiny_picture_stays_free_of_text() -> None:
    assert (lettered("a sunset", 400, 40, grey=7) == 7).all()


def test_long_prompts_are_wrapped_and_end_in_an_ellipsis() -> None:
    font = ImageFont.load_default(14)
    lines = wrap(LONG, font, 200, 3)
    assert len(lines) == 3
    assert all(font.getlength(line) <= 200 for line in lines)
    assert lines[-1].endswith("…")
    assert LONG.startswith(" ".join(lines[:2]))


def test_short_prompts_are_kept_whole() -> None:
    font = ImageFont.load_default(14)
    assert " ".join(wrap("a boat  on\nthe sea", font, 60, 9)) == "a boat on the sea"


def test_a_word_wider_than_the_picture_is_broken() -> None:
    font = ImageFont.load_default(14)
    lines = wrap("x" * 200, font, 100, 3)
    assert len(lines) == 3
    assert all(font.getlength(line) <= 100 for line in lines)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("Ein Mädchen läuft über die Straße", "Ein Madchen lauft uber die Strasse"),
        ("cat — “quoted”", "cat - “quoted”"),
        ("a 猫 on a roof", "a … on a roof"),
        ("日本の山", ""),
        ("tab\tand\x00null", "tab and null"),
    ],
)
def test_what_the_font_lacks_is_spelt_or_left_out(prompt: str, shown: str) -> None:
    assert drawable(prompt) == shown
