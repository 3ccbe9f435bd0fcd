"""Webhook deliveries, on both databases: at least once, one sender at a time, every attempt on record."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest
from tests.stores import HOOK, RETENTION, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import open_database
from pixeldojo.jobs.states import Step
from pixeldojo.webhooks import store
from pixeldojo.webhooks.schedule import ATTEMPT_OFFSETS_SECONDS
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.webhooks.store import Attempt, Delivery

LEASE_SECONDS: Final = 60.0


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=100_000)


@pytest.fixture
async def delivery(stores: Stores, key: ApiKey) -> Delivery:
    """A delivery whose first attempt is due."""
    job = await stores.at(key, Step.ENDED, webhook_url=HOOK)
    return (await stores.webhooks.find_deliveries([job.id]))[job.id]


async def claim(stores: Stores, delivery: Delivery, owner: str = "worker_1") -> Delivery:
    claimed = await stores.webhooks.claim(delivery.id, owner, LEASE_SECONDS)
    assert claimed is not None
    return claimed


def attempt(stores: Stores, delivery: Delivery, status: int | None, error: str | None = None) -> Attempt:
    return Attempt(delivery.attempt_count + 1, stores.clock.now(), 0.25, status, error)


async def fresh(stores: Stores, delivery: Delivery) -> Delivery:
    found = await stores.webhooks.find(delivery.id)
    assert found is not None
    return found


async def attempts(stores: Stores, delivery: Delivery) -> list[Attempt]:
    async with stores.database.read() as connection:
        return await store.list_attempts(connection, delivery.id)


async def test_a_new_delivery_is_due_at_once_and_taken_by_one(stores: Stores, delivery: Delivery) -> None:
    assert await stores.webhooks.due(10) == [delivery.id]

    claimed = await asyncio.gather(*(stores.webhooks.claim(delivery.id, f"worker_{n}", 60) for n in range(8)))

    assert sum(found is not None for found in claimed) == 1
    assert await stores.webhooks.due(10) == []


async def test_many_at_once_by_two_workers_are_each_claimed_and_recorded_once_with_few_statements(
    stores: Stores, key: ApiKey, database_address: str, statements: list[str]
) -> None:
    jobs = [(await stores.at(key, Step.ENDED, webhook_url=HOOK)).id for _ in range(40)]
    ids = [delivery.id for delivery in (await stores.webhooks.find_deliveries(jobs)).values()]
    other = open_database(database_address)
    sides = {"worker_1": stores.webhooks, "worker_2": WebhooksService(other, stores.clock)}
    statements.clear()

    taken = await asyncio.gather(*(side.claim(id, name, 60) for id in ids for name, side in sides.items()))
    mine = [claimed for claimed in taken if claimed is not None]
    made = [sides[str(one.lease_owner)].record(one, attempt(stores, one, 200), None) for one in mine]
    assert await asyncio.gather(*made) == ["delivered"] * 40

    assert sorted(one.id for one in mine) == sorted(ids)
    assert [len(await attempts(stores, one)) for one in mine] == [1] * 40
    claims = [one for one in statements if "lease_owner=" in one and "attempt_count=" not in one]
    assert len(claims) <= 8
    await other.close()


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_success_ends_it(stores: Stores, delivery: Delivery, status: int) -> None:
    claimed = await claim(stores, delivery)
    made = attempt(stores, claimed, status)

    assert await stores.webhooks.record(claimed, made, None) == "delivered"

    ended = await fresh(stores, delivery)
    assert (ended.status, ended.next_attempt_at, ended.attempt_count) == ("delivered", None, 1)
    assert ended.delivered_at == stores.clock.now()
    assert ended.lease_owner is None
    assert await attempts(stores, delivery) == [made]
    stores.clock.advance(100_000)
    assert await stores.webhooks.due(10) == []


@pytest.mark.parametrize(("status", "error"), [(500, None), (302, None), (404, None), (None, "no connection")])
async def test_anything_else_is_tried_again_later(
    stores: Stores, delivery: Delivery, status: int | None, error: str | None
) -> None:
    claimed = await claim(stores, delivery)

    assert await stores.webhooks.record(claimed, attempt(stores, claimed, status, error), None) == "pending"

    waiting = await fresh(stores, delivery)
    assert waiting.next_attempt_at is not None
    assert timedelta(seconds=5) <= waiting.next_attempt_at - stores.clock.now() <= timedelta(seconds=5.5)
    assert await stores.webhooks.claim(delivery.id, "worker_1", 60) is None
    stores.clock.advance(6)
    assert await stores.webhooks.due(10) == [delivery.id]


async def test_a_receiver_that_is_gone_ends_it(stores: Stores, delivery: Delivery) -> None:
    claimed = await claim(stores, delivery)

    assert await stores.webhooks.record(claimed, attempt(stores, claimed, 410), 5.0) == "failed"

    assert (await fresh(stores, delivery)).next_attempt_at is None


async def test_after_the_whole_schedule_it_is_given_up(stores: Stores, delivery: Delivery) -> None:
    gaps = []
    for _ in ATTEMPT_OFFSETS_SECONDS:
        claimed = await claim(stores, delivery)
        status = await stores.webhooks.record(claimed, attempt(stores, claimed, 503), None)
        planned = (await fresh(stores, delivery)).next_attempt_at
        if planned is not None:
            gaps.append((planned - stores.clock.now()).total_seconds())
            stores.clock.advance(gaps[-1])

    assert status == "failed"
    assert [attempt.number for attempt in await attempts(stores, delivery)] == list(range(1, 10))
    exact = [after - before for before, after in pairwise(ATTEMPT_OFFSETS_SECONDS)]
    assert all(gap <= given <= gap * 1.1 for gap, given in zip(exact, gaps, strict=True))


async def test_nothing_is_planned_after_the_jobs_expiry(stores: Stores, delivery: Delivery) -> None:
    stores.clock.advance(RETENTION.total_seconds() - 4)
    claimed = await claim(stores, delivery)

    assert await stores.webhooks.record(claimed, attempt(stores, claimed, 500), None) == "failed"


async def test_a_sender_that_died_is_followed_by_another(stores: Stores, delivery: Delivery) -> None:
    dead = await claim(stores, delivery)
    stores.clock.advance(LEASE_SECONDS + 1)
    assert await stores.webhooks.due(10) == [delivery.id]
    alive = await claim(stores, delivery, "worker_2")

    await stores.webhooks.record(dead, attempt(stores, dead, 200), None)
    assert (await fresh(stores, delivery)) == alive  # the dead one's word no longer counts
    await stores.webhooks.record(alive, attempt(stores, alive, 500), None)

    assert [made.status for made in await attempts(stores, delivery)] == [500]


async def test_a_worker_that_stops_gives_its_deliveries_back(stores: Stores, delivery: Delivery) -> None:
    await claim(stores, delivery)

    assert await stores.webhooks.release_leases("worker_2") == 0
    assert await stores.webhooks.release_leases("worker_1") == 1

    assert await stores.webhooks.due(10) == [delivery.id]


async def test_after_a_crash_of_the_only_process_all_deliveries_are_given_back(
    stores: Stores, delivery: Delivery
) -> None:
    await claim(stores, delivery, "worker_of_an_earlier_life")

    assert await stores.webhooks.release_leases(None) == 1
    assert await stores.webhooks.due(10) == [delivery.id]


async def test_a_replay_begins_the_schedule_anew(stores: Stores, delivery: Delivery) -> None:
    for _ in range(3):
        claimed = await claim(stores, delivery)
        await stores.webhooks.record(claimed, attempt(stores, claimed, 500), None)
        stores.clock.advance(200)

    replayed = await stores.webhooks.replay(delivery.id)
    assert replayed is not None
    assert (replayed.schedule_position, replayed.attempt_count) == (0, 3)
    claimed = await claim(stores, delivery)
    await stores.webhooks.record(claimed, attempt(stores, claimed, 500), None)

    planned = await fresh(stores, delivery)
    assert planned.next_attempt_at is not None
    assert planned.next_attempt_at - stores.clock.now() <= timedelta(seconds=5.5)
    assert planned.attempt_count == 4


@pytest.mark.parametrize("status", [200, 500, 410])
async def test_a_replay_asked_for_during_an_attempt_is_still_made(
    stores: Stores, delivery: Delivery, status: int
) -> None:
    claimed = await claim(stores, delivery)
    stores.clock.advance(1)
    await stores.webhooks.replay(delivery.id)
    stores.clock.advance(1)

    await stores.webhooks.record(claimed, attempt(stores, claimed, status), None)

    assert await stores.webhooks.due(10) == [delivery.id]
    again = await claim(stores, delivery)
    assert (again.attempt_count, again.schedule_position) == (1, 0)
    assert [made.status for made in await attempts(stores, delivery)] == [status]


async def test_an_attempt_under_way_at_the_jobs_end_of_time_plans_no_other(stores: Stores, delivery: Delivery) -> None:
    stores.clock.advance(RETENTION.total_seconds() - 1)
    claimed = await claim(stores, delivery)
    stores.clock.advance(1)
    await stores.ending.purge_expired(10)

    await stores.webhooks.record(claimed, attempt(stores, claimed, 500), None)

    ended = await fresh(stores, delivery)
    assert (ended.status, ended.next_attempt_at) == ("failed", None)
    assert await stores.webhooks.replay("whd_unknown") is None


async def test_whatever_a_receiver_says_the_attempt_is_recorded(stores: Stores, delivery: Delivery) -> None:
    claimed = await claim(stores, delivery)

    await stores.webhooks.record(claimed, attempt(stores, claimed, None, "\x00\ud800" + "x" * 9_000), 1e300)

    (made,) = await attempts(stores, delivery)
    assert made.error == "\ufffd\ufffd" + "x" * 498
    assert (await fresh(stores, delivery)).status == "failed"  # it asked to be left alone for ever


async def test_the_longest_overdue_come_first_and_no_more_than_asked_for(stores: Stores, key: ApiKey) -> None:
    due = []
    for _ in range(4):
        job = await stores.at(key, Step.ENDED, webhook_url=HOOK)
        due.append((await stores.webhooks.find_deliveries([job.id]))[job.id].id)
        stores.clock.advance(1)

    assert await stores.webhooks.due(3) == due[:3]


@pytest.mark.parametrize(
    "dead", ["https://dead.test/hook", "https://dead.test", "https://dead.test:8443/a/b?c=//d", "http://[2001:db8::1]/"]
)
async def test_many_overdue_deliveries_to_one_host_do_not_hide_those_to_another(
    stores: Stores, key: ApiKey, dead: str
) -> None:
    urls = [dead, f"{dead}{'&' if '?' in dead else '?'}job=2", dead, HOOK]
    jobs = []
    for url in urls:
        jobs.append((await stores.at(key, Step.ENDED, webhook_url=url)).id)
        stores.clock.advance(1)
    found = await stores.webhooks.find_deliveries(jobs)
    first, _, _, to_another = (found[job_id].id for job_id in jobs)

    assert await stores.webhooks.due(2) == [first, to_another]


async def test_what_has_just_come_due_is_found_behind_any_backlog(
    stores: Stores, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_OVERDUE_LOOKED_AT", 2)
    jobs = []
    for url in (*["https://dead.test/hook"] * 6, HOOK):
        jobs.append((await stores.at(key, Step.ENDED, webhook_url=url)).id)
        stores.clock.advance(1)
    found = await stores.webhooks.find_deliveries(jobs)

    assert found[jobs[-1]].id in await stores.webhooks.due(2)


async def test_an_account_with_many_overdue_deliveries_does_not_hide_those_of_another(
    stores: Stores, key: ApiKey
) -> None:
    other = await stores.new_key(granted=100_000)
    jobs = []
    for owner in (key, key, key, other):
        jobs.append((await stores.at(owner, Step.ENDED, webhook_url=HOOK)).id)
        stores.clock.advance(1)
    found = await stores.webhooks.find_deliveries(jobs)
    first, _, _, of_the_other = (found[job_id].id for job_id in jobs)

    assert await stores.webhooks.due(2) == [first, of_the_other]
