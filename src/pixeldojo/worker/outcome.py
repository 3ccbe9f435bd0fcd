"""What a step says should happen next with the job."""

from dataclasses import dataclass
from typing import TypeAlias

from pixeldojo.jobs.job import Job


@dataclass(frozen=True, slots=True)
class GoOn:
    """Take the job's next step now."""

    job: Job


@dataclass(frozen=True, slots=True)
class Pause:
    """Take the job's step again after `seconds`, or sooner when something about the job changes."""

    job: Job
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The job has ended; there is nothing left to do."""

    job: Job


@dataclass(frozen=True, slots=True)
class PutAside:
    """The job stands in the table until its time comes or somebody calls for it; nobody holds it."""


Outcome: TypeAlias = GoOn | Pause | PutAside | Ended
