"""Rate limits at the door: by key where there is one, by address for discovery and assets."""

import re
from ipaddress import ip_address, ip_network

from fastapi import Request

from pixeldojo.api.services import Services
from pixeldojo.core.errors import RateLimitExceeded
from pixeldojo.core.settings import Settings
from pixeldojo.limiter import RateStatus

_WITH_PORT = re.compile(r"\[(?P<v6>[0-9a-fA-F:.]+)\](?::\d+)?|(?P<v4>[0-9.]+):\d+")
_LONGEST_ADDRESS = 64
_SUBSCRIBER_BITS = 64


async def count_request(request: Request, services: Services, subject: str, per_minute: int) -> None:
    """Count a request against a subject's limit; the figures go into the answer's headers.

    Raises:
        RateLimitExceeded: when the limit is reached.
    """
    status = await services.limiter.hit(subject, per_minute)
    request.state.rate = status
    if not status.is_allowed:
        raise _exceeded(status)


def _exceeded(status: RateStatus) -> RateLimitExceeded:
    return RateLimitExceeded(
        f"More than {status.limit} requests in a minute. The next one is welcome in "
        f"{status.retry_after_seconds} s; polling with back-off or a webhook needs fewer.",
        headers={"Retry-After": str(status.retry_after_seconds)},
    )


def client_address(request: Request, settings: Settings) -> str:
    """Return the address a request came from; behind a trusted proxy, the one the proxy saw."""
    peer = _plain(request.client.host) if request.client else "unknown"
    # All lines of the header, in order: a proxy may add its own below the one that the caller made up.
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    hops = [_plain(part) for part in forwarded if part.strip()]
    # From the right: each hop is believed only as long as the one that reports it is ours.
    while hops and _is_trusted(peer, settings):
        peer = hops.pop()
    return peer


def counted_address(request: Request, settings: Settings) -> str:
    """Return what limits by address count: the client's address, of IPv6 the network that one subscriber has.

    Whoever has a /64 (RFC 6177) could take a new address for each request, and each would be kept for a minute.
    """
    address = client_address(request, settings)
    if ":" not in address:
        return address
    try:
        return str(ip_network((address, _SUBSCRIBER_BITS), strict=False))
    except ValueError:
        return address


def _is_trusted(address: str, settings: Settings) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.trusted_proxies)


def _plain(text: str) -> str:
    """Return an address in one spelling: no port, and an IPv4 address that came over an IPv6 socket as IPv4."""
    match = _WITH_PORT.fullmatch(text.strip())
    host = (match["v6"] or match["v4"]) if match else text.strip()
    try:
        parsed = ip_address(host)
    except ValueError:
        return host[:_LONGEST_ADDRESS]
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
