"""The HTTP application over a real database, catalog, media store and limiter, and no worker: tests end the jobs.

Owns putting them together as `bootstrap` does and the short ways tests need: keys, clients, jobs in every state.
"""

import base64
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NoReturn

import structlog
from fastapi import FastAPI
from sqlalchemy import func, select
from structlog.typing import EventDict, WrappedLogger
from tests.api.asgi import Client, Reply
from tests.api.promises import Promises
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope, SpendCap
from pixeldojo.api.app import build_app
from pixeldojo.api.services import Services
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.errors import JobFailure, JobFailureCode, NotFound
from pixeldojo.core.settings import Settings
from pixeldojo.db.tables import entries, idempotency_keys, jobs
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.totals.backlog import Backlog
from pixeldojo.jobs.totals.usage import UsageService
from pixeldojo.limiter import open_limiter
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.providers.sandbox.rehearsal import parse_rehearsal

RUN: Final = "/api/v1/models/flux-1.1-pro/run"
ALL_PROVIDERS: Final = frozenset(
    {"fal", "replicate", "dashscope", "runware", "xai", "google", "openai", "wavespeed", "magnific"}
)
PROMPT: Final[Mapping[str, Any]] = {"prompt": "a lantern in the rain"}
GRANTED: Final = 100_000
PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

LogEntry = Mapping[str, Any]


class Dojo:
    """A server without a worker, and everything behind it within reach."""

    def __init__(self, stores: Stores, catalog: Catalog, settings: Settings, promises: Promises | None = None) -> None:
        self.stores = stores
        self.clock = stores.clock
        self.log: list[LogEntry] = []
        self.services = Services(
            settings=settings,
            accounts=stores.accounts,
            keys=stores.keys,
            credits=stores.credits,
            jobs=stores.jobs,
            usage=UsageService(stores.database, stores.clock),
            backlog=Backlog(stores.database, stores.clock),
            meters=Meters("0.0.0"),
            webhooks=stores.webhooks,
            assets=stores.assets,
            files=stores.files,
            blobs=stores.blobs,
            catalog=catalog,
            limiter=open_limiter(None),
            clock=stores.clock,
            log=structlog.wrap_logger(None, processors=[structlog.contextvars.merge_contextvars, self._note]),
            refuse_address=_refusal_of(AddressPolicy()),
            live_providers=frozenset(),
            take_callback=_no_upstream,
            check_rehearsal=parse_rehearsal,
            readiness={"database": stores.database.check, "blobs": stores.blobs.check},
        )
        self.build()
        self.promises = promises or Promises(self.app.state.document.content)
        self._numbers = itertools.count(1)

    def build(self, **changes: Any) -> FastAPI:
        """Build the app, over other services where some are named."""
        self.services = replace(self.services, **changes)
        self.app = build_app(self.services)
        return self.app

    def _note(self, _logger: WrappedLogger, _level: str, entry: EventDict) -> NoReturn:
        self.log.append(dict(entry))
        raise structlog.DropEvent

    # Callers

    @property
    def stranger(self) -> Client:
        """A caller without a key."""
        return Client(self._app, self._check)

    async def caller(
        self,
        *,
        granted: int = GRANTED,
        account_id: str | None = None,
        mode: KeyMode = KeyMode.TEST,
        scopes: frozenset[Scope] = frozenset(Scope),
        rate_per_minute: int | None = 1_000_000,
        spend_cap: SpendCap | None = None,
    ) -> "Caller":
        """Return a caller with a key of its own, of a new account unless one is given."""
        stores = self.stores
        account_id = account_id or await stores.accounts.create_account(f"account {next(self._numbers)}")
        new = await stores.accounts.create_key(
            account_id, name="a key", mode=mode, scopes=scopes, rate_per_minute=rate_per_minute, spend_cap=spend_cap
        )
        if granted:
            await stores.credits.grant(account_id, mode, granted, "for a test")
        return Caller(self, new.key, new.secret)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def _check(self, reply: Reply) -> None:
        self.promises.check(reply)

    # What workers do with jobs

    async def accepted(self, job_id: str, *, can_cancel: bool = True) -> Job:
        """Bring a job to where an upstream has it."""
        job = await self.stores.submitted(await self.stores.claim(job_id))
        return await self.stores.claims.accept(job, {"id": "up_1", "can_cancel": can_cancel}, "up_1")

    async def completed(self, job_id: str, contents: Mapping[str, bytes] | None = None, captured: int = 1_000) -> Job:
        """End a job well, with one stored file for each name in `contents`."""
        job = await self.stores.claims.begin_collect(await self.accepted(job_id), None)
        assets = []
        for position, (name, content) in enumerate((contents or {"image.png": PNG}).items()):
            kind, _, extension = name.partition(".")
            asset = replace(
                self.stores.asset(job, position, kind),
                extension=extension,
                content_type=_CONTENT_TYPES[extension],
                size_bytes=len(content),
                sha256=f"{position:064x}",
                width=None if kind == "audio" else 1024,
                height=None if kind == "audio" else 768,
                duration_seconds=5.0 if kind in {"audio", "video"} else None,
                blob_key=f"assets/{job_id}/{position}.{extension}",
            )
            await self.stores.blobs.put(asset.blob_key, content)
            assets.append(asset)
        return await self.stores.claims.complete(job, assets, captured)

    async def failed(self, job_id: str, code: JobFailureCode = JobFailureCode.CONTENT_REJECTED) -> Job:
        """End a job badly."""
        job = await self.stores.submitted(await self.stores.claim(job_id))
        return await self.stores.claims.fail(job, JobFailure(code, "The upstream refused the prompt."))


class Caller(Client):
    """A client with a key, and the account behind it."""

    def __init__(self, dojo: Dojo, key: ApiKey, secret: str) -> None:
        super().__init__(dojo._app, dojo._check, secret)
        self.dojo = dojo
        self.api_key = key

    async def run(self, content: Any = PROMPT, *, target: str = RUN, **headers: str) -> str:
        """Run a model and return the job's id."""
        reply = await self.post(target, content, **headers)
        assert reply.status == 202, reply.body
        job_id: str = reply.json["jobId"]
        return job_id

    async def traces(self) -> tuple[int, int, int, int, int]:
        """Return what a refused request must leave as it was: available, held, jobs, entries, idempotency keys."""
        stores = self.dojo.stores
        account_id = self.api_key.account_id
        balance = await stores.credits.balance(account_id, self.api_key.mode)
        counts = []
        async with stores.database.read() as connection:
            for table in (jobs, entries, idempotency_keys):
                query = select(func.count()).select_from(table).where(table.c.account_id == account_id)
                counts.append((await connection.execute(query)).scalar_one())
        return (balance.available, balance.held, counts[0], counts[1], counts[2])


_CONTENT_TYPES: Final = {
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "glb": "model/gltf-binary",
}


async def _no_upstream(provider: str, _job_id: str, _headers: Mapping[str, str], _body: bytes, _token: str) -> None:
    raise NotFound(f"No upstream {provider!r} calls back here.")


def _refusal_of(policy: AddressPolicy) -> Callable[[str], str | None]:
    def refuse_address(url: str) -> str | None:
        try:
            policy.check_url(url)
        except RefusedAddress as error:
            return str(error)
        return None

    return refuse_address
