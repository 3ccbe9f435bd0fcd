"""Cancelling jobs, on both databases: at once where no upstream has the work, else by asking; never half."""

import asyncio
from typing import Final

import pytest
from tests.stores import HOOK, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import Conflict, JobFailure, JobFailureCode, NotFound
from pixeldojo.credits.store import Balance
from pixeldojo.db.tables import deliveries, settlements
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.service import CancelResult
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


async def test_a_job_that_no_upstream_has_seen_is_cancelled_at_once(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key, quoted=QUOTED)

    ended, result = await stores.jobs.cancel(key, job_id)

    assert result == CancelResult.CANCELED
    assert (ended.status, ended.error_code, ended.cost) == (JobStatus.FAILED, JobFailureCode.CANCELED, 0)
    assert await balance(stores, key) == Balance(GRANTED, granted=GRANTED)


async def test_cancelling_shuts_the_worker_out_that_was_about_to_submit(stores: Stores, key: ApiKey) -> None:
    job = await stores.claimed(key)

    await stores.jobs.cancel(key, job.id)

    with pytest.raises(LeaseLost):
        await stores.submitted(job)


@pytest.mark.parametrize(
    ("can_cancel", "expected"), [(True, CancelResult.REQUESTED), (False, CancelResult.NOT_SUPPORTED)]
)
async def test_a_job_that_an_upstream_has_is_cancelled_only_by_asking(
    stores: Stores, key: ApiKey, can_cancel: bool, expected: CancelResult
) -> None:
    job = await stores.submitted(await stores.claimed(key))
    job = await stores.claims.accept(job, {"id": "up", "can_cancel": can_cancel}, "up")
    async with stores.engine.listen(job.id) as changed:
        standing, result = await stores.jobs.cancel(key, job.id)
        assert changed.is_set()

    assert result == expected
    assert standing.status == JobStatus.PROCESSING
    assert standing.cancel_requested_at == stores.clock.now()
    assert (await stores.claims.fail(job, FAILURE)).status == JobStatus.FAILED  # the worker's claim still holds


async def test_wishing_twice_keeps_the_time_of_the_first_wish(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.CHECK)
    first, _ = await stores.jobs.cancel(key, job.id)
    stores.clock.advance(1)

    again, _ = await stores.jobs.cancel(key, job.id)

    assert again.cancel_requested_at == first.cancel_requested_at


@pytest.mark.parametrize("step", [Step.COLLECT, Step.SUBMIT])
async def test_an_ended_job_cannot_be_cancelled(stores: Stores, key: ApiKey, step: Step) -> None:
    ended = await stores.claims.fail(await stores.at(key, step), FAILURE)

    with pytest.raises(Conflict, match="already ended: it is failed"):
        await stores.jobs.cancel(key, ended.id)
    assert await stores.jobs.get(key, ended.id) == ended


async def test_another_accounts_job_cannot_be_cancelled(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)

    with pytest.raises(NotFound):
        await stores.jobs.cancel(await stores.new_key(), job_id)
    assert (await stores.jobs.get(key, job_id)).cancel_requested_at is None


async def test_cancelling_and_submitting_at_once_has_one_winner(stores: Stores, key: ApiKey) -> None:
    won: set[str] = set()
    for number in range(12):
        job = await stores.claimed(key, quoted=500)
        cancel, submit = stores.jobs.cancel(key, job.id), stores.submitted(job)
        first, second = (cancel, submit) if number % 2 else (submit, cancel)
        await asyncio.gather(first, second, return_exceptions=True)
        standing = await stores.jobs.get(key, job.id)
        attempts = await stores.claims.attempts(job)
        if standing.status == JobStatus.FAILED:
            won.add("cancel")
            assert attempts == []
        else:
            won.add("submit")
            assert len(attempts) == 1
            assert standing.cancel_requested_at is not None
            await stores.claims.fail(await stores.claims.reload(job), FAILURE)

    assert won  # which of the two is the scheduler's business
    assert await stores.count(settlements) == 12
    assert await balance(stores, key) == Balance(GRANTED, granted=GRANTED)


async def test_a_cancelled_and_a_cancelled_again_job_ends_once(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key, webhook_url=HOOK)

    outcomes = await asyncio.gather(*(stores.jobs.cancel(key, job_id) for _ in range(6)), return_exceptions=True)

    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(errors) < 6
    assert all(isinstance(error, Conflict) for error in errors)
    assert await stores.count(settlements) == await stores.count(deliveries) == 1
