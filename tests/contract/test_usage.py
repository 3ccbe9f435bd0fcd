"""What an account's jobs add up to, on both databases: exact, by every grouping, read through an index."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text, update
from tests.stores import Stores

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.core.errors import ValidationError
from pixeldojo.db.tables import jobs
from pixeldojo.jobs.totals import usage
from pixeldojo.jobs.totals.store import Grouping
from pixeldojo.jobs.totals.usage import UsageService

_ALL = tuple(Grouping)


@pytest.fixture
def service(stores: Stores) -> UsageService:
    return UsageService(stores.database, stores.clock)


async def test_every_grouping_adds_up_to_what_the_jobs_cost_and_hold(stores: Stores, service: UsageService) -> None:
    first = await stores.new_key(granted=1_000_000)
    second = await stores.new_key(account_id=first.account_id)
    stranger = await stores.new_key(granted=1_000_000)
    live = await stores.new_key(account_id=first.account_id, mode=KeyMode.LIVE, granted=1_000_000)
    expected: Counter[tuple[object, ...]] = Counter()
    charged: Counter[tuple[object, ...]] = Counter()
    held: Counter[tuple[object, ...]] = Counter()
    # Noon, and 36 hours between two jobs: days change in the middle of a row of them.
    for key, model, cost in itertools.product((first, second), ("flux-1.1-pro", "veo-3.1-fast"), (333, 1, None)):
        job_id = await stores.create(key, model_id=model, quoted=1_001)
        made: tuple[object, ...] = (stores.clock.now().date(), model, key.id)
        if cost is None:
            held[*made, "pending"] += 1_001
            expected[*made, "pending"] += 1
        else:
            job = await stores.collecting(await stores.claim(job_id))
            await stores.claims.complete(job, [stores.asset(job)], cost)
            charged[*made, "completed"] += cost
            expected[*made, "completed"] += 1
        stores.clock.advance(36 * 3_600)
    for other in (stranger, live):
        await stores.create(other)
    stores.clock.advance(1)

    for size in range(1, len(_ALL) + 1):
        for groupings in itertools.combinations(reversed(_ALL), size):
            found = await service.tell(first.account_id, "test", groupings, after=None, before=None)
            rows = {tuple(row.group.values()): (row.count, row.credits, row.held) for row in found.rows}
            assert list(rows) == sorted(rows), "rows are in the order of their groups"
            wanted: dict[tuple[object, ...], tuple[int, int, int]] = {}
            for whole, count in expected.items():
                group = tuple(whole[_ALL.index(grouping)] for grouping in groupings)
                before = wanted.get(group, (0, 0, 0))
                wanted[group] = (before[0] + count, before[1] + charged[whole], before[2] + held[whole])
            assert rows == wanted


async def test_a_span_is_exact_to_the_microsecond_and_a_day_to_midnight(stores: Stores, service: UsageService) -> None:
    key = await stores.new_key(granted=1_000_000)
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    for moment in (midnight - tick, midnight, midnight + tick):
        stores.clock.advance((moment - stores.clock.now()).total_seconds())
        await stores.create(key)

    async def days(after: datetime, before: datetime) -> dict[str | date, int]:
        found = await service.tell(key.account_id, "test", (Grouping.DAY,), after=after, before=before)
        return {row.group[Grouping.DAY]: row.count for row in found.rows}

    fourth, fifth = date(2026, 5, 4), date(2026, 5, 5)
    assert await days(midnight - 2 * tick, midnight + 2 * tick) == {fourth: 1, fifth: 2}
    assert await days(midnight - tick, midnight + 2 * tick) == {fifth: 2}
    assert await days(midnight - 2 * tick, midnight + tick) == {fourth: 1, fifth: 1}
    assert await days(midnight, midnight + tick) == {}


async def test_purged_jobs_still_count(stores: Stores, service: UsageService) -> None:
    key = await stores.new_key(granted=1_000_000)
    job = await stores.collecting(await stores.claimed(key))
    await stores.claims.complete(job, [stores.asset(job)], 700)
    stores.clock.advance(25 * 3_600)
    assert await stores.ending.purge_expired(10) == 1

    (row,) = (await service.tell(key.account_id, "test", (Grouping.MODEL,), after=None, before=None)).rows
    assert (row.count, row.credits, row.held) == (1, 700, 0)


async def test_a_span_is_bounded_and_so_is_what_is_told(
    stores: Stores, service: UsageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await stores.new_key(granted=1_000_000)
    now = stores.clock.now()
    ask = (key.account_id, "test", (Grouping.MODEL,))
    assert (await service.tell(*ask, after=now - timedelta(days=92), before=now)).rows == []
    with pytest.raises(ValidationError, match="at most 92 days"):
        await service.tell(*ask, after=now - timedelta(days=92, microseconds=1), before=now)
    assert (await service.tell(*ask, after=now + timedelta(days=1000), before=now)).rows == []
    for model in ("flux-1.1-pro", "veo-3.1-fast"):
        await stores.create(key, model_id=model)
    stores.clock.advance(1)
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    with pytest.raises(ValidationError, match="over 1 rows"):
        await service.tell(*ask, after=None, before=None)


async def test_the_index_finds_the_span(stores: Stores, service: UsageService, statements: list[str]) -> None:
    """Years of jobs of an account are not read to tell of a month."""
    key = await stores.new_key(granted=1_000_000)
    await stores.create(key)
    statements.clear()
    await service.tell(key.account_id, "test", _ALL, after=None, before=None)
    (query,) = statements
    assert "jobs.id >= " in query
    assert "jobs.id < " in query
    if stores.database.is_sqlite:
        async with stores.database.read() as connection:
            plan = await connection.execute(text(f"EXPLAIN QUERY PLAN {query.replace('?', '1')}"))
            assert "ix_jobs_account_id_id (account_id=? AND id>? AND id<?)" in str(plan.all())


async def test_sums_beyond_a_big_integer_stay_exact(stores: Stores, service: UsageService) -> None:
    key = await stores.new_key(granted=1_000_000)
    for _ in range(2):
        await stores.create(key)
    dear = 2**62 - 1
    await stores.database.write(lambda c: c.execute(update(jobs).values(quoted=dear)))
    stores.clock.advance(1)
    (row,) = (await service.tell(key.account_id, "test", (Grouping.KEY,), after=None, before=None)).rows
    assert row.held == 2 * dear
