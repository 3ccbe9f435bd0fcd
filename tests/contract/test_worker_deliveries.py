"""Webhooks on both databases: at least once, one worker at a time, and no replay lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from tests.clock import FakeClock
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.receivers import (
    HOOK,
    Gate,
    ScriptedReceivers,
    answer,
    attempts_of,
    deliverer,
    ended_job,
    many_due,
    now_of,
    until_idle,
)
from tests.unit.worker.workshop import Workshop, open_workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.engine import Database

OUTAGE_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries of a write that must not be lost."""


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


@pytest.fixture
def receivers(shop: Workshop) -> ScriptedReceivers:
    return ScriptedReceivers(shop)


async def test_workers_never_attempt_one_delivery_at_a_time(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    workers = [deliverer(shop, receivers, f"worker_{number}") for number in range(3)]
    delivery = await ended_job(shop, key)
    await asyncio.gather(*(worker.take(delivery.id) for worker in workers))
    await gate.is_reached.wait()
    shop.clock.advance(30)
    await asyncio.gather(*(worker.take(delivery.id) for worker in workers))
    gate.may_answer.set()
    await until_idle()
    assert len(receivers.received) == 1
    assert (await now_of(shop, delivery)).status == "delivered"


async def test_many_deliveries_and_many_workers_are_one_attempt_each(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    workers = [deliverer(shop, receivers, f"worker_{number}") for number in range(3)]
    ids = await many_due(shop, key, [HOOK] * 20)
    await asyncio.gather(*(worker.take(delivery_id) for delivery_id in ids for worker in workers))
    await until_idle()
    assert sorted(received.headers["webhook-id"] for received in receivers.received) == sorted(ids)


async def pass_outage(shop: Workshop) -> None:
    """Move the clock over every pause that a write makes while the database is away."""
    for pause in OUTAGE_PAUSES:
        await shop.clock.until_sleeping()
        shop.clock.advance(pause)


@pytest.mark.parametrize("is_kept", [False, True], ids=["not written", "answer lost"])
@pytest.mark.parametrize("status", [200, 500, 410])
async def test_an_attempt_is_on_record_as_soon_as_the_database_is_back(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers, status: int, is_kept: bool
) -> None:
    """Not only when its lease has run out, and not by sending it once more."""
    receivers.answer_next(answer(status))
    delivery = await ended_job(shop, key)
    begun = shop.clock.monotonic()
    shop.break_writes(None, *[Fault(away(), is_kept)] * len(OUTAGE_PAUSES))
    await deliverer(shop, receivers).take(delivery.id)
    await pass_outage(shop)
    await until_idle()
    assert shop.clock.monotonic() - begun == sum(OUTAGE_PAUSES) < 10
    now = await now_of(shop, delivery)
    assert (now.attempt_count, now.schedule_position, now.lease_owner, len(receivers.received)) == (1, 1, None, 1)
    assert now.status == {200: "delivered", 500: "pending", 410: "failed"}[status]
    assert (now.next_attempt_at is None) == (status != 500)
    assert [made.status for made in await attempts_of(shop, delivery)] == [status]


async def test_a_replay_asked_for_while_the_answer_to_a_record_is_lost_stays(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    delivery = await ended_job(shop, key)
    shop.break_writes(None, Fault(away(), is_kept=True))
    await deliverer(shop, receivers).take(delivery.id)
    await shop.clock.until_sleeping()
    shop.clock.advance(0.1)
    await shop.stores.webhooks.replay(delivery.id)
    shop.clock.advance(OUTAGE_PAUSES[0])
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.attempt_count, now.schedule_position) == ("pending", 1, 0)
    assert await shop.stores.webhooks.due(10) == [delivery.id]


async def test_a_claim_that_came_while_the_answer_to_a_record_was_lost_is_left_alone(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(answer(500), gate)
    delivery = await ended_job(shop, key)
    shop.break_writes(None, Fault(away(), is_kept=True))
    await deliverer(shop, receivers, "worker_1").take(delivery.id)
    await shop.clock.until_sleeping()
    shop.clock.advance(0.1)
    await shop.stores.webhooks.replay(delivery.id)
    await deliverer(shop, receivers, "worker_2").take(delivery.id)
    await gate.is_reached.wait()
    shop.clock.advance(OUTAGE_PAUSES[0])
    await shop.stores.database.check()
    assert (await now_of(shop, delivery)).lease_owner == "worker_2"
    gate.may_answer.set()
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.attempt_count) == ("delivered", 2)
    assert [made.status for made in await attempts_of(shop, delivery)] == [500, 200]


async def test_secrets_that_cannot_be_read_for_a_moment_cost_no_lease(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    async def break_the_next_read() -> None:
        async def gone() -> None:
            raise away()

        shop.database.after_read = gone

    delivery = await ended_job(shop, key)
    shop.database.after_read = break_the_next_read
    await deliverer(shop, receivers).take(delivery.id)
    await shop.clock.until_sleeping()
    assert receivers.received == []
    shop.clock.advance(OUTAGE_PAUSES[0])
    await until_idle()
    assert (await now_of(shop, delivery)).status == "delivered"


async def test_an_attempt_that_was_not_recorded_is_made_again(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    """The receiver has it, and we do not know: it is sent once more, with the same id."""
    delivery = await ended_job(shop, key)
    shop.break_writes(None, *[Fault(away())] * (len(OUTAGE_PAUSES) + 1))
    await deliverer(shop, receivers, "worker_1").take(delivery.id)
    await pass_outage(shop)
    await until_idle()
    assert (len(receivers.received), await attempts_of(shop, delivery)) == (1, [])
    assert await shop.stores.webhooks.due(10) == []
    shop.clock.advance(61)
    assert await shop.stores.webhooks.due(10) == [delivery.id]
    await deliverer(shop, receivers, "worker_2").take(delivery.id)
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.attempt_count) == ("delivered", 1)
    assert {received.headers["webhook-id"] for received in receivers.received} == {delivery.id}


async def test_a_replay_asked_for_during_an_attempt_is_made_after_it(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers)
    delivery = await ended_job(shop, key)
    await worker.take(delivery.id)
    await gate.is_reached.wait()
    shop.clock.advance(0.5)
    replayed = await shop.stores.jobs.replay_webhook(key, delivery.job_id)
    assert replayed.id == delivery.id
    await worker.take(delivery.id)
    await deliverer(shop, receivers, "worker_2").take(delivery.id)
    assert len(receivers.received) == 1
    gate.may_answer.set()
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.attempt_count, now.schedule_position) == ("pending", 1, 0)
    for delivery_id in await shop.stores.webhooks.due(10):
        await worker.take(delivery_id)
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.attempt_count, len(receivers.received)) == ("delivered", 2, 2)


async def test_a_replay_begins_the_schedule_anew(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(answer(410), *[answer(500)] * 2)
    worker = deliverer(shop, receivers)
    delivery = await ended_job(shop, key)
    await worker.take(delivery.id)
    await until_idle()
    assert (await now_of(shop, delivery)).status == "failed"
    shop.clock.advance(3600)
    await shop.stores.webhooks.replay(delivery.id)
    await worker.take(delivery.id)
    await until_idle()
    now = await now_of(shop, delivery)
    assert now.next_attempt_at is not None
    assert 5 <= (now.next_attempt_at - shop.clock.now()).total_seconds() <= 5.5
    assert [made.number for made in await attempts_of(shop, delivery)] == [1, 2]


async def test_a_worker_that_was_paused_past_its_lease_records_nothing(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate(answer(500))
    receivers.answer_next(gate)
    paused = deliverer(shop, receivers, "worker_1")
    delivery = await ended_job(shop, key)
    await paused.take(delivery.id)
    await gate.is_reached.wait()
    shop.clock.advance(61)
    await deliverer(shop, receivers, "worker_2").take(delivery.id)
    async with asyncio.timeout(10):
        while (await now_of(shop, delivery)).status != "delivered":
            pass
    gate.may_answer.set()
    await until_idle()
    now = await now_of(shop, delivery)
    assert (now.status, now.next_attempt_at, now.attempt_count) == ("delivered", None, 1)
    assert [made.status for made in await attempts_of(shop, delivery)] == [200]


async def test_failed_and_cancelled_jobs_have_a_webhook_too(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    await shop.stores.jobs.cancel(key, job_id)
    worker = deliverer(shop, receivers)
    for delivery_id in await shop.stores.webhooks.due(10):
        await worker.take(delivery_id)
    await until_idle()
    [secret] = await shop.stores.accounts.webhook_secrets(key.account_id)
    event = receivers.received[0].verify(secret)
    assert (event["type"], event["data"]["error"]["code"], event["data"]["creditCost"]) == ("job.failed", "canceled", 0)
