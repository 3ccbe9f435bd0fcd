"""Ids: a kind, then 32 characters that sort by time and cannot be guessed.

48 bits of Unix milliseconds and 112 random bits in Crockford base 32, lower case: URL-safe, and lexicographic
order is order of creation to the millisecond. An id is never the permission: queries also carry the account.
"""

import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 112
_LENGTH = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLACK_MILLISECONDS = 2


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


def id_span(kind: IdKind, after: datetime | None, before: datetime | None) -> tuple[str | None, str | None]:
    """Return the ids between which everything lies that was made after and before two times (exclusive, aware).

    An index by id finds a span of time with it. It is a few milliseconds wider than the times, so that rounding leaves
    nothing out; whoever needs it exact compares the times too.
    """
    first = None if after is None else _first_id(kind, _milliseconds(after) - _SLACK_MILLISECONDS)
    last = None if before is None else _first_id(kind, _milliseconds(before) + _SLACK_MILLISECONDS)
    return first, last


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _first_id(kind: IdKind, milliseconds: int) -> str:
    return f"{kind}_{_encode(max(0, milliseconds) << _RANDOM_BITS, _LENGTH)}"


def new_token(bits: int) -> str:
    """Return `bits` of randomness (a multiple of five) in the alphabet of ids."""
    return token_of(secrets.randbits(bits), bits)


def token_of(number: int, bits: int) -> str:
    """Return the lowest `bits` (a multiple of five) of a number in the alphabet of ids."""
    return _encode(number, bits // 5)


def _encode(number: int, length: int) -> str:
    digits = [""] * length
    for position in range(length - 1, -1, -1):
        number, digit = divmod(number, 32)
        digits[position] = _ALPHABET[digit]
    return "".join(digits)
