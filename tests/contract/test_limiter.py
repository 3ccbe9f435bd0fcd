"""Rate limits, in memory and on Valkey: exactly as many as allowed, each subject for itself, honest figures."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.limiter import Limiter, RateStatus, open_limiter


@pytest.fixture(params=["memory", "valkey"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Limiter]:
    opened = open_limiter(request.getfixturevalue("valkey_address") if request.param == "valkey" else None)
    yield opened
    await opened.close()


async def test_the_sixty_first_request_of_a_minute_is_refused(limiter: Limiter) -> None:
    statuses = [await limiter.hit("key:1", 60) for _ in range(62)]

    assert [status.is_allowed for status in statuses] == [True] * 60 + [False] * 2


async def test_the_figures_count_down_to_the_end_of_the_minute(limiter: Limiter) -> None:
    began = time.time()

    statuses = [await limiter.hit("key:1", 3) for _ in range(5)]

    assert [status.remaining for status in statuses] == [2, 1, 0, 0, 0]
    assert {status.limit for status in statuses} == {3}
    (reset_at,) = {status.reset_at for status in statuses}  # asking on does not put the end off
    assert began + 59 <= reset_at <= time.time() + 61
    assert all(50 <= status.retry_after_seconds <= 61 for status in statuses)


async def test_subjects_are_counted_apart(limiter: Limiter) -> None:
    for _ in range(3):
        await limiter.hit("key:1", 2)

    assert (await limiter.hit("key:2", 2)).remaining == 1
    assert (await limiter.hit("address:key:1", 2)).remaining == 1
    assert not (await limiter.hit("key:1", 2)).is_allowed


async def test_requests_at_once_are_all_counted(limiter: Limiter) -> None:
    statuses = await asyncio.gather(*(limiter.hit("key:1", 20) for _ in range(50)))

    assert sum(status.is_allowed for status in statuses) == 20


async def test_a_higher_limit_applies_from_the_next_request_on(limiter: Limiter) -> None:
    """An operator may raise a key's rate: it must not stay shut out for the rest of the minute."""
    for _ in range(3):
        refused = await limiter.hit("key:1", 2)
    assert not refused.is_allowed

    assert (await limiter.hit("key:1", 100)).is_allowed


async def test_an_answering_store_passes_its_check(limiter: Limiter) -> None:
    await limiter.check()


async def test_two_nodes_on_one_valkey_count_together(valkey_address: str) -> None:
    nodes = [open_limiter(valkey_address), open_limiter(valkey_address.replace("redis://", "valkey://"))]
    statuses: list[RateStatus] = []
    for turn in range(10):
        statuses.append(await nodes[turn % 2].hit("key:1", 6))
    await asyncio.gather(*(node.close() for node in nodes))

    assert [status.is_allowed for status in statuses] == [True] * 6 + [False] * 4


async def test_a_store_that_is_away_is_said_to_be_away() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{server.getsockname()[1]}"
    limiter = open_limiter(address)

    with pytest.raises(ConnectionError, match="does not answer"):
        await limiter.hit("key:1", 60)
    with pytest.raises(ConnectionError, match="does not answer"):
        await limiter.check()
    await limiter.close()


async def test_closing_leaves_no_task_behind(valkey_address: str) -> None:
    before = asyncio.all_tasks()
    limiter = open_limiter(valkey_address)
    await limiter.hit("key:1", 60)

    await limiter.close()

    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("address", ["memcached://localhost", "localhost:6379"])
def test_another_kind_of_store_is_refused_with_what_to_write_instead(address: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://host:port"):
        open_limiter(address)
