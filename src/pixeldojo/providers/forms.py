"""Files inside requests: `data:` URIs taken apart, and forms put together, for adapters whose service wants that.

Owns the two forms. Which field a file goes into, and what the service calls it, is its adapter's.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pixeldojo.core.json_types import JsonValue
from pixeldojo.providers.contract import UpstreamError, UpstreamErrorKind


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a form."""

    field: str
    file_name: str
    content_type: str
    content: bytes


def split_data_uri(address: JsonValue) -> tuple[str, str]:
    """Return the content type and the base64 text of a `data:` URI, as the worker makes them (RFC 2397).

    Raises:
        UpstreamError: `UNAVAILABLE` if it is something else; nothing was sent, and this service fetches nothing.
    """
    head, comma, encoded = address.partition(",") if isinstance(address, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise UpstreamError(
            UpstreamErrorKind.UNAVAILABLE, "an input file was not put into the request; nothing was sent"
        )
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
        raise UpstreamError(
            UpstreamErrorKind.UNAVAILABLE, "an input file is no base64; nothing was sent"
        ) from error


def form_data(fields: Sequence[tuple[str, str]], files: Sequence[FilePart]) -> tuple[str, bytes]:
    """Return content type and body of a `multipart/form-data` request (RFC 7578).

    The boundary comes from what is inside, so that it cannot stand there; RFC 2046 allows 70 characters. Names are
    ours or the catalog's and are not escaped.
    """
    digest = hashlib.sha256()
    for name, value in fields:
        digest.update(f"{name}={value}\0".encode())
    for file in files:
        digest.update(file.content)
    boundary = f"pixeldojo-{digest.hexdigest()[:40]}"
    pieces: list[bytes] = []
    for name, value in fields:
        pieces += [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()]
    for file in files:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{file.field}"; filename="{file.file_name}"\r\n'
            f"Content-Type: {file.content_type}\r\n\r\n"
        )
        pieces += [head.encode(), file.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)
