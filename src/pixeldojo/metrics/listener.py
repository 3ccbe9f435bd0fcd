"""A listener for a process that has no HTTP of its own: it answers GET /metrics and nothing else.

Of the standard library, in a thread: who asks is one Prometheus, a few times a minute.
"""

import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.metrics.meters import CONTENT_TYPE

_SILENCE_SECONDS = 5.0
# How long stopping can take.
_LOOK_SECONDS = 0.1


def is_bearer(header: str | None, token: str) -> bool:
    """Whether an Authorization header carries the token; takes as long for a nearly right one as for a wrong one."""
    scheme, _, given = (header or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


@contextmanager
def metrics_listener(text: Callable[[], bytes], host: str, port: int, token: str | None) -> Iterator[int]:
    """Answer with `text` until the end of the block; give the port.

    Args:
        text: Called for each request, in other threads.
        port: 0 takes a free one.
        token: What must be sent as a bearer token; None lets everybody in who can reach the port.

    Raises:
        ConfigurationError: the address cannot be had.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics" or environ.get("REQUEST_METHOD") != "GET":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Only GET /metrics is answered here.\n"]
        if token is not None and not is_bearer(environ.get("HTTP_AUTHORIZATION"), token):
            start_response("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
            return [b"Send the token of PIXELDOJO_METRICS_TOKEN: 'Authorization: Bearer ...'.\n"]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [text()]

    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}:{port} for metrics: {error.strerror}. Set another PIXELDOJO_METRICS_PORT."
        ) from error
    server.set_app(answer)
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_SECONDS,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # As the HTTP server's, but without asking a name server for our own name.
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), self.socket.getsockname()[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who hangs up or falls silent is no news."""


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Not logged: it would be the same line for ever."""
