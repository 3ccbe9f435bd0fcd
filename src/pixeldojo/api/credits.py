"""GET /credits: the balances of the calling account. GET /credits/entries: how they came about."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.moments import Moment
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.money import credits_number
from pixeldojo.credits.store import Entry, EntryFilter

router = APIRouter(tags=["credits"])

_CURSOR = re.compile(r"entry_[0-9a-z]{32}")


@router.get(
    "/credits",
    summary="Balances",
    operation_id="getCredits",
    responses={**answer(200, "Credits", "Both modes; `mode` is the key's own."), **error_answers(401, 403, 429)},
)
async def get_credits(request: Request, key: Annotated[ApiKey, Depends(needs(Scope.BILLING))]) -> JSONResponse:
    """Return what is available and what is held for running jobs, in both modes."""
    services = services_of(request)
    balances: dict[str, dict[str, int | float]] = {}
    for mode in KeyMode:
        balance = await services.credits.balance(key.account_id, mode)
        balances[mode] = {"available": credits_number(balance.available), "held": credits_number(balance.held)}
    return JSONResponse({"mode": str(key.mode), **balances[key.mode], "balances": balances})


@router.get(
    "/credits/entries",
    summary="List ledger entries",
    operation_id="listEntries",
    responses={**answer(200, "EntryPage", "One page, newest first."), **error_answers(400, 401, 403, 429)},
)
async def list_entries(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.BILLING))],
    limit: Annotated[int, Query(ge=1, le=100, description="Entries on a page.")] = 20,
    cursor: Annotated[
        str | None,
        Query(description="`nextCursor` of the page before.", json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"}),
    ] = None,
    kind: Annotated[
        Literal["grant", "hold", "capture", "release"] | None, Query(description="Only entries of this kind.")
    ] = None,
    created_after: Annotated[Moment | None, Query(description="Only entries made after this time.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only entries made before this time.")] = None,
) -> JSONResponse:
    """List every movement of this account's credits in the key's mode; nothing is ever changed or left out.

    All `amount` together are what is available, all `held` together what is held.
    """
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        violation = Violation("cursor", "must be the nextCursor of an earlier page, unchanged")
        raise ValidationError(f"cursor: {violation.message}", details=[violation])
    wanted = EntryFilter(limit, cursor, kind, created_after, created_before)
    page, next_cursor = await services_of(request).credits.list_entries(key.account_id, key.mode, wanted)
    return JSONResponse({"entries": [_entry_json(entry) for entry in page], "nextCursor": next_cursor})


def _entry_json(entry: Entry) -> dict[str, JsonValue]:
    return {
        "entryId": entry.id,
        "kind": entry.kind,
        "amount": credits_number(entry.available),
        "held": credits_number(entry.held),
        "jobId": entry.job_id,
        "note": entry.note or None,
        "createdAt": iso_utc(entry.created_at),
    }
