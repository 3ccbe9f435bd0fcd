"""Handing a job to an upstream: what each kind of refusal leads to, and what is written down before and after."""

import asyncio
from collections import Counter

import pytest
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.workshop import ScriptedProvider, Workshop, accepted, finished, refused

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.jobs import store
from pixeldojo.jobs.states import JobStatus, Step
from pixeldojo.providers.contract import Operation, Running, UpstreamErrorKind

LATER = (UpstreamErrorKind.OVER_LIMIT, UpstreamErrorKind.UNAVAILABLE)


@pytest.fixture
async def live(shop: Workshop) -> ApiKey:
    return await shop.key(KeyMode.LIVE)


def two_upstreams(shop: Workshop) -> tuple[ScriptedProvider, ScriptedProvider]:
    alpha, beta = ScriptedProvider("alpha"), ScriptedProvider("beta")
    shop.set_up(alpha, beta)
    return alpha, beta


# What is written down


async def test_a_job_is_submitted_once_checked_and_completed(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "finished")]


async def test_the_call_is_written_down_before_the_upstream_hears_of_it(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)

    async def look() -> Operation:
        job = await shop.job(job_id)
        assert (job.status, job.step, job.started_at) == (JobStatus.PROCESSING, Step.SUBMITTING, shop.clock.now())
        async with shop.stores.database.read() as connection:
            [attempt] = await store.list_attempts(connection, job_id)
        assert attempt["id"] == job.attempt_id == shop.upstream.calls[0].attempt_id
        assert (attempt["provider"], attempt["endpoint"], attempt["outcome"]) == ("sandbox", "picture", None)
        return accepted()

    shop.upstream.to_submit = [look]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


async def test_the_handle_is_kept_as_the_upstream_gave_it(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    given = Operation("up_7", {"token": [1, {"a": None}]}, can_cancel=True, poll_after_seconds=3.0)
    shop.upstream.to_submit = [given]
    shop.upstream.to_check = [Running()]
    job = await shop.carry(job_id, pauses=2)
    assert job.step == Step.CHECK
    assert shop.pauses[0] == 3.0
    assert shop.upstream.checked == [given]
    assert await shop.attempts(job_id) == [("sandbox", "accepted")]


async def test_an_upstream_that_answers_at_once_needs_no_check(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [finished()]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.upstream.checked == []
    assert await shop.attempts(job_id) == [("sandbox", "finished")]


# What is final


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refused(UpstreamErrorKind.REJECTED_INPUT), "invalid_input"),
        (refused(UpstreamErrorKind.REFUSED_CONTENT), "content_rejected"),
        (refused(UpstreamErrorKind.UNAUTHORIZED), "upstream_unavailable"),
        (refused(UpstreamErrorKind.UNKNOWN), "upstream_unknown"),
        (refused(UpstreamErrorKind.UNAVAILABLE, is_final=True), "upstream_error"),
        (refused(UpstreamErrorKind.UNKNOWN, is_final=True), "upstream_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
async def test_some_refusals_end_the_job_uncharged_after_one_call(
    shop: Workshop, key: ApiKey, error: Exception, code: str
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [error]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", code, 0)
    assert len(shop.upstream.calls) == 1
    [(_, outcome)] = await shop.attempts(job_id)
    assert outcome is not None


async def test_the_caller_reads_what_the_upstream_said(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.REJECTED_INPUT)]
    await shop.carry(job_id)
    assert (await shop.job(job_id)).error_message == "because: rejected_input"


async def test_what_was_heard_last_is_told_of_a_submit_that_may_have_been_taken(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN)]
    await shop.carry(job_id)
    said = (await shop.job(job_id)).error_message or ""
    assert said.startswith("Nobody can tell whether the upstream took the job (because: unknown). You were not charged")


@pytest.mark.parametrize("kind", [UpstreamErrorKind.REJECTED_INPUT, UpstreamErrorKind.REFUSED_CONTENT])
async def test_what_one_upstream_refuses_for_good_is_not_tried_on_the_next(
    shop: Workshop, live: ApiKey, kind: UpstreamErrorKind
) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = [refused(kind)]
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "failed"
    assert beta.calls == []


# What is tried again


@pytest.mark.parametrize("kind", LATER)
async def test_a_busy_upstream_is_asked_again_with_growing_pauses(
    shop: Workshop, key: ApiKey, kind: UpstreamErrorKind
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(kind) for _ in range(3)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert shop.pauses == [0.5, 1.0, 2.0]
    assert await shop.attempts(job_id) == [("sandbox", kind)] * 3 + [("sandbox", "finished")]
    assert len({call.attempt_id for call in shop.upstream.calls}) == 4


@pytest.mark.parametrize("kind", LATER)
async def test_an_upstream_that_stays_busy_is_given_up(shop: Workshop, key: ApiKey, kind: UpstreamErrorKind) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(kind) for _ in range(100)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unavailable", 0)
    assert shop.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert await shop.attempts(job_id) == [("sandbox", kind)] * 6
    assert kind in ((await shop.job(job_id)).error_message or "")


async def test_the_pause_an_upstream_asks_for_is_kept(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    busy = UpstreamErrorKind.OVER_LIMIT
    shop.upstream.to_submit = [refused(busy, later=45), refused(busy, later=0.1), refused(busy, later=90)]
    await shop.carry(job_id)
    assert shop.pauses == [45, 1.0, 90]
    assert (await shop.job(job_id)).status == "completed"


@pytest.mark.parametrize("later", [600, 10**9])
async def test_a_job_does_not_wait_for_an_upstream_past_its_deadline(shop: Workshop, key: ApiKey, later: float) -> None:
    job_id = await shop.submit(key, timeout_seconds=600)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.OVER_LIMIT, later=later)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unavailable", 0)
    assert shop.pauses == []
    assert await shop.attempts(job_id) == [("sandbox", "over_limit")]


async def test_a_job_that_nobody_has_taken_by_its_deadline_times_out(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, timeout_seconds=600)
    shop.clock.advance(600)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "timeout", 0)
    assert shop.upstream.calls == []


# The next upstream


@pytest.mark.parametrize("kind", [*LATER, UpstreamErrorKind.UNAUTHORIZED])
async def test_the_next_upstream_is_asked_at_once(shop: Workshop, live: ApiKey, kind: UpstreamErrorKind) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = [refused(kind, later=30)]
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("completed", None, 1500)
    assert (len(alpha.calls), len(beta.calls), shop.pauses) == (1, 1, [])
    assert sorted(await shop.attempts(job_id)) == [("alpha", kind), ("beta", "finished")]
    assert (alpha.calls[0].endpoint, beta.calls[0].endpoint) == ("alpha/picture", "beta/picture")
    assert (await shop.job(job_id)).attempt_id == beta.calls[0].attempt_id != alpha.calls[0].attempt_id


async def test_upstreams_are_asked_in_rounds_with_pauses_between(shop: Workshop, live: ApiKey) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = [refused(UpstreamErrorKind.OVER_LIMIT) for _ in range(100)]
    beta.to_submit = [refused(UpstreamErrorKind.UNAVAILABLE) for _ in range(100)]
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("failed", "upstream_unavailable", 0)
    assert (len(alpha.calls), len(beta.calls)) == (6, 6)
    assert shop.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert Counter(await shop.attempts(job_id)) == {("alpha", "over_limit"): 6, ("beta", "unavailable"): 6}


async def test_an_upstream_without_access_is_left_out_of_the_next_round(shop: Workshop, live: ApiKey) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = [refused(UpstreamErrorKind.OVER_LIMIT)] * 2
    beta.to_submit = [refused(UpstreamErrorKind.UNAUTHORIZED)] * 9
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("completed", None, 1500)
    assert (len(alpha.calls), len(beta.calls)) == (3, 1)


async def test_a_job_ends_when_no_upstream_lets_the_operator_in(shop: Workshop, live: ApiKey) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = beta.to_submit = [refused(UpstreamErrorKind.UNAUTHORIZED)] * 2
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("failed", "upstream_unavailable", 0)
    assert (len(alpha.calls), len(beta.calls), shop.pauses) == (1, 1, [])


async def test_a_lost_answer_is_not_made_good_by_the_next_upstream(shop: Workshop, live: ApiKey) -> None:
    alpha, beta = two_upstreams(shop)
    alpha.to_submit = [refused(UpstreamErrorKind.UNKNOWN)]
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("failed", "upstream_unknown", 0)
    assert beta.calls == []


async def test_without_an_upstream_the_job_says_what_is_missing(shop: Workshop, live: ApiKey) -> None:
    shop.set_up(ScriptedProvider("sandbox"))
    job_id = await shop.submit(live)
    await shop.carry(job_id)
    assert await shop.ending(live, job_id) == ("failed", "upstream_unavailable", 0)
    assert "credentials" in ((await shop.job(job_id)).error_message or "")
    assert shop.upstream.calls == []


async def test_a_model_that_was_taken_out_ends_its_jobs(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    kept = tuple(model for model in shop.catalog.models if model.id != "picture")
    shop.catalog = type(shop.catalog)(kept)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unavailable", 0)


# When the database is away just then


@pytest.mark.parametrize("is_kept", [False, True], ids=["not written", "written, and the answer lost"])
async def test_a_handle_is_not_lost_when_the_database_is_away(shop: Workshop, key: ApiKey, is_kept: bool) -> None:
    job_id = await shop.submit(key)

    async def accept() -> Operation:
        shop.break_writes(*[Fault(away(), is_kept)] * 2)
        return accepted()

    shop.upstream.to_submit = [accept]
    carrying = asyncio.create_task(shop.carry(job_id))
    for pause in (0.5, 1.0):
        await shop.clock.until_sleeping()
        shop.clock.advance(pause)
    await carrying
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "finished")]
