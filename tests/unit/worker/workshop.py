"""A worker's steps over real stores, with an upstream that follows a script and files that are described, not decoded.

Time is the fake clock's; `Workshop.carry` takes a job's steps as a worker does and moves the clock over its pauses.
"""

import asyncio
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger
from tests.clock import FakeClock
from tests.stores import LEASE_SECONDS, Stores, request
from tests.unit.worker.faulty import Crash, Fault, FaultyDatabase

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import open_blobs
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.catalog.price import quote_price
from pixeldojo.core.json_types import JsonObject
from pixeldojo.db.engine import Database
from pixeldojo.engine import Hint, open_engine
from pixeldojo.jobs import store
from pixeldojo.jobs.inline_media import take_out
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import Step
from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.pool import MediaPool
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.fetch import FetchedFile, Fetcher, FetchErrorKind, FetchFailed, Sink
from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpAnswer,
    HttpClient,
    Operation,
    OutputFile,
    Provider,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.worker.check import CheckStep
from pixeldojo.worker.circuits import Circuits
from pixeldojo.worker.collect import CollectStep
from pixeldojo.worker.gate import Gate
from pixeldojo.worker.handover import MediaHandover
from pixeldojo.worker.inputs import InputCollector
from pixeldojo.worker.loop import StepFunction, Worker
from pixeldojo.worker.media_files import MediaFiles
from pixeldojo.worker.outcome import Ended, GoOn, Pause, PutAside
from pixeldojo.worker.patience import Patience
from pixeldojo.worker.route import Router
from pixeldojo.worker.submit import SubmitStep
from pixeldojo.worker.sweep import Sweep

GRANTED: Final = 100_000
LARGEST_FILE: Final = 10_000
TICK: Final = 5.0
"""Seconds; a third of a lease."""

_MOST_STEPS: Final = 200
_SWEEPS: Final = 5
"""How many loops a sweep has."""

_Result = TypeVar("_Result")
Answer = TypeVar("Answer")


Scripted: TypeAlias = Answer | UpstreamError | Exception | Crash | Callable[[], Awaitable[Answer]]
"""What a scripted method does once: answers, raises, or runs something first."""


async def _play(script: list[Scripted[Answer]], usual: Answer) -> Answer:
    turn = script.pop(0) if script else usual
    if isinstance(turn, BaseException):
        raise turn
    return await turn() if callable(turn) else turn


def picture(**facts: Any) -> bytes:
    """Return a file that the workshop measures as a small PNG, but for `facts`."""
    usual = MediaFacts(kind="image", content_type="image/png", size_bytes=0, width=64, height=64)
    return json.dumps(asdict(replace(usual, **facts))).encode()


def clip(seconds: float | None, **facts: Any) -> bytes:
    """Return a file that is measured as an MP4 of that length."""
    usual = {"kind": "video", "content_type": "video/mp4", "width": 1280, "height": 720, "frames_per_second": 24.0}
    return picture(**usual | {"duration_seconds": seconds, "has_audio": True} | facts)


BROKEN: Final = b"<!doctype html>"


def finished(*contents: bytes) -> Finished:
    """Return the answer of an upstream that is done; one picture unless told."""
    return Finished(tuple(OutputFile(content=content) for content in contents or (picture(),)))


def accepted(upstream_id: str = "up_1", data: JsonObject | None = None, *, can_cancel: bool = False) -> Operation:
    """Return the answer of an upstream that took the work and may be done at once."""
    return Operation(upstream_id, data or {}, can_cancel=can_cancel, poll_after_seconds=0.0)


def refused(kind: UpstreamErrorKind, *, later: float | None = None, is_final: bool = False) -> UpstreamError:
    """Return a refusal; its message is the kind."""
    return UpstreamError(kind, f"because: {kind}", retry_after_seconds=later, is_final=is_final)


@dataclass
class ScriptedProvider:
    """An upstream that answers what it is told, and by itself: accepted, done, cancelled."""

    name: str = "sandbox"
    is_resubmit_safe: bool = False
    can_cancel: bool = True
    to_submit: list[Scripted[Operation | Finished]] = field(default_factory=list)
    to_check: list[Scripted[Running | Finished]] = field(default_factory=list)
    to_cancel: list[Scripted[CancelOutcome]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    checked: list[Operation] = field(default_factory=list)
    canceled: list[Operation] = field(default_factory=list)

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        self.calls.append(call)
        data: JsonObject = {"attempt": call.attempt_id}
        operation = accepted(f"up_{len(self.calls)}", data, can_cancel=self.can_cancel)
        return await _play(self.to_submit, operation)

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        self.checked.append(operation)
        return await _play(self.to_check, finished())

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        self.canceled.append(operation)
        return await _play(self.to_cancel, CancelOutcome.CANCELED)


class NoHttp:
    """Adapters of these tests call nobody."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpAnswer:
        raise AssertionError(f"{method} {url}")


class ScriptedFetcher(Fetcher):
    """Gives, by address, what it is told: each time the next, the last one for ever."""

    def __init__(self, **files: bytes | Exception | Sequence[bytes | Exception]) -> None:
        self.fetched: list[str] = []
        self._files: dict[str, list[bytes | Exception]] = {}
        for name, turns in files.items():
            self.put(name, turns)

    def put(self, name: str, turns: bytes | Exception | Sequence[bytes | Exception]) -> str:
        """Set what comes from an address; return the address."""
        url = address(name)
        self._files[url] = [turns] if isinstance(turns, bytes | Exception) else list(turns)
        return url

    async def fetch_to(
        self,
        url: str,
        sink: Sink | Path,
        *,
        max_bytes: int,
        timeout_seconds: float,
        stall_seconds: float = 15.0,
        headers: Mapping[str, str] | None = None,
    ) -> FetchedFile:
        self.fetched.append(url)
        turns = self._files.get(url, [FetchFailed(FetchErrorKind.HTTP_STATUS, "the server answered 404", status=404)])
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, Exception):
            raise turn
        if len(turn) > max_bytes:
            raise FetchFailed(FetchErrorKind.TOO_LARGE, f"the file is over the limit of {max_bytes:,} bytes")
        assert isinstance(sink, Path)
        await asyncio.to_thread(sink.write_bytes, turn)
        return FetchedFile(len(turn), hashlib.sha256(turn).hexdigest(), None)


def address(name: str) -> str:
    """Return where the scripted fetcher finds a file of that name."""
    return f"https://files.test/{name}"


class DescribedMedia(MediaPool):
    """Measures files in place by reading what they say they are."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.measured = 0
        self.before_next: Callable[[], Awaitable[None]] | None = None

    async def warm_up(self, function: Callable[[], object], *, timeout_seconds: float = 60.0) -> None:
        """There are no processes to start."""

    async def run(self, function: Callable[..., _Result], *arguments: object, timeout_seconds: float) -> _Result:
        [path] = arguments
        assert isinstance(path, Path)
        self.measured += 1
        before, self.before_next = self.before_next, None
        if before is not None:
            await before()
        content = await asyncio.to_thread(path.read_bytes)
        if not content.startswith(b"{"):
            raise UnreadableMedia("it is HTML")
        facts: Any = MediaFacts(**json.loads(content) | {"size_bytes": len(content)})
        result: _Result = facts
        return result


@cache
def made_up_catalog() -> Catalog:
    """Return three models: charged by the picture, by the second measured, and with media inputs."""
    return load_catalog(Path(__file__).parent / "made_up", providers=("alpha", "beta", "gamma"))


@asynccontextmanager
async def open_workshop(database: Database, clock: FakeClock, folder: Path) -> AsyncIterator["Workshop"]:
    """Give a workshop over a database, with media in memory; the folder is for what lies about meanwhile."""
    blobs = open_blobs("memory://", scratch=folder)
    stores = Stores(FaultyDatabase(database), clock, blobs, open_engine(None))
    try:
        yield Workshop(stores, made_up_catalog(), folder / "scratch")
    finally:
        await stores.engine.close()


class Workshop:
    """Everything a worker needs, and the short ways to use it."""

    def __init__(self, stores: Stores, catalog: Catalog, scratch: Path) -> None:
        self.stores = stores
        self.clock = stores.clock
        self.catalog = catalog
        self.scratch = scratch
        self.fetcher = ScriptedFetcher()
        self.media = DescribedMedia()
        self.captured = LogCapture()
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[self.captured], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        self.circuits = Circuits(self.clock, self.log)
        self.pauses: list[float] = []
        self.least_check_seconds = 30.0
        self.meters = Meters("0.0.0")
        self._sleepers = 0
        self.upstream = ScriptedProvider()
        self.callback_base: str | None = None
        self.clients: Mapping[str, HttpClient] = defaultdict(NoHttp)
        self._providers: dict[str, Provider] = {}
        self.set_up(self.upstream)

    @property
    def database(self) -> FaultyDatabase:
        """The database, which does what it is told."""
        assert isinstance(self.stores.database, FaultyDatabase)
        return self.stores.database

    def break_writes(self, *faults: Fault | None) -> None:
        """Let the next writes to the database go wrong; None is one that does not."""
        self.database.faults = list(faults)

    def set_up(self, *providers: Provider) -> None:
        """Let these be the upstreams that the operator has configured."""
        self._providers = {provider.name: provider for provider in providers}

    def files(self) -> MediaFiles:
        """Return what moves and measures files: scripted here."""
        return MediaFiles(
            fetcher=self.fetcher,
            pool=self.media,
            blobs=self.stores.blobs,
            scratch=self.scratch,
            max_bytes=LARGEST_FILE,
        )

    def steps(self) -> Mapping[Step, StepFunction]:
        """Return the steps, as of a process that has just started."""
        claims, files = self.stores.claims, self.files()
        collect = CollectStep(catalog=self.catalog, claims=claims, files=files, clock=self.clock, log=self.log)
        patience = Patience(self.catalog)
        submit = SubmitStep(
            catalog=self.catalog,
            claims=claims,
            inputs=InputCollector(claims=claims, assets=self.stores.assets, uploads=self.stores.files, files=files),
            handover=MediaHandover(self.stores.blobs),
            router=Router(self._providers),
            gate=Gate(self.circuits, self.stores.places, self.clock, self.log),
            collect=collect,
            patience=patience,
            clients=self.clients,
            clock=self.clock,
            log=self.log,
            meters=self.meters,
            callback_base=self.callback_base,
        )
        check = CheckStep(
            claims=claims,
            providers=self._providers,
            collect=collect,
            patience=patience,
            clients=self.clients,
            clock=self.clock,
            log=self.log,
            meters=self.meters,
            least_check_seconds=self.least_check_seconds,
        )
        return {
            Step.SUBMIT: submit.run,
            Step.SUBMITTING: submit.run,
            Step.CHECK: check.run,
            Step.COLLECT: collect.run,
        }

    def worker(self, owner: str = "worker_1", *, max_jobs: int = 100) -> Worker:
        """Return a worker that takes the steps."""
        return Worker(
            claims=self.stores.claims,
            steps=self.steps(),
            engine=self.stores.engine,
            clock=self.clock,
            log=self.log,
            owner=owner,
            lease_seconds=LEASE_SECONDS,
            max_jobs=max_jobs,
        )

    def sweep(self) -> Sweep:
        """Return a sweep that looks once a tick."""
        return Sweep(
            claims=self.stores.claims,
            ending=self.stores.ending,
            places=self.stores.places,
            files=self.stores.files,
            webhooks=self.stores.webhooks,
            engine=self.stores.engine,
            clock=self.clock,
            log=self.log,
            every_seconds=TICK,
        )

    @asynccontextmanager
    async def running(self, *workers: Worker) -> AsyncIterator[None]:
        """Let workers receive hints and keep their leases, and a sweep look for what they missed."""
        engine = self.stores.engine
        turns = itertools.cycle(workers)

        async def take(job_id: str) -> None:
            await next(turns).take(job_id)

        engine.handle(Hint.JOB, take)
        await engine.start()
        tasks = [asyncio.create_task(worker.keep_leases()) for worker in workers]
        tasks.append(asyncio.create_task(self.sweep().run_forever()))
        self._sleepers = len(workers) + _SWEEPS
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(worker.stop(0) for worker in workers))

    async def pass_time(self, seconds: float, *, waiting: int = 0) -> None:
        """Move the clock, tick by tick, while workers and sweep are running.

        Args:
            seconds: How far.
            waiting: How many jobs sleep all that time, and are not to be taken for a worker or sweep that does.
        """
        for _ in range(round(seconds / TICK)):
            await self.clock.until_sleeping(self._sleepers + waiting)
            self.clock.advance(TICK)

    async def until_ended(self, job_id: str) -> Job:
        """Return the job once it has ended, moving the clock tick by tick."""
        for _ in range(_MOST_STEPS):
            job = await self.job(job_id)
            if job.status.is_terminal:
                return job
            await self.pass_time(TICK)
        raise AssertionError(f"the job is still {job.step}")

    @staticmethod
    async def until_dropped(worker: Worker) -> None:
        """Return when the worker has no job in hand any more."""
        async with asyncio.timeout(10):
            while worker.job_count:
                tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("carry ")]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def key(self, mode: KeyMode = KeyMode.TEST, *, account_id: str | None = None) -> ApiKey:
        """Return a key with credits."""
        return await self.stores.new_key(granted=GRANTED, mode=mode, account_id=account_id)

    async def submit(
        self,
        key: ApiKey,
        model_id: str = "picture",
        *,
        webhook_url: str | None = None,
        timeout_seconds: float = 600.0,
        request_id: str | None = None,
        **given: Any,
    ) -> str:
        """Submit a job as the API does, and return its id; `given` is its input beside the model's example."""
        model = self.catalog.find(model_id)
        canonical = read_input(model, {**model.example, **given})
        taken = take_out(model, canonical)
        quote = quote_price(model, canonical)
        wanted = replace(
            request(
                key,
                model_id=model_id,
                input=taken.input,
                inline_files=taken.files,
                quoted=quote.amount_millicredits,
                webhook_url=webhook_url,
                timeout_seconds=timeout_seconds,
            ),
            quote=quote.to_json(),
            request_id=request_id,
        )
        return (await self.stores.jobs.create(wanted)).job_id

    async def carry(self, job_id: str, owner: str = "worker_1", *, pauses: int | None = None) -> Job:
        """Claim a job and take its steps until it has ended, or has paused that many times; return it.

        The clock is moved over every pause but the last one allowed.
        """
        job = await self.stores.claim(job_id, owner)
        steps = self.steps()
        taken = 0
        for _ in range(_MOST_STEPS):
            match await steps[job.step](job):
                case Ended(ended):
                    return ended
                case GoOn(moved):
                    job = moved
                case PutAside():
                    waiting = await self.job(job_id)
                    seconds = (waiting.next_step_at - self.clock.now()).total_seconds()
                    self.pauses.append(seconds)
                    taken += 1
                    if taken == pauses:
                        return waiting
                    self.clock.advance(seconds)
                    job = await self.stores.claim(job_id, owner)
                case Pause(paused, seconds):
                    job = paused
                    self.pauses.append(seconds)
                    taken += 1
                    if taken == pauses:
                        return job
                    self.clock.advance(seconds)
        raise AssertionError(f"the job never ends; its last pauses were {self.pauses[-5:]}")

    async def crashed(self, job_id: str, owner: str = "worker_1", *, or_ended: bool = False) -> None:
        """Carry a job into a scripted crash, and let the dead worker's lease run out."""
        try:
            await self.carry(job_id, owner)
        except Crash:
            self.clock.advance(LEASE_SECONDS + 1)
            return
        assert or_ended, "nothing crashed"

    async def job(self, job_id: str) -> Job:
        """Return the job as it stands in the database."""
        async with self.stores.database.read() as connection:
            found = await store.find_job(connection, job_id)
        assert found is not None
        return found

    async def attempts(self, job_id: str) -> list[tuple[str, str | None]]:
        """Return provider and outcome of each submit that was written down, oldest first."""
        async with self.stores.database.read() as connection:
            rows = await store.list_attempts(connection, job_id)
        rows.sort(key=lambda row: (row["started_at"], row["provider"]))
        return [(row["provider"], row["outcome"]) for row in rows]

    async def upstream_costs(self, job_id: str) -> list[str | None]:
        """Return what upstreams said they charge for each submit."""
        async with self.stores.database.read() as connection:
            return [row["upstream_cost"] for row in await store.list_attempts(connection, job_id)]

    async def assets(self, job_id: str) -> list[Asset]:
        """Return the assets that callers can see."""
        return (await self.stores.assets.list_assets([job_id]))[job_id]

    async def ending(self, key: ApiKey, job_id: str) -> tuple[str, str | None, int]:
        """Return how a job ended: status, error code, millicredits; after adding up the account's books."""
        job = await self.job(job_id)
        balance = await self.stores.credits.balance(key.account_id, key.mode)
        assert balance.available + balance.held + balance.captured == GRANTED
        assert await self.stores.faults() == []
        if job.status.is_terminal:
            assert job.cost is not None
            assert balance.held == 0
            assert balance.captured == job.cost
        return job.status, job.error_code, job.shown_cost

    @property
    def left_behind(self) -> list[Path]:
        """What lies in the scratch folder."""
        return sorted(self.scratch.rglob("*"))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's entries of one kind."""
        return [dict(entry) for entry in self.captured.entries if entry["event"] == event]
