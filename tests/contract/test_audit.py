"""The audit on both databases: it is silent about sound books and names each row that is wrong."""

from dataclasses import dataclass
from typing import Final

import pytest
from sqlalchemy import Executable, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.db.tables import balances, entries, jobs, key_spending, settlements
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step

FAILURE: Final = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")
GRANTED: Final = 100_000
QUOTED: Final = 3_000
CHECKS_OFF: Final = {
    "sqlite": "PRAGMA ignore_check_constraints = ON",
    "postgresql": """
        DO $$ DECLARE it record; BEGIN
          FOR it IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
                    WHERE contype = 'c' AND connamespace = 'public'::regnamespace
          LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.name, it.conname); END LOOP;
        END $$""",
}


@dataclass(frozen=True)
class Books:
    """One key with a job in each state, and another account beside it."""

    key: ApiKey
    open: Job
    completed: Job
    failed: Job


@pytest.fixture
async def books(stores: Stores) -> Books:
    key = await stores.new_key(granted=GRANTED)
    await stores.new_key(granted=2_000)
    completed = await stores.claims.complete(await stores.at(key, Step.COLLECT, quoted=QUOTED), [], 1_000)
    failed = await stores.claims.fail(await stores.at(key, Step.CHECK, quoted=QUOTED), FAILURE)
    return Books(key, await stores.at(key, Step.CHECK, quoted=QUOTED), completed, failed)


async def tamper(stores: Stores, *statements: Executable) -> None:
    """Change rows as no code of ours can: with the database's own checks off."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text(CHECKS_OFF[connection.dialect.name]))
        for statement in statements:
            await connection.execute(statement)

    await stores.database.write(work)


async def test_sound_books_have_no_fault(stores: Stores, books: Books) -> None:
    assert await stores.faults() == []


async def test_an_entry_that_does_not_sum_to_zero_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(entries).where(entries.c.kind == "capture").values(revenue=1_500))

    unbalanced, *others = await stores.faults()

    assert unbalanced.startswith("Entry ")
    assert "add up to 0.5 instead of 0" in unbalanced
    assert any("captured is kept as 1, but its entries add up to 1.5" in fault for fault in others)
    assert any(books.completed.id in fault and "capture 1.5" in fault for fault in others)


async def test_a_balance_that_its_entries_do_not_explain_is_named(stores: Stores, books: Books) -> None:
    mine = update(balances).where(balances.c.account_id == books.key.account_id)
    await tamper(stores, mine.values(available=balances.c.available - 300, held=balances.c.held + 300))

    kept, holds = await stores.faults()

    assert books.key.account_id in kept
    assert "available is kept as 95.7, but its entries add up to 96; held is kept as 3.3" in kept
    assert "holds 3.3 credits, but its jobs that are not settled hold 3." in holds


async def test_a_balance_below_zero_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(balances).where(balances.c.account_id == books.key.account_id).values(available=-1))

    assert any("below zero: -0.001 available, 3 held" in fault for fault in await stores.faults())


async def test_entries_whose_balance_is_gone_are_named(stores: Stores, books: Books) -> None:
    await tamper(stores, delete(balances).where(balances.c.account_id == books.key.account_id))

    assert await stores.faults() == [f"Account {books.key.account_id} has test entries, but no balance."]


@pytest.mark.parametrize(("captured", "said"), [(900, "captures 0.9 of 3 held"), (3_001, "captures 3.001 of 3 held")])
async def test_a_settlement_that_its_entries_do_not_match_is_named(
    stores: Stores, books: Books, captured: int, said: str
) -> None:
    of_the_completed = update(settlements).where(settlements.c.job_id == books.completed.id)
    await tamper(stores, of_the_completed.values(captured=captured))

    settlement, job = await stores.faults()

    assert (books.completed.id in settlement, said in settlement) == (True, True)
    assert "hold 3, capture 1 and release 2" in settlement
    assert books.completed.id in job


async def test_a_capture_without_a_settlement_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, delete(settlements).where(settlements.c.job_id == books.completed.id))

    faults = await stores.faults()

    assert any("is a capture for job " + books.completed.id in fault for fault in faults)
    assert any("is a release for job " + books.completed.id in fault for fault in faults)
    assert f"Job {books.completed.id} has ended, but was never settled." in faults
    assert any("its jobs that are not settled hold 6." in fault for fault in faults)


async def test_a_job_that_costs_otherwise_than_was_captured_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(jobs).where(jobs.c.id == books.completed.id).values(cost=2_000))

    job, key = await stores.faults()

    assert job == f"Job {books.completed.id} ended completed at a cost of 2, but 1 credits were captured for it."
    assert key == f"Key {books.key.id} is said to have spent 4 credits in total, but its jobs cost or hold 5."


async def test_a_failed_job_that_cost_something_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(jobs).where(jobs.c.id == books.completed.id).values(status="failed"))

    assert await stores.faults() == [
        f"Job {books.completed.id} failed, but 1 credits were captured for it.",
    ]


async def test_a_job_that_goes_on_after_its_settlement_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(jobs).where(jobs.c.id == books.failed.id).values(step=Step.CHECK))

    assert f"Job {books.failed.id} goes on (step check), but is settled already." in await stores.faults()


async def test_a_job_quoted_otherwise_than_was_held_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(jobs).where(jobs.c.id == books.open.id).values(quoted=4_000))

    quoted, _ = await stores.faults()

    assert quoted == f"Job {books.open.id} was quoted 4 credits, but its account holds or held 3 for it."


async def test_a_hold_for_no_job_is_named(stores: Stores, books: Books) -> None:
    hold = {
        "id": "entry_1",
        "account_id": books.key.account_id,
        "mode": "test",
        "kind": "hold",
        "job_id": "job_never",
        "note": "",
        "created_at": stores.clock.now(),
        "available": -500,
        "held": 500,
        "revenue": 0,
        "grants": 0,
    }
    await tamper(stores, insert(entries).values(hold))

    faults = await stores.faults()

    assert "Entry entry_1 holds credits for job job_never, which does not exist." in faults


async def test_a_key_that_is_said_to_have_spent_otherwise_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, update(key_spending).values(spent=1))

    assert await stores.faults() == [
        f"Key {books.key.id} is said to have spent 0.001 credits in total, but its jobs cost or hold 4."
    ]


async def test_a_key_whose_days_are_not_its_total_is_named(stores: Stores, books: Books) -> None:
    """A cap by day counts the day's row, a cap in total the other: each must be right by itself."""
    await tamper(stores, update(key_spending).where(key_spending.c.period != "total").values(spent=1_000))

    assert await stores.faults() == [
        f"Key {books.key.id} is said to have spent 4 credits in total, but 1 on all days together."
    ]


async def test_a_key_whose_spending_is_gone_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, delete(key_spending))

    assert await stores.faults() == [f"Key {books.key.id} has jobs, but nothing says what it has spent."]


# Books that agree with themselves and are wrong all the same.


async def without_uniqueness(stores: Stores) -> None:
    """Let the tables take a second row where the schema allows one."""

    async def work(connection: AsyncConnection) -> None:
        for table in (entries, settlements):
            await connection.execute(text(f"CREATE TABLE loose AS SELECT * FROM {table.name}"))
            await connection.execute(text(f"DROP TABLE {table.name}"))
            await connection.execute(text(f"ALTER TABLE loose RENAME TO {table.name}"))

    await stores.database.write(work)


def entry_of(books: Books, kind: str, job: Job | None, **postings: int) -> Executable:
    """Return what adds an entry to the key's account."""
    row = dict.fromkeys(("available", "held", "revenue", "grants"), 0) | postings
    return insert(entries).values(
        id=f"entry_{kind}",
        account_id=books.key.account_id,
        mode="test",
        kind=kind,
        job_id=None if job is None else job.id,
        note="",
        created_at=books.key.created_at,
        **row,
    )


def move(books: Books, **amounts: int) -> Executable:
    """Return what adds amounts to the balance of the key's account."""
    changed = {name: balances.c[name] + amount for name, amount in amounts.items()}
    return update(balances).where(balances.c.account_id == books.key.account_id).values(changed)


async def test_a_job_settled_twice_is_named(stores: Stores, books: Books) -> None:
    await without_uniqueness(stores)
    again = insert(settlements).from_select(
        settlements.c.keys(), select(settlements).where(settlements.c.job_id == books.failed.id)
    )
    await tamper(stores, again)

    assert f"Job {books.failed.id} has 2 settlements; one is the most." in await stores.faults()


async def test_a_job_captured_twice_is_named_though_every_sum_agrees(stores: Stores, books: Books) -> None:
    await without_uniqueness(stores)
    second = entry_of(books, "capture", books.completed, held=-500, revenue=500)
    await tamper(stores, second, move(books, held=-500, captured=500))

    assert f"Job {books.completed.id} has 2 entries that are a capture; one is the most." in await stores.faults()


@pytest.mark.parametrize(
    ("kind", "moved", "said"),
    [
        ("grant", {"available": -500, "revenue": 500}, "it moves 99.5 available, 0 held, 0.5 revenue and -100 grants"),
        ("grant", {"available": -500, "held": 500}, "it moves 99.5 available, 0.5 held"),
        ("hold", {"available": -500, "revenue": 500}, "it moves -3.5 available, 3 held, 0.5 revenue"),
        ("hold", {"available": 500, "grants": -500}, "it moves -2.5 available, 3 held, 0 revenue and -0.5 grants"),
        ("capture", {"available": -500, "held": 500}, "it moves -0.5 available, -0.5 held, 1 revenue"),
        ("release", {"held": -500, "revenue": 500}, "it moves 2 available, -2.5 held, 0.5 revenue"),
        ("release", {"held": 500, "grants": -500}, "it moves 2 available, -1.5 held, 0 revenue and -0.5 grants"),
    ],
)
async def test_an_entry_that_moves_what_its_kind_does_not_is_named_though_the_sums_agree(
    stores: Stores, books: Books, kind: str, moved: dict[str, int], said: str
) -> None:
    job_id = {"grant": None, "hold": books.open.id}.get(kind, books.completed.id)
    changed = {name: entries.c[name] + amount for name, amount in moved.items()}
    wrong = update(entries).where(entries.c.account_id == books.key.account_id, entries.c.kind == kind)
    signs = {"available": ("available", 1), "held": ("held", 1), "revenue": ("captured", 1), "grants": ("granted", -1)}
    balance = {signs[name][0]: signs[name][1] * amount for name, amount in moved.items()}
    await tamper(
        stores, wrong.where(entries.c.job_id.is_not_distinct_from(job_id)).values(changed), move(books, **balance)
    )

    faults = [fault for fault in await stores.faults() if f"is no {kind}: {said}" in fault]

    assert len(faults) == 1


async def test_an_entry_of_no_job_that_only_a_job_can_have_is_named(stores: Stores, books: Books) -> None:
    await tamper(stores, entry_of(books, "capture", None, held=-500, revenue=500), move(books, held=-500, captured=500))

    assert any("Entry entry_capture, for no job, is no capture" in fault for fault in await stores.faults())


async def test_an_amount_beyond_counting_is_named_and_keeps_no_other_fault_from_being_found(
    stores: Stores, books: Books
) -> None:
    """Added to others it is more than a database's integer holds, which would break the query."""
    huge = 9 * 10**18
    await tamper(stores, update(entries).where(entries.c.kind == "hold").values(available=-huge, held=huge))
    await tamper(stores, update(key_spending).where(key_spending.c.period != "total").values(spent=1_000))

    faults = await stores.faults()

    beyond = [fault for fault in faults if "moves more than the 1,000,000,000,000 credits that can be counted" in fault]
    assert len(beyond) == 3
    assert faults[-1].endswith("but 1 on all days together.")
