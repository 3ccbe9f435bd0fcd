"""What an API key is, and the spelling of its secret. Pure; storing and checking live in store and service.

A key reads `pd_test_k7h2m9qd_<32 characters><checksum>`: mode, a public prefix that is stored and shown, then 160
random bits and a CRC-32 that lets secret scanners tell a key from noise. Only a keyed hash of the whole is kept.
"""

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pixeldojo.core.ids import new_token, token_of

_SHAPE = re.compile(r"pd_(?:test|live)_[0-9a-z]{8}_[0-9a-z]{32}[0-9a-f]{8}")
_PREFIX_LENGTH = len("pd_test_xxxxxxxx")
_PREFIX_BITS = 40
_SECRET_BITS = 160


class KeyMode(StrEnum):
    """`test` runs on the sandbox with a balance of its own; `live` runs on real upstreams."""

    TEST = "test"
    LIVE = "live"


class Scope(StrEnum):
    """What a key may do."""

    JOBS_WRITE = "jobs:write"
    JOBS_READ = "jobs:read"
    KEYS = "keys"
    BILLING = "billing"


class SpendCapPeriod(StrEnum):
    """Over what a spend cap counts: a UTC day, or the key's whole life."""

    DAY = "day"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class SpendCap:
    """The most a key may spend, in millicredits, over a period."""

    amount: int
    period: SpendCapPeriod


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret.

    Attributes:
        prefix: The public start of the key, for people to tell keys apart.
        rate_per_minute: Requests a minute; None takes the server's default.
    """

    id: str
    account_id: str
    name: str
    mode: KeyMode
    prefix: str
    scopes: frozenset[Scope]
    rate_per_minute: int | None
    spend_cap: SpendCap | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor past its expiry."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def new_secret_key(mode: KeyMode) -> str:
    """Return a fresh key in full; it is shown once and never stored."""
    return _spelled(mode, new_token(_PREFIX_BITS), new_token(_SECRET_BITS))


def derived_secret_key(mode: KeyMode, server_secret: bytes, *parts: str) -> str:
    """Return the key in full that belongs to these parts: the same again for the same, and a secret as good as random.

    It can be made again only by whoever has the server's secret and all of the parts (HMAC-SHA-256 as a pseudorandom
    function; NIST SP 800-108r1, 4.1). Each part is preceded by its length, so that no two lists of parts are one.
    """
    message = b"".join(len(part).to_bytes(4) + part for part in (b"api key", mode.encode(), *map(str.encode, parts)))
    number = int.from_bytes(hmac.new(server_secret, message, hashlib.sha256).digest())
    return _spelled(mode, token_of(number >> _SECRET_BITS, _PREFIX_BITS), token_of(number, _SECRET_BITS))


def _spelled(mode: KeyMode, prefix: str, secret: str) -> str:
    body = f"pd_{mode}_{prefix}_{secret}"
    return f"{body}{zlib.crc32(body.encode()):08x}"


def public_prefix(secret: str) -> str:
    """Return the part of a key that may be stored and shown."""
    return secret[:_PREFIX_LENGTH]


def is_well_formed(secret: str) -> bool:
    """Whether the text can be a key at all, judged without the database."""
    return bool(_SHAPE.fullmatch(secret)) and f"{zlib.crc32(secret[:-8].encode()):08x}" == secret[-8:]


def hash_key(secret: str, server_secret: bytes) -> str:
    """Return the keyed hash under which a key is stored (HMAC-SHA-256; 160 random bits need no slow hash)."""
    return hmac.new(server_secret, secret.encode(), hashlib.sha256).hexdigest()
