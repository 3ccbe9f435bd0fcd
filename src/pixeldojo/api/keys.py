"""/keys: the API keys of the calling key's account and mode, for keys with the scope `keys`."""

import re
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from pixeldojo.accounts.bounds import KeyTerms, terms_of
from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.idempotency import REPLAYED, IdempotencyKey, one_at_a_time, refuse_bad_key
from pixeldojo.api.key_bodies import KeyChangesBody, NewKeyBody, read_key_body
from pixeldojo.api.request_body import read_json_object
from pixeldojo.api.responses import KEY_MADE, answer, error_answers
from pixeldojo.api.services import Services
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import Forbidden, ValidationError, Violation
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.money import credits_number
from pixeldojo.credits.service import Spending

router = APIRouter(tags=["keys"])

KeyId = Annotated[str, Path(alias="keyId", description="The `keyId` of the list.")]
_CURSOR = re.compile(r"key_[0-9a-z]{32}")
_NO_STORE = {"Cache-Control": "no-store"}


def _body(schema: str, description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


_NEW_KEY: Final = _body("NewKey", "What the key shall be; what is left out is as the calling key has it.")
_CHANGES: Final = _body("KeyChanges", "What shall become of it; what is left out stays.")


@router.get(
    "/keys",
    summary="List keys",
    operation_id="listKeys",
    responses={**answer(200, "KeyPage", "One page, newest first."), **error_answers(400, 401, 403, 429)},
)
async def list_keys(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.KEYS))],
    limit: Annotated[int, Query(ge=1, le=100, description="Keys on a page.")] = 20,
    cursor: Annotated[
        str | None,
        Query(description="`nextCursor` of the page before.", json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"}),
    ] = None,
) -> JSONResponse:
    """List the keys of this account and mode, revoked and expired ones too; never their secrets."""
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        violation = Violation("cursor", "must be the nextCursor of an earlier page, unchanged")
        raise ValidationError(f"cursor: {violation.message}", details=[violation])
    services = services_of(request)
    page, next_cursor = await services.keys.list_page(key, limit, cursor)
    return JSONResponse({"keys": await _shown(services, page), "nextCursor": next_cursor})


@router.get(
    "/keys/{keyId}",
    summary="Look at a key",
    operation_id="getKey",
    responses={**answer(200, "Key", "The key, without its secret."), **error_answers(401, 403, 404, 429)},
)
async def get_key(request: Request, key_id: KeyId, key: Annotated[ApiKey, Depends(needs(Scope.KEYS))]) -> JSONResponse:
    """Return what a key may do and what it has spent."""
    services = services_of(request)
    return JSONResponse((await _shown(services, [await services.keys.get(key, key_id)]))[0])


@router.post(
    "/keys",
    status_code=201,
    summary="Make a key",
    operation_id="createKey",
    responses={**KEY_MADE, **error_answers(400, 401, 403, 409, 413, 415, 422, 429)},
    openapi_extra=_NEW_KEY,
)
async def create_key(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.KEYS))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Make a key in the calling key's account and mode, with no more than that key has: scopes, rate, expiry.

    A calling key with a spend cap can make none. The secret is in this answer and nowhere else: only its hash is kept.
    Sent again within 24 hours with the same `Idempotency-Key`, the request gets the same answer, secret included.
    """
    refuse_bad_key(request, idempotency_key)
    services = services_of(request)
    wanted = _wanted(key, read_key_body(NewKeyBody, await read_json_object(request), services.clock.now()))
    held = nullcontext() if idempotency_key is None else one_at_a_time(request, key.account_id, idempotency_key)
    with held:
        made = await services.keys.make(key, wanted, idempotency_key)
    # As it was made, also when it has spent since: the same request gets the same answer.
    body = {**_key_json(made.new.key, Spending(0, 0)), "secret": made.new.secret}
    location = {"Location": f"{services.settings.base_url}/api/v1/keys/{made.new.key.id}"}
    headers = {**_NO_STORE, **location, **(REPLAYED if made.is_replay else {})}
    return JSONResponse(body, status_code=201, headers=headers)


@router.patch(
    "/keys/{keyId}",
    summary="Change a key",
    operation_id="changeKey",
    responses={
        **answer(200, "Key", "The key as it is now."),
        **error_answers(400, 401, 403, 404, 409, 413, 415, 429),
    },
    openapi_extra=_CHANGES,
)
async def change_key(
    request: Request, key_id: KeyId, key: Annotated[ApiKey, Depends(needs(Scope.KEYS))]
) -> JSONResponse:
    """Change name and limits of a key, or take scopes from it; within seconds it holds on every node.

    No limit gets wider than it was or than the calling key's own. A key with a spend cap widens no cap.
    """
    services = services_of(request)
    changes = read_key_body(KeyChangesBody, await read_json_object(request), services.clock.now()).given()
    changed = await services.keys.change(key, key_id, lambda terms: replace(terms, **changes))
    return JSONResponse((await _shown(services, [changed]))[0])


@router.delete(
    "/keys/{keyId}",
    status_code=204,
    summary="Revoke a key",
    operation_id="revokeKey",
    responses={204: {"description": "Within seconds no node takes it any more."}, **error_answers(401, 403, 404, 429)},
)
async def revoke_key(request: Request, key_id: KeyId, key: Annotated[ApiKey, Depends(needs(Scope.KEYS))]) -> Response:
    """Revoke a key for good; it stays in the list. A key can revoke itself: whoever finds one can end it."""
    await services_of(request).keys.revoke(key, key_id)
    return Response(status_code=204)


def _wanted(own: ApiKey, body: NewKeyBody) -> KeyTerms:
    if body.mode not in {None, own.mode}:
        raise Forbidden(
            f"A {own.mode} key makes {own.mode} keys only. Leave `mode` out, or call with a {body.mode} key."
        )
    return replace(terms_of(own), **body.given())


async def _shown(services: Services, keys: list[ApiKey]) -> list[dict[str, JsonValue]]:
    spending = await services.credits.spending([key.id for key in keys])
    return [_key_json(key, spending[key.id]) for key in keys]


def _key_json(key: ApiKey, spent: Spending) -> dict[str, JsonValue]:
    cap = key.spend_cap
    return {
        "keyId": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "mode": str(key.mode),
        "scopes": sorted(key.scopes),
        "ratePerMinute": key.rate_per_minute,
        "spendCap": None if cap is None else {"amount": credits_number(cap.amount), "period": str(cap.period)},
        "spent": {"today": credits_number(spent.today), "total": credits_number(spent.total)},
        "createdAt": iso_utc(key.created_at),
        "expiresAt": None if key.expires_at is None else iso_utc(key.expires_at),
        "revokedAt": None if key.revoked_at is None else iso_utc(key.revoked_at),
    }
