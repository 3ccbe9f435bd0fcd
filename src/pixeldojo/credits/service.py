"""The ledger: grants, holds at submit, one settlement per job.

Invariants, held by the database itself and checked again by `audit.py`: every entry's postings sum to zero;
`available` and `held` never fall below zero; a job has at most one hold and one settlement; a capture never
exceeds its hold. `hold` and `settle` run inside the caller's transaction, beside the change of the job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts.keys import ApiKey, SpendCapPeriod
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Conflict, CreditError, Forbidden, InsufficientCredits
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.money import LARGEST_CREDITS, MILLICREDITS_PER_CREDIT, credits_text
from pixeldojo.credits import store
from pixeldojo.credits.store import Balance, Entry, EntryFilter
from pixeldojo.db.engine import Database


@dataclass(frozen=True, slots=True)
class Spending:
    """What a key has spent, in millicredits, jobs under way counted with what is held for them."""

    today: int
    total: int


class CreditsService:
    """Moves millicredits between an account's available and held balance, revenue and grants."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def balance(self, account_id: str, mode: str) -> Balance:
        """Return an account's balance in one mode."""
        async with self._database.read() as connection:
            return await store.read_balance(connection, account_id, mode)

    async def list_entries(self, account_id: str, mode: str, wanted: EntryFilter) -> tuple[list[Entry], str | None]:
        """Return one page of an account's ledger in one mode, newest first, and the next page's cursor."""
        async with self._database.read() as connection:
            found = await store.list_entries(connection, account_id, mode, wanted)
        page = found[: wanted.limit]
        return page, page[-1].id if len(found) > wanted.limit else None

    async def spending(self, key_ids: Sequence[str]) -> dict[str, Spending]:
        """Return what each of several keys has spent, today (UTC) and in total."""
        today, total = (_period_name(period, self._clock.now()) for period in SpendCapPeriod)
        async with self._database.read() as connection:
            spent = await store.list_spending(connection, key_ids, (today, total))
        return {key_id: Spending(spent.get((key_id, today), 0), spent.get((key_id, total), 0)) for key_id in key_ids}

    async def grant(self, account_id: str, mode: str, amount: int, note: str) -> Balance:
        """Give an account credits; a negative amount takes back what is still available.

        Raises:
            InsufficientCredits: if a negative grant is larger than what is available.
            Conflict: if the account would have been given more in all than can be counted.
        """
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> Balance:
            await store.ensure_balance(connection, account_id, mode)
            entry = self._entry("grant", account_id, mode, None, note, now, available=amount, grants=-amount)
            balance = await store.post_entry(connection, entry)
            if balance is None:
                there = await store.read_balance(connection, account_id, mode)
                raise InsufficientCredits(f"Only {credits_text(there.available)} credits are available to take back.")
            if balance.granted > LARGEST_CREDITS * MILLICREDITS_PER_CREDIT:
                raise Conflict(
                    f"An account can be given {LARGEST_CREDITS:,} credits in all, so that every sum of them is exact; "
                    f"with this grant it would be {credits_text(balance.granted)}."
                )
            return balance

        return await self._database.write(work)

    async def hold(self, connection: AsyncConnection, key: ApiKey, job_id: str, amount: int, now: datetime) -> Balance:
        """Hold a job's price, as part of the transaction that creates the job; return the balance after it.

        Raises:
            Forbidden: if the key's spend cap does not allow it.
            InsufficientCredits: if the available balance does not cover it.
        """
        await self._count_spending(connection, key, amount, now)
        entry = self._entry("hold", key.account_id, key.mode, job_id, "", now, available=-amount, held=amount)
        balance = await store.post_entry(connection, entry)
        if balance is None:
            there = await store.read_balance(connection, key.account_id, key.mode)
            raise InsufficientCredits(
                f"This job costs {credits_text(amount)} credits and {credits_text(there.available)} are "
                f"available in {key.mode} mode. Add credits, or choose a cheaper model or smaller output."
            )
        return balance

    async def settle(
        self,
        connection: AsyncConnection,
        *,
        job_id: str,
        account_id: str,
        key_id: str,
        mode: str,
        held: int,
        captured: int,
        held_at: datetime,
    ) -> None:
        """End a job's hold, as part of the transaction that ends the job: capture a part, release the rest.

        Raises:
            CreditError: if the job was settled before or the capture exceeds the hold; nothing is changed then.
        """
        if not 0 <= captured <= held:
            raise CreditError(f"The job {job_id} cannot capture more than was held for it.")
        now = self._clock.now()
        if not await store.insert_settlement(
            connection, job_id=job_id, account_id=account_id, mode=mode, held=held, captured=captured, now=now
        ):
            raise CreditError(f"The job {job_id} was settled before.")
        released = held - captured
        if released:
            # Day, total, balance: the order in which a hold locks them too.
            for period in (SpendCapPeriod.DAY, SpendCapPeriod.TOTAL):
                await store.give_back_spending(connection, key_id, _period_name(period, held_at), released)
        if captured:
            entry = self._entry("capture", account_id, mode, job_id, "", now, held=-captured, revenue=captured)
            await self._post(connection, entry)
        if released:
            entry = self._entry("release", account_id, mode, job_id, "", now, held=-released, available=released)
            await self._post(connection, entry)

    @staticmethod
    async def _post(connection: AsyncConnection, entry: Entry) -> None:
        if await store.post_entry(connection, entry) is None:
            raise CreditError(f"The account of job {entry.job_id} has no balance to settle against.")

    @staticmethod
    async def _count_spending(connection: AsyncConnection, key: ApiKey, amount: int, now: datetime) -> None:
        cap = key.spend_cap
        for period in (SpendCapPeriod.DAY, SpendCapPeriod.TOTAL):
            limit = cap.amount if cap is not None and cap.period == period else None
            if await store.add_spending(connection, key.id, _period_name(period, now), amount, limit):
                continue
            spent = await store.read_spending(connection, key.id, _period_name(period, now))
            when = "today (UTC)" if period == SpendCapPeriod.DAY else "in total"
            raise Forbidden(
                f"The API key {key.prefix}… may spend {credits_text(limit or 0)} credits {when} and has spent "
                f"{credits_text(spent)}; this job costs {credits_text(amount)}. Use another key or raise its cap."
            )

    @staticmethod
    def _entry(
        kind: str,
        account_id: str,
        mode: str,
        job_id: str | None,
        note: str,
        now: datetime,
        **postings: int,
    ) -> Entry:
        return Entry(new_id(IdKind.ENTRY, now), account_id, mode, kind, job_id, note, now, **postings)


def _period_name(period: SpendCapPeriod, moment: datetime) -> str:
    return moment.date().isoformat() if period == SpendCapPeriod.DAY else "total"
