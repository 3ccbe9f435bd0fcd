"""A real server under callers who mean harm, with the bounds that it has by itself: it lets go of them, answers all
others meanwhile, and is no larger afterwards.

The same with small bounds, and what each is answered, is in `tests/api/test_patience.py`.
"""

import re
import socket
import struct
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from tests.e2e.harness import Server, call, eventually, running

from pixeldojo.api.pace import Pace
from pixeldojo.cli.connections import Bounds

pytestmark = pytest.mark.slow

_RUN: Final = "/api/v1/models/flux-1.1-pro/run"
_MEGABYTE: Final = 1024 * 1024
# Where a caller stands still, the answer comes at the bound and one look at the connections later.
_LATEST: Final = max(Bounds().head_seconds, Pace().grace_seconds, Bounds().unread_seconds) + 15


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("up") / "data", PIXELDOJO_MEDIA_WORKERS="1") as started:
        eventually((started.data_dir / "first-image.png").exists, what="the first job has ended")
        yield started


def resident_bytes(server: Server) -> int:
    """Return how much memory the server's own process has."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[0]) * 1024


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=_LATEST)


def heard_until_let_go(connection: socket.socket, piece: bytes) -> tuple[bytes, float]:
    """Send a piece each second until the server ends the connection; return what it said, and how long that took."""
    begun = time.monotonic()
    heard = b""
    connection.settimeout(1.0)
    while time.monotonic() - begun < _LATEST:
        try:
            part = connection.recv(65_536)
        except TimeoutError:
            try:
                connection.sendall(piece)
            except OSError:
                break
            continue
        except OSError:
            break
        if not part:
            break
        heard += part
    return heard, time.monotonic() - begun


def at_once(*ways: Callable[[], Any]) -> list[Any]:
    """Do several things at the same time; return what each gave."""
    found: list[Any] = [None] * len(ways)

    def do(number: int, way: Callable[[], Any]) -> None:
        found[number] = way()

    threads = [threading.Thread(target=do, args=each, daemon=True) for each in enumerate(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LATEST + 30)
    return found


def test_callers_who_stand_still_are_let_go_at_the_bounds_that_a_server_has_by_itself(server: Server) -> None:
    head = f"POST {_RUN} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
    json_body = f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
    early = f"POST {_RUN} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".encode()

    def stand_still(begin: bytes, piece: bytes) -> Callable[[], tuple[bytes, float]]:
        def way() -> tuple[bytes, float]:
            with closing(connect(server)) as connection:
                connection.sendall(begin)
                return heard_until_let_go(connection, piece)

        return way

    def read_nothing() -> float:
        begun = time.monotonic()
        with closing(connect(server)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.sendall(b"GET /api/openapi HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
            with suppress(OSError):
                while time.monotonic() - begun < _LATEST:
                    connection.sendall(b"\r\n")
                    threading.Event().wait(1.0)
        return time.monotonic() - begun

    lines, body, silent, idle, left = (
        *(stand_still(b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"), stand_still(json_body, b" ")),
        *(stand_still(json_body, b""), stand_still(b"", b""), stand_still(early, b"x")),
    )
    found = at_once(lines, body, silent, idle, left, read_nothing)
    bounds, pace = Bounds(), Pace()
    for (heard, seconds), status, least in zip(
        found[:5],
        (b" 408 ", b" 408 ", b" 408 ", b"", b" 401 "),
        (bounds.head_seconds, pace.grace_seconds, pace.silence_seconds, bounds.head_seconds, pace.grace_seconds),
        strict=True,
    ):
        assert heard[8:13] == status, heard
        assert least - 2 < seconds < least + 12
    assert bounds.unread_seconds - 2 < found[5] < bounds.unread_seconds + 12


def test_a_thousand_idle_connections_cost_little_and_keep_nobody_out(server: Server) -> None:
    before = resident_bytes(server)
    with ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(closing(connect(server))).sendall(b"GET /healthz HTTP/1.1\r\n")
        begun = time.monotonic()
        assert call("GET", f"{server.url}/healthz").status == 200
        assert server.run("flux-1.1-pro", {"prompt": "Between a thousand"}).status == 202
        assert time.monotonic() - begun < 10
    assert resident_bytes(server) - before < 60 * _MEGABYTE


def test_nothing_that_is_sent_without_end_makes_the_server_grow(server: Server) -> None:
    def send(*parts: bytes, times: int = 1) -> bytes:
        with closing(connect(server)) as connection:
            heard = b""
            with suppress(OSError):
                for part in parts:
                    for _ in range(times if part is parts[-1] else 1):
                        connection.sendall(part)
            with suppress(OSError):
                heard = connection.recv(1_000)
            return heard

    key = f"Authorization: Bearer {server.key}\r\nContent-Type: application/json\r\n"
    post = f"POST {_RUN} HTTP/1.1\r\nHost: a\r\n{key}".encode()
    start = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
    deep = b'{"prompt":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    values = b'{"prompt":[' + b"[]," * 8_000_000 + b"1]}"

    def framed(body: bytes, more: bytes = b"") -> bytes:
        return post + more + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    ways: dict[bytes, Callable[[], bytes]] = {
        b" 431 header": lambda: send(start, b"X-A: ", b"x" * _MEGABYTE, times=12),
        b" 431 headers": lambda: send(start, b"X-A: b\r\n" * 10_000, times=20),
        b" 431 address": lambda: send(b"GET /", b"a" * _MEGABYTE, times=12),
        b" 431 trailers": lambda: send(
            post, b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 10_000, times=20
        ),
        b" 413 body": lambda: send(post, b"Content-Length: 9999999999\r\n\r\n", bytes(_MEGABYTE), times=40),
        b" 413 chunks": lambda: send(
            post, b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n%s\r\n" % bytes(_MEGABYTE), times=40
        ),
        b" 400 deep": lambda: send(framed(deep)),
        b" 400 values": lambda: send(framed(values)),
        b" 415 gzip": lambda: send(framed(zlib.compress(bytes(20 * _MEGABYTE)), b"Content-Encoding: gzip\r\n")),
    }
    sizes = []
    for _ in range(8):
        for status, way in ways.items():
            assert way()[8:13] == status[:5], status
            assert call("GET", f"{server.url}/healthz").status == 200
        sizes.append(resident_bytes(server) // _MEGABYTE)
    # What one request of the largest size needs may stay with the process; the next needs no more.
    assert max(sizes[4:]) - max(sizes[:4]) < 20, sizes
    assert max(sizes) < 350, sizes


def bomb(side: int) -> str:
    """Return a small picture that says it is huge, as a data URI."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(20 * _MEGABYTE), 9))
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")).decode()


def test_a_picture_that_unpacks_beyond_reason_fails_its_job_and_nothing_else(server: Server) -> None:
    server.ended(server.run("flux-1.1-pro", {"prompt": "a kite"}).json["jobId"])
    before = resident_bytes(server)
    job_ids = []
    for side in (20_000, 60_000, 2**31 - 1):
        answer = server.run("flux-1.1-pro", {"prompt": "a bomb", "image_url": bomb(side)})
        assert answer.status == 202, answer.body
        job_ids.append(answer.json["jobId"])
    for job_id in job_ids:
        job = server.ended(job_id)
        assert (job["status"], job["error"]["code"], job["creditCost"]) == ("failed", "invalid_input", 0)
    assert resident_bytes(server) - before < 40 * _MEGABYTE
    assert server.ended(server.run("flux-1.1-pro", {"prompt": "a kite"}).json["jobId"])["status"] == "completed"


@pytest.mark.parametrize(
    "target",
    [
        *("/assets/../api-key", "/assets/../../data/api-key", "/assets/%2e%2e/api-key", "/assets/..%2fapi-key"),
        *(
            "/files/../../api-key",
            "//assets/../api-key",
            "/assets//etc/passwd",
            "/assets/%00/../api-key",
            "/../api-key",
        ),
        *("http://127.0.0.1/assets/../api-key", "/assets/" + "../" * 2_000 + "etc/passwd", "/assets/\\..\\api-key"),
    ],
    ids=lambda target: target[:40],
)
def test_no_spelling_of_a_path_leads_out_of_the_media_store(server: Server, target: str) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        heard = b"".join(iter(partial(connection.recv, 65_536), b""))
    assert heard[8:13] in {b" 404 ", b" 400 "}
    assert server.key.encode() not in heard
    assert b"root:" not in heard


def test_bytes_that_mean_two_things_are_refused_and_end_the_connection(server: Server) -> None:
    """Two readers of one request must not see two (request smuggling, RFC 9112, 11.2)."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    start = f"POST {_RUN} HTTP/1.1\r\nHost: a\r\n".encode()
    for way in (
        start + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        start + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n0\r\n\r\n" + inner,
        start + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
        start + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
        start + b"Content-Length: +5\r\n\r\nabcde" + inner,
        start + b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n" + inner,
        start + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n" + inner,
        start + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\nabcde\r\n0\r\n\r\n" + inner,
    ):
        with closing(connect(server)) as connection:
            connection.sendall(way)
            heard = b"".join(iter(partial(connection.recv, 65_536), b""))
        assert heard[8:13] == b" 400 ", (way, heard)
        assert len(re.findall(rb"HTTP/1\.1 \d", heard)) == 1, (way, heard)
