"""The header `Idempotency-Key`: how it is written, and that of requests with one key only one at a time goes on here.

Leaves keeping answers to the services, in the transaction that makes what the request asks for.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeAlias

from fastapi import Header, Request

from pixeldojo.api.errors import HEADER
from pixeldojo.core.errors import Conflict, ValidationError, Violation

NAME = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias=NAME,
        description="1 to 255 visible ASCII characters; the same key and request never make a second one.",
        json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    ),
]


def key_violations(request: Request, key: str | None) -> list[Violation]:
    """Return what is wrong with a key that was sent."""
    if len(request.headers.getlist(NAME)) > 1:
        return [Violation(f"{HEADER}{NAME}", "was sent more than once; send one")]
    if key is None or _SHAPE.fullmatch(key):
        return []
    return [Violation(f"{HEADER}{NAME}", "must be 1 to 255 visible ASCII characters without spaces; a UUID is fine")]


def refuse_bad_key(request: Request, key: str | None) -> None:
    """Return when a key is well written, or none was sent.

    Raises:
        ValidationError: it is not.
    """
    violations = key_violations(request, key)
    if violations:
        raise ValidationError(f"The header {NAME} cannot be used: {violations[0].message}", details=violations)


@contextmanager
def one_at_a_time(request: Request, account_id: str, key: str) -> Iterator[None]:
    """Hold a key of an account for as long as its request is being carried out on this node.

    Raises:
        Conflict: another request holds it.
    """
    in_flight: set[tuple[str, str]] = request.app.state.idempotency_in_flight
    mine = (account_id, key)
    if mine in in_flight:
        raise Conflict(
            f"A request with this {NAME} is still being accepted. Send it again in a second to get its answer.",
            headers={"Retry-After": "1"},
        )
    in_flight.add(mine)
    try:
        yield
    finally:
        in_flight.discard(mine)
