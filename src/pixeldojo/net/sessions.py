"""The connections themselves: aiohttp sessions by zone, so that no connection is shared between zones.

Owns how we connect: which resolver and gate stand in front of each zone, how many connections, no cookies, no proxies
from the environment, no encodings. Two zones: `upstream` (the operator named the host, any address will do) and
`guarded` (a stranger named it). The guarded zone has sessions for https and for http, because an address that is fine
over the first may not be over the second, and those for each errand, so that strangers' slow servers hold up nothing
but their own kind. What is sent there, and what an answer means, is for the callers.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
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
"""Shorter than servers' usual five, so that it is mostly us who hang up."""

_NAME_CACHE_SECONDS: Final = 10


class Errand(Enum):
    """What a guarded connection is for; each has as many as the others, and cannot use up theirs."""

    CALL = auto()
    INPUT = auto()
    OUTPUT = auto()
    WEBHOOK = auto()


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
        self._polling = self._open(self._upstream_connector(is_reused=True))
        self._paying = self._open(self._upstream_connector(is_reused=False), is_reused=False)
        self._guarded: Mapping[tuple[str, Errand], aiohttp.ClientSession] = {
            (scheme, errand): self._open(self._guarded_connector(partial(policy.admit, scheme=scheme)), is_reused=False)
            for scheme in ("https", "http")
            for errand in Errand
        }

    def upstream(self, method: str) -> aiohttp.ClientSession:
        """Return the session for hosts that the operator named.

        What only reads shares connections. What may cost money gets a new one each time: on an old one that the
        server is just giving up, a request is lost without our knowing whether it was taken.
        """
        return self._polling if method.upper() in {"GET", "HEAD"} else self._paying

    def guarded(self, scheme: str, errand: Errand) -> aiohttp.ClientSession:
        """Return the session for addresses that others named; `scheme` is `https` or `http`.

        Every request is a new connection, so every request is looked up and checked.
        """
        return self._guarded[scheme, errand]

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._polling, self._paying, *self._guarded.values()):
            await session.close()
        for resolver in self._resolvers:
            await resolver.close()

    def _upstream_connector(self, *, is_reused: bool) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            resolver=FilteringResolver(self._resolvers[0], admit_any),
            ttl_dns_cache=_NAME_CACHE_SECONDS,
            limit=_UPSTREAM_CONNECTIONS,
            keepalive_timeout=_KEEPALIVE_SECONDS if is_reused else None,
            force_close=not is_reused,
            ssl=self._ssl_context or True,
        )

    def _guarded_connector(self, admit: Admit) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            resolver=FilteringResolver(self._resolvers[1], admit),
            socket_factory=gated_socket(admit),
            use_dns_cache=False,
            limit=_GUARDED_CONNECTIONS,
            limit_per_host=_GUARDED_CONNECTIONS_PER_HOST,
            force_close=True,
            ssl=self._ssl_context or True,
        )

    def _open(self, connector: aiohttp.TCPConnector, *, is_reused: bool = True) -> aiohttp.ClientSession:
        headers = {"User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers if is_reused else headers | {"Connection": "close"},
            skip_auto_headers=["Content-Type"],
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            trust_env=False,
            auto_decompress=False,
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
