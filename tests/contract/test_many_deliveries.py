"""5,000 webhooks to 200 receivers, of which 20 hang and 20 fail: the others do not wait for them, on both databases."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from tests.clock import FakeClock
from tests.unit.worker.many_receivers import Crowd, deliver_all
from tests.unit.worker.workshop import Workshop, open_workshop

from pixeldojo.db.engine import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EACH: Final = 25
MIXED: Final = Crowd(good=160, failing=20, hanging=20, each=EACH)
WITHOUT_HANGING: Final = Crowd(good=160, failing=20, hanging=0, each=EACH)
WARM_UP: Final = Crowd(good=20, failing=0, hanging=0, each=5)
TRIES: Final = 3
NO_SLOWER: Final = 1.5
"""Two runs of the same differ by some, on a busy machine; waiting for one time-out would be several times as long."""


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, FakeClock(datetime.now(UTC)), tmp_path) as shop:
        yield shop


async def test_all_that_can_arrive_do_in_time_independent_of_those_that_hang(shop: Workshop) -> None:
    await deliver_all(shop, WARM_UP)
    told = [await _side_by_side(shop)]
    # Something else may have had the machine during one of the two; three times it has not.
    while told[-1] >= NO_SLOWER and len(told) < TRIES:
        told.append(await _side_by_side(shop))
    assert told[-1] < NO_SLOWER, told


async def _side_by_side(shop: Workshop) -> float:
    """Deliver everything without receivers that hang and with them; return how many times as long the latter took."""
    without = await deliver_all(shop, WITHOUT_HANGING)
    mixed = await deliver_all(shop, MIXED)
    for outcome in (without, mixed):
        assert outcome.arrived == outcome.delivered == outcome.attempts[204] == 160 * EACH
        assert outcome.attempts[500] > 0
    assert mixed.most_hanging == 1
    told = f"{without.seconds:.1f} s without, {mixed.seconds:.1f} s with 20 that hang"
    sys.stdout.write(f"{told}; {160 * EACH / mixed.seconds:.0f} deliveries/s\n")
    return mixed.seconds / without.seconds
