"""The whole story of one job, for the operator: what was held, sent where, answered, copied, charged and delivered.

Leaves out what the caller sent: inputs are the caller's own business until the operator asks for them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pixeldojo.assets.store import Asset, list_assets
from pixeldojo.core.errors import NotFound
from pixeldojo.core.money import credits_text
from pixeldojo.credits.store import Entry, list_job_entries
from pixeldojo.db.engine import Database
from pixeldojo.jobs import store
from pixeldojo.jobs.job import Job
from pixeldojo.webhooks.store import Attempt, Delivery, find_deliveries, list_attempts


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a job."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """A job as it stands, and everything that happened to it, oldest first."""

    job: Job
    moments: tuple[Moment, ...]


class JobStories:
    """Reads the rows that any part of the system wrote about a job; whoever asks is the operator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tell(self, job_id: str) -> Story:
        """Return the story of a job, of whichever account.

        Raises:
            NotFound: if there is no such job.
        """
        async with self._database.read() as connection:
            job = await store.find_job(connection, job_id)
            if job is None:
                raise NotFound(f"There is no job {job_id!r} in this database.")
            submits = await store.list_attempts(connection, job_id)
            entries = await list_job_entries(connection, job_id)
            assets = (await list_assets(connection, [job_id]))[job_id]
            delivery = (await find_deliveries(connection, [job_id])).get(job_id)
            posts = [] if delivery is None else await list_attempts(connection, delivery.id)
        moments = [
            *_of_the_job(job),
            *_of_the_money(entries),
            *_of_the_upstream(submits),
            *_of_the_files(job, assets),
            *_of_the_webhook(delivery, posts),
        ]
        return Story(job, tuple(sorted(moments, key=lambda moment: moment.at)))


def _of_the_job(job: Job) -> Iterator[Moment]:
    asked = "" if job.request_id is None else f", request {job.request_id}"
    yield Moment(job.created_at, f"accepted: {job.model_id}, {job.mode} mode, key {job.key_id}{asked}")
    if job.cancel_requested_at is not None:
        yield Moment(job.cancel_requested_at, "the caller wished to cancel")
    if job.completed_at is not None:
        why = "" if job.error_code is None else f", {job.error_code}: {job.error_message}"
        yield Moment(job.completed_at, f"{job.status}{why}")
    if job.purged_at is not None:
        yield Moment(job.purged_at, "input and files deleted")


def _of_the_money(entries: Iterable[Entry]) -> Iterator[Moment]:
    for entry in entries:
        amount = max(abs(entry.available), abs(entry.held))
        yield Moment(entry.created_at, f"{entry.kind} of {credits_text(amount)} credits ({entry.id})")


def _of_the_upstream(submits: Iterable[dict[str, Any]]) -> Iterator[Moment]:
    for number, submit in enumerate(submits, 1):
        where = f"{submit['provider']} {submit['endpoint']}"
        yield Moment(submit["started_at"], f"submit {number} to {where} ({submit['id']})")
        if submit["ended_at"] is None and submit["outcome"] is None:
            continue
        known = {"upstream id": submit["upstream_id"], "upstream cost": submit["upstream_cost"]}
        facts = "".join(f", {name} {value}" for name, value in known.items() if value)
        said = f": {submit['message']}" if submit["message"] else ""
        yield Moment(submit["ended_at"] or submit["started_at"], f"submit {number} {submit['outcome']}{facts}{said}")


def _of_the_files(job: Job, assets: Iterable[Asset]) -> Iterator[Moment]:
    for asset in assets:
        size = f"{asset.size_bytes:,} bytes"
        # Registered in the transaction that ended the job.
        yield Moment(job.completed_at or job.created_at, f"{asset.kind} {asset.content_type}, {size}: {asset.blob_key}")


def _of_the_webhook(delivery: Delivery | None, attempts: Iterable[Attempt]) -> Iterator[Moment]:
    if delivery is None:
        return
    # A query may carry the receiver's own secret.
    address = urlsplit(delivery.url)._replace(query="", fragment="").geturl()
    yield Moment(delivery.created_at, f"webhook {delivery.id} to {address}")
    for attempt in attempts:
        came = f"status {attempt.status}" if attempt.error is None else attempt.error
        seconds = f"after {attempt.duration_seconds:.3f} s"
        yield Moment(attempt.started_at, f"webhook attempt {attempt.number}: {came} {seconds}")
    if delivery.status == "pending" and delivery.next_attempt_at is not None:
        yield Moment(delivery.next_attempt_at, "webhook: the next attempt is due")
