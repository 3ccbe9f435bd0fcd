"""The ledger against a model of itself: whatever accounts do in whatever order, every balance is what it must be.

The model is the dictionary a child would keep. After each step it must agree with the balances, with the entries
behind them, with the settlements and with what each key is said to have spent.
"""

import asyncio
import itertools
import shutil
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from tests.clock import FakeClock
from tests.postgres import PostgresServer
from tests.stores import LEASE_SECONDS, RETENTION, Stores, request

from pixeldojo.accounts.keys import ApiKey, SpendCap, SpendCapPeriod
from pixeldojo.blobs import open_blobs
from pixeldojo.core.errors import Forbidden, InsufficientCredits, JobFailure, JobFailureCode
from pixeldojo.credits.store import Balance, read_balance, read_spending
from pixeldojo.db.engine import open_database
from pixeldojo.db.tables import entries, jobs, settlements
from pixeldojo.engine import open_engine
from pixeldojo.jobs.claims import LeaseLost
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.service import Accepted
from pixeldojo.jobs.states import Step

Answer = TypeVar("Answer")
CAP = 6_000
AMOUNTS = st.integers(1, 4_000)
FAILURE = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")


@dataclass
class Purse:
    """What the model knows of one account."""

    key: ApiKey
    granted: int = 0
    captured: int = 0
    spent: int = 0
    open: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return sum(self.open.values())

    @property
    def balance(self) -> Balance:
        return Balance(self.granted - self.captured - self.held, self.held, self.captured, self.granted)


OpenJob: TypeAlias = tuple[Purse, str]


class Ledger(RuleBasedStateMachine):
    """Grants, jobs and their ends, at a database that each run has to itself."""

    accounts = Bundle("accounts")
    open_jobs = Bundle("open_jobs")

    def __init__(self, address: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = open_database(address)
        self.stores = Stores(self.database, FakeClock(), open_blobs("memory://"), open_engine(None))
        self.purses: list[Purse] = []
        self.ended: dict[str, int] = {}
        self.requests = itertools.count(1)

    def teardown(self) -> None:
        self.run(self.stores.engine.close())
        self.run(self.database.close())
        self.runner.close()

    def run(self, work: Coroutine[object, object, Answer]) -> Answer:
        return self.runner.run(work)

    # What happens.

    @initialize(target=accounts, granted=AMOUNTS)
    def begin(self, granted: int) -> Purse:
        return self.new_purse(granted)

    @rule(target=accounts, granted=AMOUNTS)
    def open_account(self, granted: int) -> Purse:
        return self.new_purse(granted)

    def new_purse(self, granted: int) -> Purse:
        cap = SpendCap(CAP, SpendCapPeriod.TOTAL)
        purse = Purse(self.run(self.stores.new_key(granted=granted, spend_cap=cap)), granted)
        self.purses.append(purse)
        return purse

    @rule(purse=accounts, amount=st.integers(-3_000, 5_000))
    def grant(self, purse: Purse, amount: int) -> None:
        grant = self.stores.credits.grant(purse.key.account_id, "test", amount, "")
        if purse.balance.available + amount < 0:
            with pytest.raises(InsufficientCredits):
                self.run(grant)
        else:
            purse.granted += amount
            assert self.run(grant) == purse.balance

    @rule(target=open_jobs, purse=accounts, quoted=AMOUNTS, count=st.integers(1, 5))
    def create_at_once(self, purse: Purse, quoted: int, count: int) -> MultipleResults[OpenJob]:
        affordable = min(purse.balance.available, CAP - purse.spent) // quoted
        refusal = Forbidden if CAP - purse.spent < quoted * (affordable + 1) else InsufficientCredits

        outcomes = self.run(self.ask_together(purse.key, quoted, count))

        accepted = [outcome.job_id for outcome in outcomes if isinstance(outcome, Accepted)]
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Accepted)]
        assert len(accepted) == min(count, affordable)
        assert all(isinstance(error, refusal) for error in refused)
        for job_id in accepted:
            purse.open[job_id] = quoted
            purse.spent += quoted
        return multiple(*((purse, job_id) for job_id in accepted))

    async def ask_together(self, key: ApiKey, quoted: int, count: int) -> list[Accepted | BaseException]:
        asked = (self.stores.jobs.create(request(key, quoted=quoted)) for _ in range(count))
        return await asyncio.gather(*asked, return_exceptions=True)

    @rule(target=open_jobs, purse=accounts, quoted=AMOUNTS, count=st.integers(2, 5))
    def repeat_one_request_at_once(self, purse: Purse, quoted: int, count: int) -> MultipleResults[OpenJob]:
        is_affordable = min(purse.balance.available, CAP - purse.spent) >= quoted

        outcomes = self.run(self.repeat_together(purse.key, quoted, count))

        accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
        assert len(accepted) == (count if is_affordable else 0)
        assert sum(not one.is_replay for one in accepted) == is_affordable
        for job_id in {one.job_id for one in accepted}:
            purse.open[job_id] = quoted
            purse.spent += quoted
        return multiple(*((purse, job_id) for job_id in {one.job_id for one in accepted}))

    async def repeat_together(self, key: ApiKey, quoted: int, count: int) -> list[Accepted | BaseException]:
        asked = request(key, quoted=quoted, idempotency_key=f"request {next(self.requests)}")
        return await asyncio.gather(*(self.stores.jobs.create(asked) for _ in range(count)), return_exceptions=True)

    @rule(job=open_jobs, captured=st.integers(0, 4_000))
    def wake_after_the_lease(self, job: OpenJob, captured: int) -> None:
        late = self.run(self.stores.claim(job[1], "worker_late"))
        self.stores.clock.advance(LEASE_SECONDS + 1)
        self.run(self.stores.claim(job[1], "worker_next"))
        for end in (self.stores.claims.complete(late, [], captured), self.stores.claims.fail(late, FAILURE)):
            with pytest.raises(LeaseLost):
                self.run(end)
        self.run(self.stores.claims.give_back("worker_next", [job[1]]))

    @rule()
    def let_ended_jobs_expire(self) -> None:
        self.stores.clock.advance(RETENTION.total_seconds() + 1)
        self.run(self.stores.ending.purge_expired(1_000))

    @rule(job=consumes(open_jobs), part=st.fractions(0, 1))
    def complete(self, job: OpenJob, part: Fraction) -> None:
        purse, job_id = job
        captured = int(purse.open[job_id] * part)
        claimed = self.run(self.stores.claim(job_id))
        self.run(self.stores.claims.complete(claimed, [], captured))
        self.end(job, captured)

    @rule(job=consumes(open_jobs))
    def fail(self, job: OpenJob) -> None:
        claimed = self.run(self.stores.claim(job[1]))
        self.run(self.stores.claims.fail(claimed, FAILURE))
        self.end(job, 0)

    @rule(job=consumes(open_jobs))
    def cancel(self, job: OpenJob) -> None:
        self.run(self.stores.jobs.cancel(job[0].key, job[1]))
        self.end(job, 0)

    @rule(job=consumes(open_jobs))
    def end_in_every_way_at_once(self, job: OpenJob) -> None:
        claimed = self.run(self.stores.claim(job[1]))
        ended = self.run(self.race(job, claimed))
        assert ended.cost is not None
        self.end(job, ended.cost)

    async def race(self, job: OpenJob, claimed: Job) -> Job:
        ends = (
            self.stores.claims.complete(claimed, [], claimed.quoted),
            self.stores.claims.fail(claimed, FAILURE),
            self.stores.jobs.cancel(job[0].key, claimed.id),
        )
        await asyncio.gather(*ends, return_exceptions=True)
        return await self.stores.jobs.get(job[0].key, claimed.id)

    def end(self, job: OpenJob, captured: int) -> None:
        purse, job_id = job
        quoted = purse.open.pop(job_id)
        purse.captured += captured
        purse.spent -= quoted - captured
        self.ended[job_id] = captured

    # What always holds.

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        self.run(self.compare_balances())

    async def compare_balances(self) -> None:
        async with self.database.read() as connection:
            for purse in self.purses:
                assert await read_balance(connection, purse.key.account_id, "test") == purse.balance
                assert await read_spending(connection, purse.key.id, "total") == purse.spent

    @invariant()
    def entries_sum_to_zero_and_to_the_balances(self) -> None:
        self.run(self.add_up())

    async def add_up(self) -> None:
        postings = (entries.c.available, entries.c.held, entries.c.revenue, entries.c.grants)
        async with self.database.read() as connection:
            sums = (await connection.execute(select(*(func.coalesce(func.sum(part), 0) for part in postings)))).one()
        together = [purse.balance for purse in self.purses]
        assert [int(part) for part in sums] == [
            sum(balance.available for balance in together),
            sum(balance.held for balance in together),
            sum(balance.captured for balance in together),
            -sum(balance.granted for balance in together),
        ]
        assert await self.stores.faults() == []

    @invariant()
    def every_ended_job_has_one_settlement_and_no_other_has_any(self) -> None:
        self.run(self.look_at_settlements())

    async def look_at_settlements(self) -> None:
        async with self.database.read() as connection:
            settled = (await connection.execute(select(settlements.c.job_id, settlements.c.captured))).all()
            ended = (await connection.execute(select(jobs.c.id, jobs.c.cost).where(jobs.c.step == Step.ENDED))).all()
        assert len(settled) == len(ended) == len(self.ended)
        assert {row.job_id: row.captured for row in settled} == self.ended
        assert {row.id: row.cost for row in ended} == self.ended


def bounded(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_the_ledger_agrees_with_its_model_on_sqlite(sqlite_template: Path, database_names: Iterator[str]) -> None:
    class OnSqlite(Ledger):
        def __init__(self) -> None:
            path = sqlite_template.parent / f"{next(database_names)}.db"
            shutil.copyfile(sqlite_template, path)
            super().__init__(f"sqlite:///{path}")

    run_state_machine_as_test(OnSqlite, settings=bounded(examples=12, steps=25))


def test_the_ledger_agrees_with_its_model_on_postgresql(
    postgres: PostgresServer, database_names: Iterator[str]
) -> None:
    class OnPostgres(Ledger):
        def __init__(self) -> None:
            name = next(database_names)
            asyncio.run(postgres.create_database(name, template="migrated"))
            super().__init__(postgres.address(name))

    run_state_machine_as_test(OnPostgres, settings=bounded(examples=6, steps=20))
