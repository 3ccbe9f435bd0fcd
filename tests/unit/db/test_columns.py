"""Our column types: times as integers, exact and in order; strangers' texts, as far as a database can keep them."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from pixeldojo.db.columns import StrangersText, UtcTime, storable

DIALECT = sqlite.dialect()
ANYTHING = st.characters(exclude_categories=())
TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES)
def test_a_time_comes_back_as_it_went_in(moment: datetime) -> None:
    column = UtcTime()

    assert column.process_result_value(column.process_bind_param(moment, DIALECT), DIALECT) == moment


@given(TIMES, TIMES)
def test_numbers_are_in_the_order_of_the_times(first: datetime, second: datetime) -> None:
    column = UtcTime()
    one, other = column.process_bind_param(first, DIALECT), column.process_bind_param(second, DIALECT)

    assert one is not None
    assert other is not None
    assert (one < other) == (first < second)


def test_another_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 5, 4, 14, tzinfo=timezone(timedelta(hours=2)))

    assert UtcTime().process_bind_param(moment, DIALECT) == 1_777_896_000_000_000


def test_no_time_stays_no_time() -> None:
    assert UtcTime().process_bind_param(None, DIALECT) is None
    assert UtcTime().process_result_value(None, DIALECT) is None


def test_ordinary_text_is_kept_as_it_is() -> None:
    text = "Zu groß: über 🎏\t\n\x7f"

    assert StrangersText(100).process_bind_param(text, DIALECT) == text
    assert StrangersText(100).process_bind_param(None, DIALECT) is None


@given(st.text(ANYTHING), st.integers(1, 50))
def test_whatever_was_said_fits_its_column_and_every_encoding(text: str, length: int) -> None:
    kept = StrangersText(length).process_bind_param(text, DIALECT)

    assert kept is not None
    assert "\x00" not in kept
    assert len(kept) == min(len(text), length)
    kept.encode()


@given(st.text(ANYTHING))
def test_making_text_storable_twice_changes_nothing_more(text: str) -> None:
    assert storable(storable(text)) == storable(text)
