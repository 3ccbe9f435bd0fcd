"""The table of moves: every step is reached, none leads out of the end, and callers see four words only."""

from itertools import product

import pytest

from pixeldojo.jobs.states import MOVES, JobStatus, Step, can_move, sources_of


def reachable(start: Step) -> set[Step]:
    found = {start}
    while following := {to for step in found for to in MOVES[step]} - found:
        found |= following
    return found


def test_every_step_is_reached_from_the_first() -> None:
    assert reachable(Step.SUBMIT) == set(Step)


@pytest.mark.parametrize("step", Step)
def test_from_every_step_the_end_is_one_move_away(step: Step) -> None:
    assert step == Step.ENDED or can_move(step, Step.ENDED)


def test_nothing_leads_out_of_the_end() -> None:
    assert not any(can_move(Step.ENDED, to) for to in Step)


def test_an_upstream_that_may_have_the_work_is_never_forgotten() -> None:
    """Back to `submit` leads only from `submitting`, where the worker knows that the upstream refused."""
    assert sources_of(Step.SUBMIT) == {Step.SUBMITTING}


def test_nobody_asks_or_collects_before_the_submit_was_written_down() -> None:
    assert MOVES[Step.SUBMIT] == {Step.SUBMITTING, Step.ENDED}
    assert Step.SUBMIT not in sources_of(Step.CHECK) | sources_of(Step.COLLECT)


def test_sources_are_the_moves_read_backwards() -> None:
    for now, to in product(Step, Step):
        assert (now in sources_of(to)) == can_move(now, to)


def test_callers_see_two_words_before_the_end_and_two_after() -> None:
    assert {str(status) for status in JobStatus if status.is_terminal} == {"completed", "failed"}
    assert {str(status) for status in JobStatus if not status.is_terminal} == {"pending", "processing"}
