"""Reading a JSON body: bounded, strict, and with errors that say what to send instead."""

import asyncio
import json
from typing import Any

from fastapi import Request

from pixeldojo.core.errors import InvalidJson, UnsupportedMediaType

PARSE_IN_THREAD_BYTES = 256 * 1024


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
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidJson(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidJson(f"The body is not JSON we can read: {str(error)[:200]}.") from None
    if not isinstance(parsed, dict):
        raise InvalidJson('The body must be a JSON object, such as {"prompt": "A sunset"}.')
    return parsed


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
