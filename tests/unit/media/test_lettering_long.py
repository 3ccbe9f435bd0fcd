"""A caption of any text costs about the same: a word without spaces must not hold up a media process."""

import time

import pytest

from pixeldojo.media.lettering import prepare_lettering


@pytest.mark.parametrize("text", ["a" * 20_000, "é" * 20_000, "https://example.com/" + "x" * 5_000])
def test_a_long_word_costs_little_more_than_words(text: str) -> None:
    prepare_lettering("warm up", 1024, 1024)
    start = time.process_time()
    prepare_lettering("word " * 4_000, 1024, 1024)
    words = time.process_time() - start
    start = time.process_time()
    prepare_lettering(text, 1024, 1024)
    assert time.process_time() - start < 30 * words
