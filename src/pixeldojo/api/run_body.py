"""The body of a run: the model's inputs and a webhook address, checked whole before anything is charged.

Owns telling every violation at once. Leaves headers, prices and jobs to the endpoints, and how an input is read to the
catalog.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from pixeldojo.api.auth import services_of
from pixeldojo.api.errors import HEADER
from pixeldojo.api.request_body import PARSE_IN_THREAD_BYTES, read_json_object
from pixeldojo.api.services import Services
from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.inline_media import TakenOut, place_of, take_out

RUN_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The model's inputs, and beside them optionally `webhook_url`.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunRequest"}}},
    }
}
"""The body as OpenAPI names it."""


@dataclass(frozen=True, slots=True)
class RunBody:
    """A body that can be run.

    Attributes:
        taken: Canonical names, defaults filled in; inline media apart.
    """

    model: Model
    taken: TakenOut
    webhook_url: str | None


async def read_run_body(request: Request, api_id: str, found: Sequence[Violation] = ()) -> RunBody:
    """Read the body of a request for a model.

    Args:
        found: What is wrong with the request beside its body; told together with what is wrong with that.

    Raises:
        InvalidJson, UnsupportedMediaType: it is no JSON object.
        NotFound: there is no such model.
        ValidationError: listing every violation.
    """
    services = services_of(request)
    body = await read_json_object(request)
    model = services.catalog.find(api_id)
    if len(await request.body()) > PARSE_IN_THREAD_BYTES:
        return await asyncio.to_thread(_read, services, model, body, found)
    return _read(services, model, body, found)


def _read(services: Services, model: Model, body: dict[str, Any], found: Sequence[Violation]) -> RunBody:
    webhook_url = body.pop("webhook_url", None)
    violations = [*found, *_webhook_violations(services, webhook_url)]
    taken = TakenOut({}, {})
    try:
        canonical = read_input(model, body)
        violations += _media_violations(services, model, canonical)
        taken = take_out(model, canonical)
    except ValidationError as error:
        violations += error.details or (Violation("", error.message),)
    if violations:
        raise ValidationError(_summary(model, violations), details=violations)
    return RunBody(model, taken, webhook_url)


def _webhook_violations(services: Services, webhook_url: object) -> list[Violation]:
    if webhook_url is None:
        return []
    if not isinstance(webhook_url, str):
        return [Violation("webhook_url", "must be a string such as https://example.com/webhook")]
    reason = services.refuse_address(webhook_url)
    return [] if reason is None else [Violation("webhook_url", reason)]


def _media_violations(services: Services, model: Model, canonical: JsonObject) -> list[Violation]:
    found = []
    for media in media_values(model, canonical):
        is_own = any(ours.own_file_name(media.value) is not None for ours in (services.assets, services.files))
        if is_own or media.value.startswith("data:"):
            continue
        reason = services.refuse_address(media.value)
        if reason is not None:
            found.append(Violation(place_of(media, canonical), reason))
    return found


def _summary(model: Model, violations: list[Violation]) -> str:
    first = violations[0]
    more = f" (and {len(violations) - 1} more, see details)" if len(violations) > 1 else ""
    if first.path.startswith(HEADER):
        return f"The header {first.path.removeprefix(HEADER)} cannot be used: {first.message}{more}"
    is_named = first.message.startswith(first.path)
    said = first.message if is_named else f"{first.path}: {first.message}"
    return f"The input of {model.id} cannot be used. {said}{more}"
