"""Jobs whose upstreams are left alone or full: the next upstream, or a wait that holds nothing."""

import pytest
from tests.unit.worker.test_submit import two_upstreams
from tests.unit.worker.workshop import ScriptedProvider, Workshop, accepted, refused

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import Operation, Running, UpstreamErrorKind
from pixeldojo.worker.circuits import FAILURES, FIRST_PAUSE_SECONDS

AWAY = UpstreamErrorKind.UNAVAILABLE
TROUBLES = [AWAY, UpstreamErrorKind.UNAUTHORIZED, UpstreamErrorKind.UNKNOWN]


@pytest.fixture
async def live(shop: Workshop) -> ApiKey:
    return await shop.key(KeyMode.LIVE)


def leave_alone(shop: Workshop, provider: str) -> None:
    for number in range(FAILURES):
        shop.circuits.failed(provider, f"{provider}/picture", f"job_{number}")


@pytest.mark.parametrize("kind", TROUBLES)
async def test_failed_submits_lead_to_the_next_upstream_without_asking(
    shop: Workshop, live: ApiKey, kind: UpstreamErrorKind
) -> None:
    alpha, _ = two_upstreams(shop)
    alpha.to_submit = [refused(kind) for _ in range(FAILURES)]
    for _ in range(FAILURES):
        await shop.carry(await shop.submit(live))
    asked = len(alpha.calls)
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.attempts(job_id) == [("beta", "finished")]
    assert asked == len(alpha.calls) == FAILURES
    assert len(shop.logged("upstream is left alone")) == 1


@pytest.mark.parametrize("kind", sorted(set(UpstreamErrorKind) - {*TROUBLES}))
async def test_other_refusals_do_not_close_an_upstream(shop: Workshop, live: ApiKey, kind: UpstreamErrorKind) -> None:
    alpha, _ = two_upstreams(shop)
    alpha.to_submit = [refused(kind) for _ in range(FAILURES * 2)]
    for _ in range(FAILURES * 2):
        await shop.carry(await shop.submit(live))
    assert len(alpha.calls) == FAILURES * 2


async def test_where_all_are_left_alone_the_job_waits_in_the_table(shop: Workshop, live: ApiKey) -> None:
    alpha, beta = two_upstreams(shop)
    leave_alone(shop, "alpha")
    shop.clock.advance(5)
    leave_alone(shop, "beta")
    worker = shop.worker()
    job_id = await shop.submit(live)
    await worker.take(job_id)
    await shop.until_dropped(worker)
    job = await shop.job(job_id)
    assert (job.step, job.lease_owner) == (Step.SUBMIT, None)
    assert (job.next_step_at - shop.clock.now()).total_seconds() == FIRST_PAUSE_SECONDS - 5
    assert alpha.calls == beta.calls == []
    shop.clock.advance(FIRST_PAUSE_SECONDS - 5)
    await shop.carry(job_id, "worker_2")
    assert await shop.attempts(job_id) == [("alpha", "finished")]


async def test_a_job_that_waits_for_an_upstream_ends_at_its_deadline(shop: Workshop, live: ApiKey) -> None:
    shop.set_up(ScriptedProvider("alpha"))
    leave_alone(shop, "alpha")
    job_id = await shop.submit(live, timeout_seconds=5)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("failed", "timeout", 0)
    assert shop.pauses == [5.0]


async def test_one_job_tries_an_upstream_that_failed_before_all_others_follow(shop: Workshop, live: ApiKey) -> None:
    alpha = ScriptedProvider("alpha")
    shop.set_up(alpha)
    leave_alone(shop, "alpha")
    ids = [await shop.submit(live) for _ in range(5)]
    shop.clock.advance(FIRST_PAUSE_SECONDS)
    tried: list[int] = []

    async def look() -> Operation:
        for job_id in ids[1:]:
            await worker.take(job_id)
        await shop.clock.sleep(0)
        tried.append(len(alpha.calls))
        return accepted()

    alpha.to_submit = [look]
    worker = shop.worker()
    await worker.take(ids[0])
    await shop.until_dropped(worker)
    assert tried == [1]
    for job_id in ids[1:]:
        shop.clock.advance(3)
        await shop.carry(job_id, "worker_2")
    assert len(alpha.calls) == 5
    assert len(shop.logged("upstream is back")) == 1


async def test_troubles_that_callers_rehearse_do_not_close_the_sandbox(shop: Workshop, key: ApiKey) -> None:
    for _ in range(FAILURES):
        shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN)]
        await shop.carry(await shop.submit(key))
    job_id = await shop.submit(key)
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "completed"


# Places


async def test_a_full_upstream_is_passed_by(shop: Workshop, live: ApiKey) -> None:
    shop.stores.limits["alpha"] = 1
    alpha, beta = two_upstreams(shop)
    alpha.to_check = [Running(poll_after_seconds=20.0)]
    first, second = await shop.submit(live), await shop.submit(live)
    await shop.carry(first, pauses=1)
    await shop.carry(second)
    assert await shop.attempts(second) == [("beta", "finished")]
    assert (len(alpha.calls), len(beta.calls)) == (1, 1)


async def test_where_all_are_full_jobs_wait_and_are_called_up_when_one_is_through(shop: Workshop, live: ApiKey) -> None:
    shop.stores.limits["alpha"] = 2
    alpha = ScriptedProvider("alpha")
    shop.set_up(alpha)
    ids = [await shop.submit(live) for _ in range(7)]
    alpha.to_check = [Running(poll_after_seconds=3.0) for _ in ids]
    most = 0
    worker = shop.worker()

    async def count() -> Operation:
        nonlocal most
        most = max(most, sum([(await shop.job(job_id)).step in {"submitting", "check"} for job_id in ids]))
        return accepted()

    alpha.to_submit = [count for _ in ids]
    async with shop.running(worker):
        for job_id in ids:
            await worker.take(job_id)
        for job_id in ids:
            await shop.until_ended(job_id)
    assert most == 2
    assert len(alpha.calls) == 7
    assert {(await shop.job(job_id)).status for job_id in ids} == {"completed"}
    assert len(shop.logged("jobs wait for a place at an upstream")) == 1


async def test_a_job_that_finds_its_place_taken_at_the_last_moment_waits(shop: Workshop, live: ApiKey) -> None:
    """Between the look and the submit another process took the last place."""
    shop.stores.limits["alpha"] = 1
    alpha = ScriptedProvider("alpha")
    shop.set_up(alpha)
    job_id, other = await shop.submit(live), await shop.stores.claimed(live, model_id="picture")

    async def take_it() -> None:
        await shop.stores.claims.begin_submit(
            other, attempt_id="attempt_0", provider="alpha", endpoint="e", upstream_index=0
        )

    worker = shop.worker()
    job = await shop.stores.claim(job_id)
    shop.database.after_read = take_it
    await shop.steps()[job.step](job)
    job = await shop.job(job_id)
    assert (job.step, job.lease_owner, job.waits_for) == (Step.SUBMIT, None, "alpha")
    assert alpha.calls == []
    assert worker.job_count == 0
