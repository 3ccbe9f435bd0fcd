"""Times as integers: exact, in order, the same for both databases."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from pixeldojo.db.columns import UtcTime

DIALECT = sqlite.dialect()
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
