"""The upstream's handle on accepted work, as the job's row keeps it: any worker can go on with it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from pixeldojo.core.clock import iso_utc
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job
from pixeldojo.providers.contract import Operation


@dataclass(frozen=True, slots=True)
class Handle:
    """An operation, whose it is, and since when."""

    provider: str
    operation: Operation
    accepted_at: datetime

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the handle of a job that an upstream accepted."""
        kept = dict(job.operation or {})
        provider = str(kept.pop("provider", ""))
        accepted_at = kept.pop("accepted_at", None)
        since = job.started_at or job.created_at
        return cls(
            provider=provider,
            operation=Operation(**kept),  # type: ignore[arg-type]  # `to_json` wrote it from an Operation
            # Handles were once kept without it.
            accepted_at=datetime.fromisoformat(accepted_at) if isinstance(accepted_at, str) else since,
        )

    def to_json(self) -> JsonObject:
        """Return what the row keeps."""
        return {**asdict(self.operation), "provider": self.provider, "accepted_at": iso_utc(self.accepted_at)}
