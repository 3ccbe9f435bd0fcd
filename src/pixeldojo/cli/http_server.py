"""uvicorn, run by us, on a socket that is bound first. How it ends is in `leaving`."""

import asyncio
import resource
import socket
from contextlib import suppress
from typing import ClassVar, Final

import uvicorn
from fastapi import FastAPI

from pixeldojo.api.services import Services
from pixeldojo.cli.connections import Bounds, Connection
from pixeldojo.cli.leaving import LeavingServer
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.settings import Settings

_BACKLOG = 2048
# uvicorn's clock ticks ten times a second; the connections are looked at on every fifth.
_TICKS_PER_LOOK: Final = 5
# Files that are no connections: the database, media on their way, pipes to media processes, calls to upstreams.
_OTHER_FILES: Final = 512
_MOST_FILES: Final = 65_536
_FEWEST_CONNECTIONS: Final = 64


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

    def __init__(self, app: FastAPI, settings: Settings, listener: socket.socket, bounds: Bounds | None = None) -> None:
        self._app = app
        self._listener = listener
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=_connection(app, bounds or Bounds(connections=_room())),
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
            timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds)),
            backlog=_BACKLOG,
        )
        self._server = _Server(config)

    async def start(self) -> asyncio.Task[None]:
        """Begin to serve; return the task that ends when serving has ended."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http")
        begun = asyncio.create_task(self._server.begun.wait())
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        return serving

    async def drain(self, serving: asyncio.Task[None], seconds: float) -> None:
        """Say at `/readyz` that this node goes, and for that many seconds take whoever comes all the same."""
        self._app.state.draining.set()
        self._server.close_after_answers()
        await asyncio.wait({serving}, timeout=seconds)

    def stop(self) -> None:
        """Take no more connections, finish the requests under way, end."""
        self._app.state.draining.set()
        self._app.state.stopping.set()
        self._server.should_exit = True


class _Server(LeavingServer):
    """Lets connections go that keep it waiting."""

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second; return whether to end."""
        if counter % _TICKS_PER_LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
        return await super().on_tick(counter)


def _connection(app: FastAPI, with_bounds: Bounds) -> type[Connection]:
    """Return the class of this server's connections."""

    class Served(Connection):
        services: ClassVar[Services] = app.state.services
        bounds: ClassVar[Bounds] = with_bounds

    return Served


def _room() -> int:
    """Return how many connections there can be, after asking the system for as many files as it gives."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    if files != resource.RLIM_INFINITY and files < wanted:
        with suppress(ValueError, OSError):  # it keeps what it has
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            files = wanted
    left = Bounds().connections if files == resource.RLIM_INFINITY else files - _OTHER_FILES
    return max(_FEWEST_CONNECTIONS, min(Bounds().connections, left))
