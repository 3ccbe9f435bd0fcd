"""Nobody pays twice: whatever upstreams answer and wherever workers die, a job is taken at most once and ends once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clock import FakeClock
from tests.stores import LEASE_SECONDS
from tests.unit.worker.faulty import Crash, Fault
from tests.unit.worker.workshop import ScriptedProvider, Workshop, accepted, finished, open_workshop, refused

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.db.engine import Database
from pixeldojo.jobs.states import Step
from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpClient,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)

KINDS = list(UpstreamErrorKind)


@pytest.fixture
async def shop(database: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(database, clock, tmp_path) as shop:
        yield shop


@pytest.fixture
async def key(shop: Workshop) -> ApiKey:
    return await shop.key()


# One lost answer


async def test_a_lost_answer_ends_the_job_where_a_repeat_might_cost(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "upstream_unknown")]


async def test_a_lost_answer_is_asked_for_again_where_that_is_harmless(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN)] * 2
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 3
    assert len({call.attempt_id for call in shop.upstream.calls}) == 1
    assert await shop.attempts(job_id) == [("sandbox", "finished")]
    assert shop.pauses == [0.5, 1.0]


async def test_asking_again_has_an_end(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN)] * 50
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 4
    assert len({call.attempt_id for call in shop.upstream.calls}) == 1


async def test_refusals_before_do_not_shorten_the_asking(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [
        *[refused(UpstreamErrorKind.OVER_LIMIT)] * 5,
        *[refused(UpstreamErrorKind.UNKNOWN)] * 3,
    ]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert await shop.attempts(job_id) == [("sandbox", "over_limit")] * 5 + [("sandbox", "finished")]


@pytest.mark.parametrize(
    "kind", [UpstreamErrorKind.OVER_LIMIT, UpstreamErrorKind.UNAVAILABLE, UpstreamErrorKind.UNAUTHORIZED]
)
async def test_a_repeat_that_is_turned_away_does_not_free_the_job_for_another_attempt(
    shop: Workshop, key: ApiKey, kind: UpstreamErrorKind
) -> None:
    """The call before it, whose answer was lost, may have been taken all the same."""
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [refused(UpstreamErrorKind.UNKNOWN), refused(kind, later=20)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len({call.attempt_id for call in shop.upstream.calls}) == 1
    assert shop.pauses == [0.5, 20]


async def test_past_its_deadline_a_job_is_not_sent_again_even_where_that_is_harmless(
    shop: Workshop, key: ApiKey
) -> None:
    """Work begun now would end after the job, and be paid for nothing."""
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key, timeout_seconds=60)
    shop.upstream.to_submit = [Crash()]
    await shop.crashed(job_id)
    shop.clock.advance(61)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 1


# One crash


async def test_a_worker_that_died_while_submitting_leaves_a_job_that_nobody_sends_again(
    shop: Workshop, key: ApiKey
) -> None:
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [Crash()]
    await shop.crashed(job_id)
    assert (await shop.job(job_id)).step == Step.SUBMITTING
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "upstream_unknown")]


async def test_after_a_crash_the_same_attempt_is_sent_where_that_is_harmless(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [Crash()]
    await shop.crashed(job_id)
    await shop.carry(job_id, "worker_2")
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    [first, second] = shop.upstream.calls
    assert first.attempt_id == second.attempt_id


async def test_a_job_that_kills_every_worker_is_not_sent_for_ever(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    job_id = await shop.submit(key)
    shop.upstream.to_submit = [Crash() for _ in range(50)]
    for _ in range(4):
        await shop.crashed(job_id)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert len(shop.upstream.calls) == 4


async def test_a_repeat_goes_to_the_upstream_that_was_asked_even_when_others_were_set_up_since(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    beta = ScriptedProvider("beta", to_submit=[Crash()])
    shop.set_up(beta)
    job_id = await shop.submit(key)
    await shop.crashed(job_id)
    # With alpha's credentials set up, the number of beta's turn has become alpha's.
    alpha = ScriptedProvider("alpha", is_resubmit_safe=True)
    shop.set_up(alpha, beta)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)
    assert alpha.calls == []


async def test_a_repeat_whose_upstream_is_gone_ends_unknown(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    shop.set_up(ScriptedProvider("beta", is_resubmit_safe=True, to_submit=[Crash()]))
    job_id = await shop.submit(key)
    await shop.crashed(job_id)
    shop.set_up()
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "upstream_unknown", 0)


# Everything at once


class Turn(StrEnum):
    """What an upstream does with a submit."""

    ACCEPT = "accept"
    FINISH = "finish"
    TAKE_AND_LOSE_THE_ANSWER = "take and lose the answer"
    TAKE_AND_CRASH_US = "take and crash us"
    CRASH_US = "crash us"
    LOSE = "lose"
    BE_BUSY = "be busy"
    BE_DOWN = "be down"
    LOCK_US_OUT = "lock us out"
    REFUSE = "refuse"


_TAKES = frozenset({Turn.ACCEPT, Turn.FINISH, Turn.TAKE_AND_LOSE_THE_ANSWER, Turn.TAKE_AND_CRASH_US})
_REFUSES = {
    Turn.TAKE_AND_LOSE_THE_ANSWER: UpstreamErrorKind.UNKNOWN,
    Turn.LOSE: UpstreamErrorKind.UNKNOWN,
    Turn.BE_BUSY: UpstreamErrorKind.OVER_LIMIT,
    Turn.BE_DOWN: UpstreamErrorKind.UNAVAILABLE,
    Turn.LOCK_US_OUT: UpstreamErrorKind.UNAUTHORIZED,
    Turn.REFUSE: UpstreamErrorKind.REFUSED_CONTENT,
}


@dataclass
class PaidUpstream:
    """An upstream with books of its own: what it took is what it charges the operator for."""

    name: str
    shop: Workshop
    is_resubmit_safe: bool
    turns: list[Turn] = field(default_factory=list)
    checks: list[Running | UpstreamError | Crash] = field(default_factory=list)
    charged: list[str] = field(default_factory=list)

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        job = await self.shop.job(call.job_id)
        assert (job.step, job.attempt_id) == (Step.SUBMITTING, call.attempt_id), "it was not written down before"
        turn = self.turns.pop(0) if self.turns else Turn.ACCEPT
        is_known = self.is_resubmit_safe and call.attempt_id in self.charged
        if turn in _TAKES and not is_known:
            self.charged.append(call.attempt_id)
        if turn in {Turn.CRASH_US, Turn.TAKE_AND_CRASH_US}:
            raise Crash
        if turn in _REFUSES:
            raise refused(_REFUSES[turn])
        return finished() if turn == Turn.FINISH else accepted("up")

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        turn = self.checks.pop(0) if self.checks else finished()
        if isinstance(turn, BaseException):
            raise turn
        return turn

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        return CancelOutcome.TOO_LATE


CHECKS = st.one_of(
    st.builds(Running, st.one_of(st.none(), st.floats(0, 1))),
    st.sampled_from(KINDS).flatmap(lambda kind: st.booleans().map(lambda final: refused(kind, is_final=final))),
    st.builds(Crash),
)
FAULTS = st.one_of(st.none(), st.none(), st.booleans().map(lambda is_kept: Fault(Crash(), is_kept)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    is_safe=st.tuples(st.booleans(), st.booleans()),
    alpha=st.lists(st.sampled_from(Turn), max_size=4),
    beta=st.lists(st.sampled_from(Turn), max_size=4),
    checks=st.lists(CHECKS, max_size=4),
    faults=st.lists(FAULTS, max_size=12),
)
async def test_upstreams_charge_at_most_once_for_a_job(
    shop: Workshop,
    is_safe: tuple[bool, bool],
    alpha: list[Turn],
    beta: list[Turn],
    checks: list[Running | UpstreamError | Crash],
    faults: list[Fault | None],
) -> None:
    upstreams = [
        PaidUpstream("alpha", shop, is_safe[0], list(alpha), list(checks)),
        PaidUpstream("beta", shop, is_safe[1], list(beta), list(checks)),
    ]
    shop.set_up(*upstreams)
    key = await shop.key(KeyMode.LIVE)
    job_id = await shop.submit(key)
    shop.break_writes(*faults)
    for life in range(40):
        try:
            await shop.carry(job_id, f"worker_{life}")
        except Crash:
            shop.clock.advance(LEASE_SECONDS + 1)
        if (await shop.job(job_id)).status.is_terminal:
            break
    shop.break_writes()
    status, _, cost = await shop.ending(key, job_id)
    charged = [attempt for upstream in upstreams for attempt in upstream.charged]
    assert len(charged) <= 1, "the operator pays twice"
    assert cost == (1500 if status == "completed" else 0)
    assert status == "failed" or charged, "completed without any upstream's work"
    assert status in {"completed", "failed"}
    attempts = await shop.attempts(job_id)
    assert all(outcome is not None for _, outcome in attempts)
    assert len(await shop.assets(job_id)) == (1 if status == "completed" else 0)
