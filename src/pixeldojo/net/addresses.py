"""Which addresses that others name we may talk to: pure rules, no look-up and no socket.

Owns the shape of an acceptable URL (`AddressPolicy.check_url`) and the list of networks that are not the public
internet (`AddressPolicy.check_address`). Looking a name up is for `resolver`, dialling for `sessions`: both ask here,
the second with the very address it is about to connect to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from yarl import URL

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

MAX_URL_CHARACTERS: Final = 2_048

_REFUSED_V4: Final = {
    "unspecified": ("0.0.0.0/8",),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "carrier": ("100.64.0.0/10",),
    "loopback": ("127.0.0.0/8",),
    "link-local": ("169.254.0.0/16",),
    "protocol": ("192.0.0.0/24",),
    "documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    "6to4 relay": ("192.88.99.0/24",),
    "benchmark": ("198.18.0.0/15",),
    "multicast": ("224.0.0.0/4",),
    "reserved": ("240.0.0.0/4",),
}
# Of IPv6 only 2000::/3 is handed out for the public internet, so all else falls to the last line; the lines before it
# name what people meet, and the parts of 2000::/3 that carry or hide another address.
_REFUSED_V6: Final = {
    "loopback": ("::1/128",),
    "unspecified": ("::/128",),
    "IPv4-mapped": ("::ffff:0:0/96",),
    "IPv4-compatible": ("::/96",),
    "NAT64": ("64:ff9b::/96", "64:ff9b:1::/48"),
    "discard": ("100::/64",),
    "protocol, Teredo": ("2001::/23",),
    "documentation": ("2001:db8::/32", "3fff::/20"),
    "6to4": ("2002::/16",),
    "segment routing": ("5f00::/16",),
    "private": ("fc00::/7",),
    "link-local": ("fe80::/10",),
    "multicast": ("ff00::/8",),
    "reserved": ("::/3", "4000::/2", "8000::/1"),
}
_REFUSED: Final[dict[int, tuple[tuple[IPNetwork, str], ...]]] = {
    4: tuple((IPv4Network(net), what) for what, nets in _REFUSED_V4.items() for net in nets),
    6: tuple((IPv6Network(net), what) for what, nets in _REFUSED_V6.items() for net in nets),
}

_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_EXAMPLE: Final = "an example is https://example.com/path"

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_AUTHORITY = re.compile(r"[^/?#]*//([^/?#]*)")
_HOST_NAME = re.compile(r"(?!.{254})(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


def as_given(text: str, parsed: URL) -> URL:
    """Return `parsed` with the path and query spelt as in `text`.

    Parsing turns `%2F` into `/` and the like; an address with a signature over its own spelling would break.
    """
    if not text.isascii():
        return parsed
    parts = urlsplit(text)
    host = parsed.raw_host or ""
    return URL.build(
        scheme=parsed.scheme,
        host=f"[{host}]" if ":" in host else host,
        port=parsed.explicit_port,
        path=parts.path or "/",
        query_string=parts.query,
        encoded=True,
    )


class RefusedAddress(Exception):
    """We do not talk to this address; the message says why, and can be shown to whoever gave it.

    It never tells where a name led: that would let a stranger map the operator's network.
    """


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What the operator opens beyond the public internet over https.

    Attributes:
        allowed_networks: Networks that are fine although they are not public; plain http is fine there too.
        allow_http: Whether plain http is fine everywhere.
    """

    allowed_networks: tuple[IPNetwork, ...] = ()
    allow_http: bool = False

    def check_url(self, url: str) -> URL:
        """Return the URL as it will be dialled, without its fragment, if its text alone gives no reason to refuse it.

        Nothing is looked up, so this is fit for the moment a caller hands an address in. A name may still lead to
        an address that `check_address` refuses when it is dialled.

        Raises:
            RefusedAddress: with what is wrong and what would be right.
        """
        parsed = _parse(url)
        host = _host_of(parsed)
        literal = _literal_address(host)
        if literal is not None:
            self.check_address(literal, scheme=parsed.scheme)
        elif host.removesuffix(".").rpartition(".")[2] in {"localhost", "localdomain"}:
            self._check_local_name(host)
        elif parsed.scheme == "http":
            self._check_http_name()
        return parsed

    def check_address(self, address: IPAddress, *, scheme: str = "https") -> None:
        """Return if we may connect to this address over this scheme.

        Raises:
            RefusedAddress: naming the kind of network, never the address.
        """
        if self._is_opened(address):
            return
        for network, what in _REFUSED[address.version]:
            if address in network:
                raise RefusedAddress(f"its address is not on the public internet ({what}); use a public address")
        if scheme != "https" and not self.allow_http:
            raise RefusedAddress("plain http is not accepted here; use an https:// address")

    def admit(self, found: Iterable[str], *, scheme: str) -> list[IPAddress]:
        """Return those of the addresses a name led to that we may dial.

        Raises:
            RefusedAddress: if there are some and none may be dialled; it does not say what they were.
        """
        addresses = [ip_address(text) for text in found]
        admitted = [address for address in addresses if self._is_admitted(address, scheme)]
        if addresses and not admitted:
            if scheme != "https" and any(self._is_admitted(address, "https") for address in addresses):
                raise RefusedAddress("plain http is not accepted here; use an https:// address")
            raise RefusedAddress("its name does not lead to a public address; use one that does")
        return admitted

    def _is_admitted(self, address: IPAddress, scheme: str) -> bool:
        try:
            self.check_address(address, scheme=scheme)
        except RefusedAddress:
            return False
        return True

    def _is_opened(self, address: IPAddress) -> bool:
        return any(address in network for network in self.allowed_networks)

    def _check_http_name(self) -> None:
        """Return if a name may lead to where plain http is fine: networks beyond this machine, which has names."""
        if self.allow_http or any(not network.is_loopback for network in self.allowed_networks):
            return
        if self.allowed_networks:
            raise RefusedAddress("plain http is accepted only to this machine, as 127.0.0.1; use an https:// address")
        raise RefusedAddress("plain http is not accepted here; use an https:// address")

    def _check_local_name(self, host: str) -> None:
        if not any(self._is_opened(loopback) for loopback in _LOOPBACK):
            raise RefusedAddress(f"{host} is this server itself, not a public address; use a public address")


def _parse(text: str) -> URL:
    if len(text) > MAX_URL_CHARACTERS:
        raise RefusedAddress(f"it has {len(text):,} characters; an address may have {MAX_URL_CHARACTERS:,}")
    if _UNPRINTABLE.search(text):
        raise RefusedAddress("it contains spaces, control characters, backslashes or halves of characters; encode them")
    authority = _AUTHORITY.match(text)
    if authority is not None and "@" in authority[1]:
        raise RefusedAddress("it carries a user name or password; leave out the part before the @")
    try:
        parsed = URL(text)
        host = parsed.host  # decoding it is the test of an internationalised name
    except ValueError:
        raise RefusedAddress(f"it is not a valid URL; {_EXAMPLE}") from None
    if parsed.scheme not in {"http", "https"}:
        raise RefusedAddress(f"it must start with https://; {_EXAMPLE}")
    if not host:
        raise RefusedAddress(f"it names no host; {_EXAMPLE}")
    if parsed.explicit_port == 0:
        raise RefusedAddress("port 0 cannot be connected to; use 1 to 65535")
    return as_given(text, parsed.with_fragment(None))


def _host_of(parsed: URL) -> str:
    host = parsed.raw_host or ""
    if ":" not in host and not _HOST_NAME.fullmatch(host):
        raise RefusedAddress(f"its host is not a valid name; {_EXAMPLE}")
    return host


def _literal_address(host: str) -> IPAddress | None:
    """Return the address a host spells out, None for a name.

    Only the plain spelling passes. Systems also read 2130706433, 0177.0.0.1, 0x7f.1 and 127.1 as 127.0.0.1, so a host
    that ends in a number is never a name.
    """
    try:
        address = ip_address(host)
    except ValueError:
        last_label = host.removesuffix(".").rpartition(".")[2]
        if ":" in host or _NUMERIC_LABEL.fullmatch(last_label):
            raise RefusedAddress("its host is not a plain address; write four decimal numbers, or a name") from None
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise RefusedAddress("its host is bound to one network interface; use a public address")
    return address
