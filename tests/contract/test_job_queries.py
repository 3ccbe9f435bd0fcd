"""What jobs cost the database, on both: the hot statements are counted, and found by an index however many jobs end."""

import re
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.stores import HOOK, LEASE_SECONDS, Stores, request

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.db.tables import metadata
from pixeldojo.jobs.job import JobFilter
from pixeldojo.jobs.states import Step
from pixeldojo.webhooks.store import DeliveryFilter


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=1_000_000)


async def test_a_job_is_created_with_five_statements(stores: Stores, key: ApiKey, statements: list[str]) -> None:
    """What the key spent today and in total, the balance, the entry of the hold, the job."""
    statements.clear()

    await stores.create(key)

    assert len(statements) == 5, statements


async def test_an_idempotency_key_costs_three_more(stores: Stores, key: ApiKey, statements: list[str]) -> None:
    """Forget an old answer, take the key, keep the answer."""
    statements.clear()

    await stores.create(key, idempotency_key="k")

    assert len(statements) == 8, statements


async def test_an_answer_is_given_again_with_one_statement(stores: Stores, key: ApiKey, statements: list[str]) -> None:
    await stores.create(key, idempotency_key="k")
    statements.clear()

    assert await stores.jobs.find_replay(request(key, idempotency_key="k"))

    assert len(statements) == 1, statements


@pytest.mark.parametrize("count", [1, 40])
async def test_a_claim_is_one_statement_and_a_renewal_of_all_leases_two(
    stores: Stores, key: ApiKey, statements: list[str], count: int
) -> None:
    jobs = [await stores.create(key) for _ in range(count)]
    statements.clear()

    for job_id in jobs:
        await stores.claim(job_id)
    assert len(statements) == count, statements
    statements.clear()

    assert len(await stores.claims.renew_leases("worker_1", LEASE_SECONDS)) == count
    assert [statement.split()[0] for statement in statements] == ["SELECT", "UPDATE"], statements


@pytest.mark.parametrize(("captured", "expected"), [(1_000, 7), (400, 11), (0, 9)])
async def test_a_job_ends_with_few_statements(
    stores: Stores, key: ApiKey, statements: list[str], captured: int, expected: int
) -> None:
    """The job, its settlement, its answer, its files, its webhook; two for an entry, two for what the key gets back."""
    job = await stores.at(key, Step.COLLECT, webhook_url=HOOK)
    statements.clear()

    await stores.claims.complete(job, [stores.asset(job, position) for position in range(3)], captured)

    assert len(statements) == expected, statements


async def test_a_sweep_over_nothing_is_three_looks(stores: Stores, key: ApiKey, statements: list[str]) -> None:
    for _ in range(3):
        await stores.at(key, Step.ENDED)
    statements.clear()

    assert await stores.claims.due(100) == []
    assert await stores.webhooks.due(100) == []
    assert await stores.ending.purge_expired(100) == 0

    assert len(statements) == 3, statements


@pytest.mark.parametrize(("step", "expected"), [(Step.SUBMIT, 1), (Step.CHECK, 1), (Step.ENDED, 3)])
async def test_a_look_at_a_job_costs_more_only_once_it_has_ended(
    stores: Stores, key: ApiKey, statements: list[str], step: Step, expected: int
) -> None:
    """Callers look again and again while it goes on, and once when it has ended: at its files and its webhook too."""
    job = await stores.at(key, step, webhook_url=HOOK)
    statements.clear()

    [shown] = await stores.jobs.present([await stores.jobs.get(key, job.id)])

    assert len(statements) == expected, statements
    assert (shown["assets"] != [], shown["output"] is not None) == (step == Step.ENDED, step == Step.ENDED)


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Sequence[object]]]]:
    """Statements with their parameters, as the driver gets them."""
    seen: list[tuple[str, Sequence[object]]] = []

    def note(
        _connection: Connection,
        _cursor: DBAPICursor,
        statement: str,
        parameters: Sequence[object],
        _context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def plan(connection: AsyncConnection, statement: str, parameters: Sequence[object]) -> str:
    """Return how the database would go about it."""
    if connection.dialect.name == "sqlite":
        explained = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row.detail for row in explained)
    # A few rows are quicker read than looked up; the question is whether they could be.
    await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)).scalars())


async def test_lists_pass_over_what_is_over_by_an_index(
    stores: Stores, key: ApiKey, asked: list[tuple[str, Sequence[object]]]
) -> None:
    """Rows stay for the ledger: an account that had a million jobs must not pay for them whenever it lists its last."""
    for _ in range(20):
        await stores.at(key, Step.ENDED, webhook_url=HOOK)
    stores.clock.advance(25 * 3_600)
    assert await stores.ending.purge_expired(100) == 20
    if not stores.database.is_sqlite:
        await stores.database.write(lambda connection: connection.exec_driver_sql("ANALYZE jobs, deliveries"))
    asked.clear()
    assert await stores.jobs.list_page(key, JobFilter()) == ([], None)
    assert await stores.webhooks.list_page(key.account_id, key.mode, DeliveryFilter(20)) == ([], None)

    questions = [(statement, parameters) for statement, parameters in asked if "WHERE" in statement]
    for (statement, parameters), index in zip(questions, ("ix_jobs_kept", "ix_deliveries_kept"), strict=True):
        found = await stores.database.write(partial(plan, statement=statement, parameters=parameters))
        assert index in found


async def test_the_questions_asked_all_the_time_are_answered_by_an_index(
    stores: Stores, key: ApiKey, asked: list[tuple[str, Sequence[object]]]
) -> None:
    """However many jobs have ended: a look at every row would grow with the history."""
    job = await stores.at(key, Step.COLLECT, idempotency_key="k", webhook_url=HOOK)
    asked.clear()
    await stores.claims.due(10)
    await stores.webhooks.due(10)
    await stores.claims.renew_leases("worker_1", LEASE_SECONDS)
    await stores.jobs.list_page(key, JobFilter())
    await stores.claims.complete(job, [stores.asset(job)], 400)
    await stores.ending.purge_expired(10)
    await stores.ending.forget_answers()
    questions = [(statement, parameters) for statement, parameters in asked if "WHERE" in statement]

    plans = {
        statement: await stores.database.write(partial(plan, statement=statement, parameters=parameters))
        for statement, parameters in questions
    }

    whole_table = re.compile(rf"\b(SCAN|Seq Scan on) ({'|'.join(metadata.tables)})\b")
    assert len(plans) >= 10
    assert {statement: found for statement, found in plans.items() if whole_table.search(found)} == {}
