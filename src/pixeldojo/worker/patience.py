"""When to look at work that an upstream has. Pure; owns the intervals, leaves waiting to the loop.

A service that suggests an interval gets it. One that does not is looked at after a pause that grows by three tenths of
the time spent, which is a factor of 1.3 from look to look, up to a bound that depends on what is made. One that calls
back is not looked at, but for a late look in case the call was lost.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pixeldojo.catalog.load import Catalog
from pixeldojo.core.errors import NotFound
from pixeldojo.jobs.job import Job
from pixeldojo.providers.contract import Operation
from pixeldojo.worker.handle import Handle

_SHORTEST_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 30.0
_GROWTH: Final = 0.3
# Jobs that came together should not be looked at together for ever.
_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon work of a kind is usually done, in seconds: the first look, the longest pause, the late look."""

    first: float
    longest: float
    late: float


PACES: Final[Mapping[str, Pace]] = {"image": Pace(0.5, 5.0, 90.0), "audio": Pace(1.0, 10.0, 180.0)}
USUAL_PACE: Final = Pace(2.0, 15.0, 300.0)
"""Of videos and models in three dimensions, which take minutes."""


class Patience:
    """Says how long to wait before the next look at a job; always by its deadline."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def before_first_look(self, job: Job, operation: Operation, now: datetime) -> float:
        """Return the seconds between acceptance and the first look; 0 if the work may be done already."""
        if operation.poll_after_seconds is not None and operation.poll_after_seconds <= 0:
            return 0.0
        pace = self._pace(job)
        if operation.calls_back:
            return _until(job, now, _spread(job, pace.late))
        suggested = operation.poll_after_seconds
        return within(job, now, _spread(job, pace.first) if suggested is None else suggested)

    def before_next_look(self, job: Job, handle: Handle, suggested: float | None, now: datetime) -> float:
        """Return the seconds until the next look at work that is not done."""
        pace = self._pace(job)
        spent = max(0.0, (now - handle.accepted_at).total_seconds())
        if handle.operation.calls_back and job.cancel_requested_at is None:
            if spent >= pace.late:
                return _until(job, now, _spread(job, spent))
            # Somebody called. A service may call before its own books agree, so it is asked once more, and only once:
            # some call at every change.
            if job.failures:
                return _until(job, now, _spread(job, pace.late) - spent)
        if suggested is None:
            suggested = _spread(job, min(pace.longest, pace.first + _GROWTH * spent))
        return within(job, now, suggested)

    def _pace(self, job: Job) -> Pace:
        try:
            return PACES.get(self._catalog.find(job.model_id).output.kind, USUAL_PACE)
        except NotFound:
            return USUAL_PACE


def within(job: Job, now: datetime, seconds: float) -> float:
    """Keep a pause between the bounds, and end it at the deadline."""
    return _until(job, now, min(seconds, _LONGEST_SECONDS))


def _until(job: Job, now: datetime, seconds: float) -> float:
    left = (job.deadline_at - now).total_seconds()
    return max(_SHORTEST_SECONDS, min(seconds, left))


def _spread(job: Job, seconds: float) -> float:
    """Lengthen a pause by up to a tenth, by as much for the same job each time."""
    return seconds * (1 + _SPREAD * zlib.crc32(job.id.encode()) / 2**32)
