"""What a job is: the row as a value, and what is needed to create one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.errors import JobFailureCode
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.states import JobStatus, Step

# A hint is on its way for this long before the sweep takes it for lost.
HINT_GRACE = timedelta(seconds=5)

JobView = tuple[JobStatus, float | None]
"""What those who follow a job are told of: status and progress, 0 to 1."""


def moved(job_id: str) -> str:
    """Return the subject of news that a job's status or progress changed. Its id alone is its worker's subject."""
    return f"moved {job_id}"


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the database. Amounts are millicredits.

    Attributes:
        input: The caller's input in canonical names with defaults; empty once the job is purged.
        fence: Raised by every claim; a write with an older fence is refused.
        failures: Tries in a row that went wrong at this step.
        upstream_index: Which of the model's upstreams is being tried.
        waits_for: Whose place it waits for, before an upstream has it; see `jobs.places`.
        attempt_id: The submit under way or accepted.
        operation: The upstream's handle, once it accepted.
        quote: The price snapshot taken at submit; `quoted` is its amount, which is held.
        cost: What was captured; None until the job ended.
        request_id: The `X-Request-Id` of the answer that accepted it; None for jobs of before these were kept.
    """

    id: str
    account_id: str
    key_id: str
    mode: str
    model_id: str
    input: JsonObject
    rehearsal: str | None
    webhook_url: str | None
    status: JobStatus
    step: Step
    next_step_at: datetime
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    failures: int
    deadline_at: datetime
    cancel_requested_at: datetime | None
    upstream_index: int
    attempt_id: str | None
    operation: JsonObject | None
    input_files: tuple[JsonObject, ...] | None
    progress: float | None
    quote: JsonObject
    quoted: int
    cost: int | None
    error_code: JobFailureCode | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime
    purged_at: datetime | None
    waits_for: str | None = None
    request_id: str | None = None

    @property
    def shown_cost(self) -> int:
        """What callers see as the cost: the quote while it runs, then what was captured."""
        return self.quoted if self.cost is None else self.cost

    def is_expired(self, now: datetime) -> bool:
        """Whether the job ended and its time is over."""
        return self.status.is_terminal and (self.purged_at is not None or self.expires_at <= now)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A validated and priced request, ready to become a job.

    Attributes:
        key: The API key that asks; it gives account and mode.
        input: Canonical names, defaults filled in, inline media taken out.
        inline_files: The media taken out, by SHA-256.
        quote: The price snapshot to keep; `quoted` its amount in millicredits.
        timeout_seconds: How long the upstream may take before the job fails with `timeout`.
        idempotency_key: The caller's key for this request, if given.
        fingerprint: What must be equal for a repeated idempotency key: SHA-256 over model, input, webhook.
        request_id: What the caller sees as `X-Request-Id`, and the log has on every line about the job.
    """

    key: ApiKey
    model_id: str
    input: JsonObject
    inline_files: Mapping[str, bytes]
    webhook_url: str | None
    rehearsal: str | None
    quote: JsonObject
    quoted: int
    timeout_seconds: float
    idempotency_key: str | None
    fingerprint: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What `GET /jobs` lists; `cursor` is the id of the last job of the page before."""

    limit: int = 20
    cursor: str | None = None
    status: JobStatus | None = None
    model_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
