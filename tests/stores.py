"""The services over one database, put together as `bootstrap` does, and the short ways tests need to use them."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypedDict, Unpack

from sqlalchemy import ColumnElement, Table, func, select
from tests.clock import FakeClock

from pixeldojo.accounts.key_desk import KeyDesk
from pixeldojo.accounts.keys import ApiKey, KeyMode, SpendCap
from pixeldojo.accounts.service import AccountsService
from pixeldojo.assets.service import AssetsService, assets_folder
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import Blobs, open_blobs
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.json_types import JsonObject
from pixeldojo.credits.audit import LEDGER_CHECKS, Check, find_faults
from pixeldojo.credits.service import CreditsService
from pixeldojo.db.engine import Database
from pixeldojo.engine import Engine, open_engine
from pixeldojo.files.service import FilesService
from pixeldojo.jobs.audit import JOB_CHECKS
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.ending import JobEnding
from pixeldojo.jobs.job import Job, JobRequest
from pixeldojo.jobs.places.service import UpstreamPlaces
from pixeldojo.jobs.service import JobsService
from pixeldojo.jobs.states import Step
from pixeldojo.jobs.watch import JobWatch
from pixeldojo.webhooks.service import WebhooksService

BASE_URL: Final = "http://dojo.test"
RETENTION: Final = timedelta(hours=24)
LINGER: Final = timedelta(hours=1)
LARGEST_UPLOAD: Final = 100_000
MOST_UPLOADED: Final = 250_000
LEASE_SECONDS: Final = 15.0
DEFAULT_RATE: Final = 60
HOOK: Final = "https://receiver.test/hook"
SERVER_SECRET: Final = b"a secret of the server, for tests only"


class RequestChanges(TypedDict, total=False):
    """What a test may want otherwise than `request` has it; amounts are millicredits."""

    quoted: int
    model_id: str
    input: JsonObject
    inline_files: Mapping[str, bytes]
    webhook_url: str | None
    idempotency_key: str | None
    fingerprint: str
    timeout_seconds: float


@dataclass
class Stores:
    """Every service of the store layer over one database, with a clock and an engine of their own."""

    database: Database
    clock: FakeClock
    blobs: Blobs = field(default_factory=lambda: open_blobs("memory://"))
    engine: Engine = field(default_factory=lambda: open_engine(None))
    limits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accounts = AccountsService(self.database, self.clock, SERVER_SECRET)
        self.keys = KeyDesk(self.database, self.clock, SERVER_SECRET, self.accounts, default_rate=DEFAULT_RATE)
        self.credits = CreditsService(self.database, self.clock)
        self.assets = AssetsService(self.database, self.blobs, self.clock, BASE_URL)
        self.files = FilesService(
            database=self.database,
            blobs=self.blobs,
            clock=self.clock,
            base_url=BASE_URL,
            retention=RETENTION,
            linger=LINGER,
            max_file_bytes=LARGEST_UPLOAD,
            max_account_bytes=MOST_UPLOADED,
        )
        self.webhooks = WebhooksService(self.database, self.clock)
        self.ending = JobEnding(
            database=self.database,
            credits=self.credits,
            assets=self.assets,
            webhooks=self.webhooks,
            engine=self.engine,
            clock=self.clock,
            retention=RETENTION,
        )
        self.places = UpstreamPlaces(database=self.database, engine=self.engine, clock=self.clock, limits=self.limits)
        self.claims = JobClaims(self.database, self.ending, self.places, self.clock)
        self.jobs = JobsService(
            database=self.database,
            credits=self.credits,
            assets=self.assets,
            webhooks=self.webhooks,
            ending=self.ending,
            engine=self.engine,
            clock=self.clock,
            watch=JobWatch(self.database, self.engine, self.clock),
            base_url=BASE_URL,
            retention=RETENTION,
        )
        self._numbers = itertools.count(1)

    async def new_key(
        self,
        *,
        granted: int = 0,
        account_id: str | None = None,
        mode: KeyMode = KeyMode.TEST,
        spend_cap: SpendCap | None = None,
    ) -> ApiKey:
        """Return a key, of a new account unless one is given, after granting millicredits."""
        account_id = account_id or await self.accounts.create_account(f"account {next(self._numbers)}")
        new = await self.accounts.create_key(account_id, name="a key", mode=mode, spend_cap=spend_cap)
        if granted:
            await self.credits.grant(account_id, mode, granted, "for a test")
        return new.key

    async def create(self, key: ApiKey, **changes: Unpack[RequestChanges]) -> str:
        """Create a job as `request` describes it and return its id."""
        return (await self.jobs.create(request(key, **changes))).job_id

    async def claimed(self, key: ApiKey, owner: str = "worker_1", **changes: Unpack[RequestChanges]) -> Job:
        """Create a job and claim it."""
        return await self.claim(await self.create(key, **changes), owner)

    async def claim(self, job_id: str, owner: str = "worker_1") -> Job:
        """Claim a job that is there to be claimed."""
        job = await self.claims.claim(job_id, owner, LEASE_SECONDS)
        assert job is not None
        return job

    async def submitted(self, job: Job, attempt_id: str | None = None) -> Job:
        """Move a claimed job to where its upstream is being called."""
        return await self.claims.begin_submit(
            job,
            attempt_id=attempt_id or new_id(IdKind.ATTEMPT, self.clock.now()),
            provider="sandbox",
            endpoint=job.model_id,
            upstream_index=0,
        )

    async def collecting(self, job: Job) -> Job:
        """Move a claimed job all the way to where its outputs are copied."""
        accepted = await self.claims.accept(await self.submitted(job), {"id": "up_1", "can_cancel": True}, "up_1")
        return await self.claims.begin_collect(accepted, None)

    async def at(self, key: ApiKey, step: Step, **changes: Unpack[RequestChanges]) -> Job:
        """Create a job and return it as worker_1 has brought it to a step."""
        job = await self.claimed(key, **changes)
        match step:
            case Step.SUBMIT:
                return job
            case Step.SUBMITTING:
                return await self.submitted(job)
            case Step.CHECK:
                accepted = await self.submitted(job)
                return await self.claims.accept(accepted, {"id": "up_1", "can_cancel": True}, "up_1")
            case Step.COLLECT:
                return await self.collecting(job)
            case Step.ENDED:
                job = await self.collecting(job)
                return await self.claims.complete(job, [self.asset(job)], job.quoted)

    async def faults(self, checks: Iterable[Check] = (*LEDGER_CHECKS, *JOB_CHECKS)) -> list[str]:
        """Return what does not agree in the books; nothing when all does."""
        async with self.database.read() as connection:
            return [fault async for fault in find_faults(connection, checks)]

    async def count(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        """Return how many rows of a table meet the conditions."""
        async with self.database.read() as connection:
            found = await connection.execute(select(func.count()).select_from(table).where(*conditions))
            return found.scalar_one()

    def asset(self, job: Job, position: int = 0, kind: str = "image") -> Asset:
        """Return an output of a job, not yet stored."""
        return Asset(
            id=new_id(IdKind.ASSET, self.clock.now()),
            job_id=job.id,
            account_id=job.account_id,
            position=position,
            kind=kind,
            content_type="image/png",
            extension="png",
            size_bytes=3,
            sha256="0" * 64,
            width=1024,
            height=768,
            duration_seconds=None,
            blob_key=f"{assets_folder(job.id)}/{position}.png",
            expires_at=job.expires_at,
        )


def request(key: ApiKey, **changes: Unpack[RequestChanges]) -> JobRequest:
    """Return a validated and priced request, as the API hands it over."""
    quoted = changes.get("quoted", 1_000)
    return JobRequest(
        key=key,
        model_id=changes.get("model_id", "flux-1.1-pro"),
        input=changes.get("input", {"prompt": "a lantern in the rain"}),
        inline_files=changes.get("inline_files", {}),
        webhook_url=changes.get("webhook_url"),
        rehearsal=None,
        quote={"amount": quoted},
        quoted=quoted,
        timeout_seconds=changes.get("timeout_seconds", 600.0),
        idempotency_key=changes.get("idempotency_key"),
        fingerprint=changes.get("fingerprint", "f" * 64),
    )
