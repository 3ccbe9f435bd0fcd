"""uvicorn, run by us: on a socket that is bound first, stopped by Ctrl-C or SIGTERM without noise."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pixeldojo.api.errors import error_response
from pixeldojo.api.services import Services
from pixeldojo.core.errors import ConfigurationError, ValidationError
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.settings import Settings

_BACKLOG = 2048
_UNREADABLE = (
    "What was sent cannot be read as HTTP/1.1. Send a request line such as GET /api/v1/models HTTP/1.1 and well-formed "
    "headers, over plain HTTP unless a proxy before the server speaks TLS."
)


def bind(settings: Settings) -> socket.socket:
    """Take the address before anything else starts, so that a taken port is told at once.

    Raises:
        ConfigurationError: if the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Stop what uses the port, or set "
            "PIXELDOJO_PORT (0 takes a free one)."
        ) from error
    return listener


class HttpServer:
    """Serves an application until told to stop."""

    def __init__(self, app: FastAPI, settings: Settings, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=_protocol(app),
            # There are none here, and a library for them would be loaded at every start.
            ws="none",
            log_config=None,
            # Its warnings tell of what callers send (an upgrade, bytes that are no HTTP): anybody could fill the log.
            log_level="error",
            access_log=False,
            server_header=False,
            # Whom to believe about a client's address is a setting of ours (`trusted_proxies`).
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds)),
            backlog=_BACKLOG,
        )
        self._server = _QuietServer(config)

    async def start(self) -> asyncio.Task[None]:
        """Begin to serve; return the task that ends when serving has ended."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http")
        begun = asyncio.create_task(self._server.begun.wait())
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        return serving

    def stop(self) -> None:
        """Take no more connections, finish the requests under way, end."""
        self._app.state.stopping.set()
        self._server.should_exit = True


def _protocol(app: FastAPI) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol, but that bytes it cannot read as HTTP are answered and logged as all else is."""
    services = app.state.services
    assert isinstance(services, Services)

    class Protocol(HttpToolsProtocol):
        def send_400_response(self, msg: str) -> None:
            request_id = new_id(IdKind.REQUEST, services.clock.now())
            answer = error_response(ValidationError(_UNREADABLE, headers={"Connection": "close"}), request_id)
            answer.headers["X-Request-Id"] = request_id
            answer.headers["X-Content-Type-Options"] = "nosniff"
            head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n%s\r\n%s" % (head, answer.body))
            self.transport.close()
            services.log.info("request", request_id=request_id, method=None, path=None, status=400, why=msg)

    return Protocol


class _QuietServer(uvicorn.Server):
    """Leaves the signals to us, and tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def stop_event() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set; a second Ctrl-C ends the process at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        event.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    return event
