"""What upstreams say is logged without what they were sent."""

import pytest

from pixeldojo.core.json_types import JsonObject
from pixeldojo.worker.quoting import without_input

GIVEN: JsonObject = {
    "prompt": "A lantern, drawn by Ünal",
    "seed": 7,
    "elements": [{"name": "Grandmother"}, None],
    "loud": True,
}


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("Too many requests (429).", "Too many requests (429)."),
        ("'a LANTERN drawn by ünal' is not allowed", "'a … … by …' is not allowed"),
        ("no picture of grandmothe", "no picture of …"),
        ("cut off in the lant", "cut off in the …"),
        ("the runner left", "the runner left"),
        ("", ""),
    ],
)
def test_no_word_of_the_input_is_left(said: str, logged: str) -> None:
    assert without_input(said, GIVEN) == logged
