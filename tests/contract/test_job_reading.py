"""Looking at jobs, on both databases: one, a page of them, waiting for one, having its webhook sent again."""

import asyncio
from datetime import timedelta

import pytest
from tests.stores import HOOK, RETENTION, Stores

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.core.errors import Conflict, Expired, JobFailure, JobFailureCode, NotFound, ValidationError
from pixeldojo.engine import Hint
from pixeldojo.jobs.job import JobFilter
from pixeldojo.jobs.states import JobStatus, Step
from pixeldojo.webhooks.store import Attempt

FAILURE = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=100_000)


async def several(stores: Stores, key: ApiKey, count: int, model_id: str = "flux-1.1-pro") -> list[str]:
    """Create jobs a second apart; return their ids, newest first."""
    found = []
    for _ in range(count):
        stores.clock.advance(1)
        found.append(await stores.create(key, model_id=model_id))
    return found[::-1]


async def pages(stores: Stores, key: ApiKey, limit: int, cursor: str | None = None) -> list[list[str]]:
    """Return all pages from a cursor on."""
    found = []
    while True:
        page, cursor = await stores.jobs.list_page(key, JobFilter(limit=limit, cursor=cursor))
        found.append([job.id for job in page])
        if cursor is None:
            return found


# One job.


async def test_a_job_is_its_accounts_and_its_modes_alone(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)
    other_account = await stores.new_key()
    other_mode = await stores.new_key(account_id=key.account_id, mode=KeyMode.LIVE)
    other_key = await stores.new_key(account_id=key.account_id)

    for stranger in (other_account, other_mode):
        with pytest.raises(NotFound, match=f"no such job in this account's {stranger.mode} mode"):
            await stores.jobs.get(stranger, job_id)
    assert (await stores.jobs.get(other_key, job_id)).id == job_id
    with pytest.raises(NotFound):
        await stores.jobs.get(key, "job_" + "0" * 32)


# Pages.


async def test_pages_are_newest_first_and_leave_none_out(stores: Stores, key: ApiKey) -> None:
    jobs = await several(stores, key, 7)

    assert await pages(stores, key, 3) == [jobs[:3], jobs[3:6], jobs[6:]]
    assert await pages(stores, key, 7) == [jobs]
    assert await pages(stores, await stores.new_key(), 7) == [[]]


async def test_pages_do_not_shift_when_jobs_are_added_meanwhile(stores: Stores, key: ApiKey) -> None:
    jobs = await several(stores, key, 6)
    first, cursor = await stores.jobs.list_page(key, JobFilter(limit=2))
    await several(stores, key, 3)

    following = await pages(stores, key, 2, cursor)

    assert [job.id for job in first] == jobs[:2]
    assert following == [jobs[2:4], jobs[4:]]


async def test_a_list_shows_one_account_and_one_mode(stores: Stores, key: ApiKey) -> None:
    mine = await several(stores, key, 2)
    live = await stores.new_key(account_id=key.account_id, mode=KeyMode.LIVE, granted=5_000)
    await several(stores, live, 1)
    await several(stores, await stores.new_key(granted=5_000), 1)

    assert await pages(stores, key, 10) == [mine]
    assert [len(page) for page in await pages(stores, live, 10)] == [1]


async def test_filters_choose_by_state_model_and_time(stores: Stores, key: ApiKey) -> None:
    start = stores.clock.now()
    third, second, first = await several(stores, key, 3)
    other = (await several(stores, key, 1, model_id="veo-3.1-fast"))[0]
    await stores.claims.fail(await stores.claim(first), FAILURE)
    await stores.submitted(await stores.claim(second))

    async def chosen(wanted: JobFilter) -> list[str]:
        page, cursor = await stores.jobs.list_page(key, wanted)
        assert cursor is None
        return [job.id for job in page]

    assert await chosen(JobFilter(status=JobStatus.FAILED)) == [first]
    assert await chosen(JobFilter(status=JobStatus.PROCESSING)) == [second]
    assert await chosen(JobFilter(status=JobStatus.PENDING)) == [other, third]
    assert await chosen(JobFilter(model_id="veo-3.1-fast")) == [other]
    assert await chosen(JobFilter(created_after=start + timedelta(seconds=2))) == [other, third]
    assert await chosen(JobFilter(created_before=start + timedelta(seconds=2))) == [first]
    assert await chosen(JobFilter(status=JobStatus.PENDING, model_id="flux-1.1-pro")) == [third]
    assert await chosen(JobFilter(cursor=second)) == [first]


async def test_jobs_whose_time_is_over_leave_the_list_at_once_and_running_ones_never(
    stores: Stores, key: ApiKey
) -> None:
    running = await stores.create(key)
    stores.clock.advance(1)
    ended = await stores.at(key, Step.ENDED)
    stores.clock.advance(RETENTION.total_seconds() - 1)
    assert await pages(stores, key, 10) == [[ended.id, running]]

    stores.clock.advance(1)

    assert await pages(stores, key, 10) == [[running]]
    await stores.ending.purge_expired(10)
    assert await pages(stores, key, 10) == [[running]]


# What is shown.


async def test_several_jobs_are_shown_with_two_queries(stores: Stores, key: ApiKey, statements: list[str]) -> None:
    ended = [await stores.at(key, Step.ENDED, webhook_url=HOOK) for _ in range(5)]
    statements.clear()

    shown = await stores.jobs.present(ended)

    assert len(statements) == 2
    for job, member in zip(ended, shown, strict=True):
        assert member["jobId"] == job.id
        assert isinstance(member["assets"], list)
        assert len(member["assets"]) == 1


async def test_nothing_is_shown_without_a_query(stores: Stores, statements: list[str]) -> None:
    assert await stores.jobs.present([]) == []
    assert statements == []


# Waiting.


async def test_waiting_ends_as_soon_as_the_job_does(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.COLLECT)
    waiting = asyncio.create_task(stores.jobs.wait(key, job.id, 60))
    await stores.clock.until_sleeping()

    await stores.claims.complete(job, [], 0)  # announced within this process: no time has to pass

    assert (await waiting).status == JobStatus.COMPLETED


async def test_waiting_hears_of_an_end_on_another_node_within_a_second(stores: Stores, key: ApiKey) -> None:
    """However long it has waited by then."""
    other_node = Stores(stores.database, stores.clock, stores.blobs)
    job = await stores.at(key, Step.COLLECT)
    waiting = asyncio.create_task(stores.jobs.wait(key, job.id, 600))
    for _ in range(40):
        await stores.clock.until_sleeping(2)  # who waits, and who looks for all that wait
        stores.clock.advance(1)
    await stores.clock.until_sleeping(2)
    await other_node.claims.complete(job, [], 0)
    await other_node.engine.close()
    assert not waiting.done()

    stores.clock.advance(1)

    assert (await waiting).status == JobStatus.COMPLETED


async def test_waiting_is_over_when_its_time_is(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)
    waiting = asyncio.create_task(stores.jobs.wait(key, job_id, 2))
    for _ in range(8):
        await stores.clock.until_sleeping(2)
        assert not waiting.done()
        stores.clock.advance(0.25)

    assert (await waiting).status == JobStatus.PENDING
    assert stores.clock.sleeper_count == 0


@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_an_ended_job_is_not_waited_for(stores: Stores, key: ApiKey, seconds: float) -> None:
    job = await stores.at(key, Step.ENDED)

    assert (await stores.jobs.wait(key, job.id, seconds)).id == job.id
    assert stores.clock.sleeper_count == 0


async def test_waiting_for_another_accounts_job_is_refused_and_leaves_no_listener(stores: Stores, key: ApiKey) -> None:
    job_id = await stores.create(key)

    with pytest.raises(NotFound):
        await stores.jobs.wait(await stores.new_key(), job_id, 60)

    assert stores.clock.sleeper_count == 0


# Sending the webhook again.


async def test_a_webhook_is_sent_again_with_its_id_and_body(stores: Stores, key: ApiKey) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    job = await stores.at(key, Step.ENDED, webhook_url=HOOK)
    first = await stores.webhooks.claim((await stores.webhooks.find_deliveries([job.id]))[job.id].id, "worker_1", 60)
    assert first is not None
    await stores.webhooks.record(first, Attempt(1, stores.clock.now(), 0.1, 200, None), None)
    stores.engine.handle(Hint.DELIVERY, heard.put)
    await stores.engine.start()
    stores.clock.advance(3_600)

    again = await stores.jobs.replay_webhook(key, job.id)

    assert (again.id, again.body) == (first.id, first.body)
    assert (again.status, again.next_attempt_at) == ("pending", stores.clock.now())
    assert await heard.get() == first.id
    assert await stores.webhooks.due(10) == [first.id]


async def test_there_is_nothing_to_send_before_the_end_without_an_address_or_after_expiry(
    stores: Stores, key: ApiKey
) -> None:
    running = await stores.create(key, webhook_url=HOOK)
    without = await stores.at(key, Step.ENDED)
    with pytest.raises(Conflict, match="still pending; its webhook is sent when it has ended"):
        await stores.jobs.replay_webhook(key, running)
    with pytest.raises(ValidationError, match="without a webhook_url"):
        await stores.jobs.replay_webhook(key, without.id)
    with pytest.raises(NotFound):
        await stores.jobs.replay_webhook(await stores.new_key(), running)
    stores.clock.advance(RETENTION.total_seconds())

    with pytest.raises(Expired):
        await stores.jobs.replay_webhook(key, without.id)
