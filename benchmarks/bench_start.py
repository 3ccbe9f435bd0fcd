"""How long commands take from nothing to their answer: `up` on data it has, `--help`, `keys list`.

Run `python -m benchmarks.bench_start [--rounds N]`. Prints medians of wall and of processor seconds; on a machine
that does other things too, the processor time is the figure to compare. A start counts until `/healthz` answers; the
processor time is the server's own, without its media processes.
"""

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_PATIENCE_SECONDS = 60.0
_COMMAND = (sys.executable, "-m", "pixeldojo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        print(show("up, first start (its job included)", [start(data, until_picture=True)]))
        print(show("up, second start", [start(data) for _ in range(rounds)]))
        for arguments in (("--help",), ("keys", "list"), ("catalog",)):
            print(show(" ".join(arguments), [command(data, *arguments) for _ in range(rounds)]))


def start(data: Path, *, until_picture: bool = False) -> tuple[float, float]:
    """Start a server, wait for its first answer (or first picture), kill it; return wall and processor seconds."""
    port = free_port()
    environment = {**os.environ, "PIXELDOJO_DATA_DIR": str(data), "PIXELDOJO_PORT": str(port)}
    begun = time.perf_counter()
    process = subprocess.Popen([*_COMMAND, "up"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (answers(port) and (not until_picture or (data / "first-image.png").exists())):
        if process.poll() is not None or time.perf_counter() - begun > _PATIENCE_SECONDS:
            raise SystemExit("the server did not start")
        time.sleep(0.005)
    wall = time.perf_counter() - begun
    return wall, processor_seconds(process)


def command(data: Path, *arguments: str) -> tuple[float, float]:
    """Run a command to its end; return wall and processor seconds."""
    environment = {**os.environ, "PIXELDOJO_DATA_DIR": str(data)}
    begun = time.perf_counter()
    process = subprocess.Popen([*_COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} did not work")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime


def answers(port: int) -> bool:
    with contextlib.suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """End the process where it stands and return what it used; it gets no time to tidy up, which would count."""
    process.send_signal(signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def show(name: str, taken: list[tuple[float, float]]) -> str:
    wall = statistics.median(one[0] for one in taken)
    processor = statistics.median(one[1] for one in taken)
    return f"{name:<36} wall {wall:5.2f} s   processor {processor:5.2f} s   of {len(taken)}"


if __name__ == "__main__":
    main()
