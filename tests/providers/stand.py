"""A worker's real steps, real connections and real decoding against emulators; only the clock is moved by hand.

Owns putting these together. Jobs, books and the clock are the workshop's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.clock import FakeClock
from tests.emulators.emulator import Emulator
from tests.providers.pairs import Pair, whole_catalog
from tests.stores import Stores
from tests.unit.worker.workshop import Workshop

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.blobs import open_blobs
from pixeldojo.core.errors import PixelDojoError
from pixeldojo.core.json_types import JsonObject
from pixeldojo.db.engine import open_database
from pixeldojo.engine import open_engine
from pixeldojo.media.pool import MediaPool
from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.net.client import OutboundClient
from pixeldojo.net.fetch import Fetcher
from pixeldojo.providers.contract import HttpAnswer, HttpClient
from pixeldojo.worker.callbacks import CallbackDesk
from pixeldojo.worker.media_files import MediaFiles

LOOPBACK: Final = AddressPolicy(allowed_networks=(ip_network("127.0.0.0/8"),))
CALLBACKS: Final = "https://dojo.test/api/v1/callbacks"
_LARGEST_FILE: Final = 1_000_000
_LONGEST_WAIT_SECONDS: Final = 60.0
_Result = TypeVar("_Result")


class HereAndNow(MediaPool):
    """Decodes in a thread of the test."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)

    async def warm_up(self, function: Callable[[], object], *, timeout_seconds: float = 60.0) -> None:
        """There are no processes to start."""

    async def run(self, function: Callable[..., _Result], *arguments: object, timeout_seconds: float) -> _Result:
        return await asyncio.to_thread(function, *arguments)


class Impatient:
    """An HTTP client that gives calls of some methods little time, for servers that never answer."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.seconds: dict[str, float] = {}

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
        seconds = min(timeout_seconds, self.seconds.get(method, timeout_seconds))
        return await self._http.request(method, url, headers=headers, json=json, body=body, timeout_seconds=seconds)


class Stand(Workshop):
    """A workshop whose upstreams are emulators."""

    def __init__(self, stores: Stores, scratch: Path, http: OutboundClient, pairs: Mapping[Pair, Emulator]) -> None:
        super().__init__(stores, whole_catalog(), scratch)
        self.emulators = {pair.name: emulator for pair, emulator in pairs.items()}
        providers = {pair.name: pair.provider(emulator) for pair, emulator in pairs.items()}
        self.http = {name: Impatient(http.for_provider(provider)) for name, provider in providers.items()}
        self.clients = self.http
        self.set_up(*providers.values())
        self.fetching = Fetcher(http)
        self.desk = CallbackDesk(
            providers=providers,
            clients=self.clients,
            claims=stores.claims,
            engine=stores.engine,
            clock=stores.clock,
            log=self.log,
        )

    def files(self) -> MediaFiles:
        return MediaFiles(
            fetcher=self.fetching,
            pool=HereAndNow(),
            blobs=self.stores.blobs,
            scratch=self.scratch,
            max_bytes=_LARGEST_FILE,
        )

    async def order(self, pair: Pair, *, timeout_seconds: float = 600.0, **given: Any) -> tuple[str, ApiKey]:
        """Submit a job in live mode; return its id and the key of its account."""
        key = await self.key(KeyMode.LIVE)
        wanted = {**pair.given, **given}
        return await self.submit(key, pair.model_id, timeout_seconds=timeout_seconds, **wanted), key

    async def carry_over_waits(self, job_id: str) -> None:
        """Carry a job to its end, moving the clock whenever a step itself waits for something."""
        carrying = asyncio.create_task(self.carry(job_id))
        while not carrying.done():
            waiting = asyncio.create_task(self.clock.until_sleeping())
            await asyncio.wait({carrying, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                self.clock.advance(_LONGEST_WAIT_SECONDS)
            waiting.cancel()
        await carrying

    async def until_ended_by_itself(self, job_id: str) -> None:
        """Return once a running worker has ended the job, without moving the clock."""
        async with asyncio.timeout(10), self.stores.engine.listen(job_id) as changed:
            while not (await self.job(job_id)).status.is_terminal:
                await changed.wait()
                changed.clear()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take a callback in, as the API does; return the status it would answer with."""
        place, _, path = url.partition("/callbacks/")
        assert f"{place}/callbacks" == self.callback_base
        provider, _, address = path.partition("/")
        job_id, _, query = address.partition("?")
        received = {name.lower(): value for name, value in headers.items()}
        try:
            await self.desk.take(provider, job_id, received, body, query.removeprefix("token="))
        except PixelDojoError as error:
            return error.status
        return 204


@asynccontextmanager
async def open_stand(
    pairs: Sequence[Pair], database_address: str, clock: FakeClock, folder: Path, **options: Any
) -> AsyncIterator[Stand]:
    """Give a stand with an emulator for each pair; `options` are the emulators'."""
    async with AsyncExitStack() as stack:
        database = open_database(database_address)
        stack.push_async_callback(database.close)
        stores = Stores(database, clock, open_blobs("memory://", scratch=folder), open_engine(None))
        stack.push_async_callback(stores.engine.close)
        http = OutboundClient(LOOPBACK)
        stack.push_async_callback(http.close)
        emulators = {
            pair: await stack.enter_async_context(pair.open_emulator(now=clock.now, **options)) for pair in pairs
        }
        yield Stand(stores, folder / "scratch", http, emulators)
