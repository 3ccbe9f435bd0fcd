"""The clock, and the one that tests move: both keep the promises of the protocol."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.clock import FakeClock

from pixeldojo.core.clock import Clock, SystemClock, iso_utc


@pytest.fixture(params=[SystemClock, FakeClock])
def any_clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_the_time_is_aware_and_in_utc(any_clock: Clock) -> None:
    assert any_clock.now().utcoffset() == timedelta(0)
    assert any_clock.monotonic() <= any_clock.monotonic()


async def test_an_event_that_is_set_is_not_waited_for(any_clock: Clock) -> None:
    event = asyncio.Event()
    event.set()

    assert await any_clock.wait(event, 3_600)
    assert await any_clock.wait(event, 0)


async def test_an_event_ends_the_wait_as_soon_as_it_is_set(any_clock: Clock) -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(any_clock.wait(event, 3_600))
    await asyncio.sleep(0)

    event.set()

    assert await waiting


async def test_no_time_at_all_is_over_at_once(any_clock: Clock) -> None:
    assert not await any_clock.wait(asyncio.Event(), 0)
    await any_clock.sleep(0)


async def test_waiting_that_is_cut_off_leaves_no_task(any_clock: Clock) -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(any_clock.wait(asyncio.Event(), 3_600))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert asyncio.all_tasks() == before


async def test_the_tests_clock_moves_only_when_it_is_moved(clock: FakeClock) -> None:
    begun, ticks = clock.now(), clock.monotonic()
    clock.advance(90.5)

    assert clock.now() - begun == timedelta(seconds=90.5)
    assert clock.monotonic() - ticks == 90.5


async def test_the_tests_clock_wakes_the_earliest_first_and_leaves_the_rest(clock: FakeClock) -> None:
    woken: list[int] = []

    async def sleep(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20, 40)]
    await clock.until_sleeping(4)
    clock.advance(30)
    await asyncio.gather(*tasks[:3])

    assert woken == [10, 20, 30]
    assert clock.sleeper_count == 1
    tasks[3].cancel()
    await asyncio.gather(tasks[3], return_exceptions=True)
    assert clock.sleeper_count == 0


async def test_the_tests_clock_ends_a_wait_when_its_time_is_over(clock: FakeClock) -> None:
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), 5))
    await clock.until_sleeping()
    clock.advance(5)

    assert not await waiting


def test_times_are_spelt_as_the_contract_says() -> None:
    moment = datetime(2026, 5, 4, 14, 0, 1, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert iso_utc(moment) == "2026-05-04T12:00:01.999Z"
    assert iso_utc(datetime(2026, 5, 4, tzinfo=UTC)) == "2026-05-04T00:00:00.000Z"
