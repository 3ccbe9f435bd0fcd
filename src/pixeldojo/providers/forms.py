"""Values inside requests: forms put together, `data:` URIs taken apart, addresses quoted, for adapters that need it.

Owns how these are written. Which field a value goes into, and what the service calls it, is its adapter's.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pixeldojo.core.json_types import JsonValue
from pixeldojo.providers.contract import UpstreamError, UpstreamErrorKind

_SAFE_IN_QUERY: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file in a form: under which name it goes, and what it is called and is."""

    field: str
    file_name: str
    content_type: str
    content: bytes


def encode_form(fields: Mapping[str, str], files: Sequence[FormFile]) -> tuple[str, bytes]:
    """Return content type and body of a `multipart/form-data` request (RFC 7578; names escaped as browsers do).

    The boundary comes from all that is inside, so that it cannot stand there; RFC 2046 allows 70 characters.
    """
    pieces = [(_head(name), value.encode()) for name, value in fields.items()]
    pieces += [(_head(file.field, file.file_name, file.content_type), file.content) for file in files]
    digest = hashlib.sha256()
    for head, content in pieces:
        digest.update(head)
        digest.update(content)
    boundary = f"pixeldojo-{digest.hexdigest()[:40]}"
    opening = f"--{boundary}\r\n".encode()
    lines = [part for head, content in pieces for part in (opening, head, content, b"\r\n")]
    return f"multipart/form-data; boundary={boundary}", b"".join([*lines, f"--{boundary}--\r\n".encode()])


def quoted(url: str) -> str:
    """Return an address as the value of a query parameter (RFC 3986)."""
    return "".join(chr(byte) if byte in _SAFE_IN_QUERY else f"%{byte:02X}" for byte in url.encode())


def _head(name: str, file_name: str | None = None, content_type: str | None = None) -> bytes:
    line = f'Content-Disposition: form-data; name="{name.translate(_ESCAPED)}"'
    if file_name is not None:
        line += f'; filename="{file_name.translate(_ESCAPED)}"\r\nContent-Type: {content_type}'
    return f"{line}\r\n\r\n".encode()


def split_data_uri(address: JsonValue) -> tuple[str, str]:
    """Return the content type and the base64 text of a `data:` URI, as the worker makes them (RFC 2397).

    Raises:
        UpstreamError: `UNAVAILABLE` if it is something else; nothing was sent.
    """
    head, comma, encoded = address.partition(",") if isinstance(address, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise _not_sent("was not put into the request")
    return head.removeprefix("data:").removesuffix(";base64"), encoded


def read_data_uri(address: JsonValue) -> tuple[str, bytes]:
    """Return the content type and the bytes of a `data:` URI.

    Raises:
        UpstreamError: as `split_data_uri` does.
    """
    content_type, encoded = split_data_uri(address)
    try:
        return content_type, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_sent("is no base64") from error


def _not_sent(what: str) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.UNAVAILABLE, f"an input file {what}; nothing was sent")
