"""The connections themselves: one aiohttp session per zone, so that no connection is shared between zones.

Owns how we connect: which resolver and gate stand in front of each zone, how many connections, no cookies, no proxies
from the environment, no encodings. Two zones: `upstream` (the operator named the host, any address will do) and
`guarded` (a stranger named it). The guarded zone has a session for https and one for http, because an address that
is fine over the first may not be over the second. What is sent there, and what an answer means, is for the callers.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Final

import aiohttp

from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.net.resolver import Admit, FilteringResolver, Resolver, SystemResolver, admit_any, gated_socket

CONNECT_SECONDS: Final = 10.0
_UPSTREAM_CONNECTIONS: Final = 512
_GUARDED_CONNECTIONS: Final = 256
_GUARDED_CONNECTIONS_PER_HOST: Final = 32
"""So that one slow receiver cannot hold every connection there is."""

_KEEPALIVE_SECONDS: Final = 4.0
"""Shorter than servers' usual five: a request sent as the server hangs up leaves us not knowing if it was taken."""

_NAME_CACHE_SECONDS: Final = 10


@dataclass(slots=True)
class Sending:
    """How far one request came.

    Attributes:
        may_have_left: Whether there was a connection to send on. While it is false, nothing was sent.
    """

    may_have_left: bool = False


class Sessions:
    """Every connection to the outside. Build it inside the running event loop and close it there."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        user_agent: str,
        upstream_resolver: Resolver | None = None,
        guarded_resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Open the zones.

        Args:
            policy: What the guarded zone may reach.
            user_agent: Sent with every request that does not bring its own.
            upstream_resolver: Looks up the hosts that the operator named; the system's when None.
            guarded_resolver: Looks up the hosts that others named; the system's, with threads of its own, when None.
            ssl_context: What certificates are trusted; the system's when None.
        """
        self._resolvers = (upstream_resolver or SystemResolver(), guarded_resolver or SystemResolver())
        self._user_agent = user_agent
        self._ssl_context = ssl_context
        self.upstream = self._open(
            aiohttp.TCPConnector(
                resolver=FilteringResolver(self._resolvers[0], admit_any),
                ttl_dns_cache=_NAME_CACHE_SECONDS,
                limit=_UPSTREAM_CONNECTIONS,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                ssl=ssl_context or True,
            )
        )
        self._guarded: Mapping[str, aiohttp.ClientSession] = {
            scheme: self._open(self._guarded_connector(partial(policy.admit, scheme=scheme)))
            for scheme in ("https", "http")
        }

    def guarded(self, scheme: str) -> aiohttp.ClientSession:
        """Return the session for addresses that others named; `scheme` is `https` or `http`."""
        return self._guarded[scheme]

    async def close(self) -> None:
        """Close every connection."""
        for session in (self.upstream, *self._guarded.values()):
            await session.close()
        for resolver in self._resolvers:
            await resolver.close()

    def _guarded_connector(self, admit: Admit) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            resolver=FilteringResolver(self._resolvers[1], admit),
            socket_factory=gated_socket(admit),
            family=socket.AF_UNSPEC,
            use_dns_cache=False,
            limit=_GUARDED_CONNECTIONS,
            limit_per_host=_GUARDED_CONNECTIONS_PER_HOST,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            ssl=self._ssl_context or True,
        )

    def _open(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            skip_auto_headers=["Content-Type"],
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            trust_env=False,
            auto_decompress=False,
            requote_redirect_url=False,
            trace_configs=[_trace_connections()],
        )


def _trace_connections() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_note_connection)
    trace.on_connection_reuseconn.append(_note_connection)
    return trace


async def _note_connection(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    sending = context.trace_request_ctx
    if isinstance(sending, Sending):
        sending.may_have_left = True
