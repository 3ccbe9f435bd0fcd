"""A cluster renewed node by node under load: no request is lost, no job waits for a lease, followers hear the end.

The callers go through the plainest load balancer there is: one API node after the other, and on to the next only
where a connection is refused. Whatever else goes wrong with a request is a request lost.
"""

import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from statistics import median
from typing import Any, Final

import pytest
from tests.e2e.cluster import PYTHON, Cluster, open_cluster
from tests.e2e.harness import Server, call, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEASE_SECONDS: Final = 90
"""Longer than the whole test: a job that waits for a lease is plainly seen."""

DRAIN_SECONDS: Final = 1.0
_LONGEST_JOB_SECONDS: Final = LEASE_SECONDS / 2
_PAUSE_SECONDS: Final = 0.4
_STOP_SECONDS: Final = 20.0
_WORKING: Final = '"working"'


@dataclass
class Balancer:
    """Callers' way in: round robin over the nodes."""

    ports: list[int]
    key: str
    refused: int = 0
    _turns: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[HTTPResponse]:
        """Make a request on a connection of its own."""
        with closing(self.connected()) as connection:
            send(connection, self.key, method, path, body, {"Connection": "close", **(headers or {})})
            with closing(connection.getresponse()) as answer:
                yield answer

    def connected(self) -> HTTPConnection:
        """Connect to the node whose turn it is, or to the next that takes connections."""
        first = next(self._turns)
        for turn in range(first, first + len(self.ports)):
            connection = HTTPConnection("127.0.0.1", self.ports[turn % len(self.ports)], timeout=60)
            try:
                connection.connect()
            except ConnectionRefusedError:
                self.refused += 1
                continue
            return connection
        raise ConnectionRefusedError("no node takes connections")


def send(
    connection: HTTPConnection, key: str, method: str, path: str, body: object, headers: Mapping[str, str]
) -> None:
    given = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    connection.request(method, path, None if body is None else json.dumps(body), given)


@dataclass
class Load:
    """What callers do all the while, and everything that went wrong with it."""

    balancer: Balancer
    model_id: str
    over: threading.Event = field(default_factory=threading.Event)
    wrong: list[str] = field(default_factory=list)
    requests: int = 0
    job_ids: list[str] = field(default_factory=list)
    followed: int = 0
    resumed: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def until_over(self, work: Callable[[], None]) -> None:
        """Do a caller's work again and again; what it meets is written down, and it goes on."""
        while not self.over.wait(_PAUSE_SECONDS):
            try:
                work()
            except (OSError, HTTPException) as error:
                self.wrong.append(f"{work.__name__}: {error!r}")

    def poll(self) -> None:
        """Submit a job and ask for it until it has ended."""
        _, answer = self._run(" [sandbox: slow=1]")
        while not self.over.wait(_PAUSE_SECONDS):
            with self.balancer.request("GET", f"/api/v1/jobs/{answer['jobId']}") as response:
                job = json.loads(response.read())
                self.requests += 1
                if response.status != 200:
                    raise HTTPException(f"{response.status}: {job}")
            if job["status"] == "completed":
                return

    def wait(self) -> None:
        """Submit a job and wait for it; a server that stops says with 202 that it goes on."""
        status, answer = self._run("", {"Prefer": "wait=30"})
        if status == 200 and answer["status"] != "completed":
            self.wrong.append(f"waited for: {answer}")

    def follow(self) -> None:
        """Follow a job to its end, coming back with the last event's id whenever a stream ends before."""
        _, answer = self._run(" [sandbox: slow=2]")
        last_id, ended = "", False
        while not ended:
            heard = list(self._events(answer["jobId"], last_id))
            if heard:
                last_id = heard[-1][0]
            ended = any(kind == "done" for _, kind in heard)
            self.resumed += not ended
        self.followed += 1

    def _run(self, mood: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        body = {"prompt": f"Kite {next(self._numbers)}{mood}"}
        with self.balancer.request("POST", f"/api/v1/models/{self.model_id}/run", body, headers) as response:
            answer = json.loads(response.read())
            self.requests += 1
            if response.status not in {200, 202}:
                raise HTTPException(f"{response.status}: {answer}")
        self.job_ids.append(answer["jobId"])
        return response.status, answer

    def _events(self, job_id: str, last_id: str) -> Iterator[tuple[str, str]]:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with self.balancer.request("GET", f"/api/v1/jobs/{job_id}/events", headers=headers) as response:
            self.requests += 1
            if response.status != 200:
                raise HTTPException(f"{response.status}: {response.read()!r}")
            # A stream that is cut off, not ended, raises here.
            lines = [line for line in response.read().decode().split("\n") if line.startswith(("id: ", "event: "))]
        for identity, kind in zip(lines[::2], lines[1::2], strict=True):
            yield identity.removeprefix("id: "), kind.removeprefix("event: ")

    def keep_a_connection(self) -> None:
        """Ask over one connection until the server says that it will close it."""
        with closing(self.balancer.connected()) as connection:
            while not self.over.wait(_PAUSE_SECONDS):
                send(connection, self.balancer.key, "GET", "/api/v1/jobs?limit=1", None, {})
                response = connection.getresponse()
                response.read()
                self.requests += 1
                if response.status != 200:
                    raise HTTPException(f"{response.status} on a kept connection")
                if response.will_close:
                    return


def test_a_cluster_is_renewed_node_by_node_under_load(tmp_path: Path) -> None:
    settings = {"PIXELDOJO_LEASE_SECONDS": str(LEASE_SECONDS), "PIXELDOJO_DRAIN_SECONDS": str(DRAIN_SECONDS)}
    with open_cluster(tmp_path, apis=2, workers=2, settings=settings) as cluster:
        for worker in cluster.workers:
            _until_said(worker, _WORKING, 1)
        load = Load(Balancer([api.port for api in cluster.apis], cluster.keys["test"]), cluster.upstream.model_id)
        callers = [load.poll, load.wait, load.wait, load.follow, load.follow, load.keep_a_connection]
        with ThreadPoolExecutor(len(callers)) as threads:
            running = [threads.submit(load.until_over, caller) for caller in callers]
            try:
                usual = _ended_jobs(cluster, load, 20)
                for api in cluster.apis:
                    _renew_api(api, load)
                for worker in cluster.workers:
                    _renew_worker(worker)
                after = len(load.job_ids)
                _ended_jobs(cluster, load, after + 10)
            finally:
                load.over.set()
            for one in running:
                one.result()
        cluster.until_all_ended()
        seconds = _seconds_of_jobs(cluster)
        told = (
            f"{load.requests} requests, {load.balancer.refused} connections refused, {len(load.job_ids)} jobs, "
            f"{load.followed} followed ({load.resumed} streams resumed); jobs took {median(usual):.2f} s before, "
            f"{median(seconds):.2f} s in all, {max(seconds):.2f} s at most"
        )
        assert load.wrong == [], told + cluster.complaints()
        assert load.resumed > 0, f"no stream was cut by a restart: {told}"
        assert max(seconds) < _LONGEST_JOB_SECONDS, f"{told}{cluster.complaints()}"
        assert cluster.rows("SELECT COUNT(*) FROM jobs WHERE status <> 'completed'") == [(0,)], told
        assert cluster.rows("SELECT COUNT(*) FROM jobs") == [(len(set(load.job_ids)),)], told
        for node in (*cluster.apis, *cluster.workers):
            assert "Traceback" not in node.log, node.log[-3000:]
        sys.stdout.write(f"{told}\n")


def _renew_api(api: Server, load: Load) -> None:
    """Stop a node in order and start it again, looking at it on the way."""
    assert api.process is not None
    api.process.send_signal(signal.SIGTERM)
    ready = eventually(lambda: _unready(api), seconds=DRAIN_SECONDS, what="the node says that it is not ready")
    assert ready["checks"]["server"] == "stopping"
    # Load balancers look once in a while: until they have, the node works as ever.
    run = f"{api.url}/api/v1/models/{load.model_id}/run"
    accepted = call("POST", run, key=load.balancer.key, body={"prompt": "While it drains"})
    assert accepted.status == 202, accepted.body
    load.job_ids.append(accepted.json["jobId"])
    assert call("GET", f"{api.url}/healthz").status == 200
    _until_ended(api)
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection("127.0.0.1", api.port).connect()
    api.start(*PYTHON, "serve")


def _unready(api: Server) -> Any:
    answer = call("GET", f"{api.url}/readyz")
    return answer.json if answer.status == 503 else None


def _renew_worker(worker: Server) -> None:
    assert worker.process is not None
    starts = worker.log.count(_WORKING)
    worker.process.send_signal(signal.SIGTERM)
    _until_ended(worker)
    worker.launch(*PYTHON, "worker")
    _until_said(worker, _WORKING, starts + 1)


def _until_ended(node: Server) -> None:
    assert node.process is not None
    try:
        assert node.process.wait(timeout=_STOP_SECONDS) == 0, node.log[-3000:]
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the node did not end\n{node.log[-3000:]}") from None


def _until_said(node: Server, words: str, times: int) -> None:
    eventually(lambda: node.log.count(words) >= times, what=f"{words!r} is logged:\n{node.log[-3000:]}")


def _ended_jobs(cluster: Cluster, load: Load, count: int) -> list[float]:
    eventually(lambda: len(_seconds_of_jobs(cluster)) >= count, what=f"{count} jobs end{cluster.complaints()}")
    return _seconds_of_jobs(cluster)


def _seconds_of_jobs(cluster: Cluster) -> list[float]:
    """Return how long each ended job took, from its submit on."""
    rows = cluster.rows("SELECT completed_at - created_at FROM jobs WHERE step = 'ended'")
    return [microseconds / 1e6 for (microseconds,) in rows]
