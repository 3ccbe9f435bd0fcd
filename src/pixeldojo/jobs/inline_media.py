"""Media sent inside a request as `data:` URIs: taken out before the job is stored, so that rows stay small.

In the stored input stands what the media was instead: `data:image/png;sha256=…;size=…`; the bytes lie in our blobs.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pixeldojo.catalog.inputs import MediaValue, media_values
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.net.data_uri import InvalidDataUri, read_data_uri

LARGEST_INLINE_BYTES = 25_000_000
_STAND_IN = re.compile(r"data:[^;,]*;sha256=([0-9a-f]{64});size=\d+")


@dataclass(frozen=True, slots=True)
class TakenOut:
    """An input without its inline media, and the media by SHA-256."""

    input: JsonObject
    files: Mapping[str, bytes]


def take_out(model: Model, canonical: JsonObject) -> TakenOut:
    """Replace every `data:` URI in the input's media by what stands for it.

    Raises:
        ValidationError: naming each one that cannot be read.
    """
    stand_ins: dict[str, str] = {}
    files: dict[str, bytes] = {}
    violations = []
    for media in media_values(model, canonical):
        if not media.value.startswith("data:") or media.value in stand_ins:
            continue
        try:
            content, content_type = read_data_uri(media.value, LARGEST_INLINE_BYTES)
        except InvalidDataUri as error:
            violations.append(Violation(place_of(media, canonical), str(error)))
            continue
        digest = hashlib.sha256(content).hexdigest()
        stand_ins[media.value] = f"data:{content_type};sha256={digest};size={len(content)}"
        files[digest] = content
    if violations:
        raise ValidationError("; ".join(f"{v.path}: {v.message}" for v in violations), details=violations)
    if not stand_ins:
        return TakenOut(canonical, {})
    replaced = _replaced(canonical, stand_ins)
    assert isinstance(replaced, Mapping)
    return TakenOut(replaced, files)


def place_of(media: MediaValue, canonical: JsonObject) -> str:
    """Return where in the input an address stands: `image_url`, `image_urls[2]`."""
    is_listed = isinstance(canonical.get(media.parameter), list | tuple)
    return f"{media.parameter}[{media.index}]" if is_listed else media.parameter


def inline_digest(value: str) -> str | None:
    """Return the SHA-256 of the media that a stored value stands for; None when it is an ordinary address."""
    match = _STAND_IN.fullmatch(value)
    return match.group(1) if match else None


def _replaced(value: JsonValue, stand_ins: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        return stand_ins.get(value, value)
    if isinstance(value, Mapping):
        return {name: _replaced(member, stand_ins) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(member, stand_ins) for member in value]
    return value
