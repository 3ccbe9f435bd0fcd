"""What waits in the whole installation, of all accounts: for the operator's figures."""

from datetime import datetime

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.core.clock import Clock
from pixeldojo.db.engine import Database
from pixeldojo.jobs.states import JobStatus
from pixeldojo.jobs.totals import store
from pixeldojo.metrics.installation import Installation
from pixeldojo.webhooks.store import pending_deliveries

_OPEN = (JobStatus.PENDING, JobStatus.PROCESSING)


class Backlog:
    """Reads what waits; four queries, each over an index of what is open."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self) -> Installation:
        """Return what waits now."""
        now = self._clock.now()
        async with self._database.read() as connection:
            open_jobs = await store.open_jobs(connection)
            oldest_due = await store.oldest_due(connection, now)
            pending, overdue_since = await pending_deliveries(connection, now)
        # What there is nothing of is told as zero: a figure that comes and goes cannot be watched.
        counts = {(str(mode), str(status)): 0 for mode in KeyMode for status in _OPEN}
        ages = {str(mode): 0.0 for mode in KeyMode}
        for group in open_jobs:
            counts[group.mode, group.status] = group.count
            if group.status == JobStatus.PENDING:
                ages[group.mode] = _since(group.oldest_at, now)
        return Installation(
            is_database_up=True,
            open_jobs=counts,
            oldest_pending_seconds=ages,
            step_overdue_seconds=_since(oldest_due, now),
            webhooks_pending=pending,
            webhook_overdue_seconds=_since(overdue_since, now),
        )


def _since(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
