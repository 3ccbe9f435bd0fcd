"""When a failed delivery is tried again: by the schedule, a little later than it says, never after the expiry."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.webhooks.schedule import ATTEMPT_OFFSETS_SECONDS, next_attempt_at

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
LAST = len(ATTEMPT_OFFSETS_SECONDS)
MADE = st.integers(1, LAST - 1)
CHANCE = st.floats(0, 1)


def seconds_to_next(
    attempts_made: int,
    *,
    retry_after_seconds: float | None = None,
    expires_at: datetime = LATER,
    random: Callable[[], float] = lambda: 0.0,
) -> float | None:
    moment = next_attempt_at(
        attempts_made=attempts_made,
        now=NOW,
        expires_at=expires_at,
        retry_after_seconds=retry_after_seconds,
        random=random,
    )
    return None if moment is None else (moment - NOW).total_seconds()


def test_attempts_come_at_the_times_of_the_contract() -> None:
    at, times = 0.0, [0.0]
    for made in range(1, LAST):
        seconds = seconds_to_next(made)
        assert seconds is not None
        at += seconds
        times.append(at)

    minute, hour = 60, 3_600
    assert times == [0, 5, 30, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour]


def test_after_the_last_there_is_none() -> None:
    assert seconds_to_next(LAST) is None
    assert seconds_to_next(LAST + 1) is None


@given(made=MADE, chance=CHANCE)
def test_each_comes_up_to_a_tenth_later_and_never_earlier(made: int, chance: float) -> None:
    exact, moved = seconds_to_next(made), seconds_to_next(made, random=lambda: chance)

    assert exact is not None
    assert moved is not None
    assert exact <= moved <= exact * 1.1 + 1e-6


def test_receivers_that_come_back_are_not_met_by_all_at_once() -> None:
    spread = {seconds_to_next(4, random=lambda chance=chance: chance / 100) for chance in range(100)}  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    assert len(spread) == 100


@given(made=MADE, chance=CHANCE, asked=st.one_of(st.none(), st.floats(0, 1e6)))
def test_a_receiver_can_only_make_it_later(made: int, chance: float, asked: float | None) -> None:
    without = seconds_to_next(made, random=lambda: chance)
    asked_for = seconds_to_next(made, random=lambda: chance, retry_after_seconds=asked)

    assert without is not None
    assert asked_for == pytest.approx(max(without, asked or 0.0), abs=1e-5)


@given(made=MADE, chance=CHANCE, asked=st.floats(0), left=st.timedeltas(timedelta(0), timedelta(days=30)))
def test_none_comes_at_or_after_the_expiry(made: int, chance: float, asked: float, left: timedelta) -> None:
    """However far off a receiver puts it, infinitely far too."""
    seconds = seconds_to_next(made, random=lambda: chance, retry_after_seconds=asked, expires_at=NOW + left)

    assert seconds is None or seconds < left.total_seconds()


@given(microseconds=st.integers(5_000_000, 6_000_000), fraction=CHANCE)
def test_rounding_to_microseconds_does_not_reach_the_expiry(microseconds: int, fraction: float) -> None:
    left = timedelta(microseconds=microseconds)

    seconds = seconds_to_next(1, retry_after_seconds=(microseconds - fraction) / 1e6, expires_at=NOW + left)

    assert seconds is None or seconds < left.total_seconds()


def test_an_expiry_that_has_passed_leaves_none() -> None:
    assert seconds_to_next(1, expires_at=NOW - timedelta(days=1)) is None
