"""The words that ask for trouble: read, refused, combined, kept, and listed in the documentation."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.api.runs import REHEARSAL
from pixeldojo.providers.contract import UpstreamErrorKind
from pixeldojo.providers.sandbox.rehearsal import Rehearsal, find_rehearsal, parse_rehearsal, strip_rehearsal

EVERY_WORD = {
    "slow=2.5": Rehearsal(slow_seconds=2.5),
    "slow=0": Rehearsal(slow_seconds=0.0),
    "fail=over_limit": Rehearsal(fail=UpstreamErrorKind.OVER_LIMIT),
    "fail=rejected-input": Rehearsal(fail=UpstreamErrorKind.REJECTED_INPUT),
    "fail-later=unavailable": Rehearsal(fail_later=UpstreamErrorKind.UNAVAILABLE),
    "refuse": Rehearsal(fail=UpstreamErrorKind.REFUSED_CONTENT),
    "hang": Rehearsal(hang=True),
    "twice": Rehearsal(twice=True),
    "lose-answer": Rehearsal(lose_answer=True),
    "unknown": Rehearsal(unknown=True),
    "flaky=3": Rehearsal(flaky=3),
    "broken-file": Rehearsal(broken_file=True),
    "wrong-type": Rehearsal(wrong_type=True),
}


@pytest.mark.parametrize("text", EVERY_WORD)
def test_every_word_is_understood_in_header_and_prompt(text: str) -> None:
    assert parse_rehearsal(text) == EVERY_WORD[text]
    assert find_rehearsal(f"a boat [sandbox: {text}]", None) == EVERY_WORD[text]


@pytest.mark.parametrize("kind", UpstreamErrorKind)
def test_each_kind_of_error_can_be_rehearsed(kind: UpstreamErrorKind) -> None:
    assert parse_rehearsal(f"fail={kind}").fail is kind
    assert parse_rehearsal(f"fail-later={kind}").fail_later is kind


@pytest.mark.parametrize(
    "text", ["slow=2, fail-later=unavailable", "SLOW=2 Fail-Later=UNAVAILABLE", "slow=2;fail-later=unavailable,"]
)
def test_words_can_be_combined(text: str) -> None:
    expected = Rehearsal(slow_seconds=2.0, fail_later=UpstreamErrorKind.UNAVAILABLE)
    assert parse_rehearsal(text) == expected


@pytest.mark.parametrize("text", ["", "  ", ","])
def test_nothing_asks_for_nothing(text: str) -> None:
    assert parse_rehearsal(text) == Rehearsal()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("explode", "slow=SECONDS, fail=KIND, fail-later=KIND, flaky=TIMES, refuse, hang"),
        ("fail", "rejected_input, refused_content, over_limit, unauthorized, unavailable, unknown"),
        ("fail=sometimes", "the kinds are rejected_input"),
        ("slow", "such as slow=5"),
        ("slow=nan", "such as slow=5"),
        ("slow=-1", "from 0 to 3600"),
        ("slow=1e9", "from 0 to 3600"),
        ("flaky=0", "from 1 to 10"),
        ("flaky=11", "from 1 to 10"),
        ("flaky=²", "from 1 to 10"),
        ("hang=5", "does not know 'hang=5'"),
    ],
)
def test_the_header_refuses_what_it_does_not_know(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_rehearsal(text)


def test_the_prompt_ignores_what_it_does_not_know() -> None:
    assert find_rehearsal("a [sandbox: castle slow=1 fail=perhaps] of sand", None) == Rehearsal(slow_seconds=1.0)
    assert find_rehearsal("a sandbox: hang, and [a box] hang", None) == Rehearsal()


def test_the_header_wins_over_the_prompt_and_adds_to_it() -> None:
    found = find_rehearsal("a boat [sandbox: slow=9 twice]", "slow=1")
    assert found == Rehearsal(slow_seconds=1.0, twice=True)


def test_instructions_are_not_drawn() -> None:
    assert strip_rehearsal("a boat [sandbox: slow=1] on the [Sandbox: hang]  sea") == "a boat on the sea"
    assert strip_rehearsal("a boat\n on the sea") == "a boat\n on the sea"


@pytest.mark.parametrize("rehearsal", [Rehearsal(), *EVERY_WORD.values()])
def test_it_survives_a_journey_through_json(rehearsal: Rehearsal) -> None:
    assert Rehearsal.from_json(json.loads(json.dumps(rehearsal.to_json()))) == rehearsal


def test_the_documentation_lists_every_word_and_no_other() -> None:
    text = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    words, _, kinds = text.partition("KIND is one of")
    listed = set(re.findall(r"^\| `([a-z-]+)(?:=[A-Z]+)?` \|", words, re.MULTILINE))
    assert listed == {word.partition("=")[0] for word in EVERY_WORD}
    assert all(f"`{kind}`" in kinds for kind in UpstreamErrorKind)


@given(text=st.from_regex(REHEARSAL, fullmatch=True))
def test_whatever_the_document_says_the_header_may_be_is_understood(text: str) -> None:
    parse_rehearsal(text)
