"""A clock that stands still until a test moves it. Leaves real time alone: nothing here waits for it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Final

_START: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_SECONDS_TO_SETTLE: Final = 10.0


class FakeClock:
    """The `Clock` of the tests; `sleep` and `wait` end when `advance` has moved time far enough."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed = timedelta()
        self._order = itertools.count()
        self._sleepers: list[tuple[timedelta, int, asyncio.Future[None]]] = []
        self._joined = asyncio.Event()

    def now(self) -> datetime:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (self._elapsed + timedelta(seconds=seconds), next(self._order), woken)
        heapq.heappush(self._sleepers, sleeper)
        self._joined.set()
        try:
            await woken
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        tasks = {asyncio.create_task(event.wait()), asyncio.create_task(self.sleep(seconds))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Move time forward and wake whoever slept until then, the earliest first."""
        self._elapsed += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    def set_back(self, by: timedelta) -> None:
        """Set what `now` says back; sleeps end when they would have, as on a machine whose clock is corrected."""
        self._start -= by

    @property
    def sleeper_count(self) -> int:
        """How many sleeps and waits are under way."""
        return len(self._sleepers)

    async def until_sleeping(self, count: int = 1) -> None:
        """Return once at least `count` sleeps or waits are under way, so that `advance` will find them."""
        async with asyncio.timeout(_SECONDS_TO_SETTLE):
            while len(self._sleepers) < count:
                self._joined.clear()
                await self._joined.wait()
