"""Creating jobs, on both databases: the row, the hold and the kept answer come together or not at all."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.stores import BASE_URL, RETENTION, Stores, request
from tests.unit.worker.faulty import Fault, FaultyDatabase

from pixeldojo.accounts.keys import SpendCap, SpendCapPeriod
from pixeldojo.assets.service import inline_blob_key
from pixeldojo.blobs import BlobMissing
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import (
    CreditError,
    Forbidden,
    IdempotencyMismatch,
    InsufficientCredits,
    ServiceUnavailable,
    SubmissionFailed,
)
from pixeldojo.core.json_types import JsonObject
from pixeldojo.credits.store import Balance
from pixeldojo.db.engine import CommitLost, Database, Work
from pixeldojo.db.tables import entries, idempotency_keys, jobs, key_spending
from pixeldojo.engine import Hint
from pixeldojo.jobs.job import JobFilter
from pixeldojo.jobs.service import Accepted
from pixeldojo.jobs.states import JobStatus, Step

Result = TypeVar("Result")
DAY_SECONDS = 24 * 3_600


async def test_an_accepted_job_is_pending_and_its_price_is_held(stores: Stores) -> None:
    key = await stores.new_key(granted=7_500)

    accepted = await stores.jobs.create(request(key, quoted=1_250))

    assert accepted.answer == {
        "jobId": accepted.job_id,
        "status": "pending",
        "statusUrl": f"{BASE_URL}/api/v1/jobs/{accepted.job_id}",
        "creditCost": 1.25,
        "creditsRemaining": 6.25,
        "expiresAt": iso_utc(stores.clock.now() + RETENTION),
    }
    assert not accepted.is_replay
    job = await stores.jobs.get(key, accepted.job_id)
    assert (job.status, job.step, job.quoted, job.shown_cost, job.cost) == (
        JobStatus.PENDING,
        Step.SUBMIT,
        1_250,
        1_250,
        None,
    )
    assert await stores.credits.balance(key.account_id, "test") == Balance(6_250, held=1_250, granted=7_500)


async def test_an_input_comes_back_as_it_was_given_whatever_text_is_in_it(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    given: JsonObject = {"prompt": "a \x00 b \ud800 c é 🎏", "n": 1.5, "deep": [{"x": None}, True], "big": 2**60}

    job = await stores.jobs.get(key, await stores.create(key, input=given))

    assert job.input == given


async def test_an_accepted_job_is_announced_once_and_a_refused_one_never(stores: Stores) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    stores.engine.handle(Hint.JOB, heard.put)
    await stores.engine.start()
    key = await stores.new_key(granted=1_000)

    first = await stores.jobs.create(request(key, idempotency_key="k"))
    await stores.jobs.create(request(key, idempotency_key="k"))
    with pytest.raises(InsufficientCredits):
        await stores.jobs.create(request(key))

    assert await heard.get() == first.job_id
    await asyncio.sleep(0)
    assert heard.empty()


async def test_a_job_whose_hint_was_lost_is_found_by_the_sweep(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)
    job_id = await stores.create(key)

    assert await stores.claims.due(10) == []
    stores.clock.advance(5)
    assert await stores.claims.due(10) == [job_id]


async def test_of_a_hundred_jobs_at_once_exactly_those_are_accepted_that_the_balance_covers(stores: Stores) -> None:
    key = await stores.new_key(granted=37_999)

    outcomes = await asyncio.gather(
        *(stores.jobs.create(request(key, quoted=1_000)) for _ in range(100)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 37
    assert sum(isinstance(outcome, InsufficientCredits) for outcome in outcomes) == 63
    assert await stores.count(jobs) == 37
    assert await stores.credits.balance(key.account_id, "test") == Balance(999, held=37_000, granted=37_999)
    remaining = {outcome.answer["creditsRemaining"] for outcome in outcomes if isinstance(outcome, Accepted)}
    assert remaining == {number + 0.999 for number in range(37)}
    assert await stores.faults() == []


async def test_of_many_jobs_at_once_no_more_are_accepted_than_the_keys_cap_allows(stores: Stores) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(5_500, SpendCapPeriod.TOTAL))

    outcomes = await asyncio.gather(
        *(stores.jobs.create(request(key, quoted=1_000)) for _ in range(20)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Forbidden) for outcome in outcomes) == 15


async def test_a_refused_job_leaves_nothing_behind(stores: Stores) -> None:
    key = await stores.new_key(granted=999, spend_cap=SpendCap(5_000, SpendCapPeriod.DAY))

    with pytest.raises(InsufficientCredits):
        await stores.jobs.create(request(key, quoted=1_000, idempotency_key="k"))

    assert await stores.count(jobs) == 0
    assert await stores.count(idempotency_keys) == 0
    assert await stores.count(entries, entries.c.kind == "hold") == 0
    assert await stores.count(key_spending, key_spending.c.spent > 0) == 0


# The same request again.


async def test_the_same_key_and_request_give_the_same_answer_and_one_job(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    first = await stores.jobs.create(request(key, idempotency_key="k"))
    stores.clock.advance(60)

    again = await stores.jobs.create(request(key, idempotency_key="k"))
    found = await stores.jobs.find_replay(request(key, idempotency_key="k"))

    assert again == found == replace(first, is_replay=True)
    assert await stores.count(jobs) == 1
    assert (await stores.credits.balance(key.account_id, "test")).held == 1_000


async def test_the_same_key_with_another_request_is_refused(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    await stores.jobs.create(request(key, idempotency_key="k"))
    other = request(key, idempotency_key="k", fingerprint="0" * 64)

    for ask in (stores.jobs.create, stores.jobs.find_replay):
        with pytest.raises(IdempotencyMismatch, match=r"'k' was used for another request.*or a new key"):
            await ask(other)
    assert await stores.count(jobs) == 1


async def test_a_refused_request_leaves_its_key_free(stores: Stores) -> None:
    key = await stores.new_key()
    with pytest.raises(InsufficientCredits):
        await stores.jobs.create(request(key, idempotency_key="k"))
    assert await stores.jobs.find_replay(request(key, idempotency_key="k")) is None
    await stores.credits.grant(key.account_id, "test", 1_000, "")

    accepted = await stores.jobs.create(request(key, idempotency_key="k", fingerprint="0" * 64))

    assert not accepted.is_replay


async def test_of_twenty_identical_requests_at_once_one_makes_a_job(stores: Stores) -> None:
    key = await stores.new_key(granted=50_000)

    outcomes = await asyncio.gather(*(stores.jobs.create(request(key, idempotency_key="k")) for _ in range(20)))

    assert [outcome.is_replay for outcome in outcomes].count(False) == 1
    assert len({outcome.job_id for outcome in outcomes}) == 1
    assert len({str(outcome.answer) for outcome in outcomes}) == 1
    assert await stores.count(jobs) == 1
    assert (await stores.credits.balance(key.account_id, "test")).held == 1_000


async def test_of_different_requests_with_one_key_at_once_one_wins(stores: Stores) -> None:
    key = await stores.new_key(granted=50_000)

    outcomes = await asyncio.gather(
        *(stores.jobs.create(request(key, idempotency_key="k", fingerprint=f"{n:064}")) for n in range(10)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IdempotencyMismatch) for outcome in outcomes) == 9
    assert await stores.count(jobs) == 1


async def test_when_the_first_of_two_identical_requests_is_refused_the_second_is_no_replay(stores: Stores) -> None:
    """Both wait on one key; the loser must not answer with what was undone."""
    key = await stores.new_key(granted=1_000)
    dear = request(key, quoted=2_000, idempotency_key="k")

    outcomes = await asyncio.gather(
        *(stores.jobs.create(dear) for _ in range(5)),
        stores.jobs.create(request(key, quoted=1_000, idempotency_key="k")),
        *(stores.jobs.create(dear) for _ in range(5)),
        return_exceptions=True,
    )

    fresh = [outcome for outcome in outcomes if isinstance(outcome, Accepted) and not outcome.is_replay]
    assert len(fresh) == 1
    assert fresh[0].answer["creditCost"] == 1
    assert await stores.count(jobs) == 1


async def test_keys_of_two_accounts_do_not_meet(stores: Stores) -> None:
    first, second = await stores.new_key(granted=1_000), await stores.new_key(granted=1_000)

    one = await stores.jobs.create(request(first, idempotency_key="k"))
    other = await stores.jobs.create(request(second, idempotency_key="k"))

    assert one.job_id != other.job_id
    assert not other.is_replay


async def test_an_answer_is_kept_as_long_as_its_job_and_then_the_key_is_free(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    first = await stores.jobs.create(request(key, idempotency_key="k"))
    stores.clock.advance(300)
    job = await stores.claims.complete(await stores.claim(first.job_id), [], 1_000)

    stores.clock.advance(RETENTION.total_seconds() - 1)
    await stores.ending.forget_answers()
    assert (await stores.jobs.get(key, first.job_id)).id == job.id
    assert (await stores.jobs.create(request(key, idempotency_key="k"))).job_id == first.job_id

    stores.clock.advance(1)
    other = request(key, idempotency_key="k", fingerprint="0" * 64)
    assert await stores.jobs.find_replay(other) is None
    second = await stores.jobs.create(other)
    assert not second.is_replay
    assert (await stores.jobs.create(other)).job_id == second.job_id


async def test_an_answer_is_kept_while_its_job_goes_on_however_long_no_worker_comes(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    first = await stores.jobs.create(request(key, idempotency_key="k", timeout_seconds=60))
    stores.clock.advance(30 * DAY_SECONDS)

    await stores.ending.forget_answers()

    assert await stores.jobs.find_replay(request(key, idempotency_key="k")) == replace(first, is_replay=True)
    assert (await stores.jobs.create(request(key, idempotency_key="k"))).is_replay
    assert await stores.count(jobs) == 1


async def test_answers_whose_time_is_over_are_forgotten(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)
    job_id = await stores.create(key, idempotency_key="k")
    await stores.claims.complete(await stores.claim(job_id), [], 1_000)

    stores.clock.advance(DAY_SECONDS - 1)
    await stores.ending.forget_answers()
    assert await stores.count(idempotency_keys) == 1
    stores.clock.advance(1)
    await stores.ending.forget_answers()

    assert await stores.count(idempotency_keys) == 0


# When the database does not take it.


async def without_table(stores: Stores, name: str, ask: Callable[[], Awaitable[Result]]) -> Result:
    """Ask while a table is away, as after a wrong migration."""
    await stores.database.write(lambda c: c.execute(text(f"ALTER TABLE {name} RENAME TO away")))
    try:
        return await ask()
    finally:
        await stores.database.write(lambda c: c.execute(text(f"ALTER TABLE away RENAME TO {name}")))


@pytest.mark.parametrize(
    ("table", "error"), [("jobs", SubmissionFailed), ("balances", CreditError), ("key_spending", CreditError)]
)
async def test_a_job_that_cannot_be_stored_costs_nothing(stores: Stores, table: str, error: type[Exception]) -> None:
    key = await stores.new_key(granted=1_000)

    with pytest.raises(error, match="nothing was charged"):
        await without_table(stores, table, lambda: stores.jobs.create(request(key, idempotency_key="k")))

    assert await stores.credits.balance(key.account_id, "test") == Balance(1_000, granted=1_000)
    assert not (await stores.jobs.create(request(key, idempotency_key="k"))).is_replay


async def test_a_database_that_breaks_off_before_it_was_to_keep_the_job_is_away_and_took_nothing(
    stores: Stores,
) -> None:
    key = await stores.new_key(granted=1_000)
    database = FaultyDatabase(stores.database)
    database.faults = [Fault(OperationalError("INSERT", {}, OSError(), connection_invalidated=True))]
    broken = Stores(database, stores.clock, stores.blobs, stores.engine)

    with pytest.raises(ServiceUnavailable, match="broke off before the job was stored; nothing was charged") as failure:
        await broken.jobs.create(request(key, inline_files={DIGEST: PICTURE}))

    assert failure.value.headers == {"Retry-After": "5"}
    assert [blob.key async for blob in stores.blobs.list_blobs()] == []


class _BreaksOff(Database):
    """A database that commits, and is gone before it says so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, work: Work[Result]) -> Result:
        await self._database.write(work)
        raise CommitLost


async def test_nobody_is_told_that_nothing_was_charged_while_nobody_knows(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)
    wanted = request(key, idempotency_key="k", inline_files={DIGEST: PICTURE})
    breaking = Stores(_BreaksOff(stores.database), stores.clock, stores.blobs, stores.engine)

    with pytest.raises(ServiceUnavailable, match=r"whether the job is stored.*with the same Idempotency-Key"):
        await breaking.jobs.create(wanted)

    again = await stores.jobs.create(wanted)
    assert again.is_replay
    assert await is_kept(stores, again.job_id)


# Media that came inside the request.

PICTURE = b"not much of a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


async def is_kept(stores: Stores, job_id: str) -> bool:
    try:
        await stores.blobs.head(inline_blob_key(job_id, DIGEST))
    except BlobMissing:
        return False
    return True


async def test_inline_media_lie_ready_for_the_worker(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)

    job_id = await stores.create(key, inline_files={DIGEST: PICTURE})

    assert await is_kept(stores, job_id)


async def test_inline_media_of_a_job_that_was_not_made_are_deleted(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)
    wanted = request(key, inline_files={DIGEST: PICTURE}, idempotency_key="k")
    first = await stores.jobs.create(wanted)

    await stores.jobs.create(wanted)
    with pytest.raises(InsufficientCredits):
        await stores.jobs.create(request(key, inline_files={DIGEST: PICTURE}))

    assert [blob.key async for blob in stores.blobs.list_blobs("inputs")] == [inline_blob_key(first.job_id, DIGEST)]


class _CutOff(Database):
    """A database whose callers are gone when the commit is done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, work: Work[Result]) -> Result:
        await self._database.write(work)
        raise asyncio.CancelledError


async def test_a_caller_who_leaves_does_not_take_the_media_of_a_stored_job_along(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)

    with pytest.raises(asyncio.CancelledError):
        await Stores(_CutOff(stores.database), stores.clock, stores.blobs, stores.engine).jobs.create(
            request(key, inline_files={DIGEST: PICTURE})
        )

    (job,), _ = await stores.jobs.list_page(key, JobFilter())
    assert await is_kept(stores, job.id)
