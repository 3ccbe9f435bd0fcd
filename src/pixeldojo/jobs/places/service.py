"""How many jobs an upstream account has at a time, over all workers: counted in the rows, and limited where the
operator says so. Jobs above the limit stand in the table, held by nobody, and are called up account by account.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.clock import Clock
from pixeldojo.db.engine import Database
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.job import HINT_GRACE, Job
from pixeldojo.jobs.places import store

_CALLED_AT_ONCE: Final = 100


class NoPlace(Exception):
    """The upstream has as many jobs as it may have, or others wait for a place."""


class UpstreamPlaces:
    """The places of every upstream that has a limit."""

    def __init__(self, *, database: Database, engine: Engine, clock: Clock, limits: Mapping[str, int]) -> None:
        """Take the most jobs at a time, by provider; those that are not named have no limit."""
        self._database = database
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._last_accounts: dict[str, str] = {}
        self._has_freed = asyncio.Event()

    async def is_free(self, job: Job, provider: str) -> bool:
        """Return whether there is a place for the job just now; by the time it is taken there may be none."""
        if provider not in self._limits:
            return True
        async with self._database.read() as connection:
            return await self._is_free(connection, job, provider)

    async def take(self, connection: AsyncConnection, job: Job, provider: str) -> None:
        """Let the transaction that submits the job go on.

        Raises:
            NoPlace: if there is none.
        """
        if provider not in self._limits:
            return
        await store.lock(connection, provider)
        if not await self._is_free(connection, job, provider):
            raise NoPlace(provider)

    def note_freed(self) -> None:
        """Say that a place may have become free."""
        self._has_freed.set()

    async def until_freed(self, seconds: float) -> None:
        """Return when a place may have become free in this process, or after that many seconds."""
        await self._clock.wait(self._has_freed, seconds)
        self._has_freed.clear()

    async def call_up(self) -> None:
        """Call up as many waiting jobs as there are places."""
        for provider in self._limits:
            async with self._database.read() as connection:
                if not await store.is_waited_for(connection, provider):
                    continue
            for job_id in await self._database.write(partial(self._call_up, provider=provider)):
                await self._engine.announce(Hint.JOB, job_id)

    async def _is_free(self, connection: AsyncConnection, job: Job, provider: str) -> bool:
        if await store.count_taken(connection, provider, but_for=job) >= self._limits[provider]:
            return False
        # Who comes now does not pass those who wait.
        return job.waits_for == store.called_up(provider) or not await store.is_waited_for(connection, provider)

    async def _call_up(self, connection: AsyncConnection, provider: str) -> list[str]:
        await store.lock(connection, provider)
        free = self._limits[provider] - await store.count_taken(connection, provider)
        last, called = self._last_accounts.get(provider, ""), list[str]()
        while len(called) < min(free, _CALLED_AT_ONCE):
            found = await store.next_waiting(connection, provider, last)
            if found is None and last == "":
                break
            last, job_id = found or ("", None)
            if job_id is not None:
                await store.call_up(connection, job_id, provider, self._clock.now() + HINT_GRACE)
                called.append(job_id)
        self._last_accounts[provider] = last
        return called
