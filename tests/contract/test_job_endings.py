"""How jobs end, on both databases: once, with everything that belongs to the end, whoever else wants to end them."""

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import replace
from typing import Final

import pytest
from tests.stores import HOOK, RETENTION, Stores

from pixeldojo.accounts.keys import ApiKey, SpendCap, SpendCapPeriod
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import CreditError, JobFailure, JobFailureCode
from pixeldojo.credits.store import Balance
from pixeldojo.db.tables import assets, deliveries, settlements
from pixeldojo.engine import Hint
from pixeldojo.jobs.states import JobStatus, Step

FAILURE: Final = JobFailure(JobFailureCode.CONTENT_REJECTED, "The upstream's filter refused it.")
GRANTED: Final = 10_000
QUOTED: Final = 3_000


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=GRANTED)


async def balance(stores: Stores, key: ApiKey) -> Balance:
    assert await stores.faults() == []
    return await stores.credits.balance(key.account_id, "test")


async def test_a_completed_job_keeps_its_files_and_costs_what_was_captured(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.COLLECT, quoted=QUOTED)
    stores.clock.advance(60)
    files = [stores.asset(job, position) for position in range(2)]

    ended = await stores.claims.complete(job, files, 2_500)

    assert (ended.status, ended.step, ended.cost, ended.error_code) == (
        JobStatus.COMPLETED,
        Step.ENDED,
        2_500,
        None,
    )
    assert ended.completed_at == stores.clock.now()
    assert ended.expires_at == stores.clock.now() + RETENTION
    assert (ended.lease_owner, ended.lease_until) == (None, None)
    kept = await stores.assets.list_assets([job.id])
    assert kept == {job.id: [replace(file, expires_at=ended.expires_at) for file in files]}
    assert await balance(stores, key) == Balance(7_500, held=0, captured=2_500, granted=GRANTED)


async def test_a_failed_job_costs_nothing_and_says_why(stores: Stores, key: ApiKey) -> None:
    ended = await stores.claims.fail(await stores.at(key, Step.CHECK, quoted=QUOTED), FAILURE)

    assert (ended.status, ended.cost, ended.error_code, ended.error_message) == (
        JobStatus.FAILED,
        0,
        JobFailureCode.CONTENT_REJECTED,
        FAILURE.message,
    )
    (shown,) = await stores.jobs.present([ended])
    assert shown["error"] == {"code": "content_rejected", "message": FAILURE.message}
    assert shown["creditCost"] == 0
    assert await balance(stores, key) == Balance(GRANTED, granted=GRANTED)


@pytest.mark.parametrize("captured", [QUOTED + 1, -1])
async def test_a_job_that_would_cost_more_than_was_held_does_not_end(
    stores: Stores, key: ApiKey, captured: int
) -> None:
    job = await stores.at(key, Step.COLLECT, quoted=QUOTED, webhook_url=HOOK)

    with pytest.raises(CreditError):
        await stores.claims.complete(job, [stores.asset(job)], captured)

    assert await stores.claims.reload(job) == job
    assert await stores.count(assets) == await stores.count(deliveries) == 0
    assert await balance(stores, key) == Balance(GRANTED - QUOTED, held=QUOTED, granted=GRANTED)


async def test_a_job_whose_files_cannot_be_registered_does_not_end(stores: Stores, key: ApiKey) -> None:
    """Two files at one position: the database refuses the second, and with it the whole end."""
    job = await stores.at(key, Step.COLLECT, quoted=QUOTED, webhook_url=HOOK)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await stores.claims.complete(job, [stores.asset(job), stores.asset(job)], QUOTED)

    assert await stores.claims.reload(job) == job
    assert await stores.count(settlements) == await stores.count(deliveries) == 0
    ended = await stores.claims.complete(job, [stores.asset(job)], QUOTED)
    assert ended.status == JobStatus.COMPLETED


# The webhook.


@pytest.mark.parametrize("end", ["completed", "failed", "canceled"])
async def test_a_webhook_is_written_with_the_end_of_a_job_that_asked_for_one(
    stores: Stores, key: ApiKey, end: str
) -> None:
    if end == "canceled":
        job = await stores.jobs.get(key, await stores.create(key, webhook_url=HOOK))
        ended, _ = await stores.jobs.cancel(key, job.id)
    else:
        job = await stores.at(key, Step.COLLECT, webhook_url=HOOK)
        claims = stores.claims
        ended = await (
            claims.complete(job, [stores.asset(job)], 700) if end == "completed" else claims.fail(job, FAILURE)
        )

    delivery = (await stores.webhooks.find_deliveries([job.id]))[job.id]
    assert delivery.event_type == ("job.completed" if end == "completed" else "job.failed")
    assert (delivery.url, delivery.status, delivery.next_attempt_at) == (HOOK, "pending", stores.clock.now())
    assert delivery.expires_at == ended.expires_at
    body = json.loads(delivery.body)
    assert (body["type"], body["timestamp"]) == (delivery.event_type, iso_utc(stores.clock.now()))
    (shown,) = await stores.jobs.present([ended])
    assert body["data"] == shown
    assert shown["webhook"] == {
        "url": HOOK,
        "status": "pending",
        "deliveryId": delivery.id,
        "attempts": 0,
        "nextAttemptAt": iso_utc(stores.clock.now()),
        "deliveredAt": None,
    }


async def test_no_webhook_is_written_for_a_job_without_an_address_or_before_the_end(
    stores: Stores, key: ApiKey
) -> None:
    await stores.at(key, Step.COLLECT, webhook_url=HOOK)
    await stores.at(key, Step.ENDED)

    assert await stores.count(deliveries) == 0


async def test_the_end_is_announced_to_those_who_wait_and_to_the_sender_of_webhooks(
    stores: Stores, key: ApiKey
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    stores.engine.handle(Hint.DELIVERY, heard.put)
    await stores.engine.start()
    job = await stores.at(key, Step.COLLECT, webhook_url=HOOK)

    async with stores.engine.listen(job.id) as changed:
        await stores.claims.complete(job, [], 0)
        assert changed.is_set()

    delivery = (await stores.webhooks.find_deliveries([job.id]))[job.id]
    assert await heard.get() == delivery.id


# Several who want to end it.


async def outcomes_of(*ends: Awaitable[object]) -> list[str]:
    found = await asyncio.gather(*ends, return_exceptions=True)
    return sorted(type(outcome).__name__ for outcome in found if isinstance(outcome, Exception))


async def test_of_several_ends_at_once_one_is_settled(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.COLLECT, quoted=QUOTED, webhook_url=HOOK)

    losers = await outcomes_of(
        stores.claims.complete(job, [stores.asset(job)], 1_000),
        stores.claims.complete(job, [stores.asset(job)], 2_000),
        stores.claims.fail(job, FAILURE),
        stores.claims.fail(job, FAILURE),
    )

    assert losers == ["LeaseLost"] * 3
    ended = await stores.jobs.get(key, job.id)
    assert await stores.count(settlements) == await stores.count(deliveries) == 1
    assert await stores.count(assets) == (1 if ended.status == JobStatus.COMPLETED else 0)
    captured = ended.cost
    assert captured is not None
    assert await balance(stores, key) == Balance(GRANTED - captured, captured=captured, granted=GRANTED)


async def test_an_end_gives_what_the_job_did_not_cost_back_to_the_keys_cap(stores: Stores) -> None:
    key = await stores.new_key(granted=GRANTED, spend_cap=SpendCap(QUOTED, SpendCapPeriod.TOTAL))

    await stores.claims.fail(await stores.at(key, Step.CHECK, quoted=QUOTED), FAILURE)
    job = await stores.at(key, Step.COLLECT, quoted=QUOTED)
    await stores.claims.complete(job, [], 1_000)
    accepted = await stores.create(key, quoted=2_000)

    assert (await stores.jobs.get(key, accepted)).quoted == 2_000
