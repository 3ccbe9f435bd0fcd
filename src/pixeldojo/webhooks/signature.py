"""Signatures of outgoing webhooks, by Standard Webhooks 1.0.0 (the symmetric scheme, `v1`).

Owns the form of secrets and of the three headers. Which secrets are in force, and since when, is for `service`.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from secrets import token_bytes
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 -- a prefix, not a secret
SECRET_BYTES: Final = 32
_FEWEST_SECRET_BYTES: Final = 24
_MOST_SECRET_BYTES: Final = 64
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,255}")


def new_secret() -> str:
    """Return a new signing secret of 32 random bytes: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode("ascii")


def sign(secrets: Sequence[str], message_id: str, timestamp: datetime, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature per secret, so that any of them verifies.

    Args:
        secrets: Those in force, the newest first; several while a secret is being rotated.
        message_id: The same over all attempts of a delivery; visible ASCII without a dot, which separates the parts
            that are signed.
        timestamp: Of this attempt, aware; whole seconds count.
        body: The very bytes that are sent.

    Raises:
        ValueError: if there is no secret, or one is malformed, or the id or the time cannot be signed.
    """
    if not secrets:
        raise ValueError("a webhook needs at least one signing secret")
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise ValueError(f"{message_id!r} cannot be a webhook id; use 1 to 255 visible ASCII characters, no dots")
    signed = f"{message_id}.{_seconds(timestamp)}.".encode("ascii") + body
    return " ".join(f"v1,{_digest(_key(secret), signed)}" for secret in secrets)


def headers(secrets: Sequence[str], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt: the three of the standard and the content type. See `sign`."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(_seconds(timestamp)),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }


def _seconds(timestamp: datetime) -> int:
    if timestamp.tzinfo is None:
        raise ValueError("a webhook's time must say its zone")
    return int(timestamp.timestamp())


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not _FEWEST_SECRET_BYTES <= len(key) <= _MOST_SECRET_BYTES:
        raise ValueError(
            f"a signing secret is {SECRET_PREFIX} and the base64 of {_FEWEST_SECRET_BYTES} to"
            f" {_MOST_SECRET_BYTES} bytes"
        )
    return key


def _digest(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
