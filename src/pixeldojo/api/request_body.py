"""Reading a JSON body: bounded, strict, and with errors that say what to send instead."""

import asyncio
import codecs
import json
from typing import Any

from fastapi import Request

from pixeldojo.core.errors import InvalidJson, UnsupportedMediaType

PARSE_IN_THREAD_BYTES = 256 * 1024
# A body may be long for the media in it, which is text. Small values in such numbers would take thirty times its size.
MOST_VALUES = 100_000
_LONGEST_INTEGER = 400
_SHOWN_CHARACTERS = 60


async def read_json_object(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises:
        UnsupportedMediaType: the Content-Type is not JSON.
        InvalidJson: it is not JSON, not UTF-8, or not an object.
        PayloadTooLarge: it is over the server's limit.
    """
    _check_content_type(request.headers.get("content-type", ""))
    body = await request.body()
    if len(body) > PARSE_IN_THREAD_BYTES:
        return await asyncio.to_thread(_parse, body)
    return _parse(body)


def _check_content_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in {"", "application/json"} or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return
    raise UnsupportedMediaType(
        f"This endpoint reads JSON, not {media_type[:100]}; send 'Content-Type: application/json'."
    )


def _parse(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise InvalidJson('The body is empty; send a JSON object such as {"prompt": "A sunset"}.')
    if body.startswith(codecs.BOM_UTF8):
        raise InvalidJson("The body begins with a byte order mark (EF BB BF); send plain UTF-8 without it.")
    # Each value but the first follows one of these. Some stand in texts; none of ours holds nearly so many.
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise InvalidJson(f"The body holds more than {MOST_VALUES:,} values; no input takes nearly as many.")
    try:
        parsed = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_int=_read_integer,
            object_pairs_hook=_without_twins,
        )
    except UnicodeDecodeError as error:
        raise InvalidJson(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at")
        raise InvalidJson(f"The body is not JSON: {reason} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply; inputs are at most a few levels deep.") from None
    if not isinstance(parsed, dict):
        raise InvalidJson('The body must be a JSON object, such as {"prompt": "A sunset"}.')
    return parsed


def _refuse_constant(name: str) -> float:
    raise InvalidJson(f"The body is not JSON: {name} is not a JSON number; send a finite one.")


def _read_integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise InvalidJson(f"The body holds a number of {len(digits):,} digits; no input takes one that long.")
    return int(digits)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers disagree on which of two members of one name counts, so neither does."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidJson(f"The body gives {json.dumps(name[:_SHOWN_CHARACTERS])} more than once; give it once.")
        members[name] = value
    return members
