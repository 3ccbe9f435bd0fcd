"""What an account has used: its jobs counted and what they cost, by day, model, key and status."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.db.engine import Database
from pixeldojo.jobs.totals import store
from pixeldojo.jobs.totals.store import Grouping, UsageRow

LONGEST_SPAN = timedelta(days=92)
MOST_ROWS = 10_000
_USUAL_SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Usage:
    """The span that was looked at, and its rows, in the order of their groups."""

    after: datetime
    before: datetime
    rows: Sequence[UsageRow]


class UsageService:
    """Adds jobs up."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tell(
        self,
        account_id: str,
        mode: str,
        groupings: Sequence[Grouping],
        *,
        after: datetime | None,
        before: datetime | None,
    ) -> Usage:
        """Return what the jobs of an account and mode add up to that were submitted between two times.

        Without `before` until now, without `after` for 30 days.

        Raises:
            ValidationError: the span is longer than 92 days, or there are over 10,000 rows.
        """
        until = before or self._clock.now()
        since = after or _earlier(until, _USUAL_SPAN)
        if until - since > LONGEST_SPAN:
            raise _refused("created_after", f"must lie at most {LONGEST_SPAN.days} days before created_before")
        async with self._database.scan() as connection:
            rows = await store.usage(
                connection,
                account_id,
                mode,
                after=since,
                before=until,
                groupings=groupings,
                limit=MOST_ROWS + 1,
            )
        if len(rows) > MOST_ROWS:
            raise _refused("group_by", f"gives over {MOST_ROWS:,} rows; ask for a shorter time, or group by less")
        return Usage(since, until, rows)


def _earlier(moment: datetime, span: timedelta) -> datetime:
    try:
        return moment - span
    except OverflowError:
        return datetime.min.replace(tzinfo=moment.tzinfo)


def _refused(parameter: str, reason: str) -> ValidationError:
    return ValidationError(f"{parameter}: {reason}", details=[Violation(parameter, reason)])
