"""Who waits for a job hears soon that it moved, whichever process moved it.

News wakes at once. News may be lost, and without a broker does not cross processes, so one query a round looks at
all the jobs that anybody here follows: hundreds of followers cost no query each.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pixeldojo.core.clock import Clock
from pixeldojo.db.engine import Database
from pixeldojo.engine import Engine
from pixeldojo.jobs import store
from pixeldojo.jobs.job import Job, JobView, moved

# With news coming in, looking only makes up for what got lost.
_HEARING_SECONDS = 2.0
_DEAF_SECONDS = 0.25


class Follower:
    """One who waits for a job. Whatever it has not seen wakes it."""

    def __init__(self, job_id: str, news: asyncio.Event, begin_looking: Callable[[], None]) -> None:
        self.job_id = job_id
        self.news = news
        self.seen: JobView | None = None
        self._begin_looking = begin_looking

    def see(self, job: Job) -> None:
        """Note what is known now; call before waiting for `news`."""
        self.seen = job.status, job.progress
        self._begin_looking()


class JobWatch:
    """Looks after the followers of one process."""

    def __init__(self, database: Database, engine: Engine, clock: Clock) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._followers: set[Follower] = set()
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self, job_id: str) -> AsyncIterator[Follower]:
        """Give a follower whose `news` is set whenever the job is no longer as it was seen."""
        async with self._engine.listen(moved(job_id)) as news:
            follower = Follower(job_id, news, self._begin_looking)
            self._followers.add(follower)
            try:
                yield follower
            finally:
                self._followers.discard(follower)
                await self._end_looking()

    def _begin_looking(self) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again_and_again(), name="job watch")

    async def _end_looking(self) -> None:
        if not self._followers and self._looking is not None:
            looking, self._looking = self._looking, None
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_again_and_again(self) -> None:
        while True:
            await self._clock.sleep(_HEARING_SECONDS if self._engine.is_hearing else _DEAF_SECONDS)
            try:
                await self._look()
            except Exception:  # noqa: BLE001  the database is away: followers look for themselves, and tell their callers
                for follower in self._followers:
                    follower.news.set()

    async def _look(self) -> None:
        async with self._database.read() as connection:
            now = await store.views(connection, sorted({follower.job_id for follower in self._followers}))
        for follower in self._followers:
            if follower.seen is not None and now.get(follower.job_id) != follower.seen:
                follower.news.set()
