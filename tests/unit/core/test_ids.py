"""Ids: they name their kind, sort by time, never repeat and cannot be guessed."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.core.ids import IdKind, new_id, new_token

MILLISECOND = timedelta(milliseconds=1)
TIMES = st.integers(0, 2**47).map(lambda number: datetime(1970, 1, 1, tzinfo=UTC) + number * MILLISECOND)


@given(kind=st.sampled_from(IdKind), moment=TIMES)
def test_an_id_names_its_kind_and_is_safe_in_an_address(kind: IdKind, moment: datetime) -> None:
    assert re.fullmatch(rf"{kind}_[0-9a-hjkmnp-tv-z]{{32}}", new_id(kind, moment))


@given(st.lists(TIMES, min_size=2, max_size=20))
def test_ids_sort_like_the_times_they_were_made_at(moments: list[datetime]) -> None:
    made = [(new_id(IdKind.JOB, moment), moment) for moment in moments]

    times = [int(moment.timestamp() * 1_000) for _, moment in sorted(made)]
    assert times == sorted(times)


def test_a_millisecond_later_sorts_later() -> None:
    moment = datetime(2026, 5, 4, tzinfo=UTC)
    made = [new_id(IdKind.JOB, moment + number * MILLISECOND) for number in range(5_000)]

    assert made == sorted(made)


def test_ids_made_at_one_moment_never_repeat_and_differ_in_many_places() -> None:
    moment = datetime(2026, 5, 4, tzinfo=UTC)
    made = {new_id(IdKind.JOB, moment) for _ in range(10_000)}

    assert len(made) == 10_000
    random_parts = [made_id[-22:] for made_id in made]
    assert all(len({part[place] for part in random_parts}) == 32 for place in range(22))


def test_every_kind_has_a_prefix_of_its_own() -> None:
    assert len({str(kind) for kind in IdKind}) == len(IdKind)


def test_a_token_has_the_bits_it_was_asked_for() -> None:
    tokens = {new_token(40) for _ in range(1_000)}

    assert {len(token) for token in tokens} == {8}
    assert len(tokens) == 1_000
