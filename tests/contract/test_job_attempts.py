"""What is written down of a job's way through its upstreams, on both databases."""

import json

import pytest
from tests.stores import HOOK, LEASE_SECONDS, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs import store
from pixeldojo.jobs.claims import LeaseLost, UpstreamAttempt
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import JobStatus, Step


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=100_000)


async def told(stores: Stores, job: Job) -> list[tuple[str | None, ...]]:
    """Return what the attempts of a job had from their upstreams: outcome, id, cost, message."""
    async with stores.database.read() as connection:
        rows = await store.list_attempts(connection, job.id)
    return [tuple(row[name] for name in ("outcome", "upstream_id", "upstream_cost", "message")) for row in rows]


async def test_an_upstream_is_called_only_after_it_is_written_down(stores: Stores, key: ApiKey) -> None:
    job = await stores.submitted(await stores.claimed(key), "attempt_1")

    assert (job.status, job.step, job.attempt_id) == (JobStatus.PROCESSING, Step.SUBMITTING, "attempt_1")
    assert job.started_at == stores.clock.now()
    assert await stores.claims.attempts(job) == [UpstreamAttempt("attempt_1", "sandbox", "flux-1.1-pro", None)]


async def test_repeating_a_submit_is_the_same_attempt(stores: Stores, key: ApiKey) -> None:
    job = await stores.submitted(await stores.claimed(key), "attempt_1")
    started_at = job.started_at
    stores.clock.advance(LEASE_SECONDS + 1)

    again = await stores.submitted(await stores.claim(job.id, "worker_2"), "attempt_1")

    assert again.started_at == started_at
    assert len(await stores.claims.attempts(job)) == 1


async def test_an_attempt_under_way_is_not_followed_by_another(stores: Stores, key: ApiKey) -> None:
    """Even a worker that believes the job to be unsubmitted cannot make it be paid for twice."""
    unsubmitted = await stores.claimed(key)
    await stores.submitted(unsubmitted, "attempt_1")

    with pytest.raises(LeaseLost):
        await stores.submitted(unsubmitted, "attempt_2")

    assert [attempt.id for attempt in await stores.claims.attempts(unsubmitted)] == ["attempt_1"]


async def test_a_refused_submit_leads_to_another_attempt_elsewhere(stores: Stores, key: ApiKey) -> None:
    job = await stores.submitted(await stores.claimed(key), "attempt_1")

    job = await stores.claims.refuse(job, outcome="over_limit", message="come back later", upstream_index=1)
    assert (job.step, job.status, job.attempt_id, job.upstream_index, job.failures) == (
        Step.SUBMIT,
        JobStatus.PROCESSING,
        None,
        1,
        1,
    )
    job = await stores.claims.accept(await stores.submitted(job, "attempt_2"), {"id": "up_2"}, "up_2")

    assert (job.step, job.operation, job.failures) == (Step.CHECK, {"id": "up_2"}, 0)
    assert await told(stores, job) == [
        ("over_limit", None, None, "come back later"),
        ("accepted", "up_2", None, None),
    ]


async def test_the_upstreams_cost_and_the_end_of_the_attempt_are_kept(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.CHECK)

    job = await stores.claims.begin_collect(job, "0.04 USD")

    assert (job.step, job.progress) == (Step.COLLECT, 1.0)
    assert await told(stores, job) == [("finished", "up_1", "0.04 USD", None)]


async def test_what_a_worker_finds_out_is_kept_for_the_next(stores: Stores, key: ApiKey) -> None:
    job = await stores.claimed(key)

    changed = await stores.claims.change(job, input_files=({"parameter": "image_url", "index": 0},), failures=3)

    assert await stores.claims.reload(job) == changed
    assert changed.input_files == ({"parameter": "image_url", "index": 0},)


async def test_whatever_an_upstream_says_the_job_can_go_on(stores: Stores, key: ApiKey) -> None:
    """NUL, half a surrogate pair and length break a database: never after the upstream has taken the work."""
    nasty = "a\x00b\ud800c" + "x" * 5_000
    job = await stores.submitted(await stores.claimed(key, webhook_url=HOOK))
    job = await stores.claims.refuse(job, outcome="over_limit", message=nasty, upstream_index=0)
    job = await stores.claims.accept(await stores.submitted(job), {"id": nasty}, nasty)
    job = await stores.claims.begin_collect(job, nasty)

    ended = await stores.claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_ERROR, nasty))

    assert ended.error_message is not None
    assert ended.error_message.startswith("a\ufffdb\ufffdcxxx")
    assert len(ended.error_message) == 1_000
    (delivery,) = (await stores.webhooks.find_deliveries([job.id])).values()
    assert json.loads(delivery.body)["data"]["error"]["message"] == ended.error_message
