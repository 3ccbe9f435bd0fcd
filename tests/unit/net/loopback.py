"""Real servers on loopback that count who reached them, and a resolver that answers what it is told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.net.client import OutboundClient

# With a network opened that is not this machine, plain http may go to names.
OPEN = AddressPolicy(allowed_networks=(ip_network("127.0.0.1/32"), ip_network("198.18.0.7/32")))
"""What a test of the good path uses: one loopback address is opened, nothing else."""

CLOSED = AddressPolicy(allow_http=True)
"""What a hostile test uses: loopback is closed, and plain http is no reason to refuse."""


@dataclass
class Server:
    """A running server.

    Attributes:
        port: Where it listens.
        connections: How many reached it.
        requests: The requests it read, whole.
        names: What TLS clients called it.
    """

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    def url(self, path: str = "/", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What the server does with a connection, after the request was read and recorded."""


@asynccontextmanager
async def serving(
    script: Script, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, reads: bool = True
) -> AsyncIterator[Server]:
    """Run a server; with `reads` false the script starts before anything is read."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while True:
                if reads:
                    server.requests.append(await read_request(reader))
                await script(reader, writer)
                if not reads:
                    break
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if tls is not None:
        tls.sni_callback = lambda _sock, name, _context: server.names.append(name)
    listening = await asyncio.start_server(on_connection, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        running = list(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await listening.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def answering(raw: bytes, *, close: bool = True) -> Script:
    """Write these bytes, then hang up unless `close` is false."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            raise ConnectionResetError

    return script


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Spell out an HTTP answer; a header `content_length` overrides the true one."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    sent = {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines += [f"{name}: {value}" for name, value in sent.items() if value]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other side goes."""
    await reader.read()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a reset instead of an orderly end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionResetError


class FakeResolver:
    """Answers each look-up of a name with the next of its scripted answers, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        """Take answers by name, with `_` for `.`: `evil_example=[["93.184.216.34"], ["127.0.0.1"]]`."""
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []
        self.closed = 0

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self._answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def close(self) -> None:
        self.closed += 1


@asynccontextmanager
async def outbound(
    policy: AddressPolicy = OPEN,
    *,
    upstream: Sequence[str] = (),
    resolver: FakeResolver | None = None,
    tls: ssl.SSLContext | None = None,
    max_answer_bytes: int = 1_000_000,
) -> AsyncIterator[OutboundClient]:
    """Give a client for one test."""
    client = OutboundClient(
        policy,
        upstream_base_urls=upstream,
        user_agent="PixelDojo/test",
        resolver=resolver or FakeResolver(),
        ssl_context=tls,
        max_answer_bytes=max_answer_bytes,
    )
    try:
        yield client
    finally:
        await client.close()


def closed_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_tls(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a certificate for these names, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.create_default_context(cafile=str(path))
    return server, client
