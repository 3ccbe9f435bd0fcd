"""Real processes for end-to-end tests: the server as an operator starts it, and a webhook receiver."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

START_SECONDS = 60.0
END_SECONDS = 90.0
_POLL_SECONDS = 0.05


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    method: str,
    url: str,
    *,
    key: str | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 90,
) -> Answer:
    """Make one HTTP request; an error status is an answer like any other."""
    sent = dict(headers or {})
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None:
        sent.setdefault("Content-Type", "application/json")
    try:
        with urlopen(Request(url, data, sent, method=method), timeout=timeout_seconds) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def eventually(condition: Any, *, seconds: float = END_SECONDS, what: str) -> Any:
    """Return the first true value of `condition()`; fail when there is none in time."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(_POLL_SECONDS)


@dataclass
class Server:
    """`pixeldojo-server up` on a data folder."""

    data_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.data_dir / "api-key").read_text().strip()

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    @property
    def _log_path(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    def start(self, *command: str) -> "Server":
        """Start, and return once it is ready."""
        self.launch(*command)
        eventually(self._is_ready, seconds=START_SECONDS, what=f"the server is ready\n{self.log[-4000:]}")
        return self

    def launch(self, *command: str) -> None:
        """Start without waiting."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIXELDOJO_")},
            "PIXELDOJO_DATA_DIR": str(self.data_dir),
            "PIXELDOJO_PORT": str(self.port),
            "PIXELDOJO_RATE_PER_MINUTE": "100000",
            "PIXELDOJO_PUBLIC_RATE_PER_MINUTE": "100000",
            **self.settings,
        }
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command or (sys.executable, "-m", "pixeldojo", "up"), env=environment, stdout=log, stderr=log
            )

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended at start\n{self.log[-4000:]}"
        try:
            return call("GET", f"{self.url}/readyz").status == 200 and (self.data_dir / "api-key").exists()
        except OSError:
            return False

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)

    def run(self, model: str, body: Mapping[str, Any], **headers: str) -> Answer:
        """Submit a job."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call("POST", f"{self.url}/api/v1/models/{model}/run", key=self.key, body=body, headers=named)

    def job(self, job_id: str) -> Any:
        """Return a job as it stands."""
        return call("GET", f"{self.url}/api/v1/jobs/{job_id}", key=self.key).json

    def ended(self, job_id: str, *, seconds: float = END_SECONDS) -> Any:
        """Return a job once it has ended."""

        def look() -> Any:
            job = self.job(job_id)
            return job if job.get("status") in {"completed", "failed"} else None

        return eventually(look, seconds=seconds, what=f"the job {job_id} ends\n{self.log[-3000:]}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the embedded database."""
        with closing(sqlite3.connect(self.data_dir / "pixeldojo.db", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def sandbox_calls(self) -> list[Path]:
        """Return the sandbox's own record of calls it took."""
        return sorted((self.data_dir / "blobs" / "sandbox").glob("*/call-*"))


@contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Server]:
    """Give a running server that is stopped at the end."""
    server = Server(data_dir, settings).start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Received:
    """One webhook as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A webhook receiver on loopback that keeps what it gets; `answers` may set the status by path."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, int] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                self.send_response(receiver.answers.get(self.path, 204))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing: the tests look at `received`."""

        class Listener(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self._server = Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def assert_books_balance(server: Server) -> None:
    """Assert what must hold of the money whatever happened; the server must be stopped or idle."""
    unbalanced = server.rows("SELECT id FROM entries WHERE available + held + revenue + grants <> 0")
    assert unbalanced == [], "an entry does not sum to zero"
    ((granted, captured, held, available),) = server.rows(
        "SELECT SUM(granted), SUM(captured), SUM(held), SUM(available) FROM balances"
    )
    ((entries_available, entries_held, revenue, grants),) = server.rows(
        "SELECT SUM(available), SUM(held), SUM(revenue), SUM(grants) FROM entries"
    )
    assert (available, held, captured, granted) == (entries_available, entries_held, revenue, -grants)
    assert available == granted - captured - held
    assert server.rows("SELECT job_id FROM settlements GROUP BY job_id HAVING COUNT(*) > 1") == []
    unsettled = server.rows("SELECT id FROM jobs WHERE step = 'ended' AND id NOT IN (SELECT job_id FROM settlements)")
    assert unsettled == [], "a job ended without a settlement"
    ((costs,),) = server.rows("SELECT COALESCE(SUM(cost), 0) FROM jobs")
    assert costs == captured
