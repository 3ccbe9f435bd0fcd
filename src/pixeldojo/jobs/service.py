"""What callers can do with jobs: create, look, wait, cancel, delete, have the webhook sent again.

A job, its hold and its idempotency key commit together. What workers do with jobs is in `claims.py`, how every
job ends in `ending.py`; HTTP is the API's.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.assets.service import AssetsService
from pixeldojo.core.clock import Clock, iso_utc
from pixeldojo.core.errors import (
    Conflict,
    CreditError,
    Expired,
    IdempotencyMismatch,
    JobFailure,
    JobFailureCode,
    NotFound,
    PixelDojoError,
    ServiceUnavailable,
    SubmissionFailed,
    ValidationError,
)
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.money import credits_number
from pixeldojo.credits.service import CreditsService
from pixeldojo.db.answers import KeptAnswer, find_answer, keep_answer, reserve_answer
from pixeldojo.db.engine import CommitLost, Database
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs import store
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.job import HINT_GRACE, Job, JobFilter, JobRequest
from pixeldojo.jobs.present import job_json
from pixeldojo.jobs.states import JobStatus, Step
from pixeldojo.jobs.watch import JobWatch
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.webhooks.store import Delivery

_WHILE_HOLDING = "while holding the price"
_SOON: Mapping[str, str] = {"Retry-After": "5"}
_STORED_PERHAPS = (
    "The database broke off before it said whether the job is stored. Send the request again with the same "
    "Idempotency-Key; without one, look into GET /api/v1/jobs first."
)
# How long an answer is kept for a job that goes on: its end sets the time, however late that comes.
_UNTIL_IT_ENDS = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submit: what the 202 says, and whether it was said before."""

    job_id: str
    answer: JsonObject
    is_replay: bool


class CancelResult(StrEnum):
    """What came of a wish to cancel."""

    CANCELED = "canceled"
    REQUESTED = "requested"
    NOT_SUPPORTED = "not_supported"


class JobsService:
    """Every change a job can go through."""

    def __init__(
        self,
        *,
        database: Database,
        credits: CreditsService,
        assets: AssetsService,
        webhooks: WebhooksService,
        ending: JobEnding,
        engine: Engine,
        clock: Clock,
        watch: JobWatch,
        base_url: str,
        retention: timedelta,
    ) -> None:
        self._database = database
        self._credits = credits
        self._assets = assets
        self._webhooks = webhooks
        self._ending = ending
        self._engine = engine
        self._clock = clock
        self._watch = watch
        self._base_url = base_url
        self._retention = retention

    # Creating

    async def create(self, request: JobRequest) -> Accepted:
        """Create a job: its row, its hold and its idempotency key in one transaction; then announce it.

        Raises:
            InsufficientCredits, Forbidden: nothing was stored or charged, and the idempotency key is still free.
            IdempotencyMismatch: the key was used with another request.
            CreditError: the ledger could not take the hold; nothing was stored or charged.
            SubmissionFailed: the database refused the job; nothing was stored or charged.
            ServiceUnavailable: the database broke off; the message says whether nobody knows yet if the job is stored.
        """
        now = self._clock.now()
        job_id = new_id(IdKind.JOB, now)
        await self._assets.keep_inline_files(job_id, request.inline_files)
        accepted: Accepted | None = None
        is_stored_perhaps = False  # then better files without a job than a job without its files
        try:
            accepted = await self._database.write(lambda connection: self._create(connection, request, job_id, now))
        except CommitLost as error:
            is_stored_perhaps = True
            raise ServiceUnavailable(_STORED_PERHAPS, headers=_SOON) from error
        except SQLAlchemyError as error:
            raise _not_stored(error) from error
        except asyncio.CancelledError:
            is_stored_perhaps = True
            raise
        finally:
            if request.inline_files and not is_stored_perhaps and (accepted is None or accepted.is_replay):
                await self._assets.delete_files([job_id])
        if not accepted.is_replay:
            await self._engine.announce(Hint.JOB, job_id)
        return accepted

    async def _create(self, connection: AsyncConnection, request: JobRequest, job_id: str, now: datetime) -> Accepted:
        key = request.key
        deadline = now + timedelta(seconds=request.timeout_seconds)
        expires_at = now + self._retention
        if request.idempotency_key is not None:
            kept = await reserve_answer(
                connection,
                account_id=key.account_id,
                key=request.idempotency_key,
                fingerprint=request.fingerprint,
                resource_id=job_id,
                now=now,
                expires_at=_UNTIL_IT_ENDS,
            )
            if kept is not None:
                return self._replayed(kept, request)
        try:
            balance = await self._credits.hold(connection, key, job_id, request.quoted, now)
        except SQLAlchemyError as error:
            error.add_note(_WHILE_HOLDING)
            raise
        await store.insert_job(connection, _new_row(request, job_id, now, deadline, expires_at))
        answer: dict[str, JsonValue] = {
            "jobId": job_id,
            "status": "pending",
            "statusUrl": self.status_url(job_id),
            "creditCost": credits_number(request.quoted),
            "creditsRemaining": credits_number(balance.available),
            "expiresAt": iso_utc(expires_at),
        }
        if request.idempotency_key is not None:
            await keep_answer(connection, key.account_id, request.idempotency_key, 202, answer)
        return Accepted(job_id, answer, is_replay=False)

    @staticmethod
    def _replayed(kept: KeptAnswer, request: JobRequest) -> Accepted:
        if kept.fingerprint != request.fingerprint:
            raise IdempotencyMismatch(
                f"The Idempotency-Key {request.idempotency_key!r} was used for another request. Send the same "
                "model, input and webhook_url, or a new key."
            )
        return Accepted(kept.resource_id, kept.answer, is_replay=True)

    async def find_replay(self, request: JobRequest) -> Accepted | None:
        """Return the answer kept under the request's idempotency key, without a write.

        Raises:
            IdempotencyMismatch: the key was used with another request.
        """
        if request.idempotency_key is None:
            return None
        async with self._database.read() as connection:
            account_id, now = request.key.account_id, self._clock.now()
            kept = await find_answer(connection, account_id, request.idempotency_key, now)
        return None if kept is None else self._replayed(kept, request)

    def status_url(self, job_id: str) -> str:
        """Return where a job is polled."""
        return f"{self._base_url}/api/v1/jobs/{job_id}"

    # Reading

    async def get(self, key: ApiKey, job_id: str) -> Job:
        """Return a job of the key's account and mode.

        Raises:
            NotFound: if there is none, or it is another account's.
            Expired: if its time is over.
        """
        async with self._database.read() as connection:
            job = await store.find_job(connection, job_id, key.account_id)
        if job is None or job.mode != key.mode:
            raise NotFound(
                f"There is no such job in this account's {key.mode} mode. Check the id and which key you use."
            )
        if job.is_expired(self._clock.now()):
            raise _over()
        return job

    async def list_page(self, key: ApiKey, wanted: JobFilter) -> tuple[list[Job], str | None]:
        """Return one page of the jobs of the key's account and mode, newest first, and the next page's cursor."""
        async with self._database.read() as connection:
            found = await store.list_jobs(connection, key.account_id, key.mode, wanted, self._clock.now())
        page = found[: wanted.limit]
        return page, page[-1].id if len(found) > wanted.limit else None

    async def present(self, jobs: Sequence[Job]) -> list[dict[str, JsonValue]]:
        """Return jobs as callers see them."""
        # Only what has ended has these: a poll of a job that goes on is one query, and shows one moment.
        ended = [job for job in jobs if job.status.is_terminal]
        assets = await self._assets.list_assets([job.id for job in ended if job.status == JobStatus.COMPLETED])
        deliveries = await self._webhooks.find_deliveries([job.id for job in ended if job.webhook_url is not None])
        return [job_json(job, assets.get(job.id, ()), deliveries.get(job.id), self._assets.url) for job in jobs]

    async def wait(self, key: ApiKey, job_id: str, seconds: float) -> Job:
        """Return the job once it has ended, or as it stands after that many seconds."""
        until = self._clock.monotonic() + seconds
        async with self._watch.follow(job_id) as follower:
            while True:
                follower.news.clear()
                job = await self.get(key, job_id)
                left = until - self._clock.monotonic()
                if job.status.is_terminal or left <= 0:
                    return job
                follower.see(job)
                await self._clock.wait(follower.news, left)

    async def follow(self, key: ApiKey, job_id: str) -> AsyncGenerator[Job, None]:
        """Yield the job as it stands, then whenever its status or progress has changed, last when it has ended.

        Raises:
            NotFound, Expired: as `get`; also on the way, when the job's time is over.
        """
        async with self._watch.follow(job_id) as follower:
            while True:
                follower.news.clear()
                job = await self.get(key, job_id)
                if follower.seen != (job.status, job.progress):
                    follower.see(job)
                    yield job
                if job.status.is_terminal:
                    return
                await follower.news.wait()

    # What callers may ask of a job

    async def cancel(self, key: ApiKey, job_id: str) -> tuple[Job, CancelResult]:
        """Stop a job: at once if no upstream has seen it, else by asking the worker that holds it.

        Raises:
            NotFound, Expired: as `get`.
            Conflict: if the job has ended.
        """
        job = await self.get(key, job_id)
        if job.status.is_terminal:
            raise Conflict(f"The job has already ended: it is {job.status}. There is nothing left to cancel.")
        failure = JobFailure(JobFailureCode.CANCELED, "The job was cancelled before it was submitted.")
        changes = self._ending.changes(JobStatus.FAILED, failure, 0)

        async def work(connection: AsyncConnection) -> tuple[Job | None, str | None]:
            ended = await store.end_unsubmitted(connection, job, changes)
            if ended is None:
                await store.request_cancel(connection, job_id, self._clock.now())
                return None, None
            return ended, await self._ending.settle(connection, ended, (), 0)

        ended, delivery_id = await self._database.write(work)
        if ended is not None:
            await self._ending.announce(job_id, delivery_id)
            return ended, CancelResult.CANCELED
        self._engine.notify(job_id)
        return await self._after_request(key, job_id)

    async def _after_request(self, key: ApiKey, job_id: str) -> tuple[Job, CancelResult]:
        job = await self.get(key, job_id)
        if job.status.is_terminal:
            raise Conflict(f"The job ended while it was being cancelled: it is {job.status}.")
        knows_how = job.operation is None or bool(job.operation.get("can_cancel"))
        return job, CancelResult.REQUESTED if knows_how else CancelResult.NOT_SUPPORTED

    async def delete(self, key: ApiKey, job_id: str) -> None:
        """Delete input, assets and pending webhooks of an ended job now; its row stays for the ledger.

        Raises:
            NotFound, Expired: as `get`.
            Conflict: if the job has not ended.
            BlobsUnavailable: the job is gone, and its files go as soon as the media store answers.
        """
        job = await self.get(key, job_id)
        if not job.status.is_terminal:
            raise Conflict(
                f"The job is still {job.status}. Cancel it first (POST /api/v1/jobs/{job_id}/cancel), and delete it "
                "when it has ended."
            )
        if not await self._ending.delete(job):
            raise _over()

    async def replay_webhook(self, key: ApiKey, job_id: str) -> Delivery:
        """Send the webhook of an ended job again, with the same id.

        Raises:
            NotFound, Expired: as `get`.
            ValidationError: if the job has no webhook_url.
            Conflict: if the job has not ended.
        """
        job = await self.get(key, job_id)
        if job.webhook_url is None:
            raise ValidationError(
                "This job was submitted without a webhook_url, so there is nothing to send again. "
                "Give `webhook_url` beside the inputs when you run a model."
            )
        delivery = (await self._webhooks.find_deliveries([job_id])).get(job_id)
        if delivery is None:
            job = await self.get(key, job_id)
            raise Conflict(f"The job is still {job.status}; its webhook is sent when it has ended.")
        return await self.resend(delivery)

    async def resend(self, delivery: Delivery) -> Delivery:
        """Plan a new attempt of a delivery and announce it; return it as it stands then.

        Raises:
            Expired: if it is gone by now.
        """
        replayed = await self._webhooks.replay(delivery.id)
        if replayed is None:
            raise Expired("The job of this delivery has expired, and its webhook with it.")
        await self._engine.announce(Hint.DELIVERY, replayed.id)
        return replayed


def _not_stored(error: SQLAlchemyError) -> PixelDojoError:
    """Return what a caller is told whose job the database did not take."""
    again = "nothing was charged. Try again with the same Idempotency-Key."
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ServiceUnavailable(f"The database broke off before the job was stored; {again}", headers=_SOON)
    if _WHILE_HOLDING in getattr(error, "__notes__", ()):
        return CreditError(f"The credits for the job could not be held; {again}")
    return SubmissionFailed(f"The job could not be stored; {again}")


def _over() -> Expired:
    return Expired("This job has expired or was deleted; its input and assets are gone.")


def _new_row(
    request: JobRequest, job_id: str, now: datetime, deadline: datetime, expires_at: datetime
) -> dict[str, Any]:
    return {
        "id": job_id,
        "account_id": request.key.account_id,
        "key_id": request.key.id,
        "mode": request.key.mode,
        "model_id": request.model_id,
        "input": request.input,
        "rehearsal": request.rehearsal,
        "webhook_url": request.webhook_url,
        "status": JobStatus.PENDING,
        "step": Step.SUBMIT,
        "next_step_at": now + HINT_GRACE,
        "fence": 0,
        "failures": 0,
        "deadline_at": deadline,
        "upstream_index": 0,
        "quote": request.quote,
        "quoted": request.quoted,
        "created_at": now,
        "expires_at": expires_at,
        "request_id": request.request_id,
    }
