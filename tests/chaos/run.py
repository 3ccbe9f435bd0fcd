"""One run: callers submit jobs while parts of the cluster are hurt as the plan says; then all is put right and proven.

Owns callers and blows. What the plan is belongs to `plan`, what must hold to `proof`.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.plan import Blow, Trouble, draw_plan
from tests.chaos.proof import Accepted, Claim, prove
from tests.e2e.cluster import PYTHON, Cluster, open_cluster, suspend, wake
from tests.e2e.harness import Receiver, Server, call

_CALLERS: Final = 8
_PATIENCE_SECONDS: Final = 120.0
_AGAIN_SECONDS: Final = 0.2
_CALL_SECONDS: Final = 10.0
# What the jobs are like, in the sandbox's words; most are plain.
_MOODS: Final = ("", "", "", "", " [sandbox: slow=1]", " [sandbox: slow=3]", " [sandbox: twice]", " [sandbox: flaky=1]")
_LIVE_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything.

    Attributes:
        jobs: Submitted, spread over the time.
        seconds: How long things go wrong.
        drain_seconds: How long the rest may take once all is in order again.
    """

    jobs: int
    seconds: float
    workers: int = 4
    apis: int = 2
    drain_seconds: float = 240.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, and what was found."""

    blows: list[Blow]
    accepted: list[Accepted]
    repeated: int
    drain_seconds: float
    claims: list[Claim]

    @property
    def is_sound(self) -> bool:
        """Whether everything holds."""
        return not any(claim.wrong for claim in self.claims)


def run_chaos(folder: Path, seed: int, size: Size, say: Callable[[str], None]) -> Outcome:
    """Run it; `say` gets a line for everything that happens."""
    plan = draw_plan(seed, seconds=size.seconds, workers=size.workers, apis=size.apis)
    receiver = Receiver()
    try:
        with open_cluster(folder, apis=size.apis, workers=size.workers) as cluster:
            say(f"{size.workers} workers, {size.apis} API nodes, {size.jobs:,} jobs, {len(plan)} blows")
            callers = _Callers(cluster, receiver, seed, size)
            begun = time.monotonic()
            with ThreadPoolExecutor(_CALLERS) as threads:
                waiting = [threads.submit(callers.submit, number, begun) for number in range(size.jobs)]
                _strike(cluster, plan, begun, say)
                accepted = [job.result() for job in waiting]
            say(f"{time.monotonic() - begun:6.1f} s  all is in order again, and the last job was accepted")
            healed = time.monotonic()
            cluster.until_all_ended(seconds=size.drain_seconds)
            drained = time.monotonic() - healed
            return Outcome(plan, accepted, callers.repeated, drained, prove(cluster, receiver, accepted))
    finally:
        receiver.close()


class _Callers:
    """Callers who want their jobs: whoever gets no answer asks again with the same idempotency key."""

    def __init__(self, cluster: Cluster, receiver: Receiver, seed: int, size: Size) -> None:
        self._cluster = cluster
        self._receiver = receiver
        self._seed = seed
        self._size = size
        self._pause = threading.Event()
        self.repeated = 0

    def submit(self, number: int, begun: float) -> Accepted:
        """Submit a job at its moment of the run, however often that takes."""
        random = Random(f"{self._seed} {number}")
        self._pause.wait(max(0.0, begun + number / self._size.jobs * self._size.seconds - time.monotonic()))
        mode = "live" if random.random() < _LIVE_SHARE else "test"
        prompt = f"Kite {number}" + (random.choice(_MOODS) if mode == "test" else "")
        body = {"prompt": prompt, "webhook_url": f"{self._receiver.url}/{number}"}
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            api = random.choice(self._cluster.apis)
            job_id = self._ask(api, mode, body, number)
            if job_id is not None:
                return Accepted(job_id, mode, prompt)
            self.repeated += 1
            self._pause.wait(_AGAIN_SECONDS)
        raise AssertionError(f"job {number} was not accepted within {_PATIENCE_SECONDS:.0f} s")

    def _ask(self, api: Server, mode: str, body: dict[str, str], number: int) -> str | None:
        url = f"{api.url}/api/v1/models/{self._cluster.upstream.model_id}/run"
        headers = {"Idempotency-Key": f"kite-{number}"}
        try:
            answer = call(
                "POST", url, key=self._cluster.keys[mode], body=body, headers=headers, timeout_seconds=_CALL_SECONDS
            )
        except (OSError, HTTPException):
            return None
        if answer.status == 202:
            job_id: str = answer.json["jobId"]
            return job_id
        # Being away for a moment is what a caller may meet; all else is a fault.
        assert answer.status in {500, 502, 503, 504}, answer.body
        return None


def _strike(cluster: Cluster, plan: list[Blow], begun: float, say: Callable[[str], None]) -> None:
    """Do what the plan says, each thing at its time, and put it right again at its end."""
    moments: list[tuple[float, int, Blow, bool]] = []
    for index, blow in enumerate(plan):
        moments += [(blow.at, index, blow, True), (blow.at + blow.lasts, index, blow, False)]
    pause = threading.Event()
    for at, _, blow, is_begin in sorted(moments, key=lambda moment: (moment[0], moment[1], not moment[3])):
        pause.wait(max(0.0, begun + at - time.monotonic()))
        if is_begin:
            say(str(blow))
            _begin(cluster, blow)
        else:
            _end(cluster, blow)


def _begin(cluster: Cluster, blow: Blow) -> None:
    if blow.part == "database":
        cluster.database.server.crash()
    elif blow.part == "broker":
        cluster.broker.crash()
    else:
        node = _node(cluster, blow)
        match blow.trouble:
            case Trouble.KILL:
                node.kill()
            case Trouble.SUSPEND:
                suspend(node)
            case _:
                assert node.process is not None
                node.process.send_signal(signal.SIGTERM)


def _end(cluster: Cluster, blow: Blow) -> None:
    if blow.part == "database":
        cluster.database.server.resume()
    elif blow.part == "broker":
        cluster.broker.resume()
    elif blow.trouble == Trouble.SUSPEND:
        wake(_node(cluster, blow))
    else:
        _start_again(_node(cluster, blow), "serve" if blow.part == "api" else "worker")


def _start_again(node: Server, command: str) -> None:
    assert node.process is not None
    try:
        # Whoever was asked to stop gets a moment, as a supervisor gives it.
        node.process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        node.kill()
    node.launch(*PYTHON, command)


def _node(cluster: Cluster, blow: Blow) -> Server:
    return (cluster.apis if blow.part == "api" else cluster.workers)[blow.number]
