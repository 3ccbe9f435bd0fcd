"""Ids: a kind, then 32 characters that sort by time and cannot be guessed.

48 bits of Unix milliseconds and 112 random bits in Crockford base 32, lower case: URL-safe, and lexicographic
order is order of creation to the millisecond. An id is never the permission: queries also carry the account.
"""

import secrets
from datetime import datetime
from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 112
_LENGTH = 32


class IdKind(StrEnum):
    """What an id names; its prefix."""

    JOB = "job"
    KEY = "key"
    ACCOUNT = "acct"
    ASSET = "asset"
    FILE = "file"
    DELIVERY = "whd"
    ENTRY = "entry"
    ATTEMPT = "attempt"
    REQUEST = "req"
    WORKER = "worker"


def new_id(kind: IdKind, now: datetime) -> str:
    """Return a new id such as `job_06fa3…`, sortable by `now` (an aware time)."""
    milliseconds = int(now.timestamp() * 1_000)
    number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return f"{kind}_{_encode(number, _LENGTH)}"


def new_token(bits: int) -> str:
    """Return `bits` of randomness (a multiple of five) in the alphabet of ids."""
    return _encode(secrets.randbits(bits), bits // 5)


def _encode(number: int, length: int) -> str:
    digits = [""] * length
    for position in range(length - 1, -1, -1):
        number, digit = divmod(number, 32)
        digits[position] = _ALPHABET[digit]
    return "".join(digits)
