"""GET /usage: how many jobs an account ran and what they cost, by day, model, key and status."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.auth import needs, services_of
from pixeldojo.api.moments import Moment
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.money import credits_number
from pixeldojo.jobs.totals.store import Grouping, UsageRow

router = APIRouter(tags=["credits"])

_MEMBERS = {Grouping.DAY: "day", Grouping.MODEL: "model", Grouping.KEY: "keyId", Grouping.STATUS: "status"}


@router.get(
    "/usage",
    summary="Usage",
    operation_id="getUsage",
    responses={
        **answer(200, "Usage", "A row for each group that has jobs, in order."),
        **error_answers(400, 401, 403, 429),
    },
)
async def get_usage(
    request: Request,
    key: Annotated[ApiKey, Depends(needs(Scope.BILLING))],
    created_after: Annotated[
        Moment | None, Query(description="Only jobs submitted after this time; 30 days before the end if left out.")
    ] = None,
    created_before: Annotated[
        Moment | None, Query(description="Only jobs submitted before this time; now if left out.")
    ] = None,
    group_by: Annotated[
        tuple[Grouping, ...],
        Query(
            min_length=1,
            max_length=8,
            description="What a row stands for; named several times, for each combination.",
        ),
    ] = (Grouping.DAY,),
) -> JSONResponse:
    """Count the jobs of this account and mode, expired ones too, over at most 92 days.

    A job counts on the day (UTC) on which it was submitted.
    """
    groupings = tuple(dict.fromkeys(group_by))
    usage = await services_of(request).usage.tell(
        key.account_id, key.mode, groupings, after=created_after, before=created_before
    )
    return JSONResponse(
        {
            "mode": str(key.mode),
            "createdAfter": iso_utc(usage.after),
            "createdBefore": iso_utc(usage.before),
            "groupBy": [str(grouping) for grouping in groupings],
            "totals": _sums(usage.rows),
            "rows": [{**_group_json(row), **_sums([row])} for row in usage.rows],
        }
    )


def _group_json(row: UsageRow) -> dict[str, JsonValue]:
    return {
        _MEMBERS[grouping]: value.isoformat() if isinstance(value, date) else value
        for grouping, value in row.group.items()
    }


def _sums(rows: Sequence[UsageRow]) -> dict[str, JsonValue]:
    return {
        "count": sum(row.count for row in rows),
        "credits": credits_number(sum(row.credits for row in rows)),
        "held": credits_number(sum(row.held for row in rows)),
    }
