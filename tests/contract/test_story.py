"""What the operator is told of a job, on both databases: everything that happened, in order, and not what was sent."""

import pytest
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailure, JobFailureCode, NotFound
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.jobs.states import Step
from pixeldojo.jobs.story import JobStories, Story
from pixeldojo.webhooks.store import Attempt

HOOK = "https://receiver.test/hook?token=secret"


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=10_000)


async def told(stores: Stores, job_id: str) -> tuple[Story, list[str]]:
    story = await JobStories(stores.database).tell(job_id)
    assert [moment.at for moment in story.moments] == sorted(moment.at for moment in story.moments)
    return story, [moment.what for moment in story.moments]


async def test_the_story_of_a_job_that_went_round_before_it_worked(stores: Stores, key: ApiKey) -> None:
    clock, claims = stores.clock, stores.claims
    job = await stores.submitted(await stores.claimed(key, quoted=3_000, webhook_url=HOOK))
    clock.advance(1)
    job = await claims.refuse(job, outcome="over_limit", message="Too many requests.", upstream_index=1)
    clock.advance(1)
    job = await claims.begin_submit(
        job,
        attempt_id=new_id(IdKind.ATTEMPT, clock.now()),
        provider="replicate",
        endpoint="owner/model",
        upstream_index=1,
    )
    clock.advance(1)
    job = await claims.accept(job, {"id": "up_7", "can_cancel": True}, "up_7")
    job = await claims.begin_collect(job, "0.04 USD")
    clock.advance(1)
    job = await claims.complete(job, [stores.asset(job)], 1_000)
    [delivery] = (await stores.webhooks.find_deliveries([job.id])).values()
    claimed = await stores.webhooks.claim(delivery.id, "worker_1", 60)
    assert claimed is not None
    clock.advance(1)
    await stores.webhooks.record(claimed, Attempt(1, clock.now(), 0.25, 500, None), None)

    story, moments = await told(stores, job.id)

    assert story.job == job
    expected = [
        "accepted: flux-1.1-pro, test mode, key ",
        "hold of 3 credits",
        "submit 1 to sandbox ",
        "submit 1 over_limit: Too many requests.",
        "submit 2 to replicate owner/model",
        "submit 2 finished, upstream id up_7, upstream cost 0.04 USD",
        "completed",
        "capture of 1 credits",
        "release of 2 credits",
        "image image/png, ",
        f"webhook {delivery.id} to https://receiver.test/hook",
        "webhook attempt 1: status 500 after 0.250 s",
        "webhook: the next attempt is due",
    ]
    assert [what for what in expected if not any(moment.startswith(what) for moment in moments)] == []
    assert len(moments) == len(expected)
    assert "secret" not in str(story.moments)
    assert "lantern" not in str(story.moments)


async def test_a_failed_and_purged_job_still_has_its_story(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.CHECK)
    await stores.jobs.cancel(key, job.id)
    await stores.claims.fail(job, JobFailure(JobFailureCode.CANCELED, "Stopped by the upstream."))
    stores.clock.advance(25 * 3_600)
    await stores.ending.purge_expired(10)

    _, moments = await told(stores, job.id)

    assert "the caller wished to cancel" in moments
    assert "failed, canceled: Stopped by the upstream." in moments
    assert moments[-1] == "input and files deleted"


async def test_a_job_that_is_not_there_is_said_to_be_missing(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no job 'job_nope'"):
        await JobStories(stores.database).tell("job_nope")
