"""From names to addresses, and the gate between them and the socket.

Owns the look-up (`Resolver`, `SystemResolver`) and its two filters: `FilteringResolver`, which hands aiohttp only
addresses that passed, and `gated_socket`, which sees the very address about to be dialled. Which addresses pass is
for `addresses`.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

from aiohttp import AddrInfoType, SocketFactoryType
from aiohttp.abc import AbstractResolver, ResolveResult

from pixeldojo.net.addresses import IPAddress, RefusedAddress

_LOOKUP_THREADS: Final = 16
_MOST_ADDRESSES: Final = 16

Admit = Callable[[Sequence[str]], Sequence[IPAddress]]
"""Takes the addresses a name led to, returns those that may be dialled; raises `RefusedAddress` if none may."""


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name, IPv4 and IPv6 as text, best first.

        Raises:
            OSError: if the name is unknown or the look-up failed.
        """
        ...

    async def close(self) -> None:
        """Give up what it holds."""
        ...


class SystemResolver:
    """The machine's own resolver, in threads of its own.

    Not the event loop's default threads: names that others give may take their time to fail, and nothing else
    should wait behind them.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="name-lookup")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class FilteringResolver(AbstractResolver):
    """What aiohttp is given: one look-up per connection, and of its result only what passes."""

    def __init__(self, resolver: Resolver, admit: Admit) -> None:
        """Filter `resolver` (which stays the caller's to close) through `admit`."""
        self._resolver = resolver
        self._admit = admit

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port)
        admitted = self._admit(found)[:_MOST_ADDRESSES]
        if not admitted:
            raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
        results = [_result(host, port, address) for address in admitted]
        return [result for result in results if family in {socket.AF_UNSPEC, result["family"]}]

    async def close(self) -> None:
        return


def gated_socket(admit: Admit) -> SocketFactoryType:
    """Return a socket factory that makes no socket for an address that does not pass.

    It is asked right before each connect, so it holds for addresses that never went through a resolver too.
    """

    def make_socket(target: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = target
        try:
            admit([str(address[0])])
        except RefusedAddress as error:
            # An OSError, because aiohttp takes that for one address that failed and goes on to the next.
            raise OSError(errno.EACCES, "refused by the address policy") from error
        return socket.socket(family, kind, protocol)

    return make_socket


def admit_any(found: Sequence[str]) -> Sequence[IPAddress]:
    """Let every address pass: the operator named the host."""
    return [ip_address(text) for text in found]


def _look_up(host: str, port: int) -> Sequence[str]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _result(host: str, port: int, address: IPAddress) -> ResolveResult:
    return {
        "hostname": host,
        "host": str(address),
        "port": port,
        "family": socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
