"""Replicate's predictions as a server that costs next to nothing, for measuring whoever calls it.

Run by `bench_flight`, in a process of its own: `python -m benchmarks.flight_upstream SECONDS FILE`. Work takes that
many seconds, or until it is told to end; the output is that file. Prints its port. Addresses beside Replicate's:

    GET /stats          how many were accepted, polls of all, and how long after their end works were asked for
    POST /finish/ID     end a work and post its callback; answers when that was posted, by the machine's clock
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_SECRET = bytes(range(32))
_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Work:
    """One prediction."""

    number: int
    callback: str | None
    ends_at: float
    asked_at: float = 0.0
    is_done: bool = False
    noticed: float | None = None
    interval: float = 0.0


@dataclass(slots=True)
class Service:
    """All predictions."""

    seconds: float
    output: bytes
    works: dict[str, Work] = field(default_factory=dict)
    polls: int = 0
    url: str = ""

    async def answer(  # noqa: PLR0911  one line for each address
        self, method: str, path: str, body: bytes
    ) -> tuple[int, bytes, str]:
        """Return status, body and content type."""
        match method, path.strip("/").split("/"):
            case "GET", ["v1", "predictions", work_id]:
                return self._json(200, self._ask(work_id))
            case "POST", ["v1", *_, "predictions"]:
                return self._json(201, self._accept(json.loads(body)))
            case "GET", ["v1", "webhooks", "default", "secret"]:
                return self._json(200, {"key": f"whsec_{base64.b64encode(_SECRET).decode()}"})
            case "GET", ["files", _]:
                return 200, self.output, "application/octet-stream"
            case "GET", ["stats"]:
                return self._json(200, self._stats())
            case "POST", ["finish", work_id, port]:
                return self._json(200, await self._finish(work_id, int(port)))
        return self._json(404, {})

    def _accept(self, body: dict[str, object]) -> dict[str, object]:
        work_id = f"work{len(self.works)}"
        now = time.monotonic()
        callback = body.get("webhook")
        self.works[work_id] = Work(len(self.works), str(callback) if callback else None, now + self.seconds, now)
        return {"id": work_id, "status": "starting"}

    def _ask(self, work_id: str) -> dict[str, object]:
        work, now = self.works[work_id], time.monotonic()
        self.polls += 1
        if now >= work.ends_at and work.noticed is None:
            work.noticed, work.interval = now - work.ends_at, now - work.asked_at
        work.asked_at = now
        if not work.is_done:
            return {"id": work_id, "status": "processing", "logs": ""}
        return {"id": work_id, "status": "succeeded", "output": [f"{self.url}/files/{work_id}"], "metrics": {}}

    def _stats(self) -> dict[str, object]:
        noticed = [(work.noticed, work.interval) for work in self.works.values() if work.noticed is not None]
        return {"accepted": len(self.works), "polls": self.polls, "noticed": noticed}

    async def _finish(self, work_id: str, port: int) -> dict[str, object]:
        work = self.works[work_id]
        work.is_done = True
        path = urlsplit(work.callback or "").path
        body = json.dumps({"id": work_id, "status": "succeeded"}).encode()
        stamp = str(int(time.time()))
        signed = hmac.digest(_SECRET, f"msg.{stamp}.".encode() + body, hashlib.sha256)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nwebhook-id: msg\r\n"
            f"webhook-timestamp: {stamp}\r\nwebhook-signature: v1,{base64.b64encode(signed).decode()}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        posted = time.time()
        writer.write(head.encode() + body)
        status = int((await reader.readline()).split()[1])
        writer.close()
        return {"posted": posted, "status": status}

    @staticmethod
    def _json(status: int, body: dict[str, object]) -> tuple[int, bytes, str]:
        return status, json.dumps(body).encode(), "application/json"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service) -> None:
    try:
        while True:
            head = (await reader.readuntil(_HEAD_END)).decode("latin-1")
            first, *lines = head.split("\r\n")
            method, path, _ = first.split()
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, content, kind = await service.answer(method, path, body)
            writer.write(
                f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            )
            for start in range(0, len(content), 1 << 18):
                writer.write(content[start : start + (1 << 18)])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _main(seconds: float, output: bytes) -> None:
    service = Service(seconds, output)
    server = await asyncio.start_server(lambda r, w: _serve(r, w, service), "127.0.0.1", 0, backlog=4_096)
    port = server.sockets[0].getsockname()[1]
    service.url = f"http://127.0.0.1:{port}"
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
