"""Media given inside the request: the strict reading of `data:` URIs (RFC 2397, base64 form only).

What the bytes are is for `media`; the declared type is a claim.
"""

import base64
import binascii
import re
from typing import Final

_HEAD = re.compile(
    r"data:(?P<type>[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126})?"
    r"(?:;[a-z0-9!#$&^_.+-]+=(?:[a-z0-9!#$&^_.+-]+|\"[^\"\\,]*\"))*;base64",
    re.IGNORECASE,
)
_LONGEST_HEAD: Final = 512
_EXAMPLE: Final = "an example is data:image/png;base64,iVBORw0KGgo="


class InvalidDataUri(ValueError):
    """It is no data URI we read, or too large; the message can be shown to whoever gave it."""


def read_data_uri(text: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the bytes and the declared media type, lower-case and without parameters.

    Where no type is declared it is `text/plain`, as the RFC has it. Nothing is decoded that is over `max_bytes`.

    Raises:
        InvalidDataUri: with what is wrong and what would be right.
    """
    head, comma, payload = text[:_LONGEST_HEAD].partition(",")
    match = _HEAD.fullmatch(head)
    if not comma or match is None:
        raise InvalidDataUri(f"it is not a base64 data URI; {_EXAMPLE}")
    encoded_length = len(text) - len(head) - 1
    if encoded_length > 4 * ((max_bytes + 2) // 3):
        raise InvalidDataUri(f"the data URI holds over {max_bytes:,} bytes, which is the limit")
    payload = text[len(head) + 1 :]
    try:
        content = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidDataUri(
            "the data URI's base64 is broken; use A-Z a-z 0-9 + / with = padding, no spaces or percent signs"
        ) from None
    if len(content) > max_bytes:
        raise InvalidDataUri(f"the data URI holds {len(content):,} bytes; the limit is {max_bytes:,}")
    if not content:
        raise InvalidDataUri(f"the data URI is empty; {_EXAMPLE}")
    return content, (match["type"] or "text/plain").lower()
