"""What many ask for at once is done in one go, and the fault of one is nobody else's."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.unit.worker.faulty import away

from pixeldojo.webhooks.together import Together


class Halves:
    """Halves even numbers; a door lets a test decide when."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.faults: list[Exception] = []
        self.has_begun = asyncio.Event()
        self.door = asyncio.Event()
        self.together = Together(self.halve)

    async def halve(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.has_begun.set()
        await self.door.wait()
        if self.faults:
            raise self.faults.pop(0)
        if any(number % 2 for number in numbers):
            raise ValueError("odd")
        return [number // 2 for number in numbers]


async def asked(halves: Halves, *numbers: int) -> list[asyncio.Task[int]]:
    """Ask for one number that begins, and then for the others, which wait."""
    tasks = [asyncio.create_task(halves.together.ask(number)) for number in numbers[:1]]
    await halves.has_begun.wait()
    tasks += [asyncio.create_task(halves.together.ask(number)) for number in numbers[1:]]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_ask_meanwhile_are_served_together_and_each_gets_its_own() -> None:
    halves = Halves()
    tasks = await asked(halves, 2, 4, 6, 8)
    halves.door.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4]
    assert halves.batches == [[2], [4, 6, 8]]
    assert await halves.together.ask(10) == 5


async def test_there_is_a_bound_on_what_is_done_in_one_go() -> None:
    halves = Halves()
    tasks = await asked(halves, *[2] * 251)
    halves.door.set()
    assert await asyncio.gather(*tasks) == [1] * 251
    assert [len(batch) for batch in halves.batches] == [1, 100, 100, 50]


async def test_one_at_fault_hears_of_it_alone() -> None:
    halves = Halves()
    tasks = await asked(halves, 2, 4, 7, 8)
    halves.door.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [found[0], found[1], found[3]] == [1, 2, 4]
    assert isinstance(found[2], ValueError)


async def test_while_the_database_is_away_all_hear_of_it_after_one_try() -> None:
    halves = Halves()
    tasks = await asked(halves, 2, 4, 6, 8)
    halves.faults = [away(), away()]
    halves.door.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [type(away())] * 4
    assert len(halves.batches) == 2


async def test_whoever_left_is_not_served_and_keeps_nobody_waiting() -> None:
    halves = Halves()
    first, second, third = await asked(halves, 2, 4, 6)
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    halves.door.set()
    assert await third == 3
    assert halves.batches == [[2], [6]]


@pytest.mark.parametrize("count", [0, 3])
async def test_until_idle_returns_when_all_is_done(count: int) -> None:
    halves = Halves()
    tasks = await asked(halves, *range(2, 2 + 2 * count, 2)) if count else []
    waiting = asyncio.create_task(halves.together.until_idle())
    await asyncio.sleep(0)
    assert waiting.done() == (count == 0)
    halves.door.set()
    await waiting
    assert all(task.done() for task in tasks)
