"""The search itself: it finds, keeps what it finds, and tries it again; and a value that holds a parser up is one."""

import ast
from pathlib import Path

import pytest
from hypothesis import strategies as st
from tests.fuzz.run import fuzz
from tests.fuzz.target import Target, TookTooLong, finished, replay, search


def _break_on_long_ones(value: bytes) -> None:
    if len(value) >= 3:
        raise IndexError("a bug")


BROKEN = Target("broken", st.binary(max_size=20), _break_on_long_ones)
SOUND = Target("sound", st.text(max_size=5), lambda value: None)


def _go_on(value: int) -> None:
    while value > 100:
        value += 1


def test_the_smallest_value_is_found_kept_and_tried_again(tmp_path: Path) -> None:
    finding = search(BROKEN, examples=50, number=1)
    assert finding is not None
    assert ast.literal_eval(finding.value) == b"\0\0\0"
    assert "IndexError: a bug" in finding.story
    kept = finding.save(tmp_path / "new")
    assert kept.name.startswith("broken-")
    with pytest.raises(IndexError, match="a bug"):
        replay((SOUND, BROKEN), kept)
    replay((Target("broken", BROKEN.values, lambda value: None),), kept)


def test_what_holds_a_parser_up_is_a_finding() -> None:
    endless = Target("endless", st.just(200), _go_on)
    finding = search(endless, examples=1, number=1, longest_seconds=0.02)
    assert finding is not None
    assert TookTooLong.__name__ in finding.story


def test_each_target_is_tried_and_one_that_broke_is_left_alone() -> None:
    outcome = fuzz((BROKEN, SOUND), seconds=0.3, number=1, at_a_time=20)
    assert [finding.target for finding in outcome.findings] == ["broken"]
    assert outcome.tried["broken"] == 20
    assert outcome.tried["sound"] >= 20


def test_the_values_follow_from_the_number() -> None:
    def values(number: int) -> list[bytes]:
        seen: list[bytes] = []
        search(Target("seen", st.binary(), seen.append), examples=10, number=number)
        return seen

    assert values(1) == values(1) != values(2)


def test_a_coroutine_that_waits_for_nothing_is_finished_without_a_loop() -> None:
    async def one() -> int:
        return 1

    assert finished(one()) == 1
