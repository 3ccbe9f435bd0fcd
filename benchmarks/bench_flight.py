"""What it costs to hold jobs at an upstream that takes minutes, and how soon their end is noticed and copied.

Run `python -m benchmarks.bench_flight [--jobs N] [--seconds S] [--video-megabytes M]`; promises are for 10,000 jobs. A
whole server (`up`, on SQLite) runs in a process of its own, the upstream in another, both on loopback; the jobs are
put into the database beforehand. Prints, with the machine's load:

1. polled: memory for each job, processor and polls a second while all are in flight, how long after its end a work
   was asked for, against the interval it was asked at
2. called back: the same, and how many polls there were, which should be none
3. from the post of a callback to the job's end in the database, with an image of 1 MB to copy
4. the memory that copying a long video takes, in the server and in its media processes
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from benchmarks.bench_start import free_port
from PIL import Image
from tests.emulators.samples import Samples
from tests.stores import Stores, request

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.blobs import open_blobs
from pixeldojo.bootstrap import prepare_embedded
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.price import quote_price
from pixeldojo.core.clock import SystemClock
from pixeldojo.core.settings import read_settings
from pixeldojo.db.engine import open_database
from pixeldojo.jobs import store
from pixeldojo.jobs.job import Job, JobRequest
from pixeldojo.jobs.states import Step

_TICKS = os.sysconf("SC_CLK_TCK")
_VIDEO, _IMAGE = "happyhorse-1.0-t2v", "flux"
_FAR = "https://dojo.invalid"
_FLEET = 200
_PATIENCE_SECONDS = 900.0
_SETTLE_SECONDS = 2.0


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the upstream takes")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--video-megabytes", type=int, default=500)
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(in_flight("polled", given.jobs, given.seconds, calls_back=False))
    print(in_flight("called back", given.jobs, given.seconds, calls_back=True))
    for side, noise in ((1_024, 0.55), (592, 100.0)):
        print(from_callback_to_end(given.images, picture(side, noise)))
    print(long_video(given.video_megabytes))
    print(f"load {os.getloadavg()[0]:.1f}")


def in_flight(name: str, count: int, seconds: float, *, calls_back: bool) -> str:
    """Hold jobs in flight; return what it cost."""
    with setting(seconds, b"never asked for", calls_back=calls_back) as scene:
        with scene.server() as server:
            server.settle()  # the first start does more than others
        with scene.server() as server:
            server.settle()
            empty = server.memory_kb
        scene.feed(_VIDEO, count)
        with scene.server() as server:
            begun = time.monotonic()
            scene.until_accepted(count)
            taken = time.monotonic() - begun
            server.settle()
            each = (server.memory_kb - empty) / count
            before, polls, used, since = time.monotonic(), scene.stats()["polls"], server.processor_seconds, 0.0
            while since < seconds * 2 / 3:
                time.sleep(1)
                since = time.monotonic() - before
            rate, cores = (scene.stats()["polls"] - polls) / since, (server.processor_seconds - used) / since
            line = (
                f"{name:12} {count} in flight (taken in {taken:.0f} s): {each:5.1f} kB each, "
                f"{cores:4.2f} processors, {rate:6.1f} polls a second, {scene.stats()['polls']} in all"
            )
            return line if calls_back else f"{line}\n{noticed(scene, count)}"


def noticed(scene: "Scene", count: int) -> str:
    """Wait until every work was asked for after its end; return how long that took."""
    began = time.monotonic()
    while len(found := scene.stats()["noticed"]) < count and time.monotonic() - began < _PATIENCE_SECONDS:
        time.sleep(1)
    late = sorted(delay for delay, _ in found)
    over = sum(delay > interval + 0.01 for delay, interval in found)
    return (
        f"{'':12} end noticed after {statistics.median(late):.1f} s (median), {late[-1]:.1f} s (worst); "
        f"{over} of {len(found)} later than one interval, the longest of which was {max(i for _, i in found):.1f} s"
    )


def from_callback_to_end(count: int, content: bytes) -> str:
    """Let one job after the other be called back; return the milliseconds."""
    with setting(3_600.0, content, calls_back=True) as scene:
        ids = scene.feed(_IMAGE, count)
        with scene.server() as server:
            scene.until_accepted(count)
            server.settle()
            taken = asyncio.run(scene.finish_each(ids, server.port))
    some = sorted(taken)
    width, height = Image.open(BytesIO(content)).size
    return (
        f"callback to end, {len(content) / 1e6:.2f} MB, {width}x{height}: median {statistics.median(some):.1f} ms, "
        f"nine in ten under {some[len(some) * 9 // 10]:.1f} ms; of that decoding {decoding(content):.1f} ms"
    )


def decoding(content: bytes) -> float:
    """Return the milliseconds that the library takes to decode a picture, at its best."""
    taken = []
    for _ in range(10):
        began = time.perf_counter()
        Image.open(BytesIO(content)).load()
        taken.append((time.perf_counter() - began) * 1e3)
    return min(taken)


def long_video(megabytes: int) -> str:
    """Let a video be copied; return how far memory rose."""
    clip = Samples().video
    padding = megabytes * 1_000_000 - len(clip)
    free = (1).to_bytes(4, "big") + b"free" + padding.to_bytes(8, "big")
    content = clip + free + bytes(padding - 16)
    with setting(3_600.0, content, calls_back=True) as scene:
        first, second = scene.feed(_VIDEO, 2)
        del content
        with scene.server() as server:
            scene.until_accepted(2)
            server.settle()
            # The media processes load their libraries with the first.
            asyncio.run(scene.finish_each([first], server.port))
            server.settle()
            with server.watching() as peak:
                [taken] = asyncio.run(scene.finish_each([second], server.port))
    return f"video of {megabytes} MB: copied in {taken / 1e3:.1f} s, memory rose by {peak() / 1024:.0f} MB at most"


def picture(side: int, noise: float) -> bytes:
    """Return a square PNG: a smooth picture and noise, which decides how many bytes it takes."""
    ramp = np.linspace(0, 255, side)[None, :, None] * np.ones((side, 1, 3))
    pixels = ramp + np.random.default_rng(7).normal(0, noise, ramp.shape)
    written = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(written, "png")
    return written.getvalue()


@dataclass
class Server:
    """A running `up`."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def memory_kb(self) -> int:
        """What the process itself has in memory."""
        return _memory_kb(self.process.pid)

    @property
    def processor_seconds(self) -> float:
        """What the process itself has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def settle(self) -> None:
        """Wait until it does the same as before."""
        before, used = -1.0, self.processor_seconds
        while True:
            time.sleep(_SETTLE_SECONDS)
            used, now = self.processor_seconds, self.processor_seconds - used
            if abs(now - before) < _SETTLE_SECONDS / 10:
                return
            before = now

    @contextlib.contextmanager
    def watching(self) -> Iterator[Any]:
        """Look at the memory of the process and its media processes; give the most that it rose by, in kB."""
        looking = subprocess.Popen(
            [sys.executable, "-c", _WATCH, str(self.process.pid)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        assert looking.stdout is not None
        looking.stdout.readline()
        found: list[int] = []
        yield lambda: found[0]
        out, _ = looking.communicate(b"\n")
        found.append(int(out))


_WATCH = """
import select, sys
from pathlib import Path
pid = sys.argv[1]
def family():
    ids, new = [], [pid]
    while new:
        ids += new
        new = [c for p in new for t in Path(f"/proc/{p}/task").glob("*/children") for c in t.read_text().split()]
    total = 0
    for one in ids:
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            total += int(line.split()[1]) if line.startswith("RssAnon:") else 0
    return total
first = most = family()
print("looking", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    try:
        most = max(most, family())
    except FileNotFoundError:
        pass
print(most - first)
"""


def _memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


@dataclass
class Scene:
    """A data folder, and an upstream."""

    folder: Path
    upstream: str
    calls_back: bool

    @contextlib.contextmanager
    def server(self) -> Iterator[Server]:
        """Run `up` on the folder."""
        port = free_port()
        environment = os.environ | {
            "PIXELDOJO_DATA_DIR": str(self.folder),
            "PIXELDOJO_PORT": str(port),
            "PIXELDOJO_LOG_LEVEL": "warning",
            "PIXELDOJO_MAX_JOBS_IN_FLIGHT": "20000",
            "REPLICATE_API_TOKEN": "r8_bench",
            "PIXELDOJO_REPLICATE_BASE_URL": f"{self.upstream}/v1",
        }
        if self.calls_back:
            environment["PIXELDOJO_PUBLIC_URL"] = _FAR
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pixeldojo", "up"], env=environment, stdout=log, stderr=log
            )
        try:
            while not _answers(port):
                time.sleep(0.05)
            yield Server(process, port)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def feed(self, model_id: str, count: int) -> list[str]:
        """Put jobs into the database."""
        return asyncio.run(self._feed(model_id, count))

    async def _feed(self, model_id: str, count: int) -> list[str]:
        async with self.stores() as stores:
            key = await stores.new_key(granted=10**12, mode=KeyMode.LIVE)
            wanted = order(key, model_id)
            ids: list[str] = []
            for start in range(0, count, _FLEET):
                some = range(min(_FLEET, count - start))
                ids += [new.job_id for new in await asyncio.gather(*(stores.jobs.create(wanted) for _ in some))]
            return ids

    @contextlib.asynccontextmanager
    async def stores(self) -> Any:
        """Open the database beside the server."""
        clock: Any = SystemClock()  # where tests have one that they move
        stores = Stores(open_database(f"sqlite:///{self.folder / 'pixeldojo.db'}"), clock, open_blobs("memory://"))
        try:
            yield stores
        finally:
            await stores.engine.close()
            await stores.database.close()

    async def finish_each(self, ids: Sequence[str], port: int) -> list[float]:
        """End the works of these jobs one by one; return the milliseconds from each post to the job's end."""
        taken = []
        looking = sqlite3.connect(self.folder / "pixeldojo.db", isolation_level=None)
        async with self.stores() as stores:
            for job_id in ids:
                job = await _look(stores, job_id)
                assert job.operation is not None
                url = f"{self.upstream}/finish/{job.operation['id']}/{port}"
                posting = asyncio.create_task(asyncio.to_thread(_ask, Request(url, method="POST")))
                ended = await _end_of(looking, job_id)
                posted, job = await posting, await _look(stores, job_id)
                assert (job.status, posted["status"]) == ("completed", 204), (job.error_message, posted)
                taken.append((ended - posted["posted"]) * 1e3)
                await asyncio.sleep(random.uniform(0.02, 0.05))
        looking.close()
        return taken

    def stats(self) -> dict[str, Any]:
        """Return what the upstream counted."""
        return _ask(Request(f"{self.upstream}/stats"))

    def until_accepted(self, count: int) -> None:
        """Wait until the upstream has that many."""
        began = time.monotonic()
        while self.stats()["accepted"] < count:
            time.sleep(0.2)
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise SystemExit(f"the upstream has {self.stats()['accepted']} of {count} jobs; {self.folder}/log")


def order(key: ApiKey, model_id: str) -> JobRequest:
    """Return a request as the API hands it over."""
    model = load_catalog().find(model_id)
    canonical = read_input(model, {"prompt": "a lantern in the rain, with the lights of the town behind it"})
    quote = quote_price(model, canonical)
    plain = request(key, model_id=model_id, input=canonical, quoted=quote.amount_millicredits, timeout_seconds=7_200)
    return replace(plain, quote=quote.to_json())


async def _look(stores: Stores, job_id: str) -> Job:
    async with stores.database.read() as connection:
        job = await store.find_job(connection, job_id)
    assert job is not None
    return job


async def _end_of(database: sqlite3.Connection, job_id: str) -> float:
    """Return when a job that another process ends was seen to have ended, by looks that take it little time."""
    while True:
        (step,) = database.execute("SELECT step FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if step == Step.ENDED:
            return time.time()
        await asyncio.sleep(0.0005)


def _ask(request: Request) -> dict[str, Any]:
    with urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _answers(port: int) -> bool:
    with contextlib.suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def setting(seconds: float, output: bytes, *, calls_back: bool) -> Iterator[Scene]:
    """Give a fresh data folder and an upstream."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(prepare_embedded(read_settings(data_dir=folder)))
        (folder / "output").write_bytes(output)
        upstream = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.flight_upstream", str(seconds), str(folder / "output")],
            stdout=subprocess.PIPE,
        )
        try:
            assert upstream.stdout is not None
            yield Scene(folder, f"http://127.0.0.1:{int(upstream.stdout.readline())}", calls_back)
        finally:
            upstream.kill()
            upstream.wait()


if __name__ == "__main__":
    main()
