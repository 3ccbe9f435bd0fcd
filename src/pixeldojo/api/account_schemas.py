"""The shapes of bodies about an account's money and keys; `schemas.py` has the others."""

from typing import Final

from pixeldojo.api.shapes import CREDITS, MODE, TIME, Schema, list_of, object_of, optional, said
from pixeldojo.jobs.states import JobStatus
from pixeldojo.jobs.totals.store import Grouping

_SIGNED_CREDITS: Final[Schema] = {"type": "number", "multipleOf": 0.001}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_SUMS: Final[dict[str, Schema]] = {
    "count": said(_COUNT, "Jobs."),
    "credits": said(CREDITS, "What was charged for them."),
    "held": said(CREDITS, "What is held for those that have not ended."),
}
_GROUPS: Final[dict[str, Schema]] = {
    "day": said({"type": "string", "format": "date"}, "On which they were submitted, in UTC."),
    "model": {"type": "string"},
    "keyId": {"type": "string"},
    "status": {"type": "string", "enum": [str(status) for status in JobStatus]},
}

ACCOUNT_SCHEMAS: Final[dict[str, Schema]] = {
    "Credits": object_of(
        {
            "mode": MODE,
            "available": CREDITS,
            "held": CREDITS,
            "balances": {
                "type": "object",
                "additionalProperties": object_of({"available": CREDITS, "held": CREDITS}),
            },
        }
    ),
    "Entry": object_of(
        {
            "entryId": {"type": "string"},
            "kind": said(
                {"type": "string", "enum": ["grant", "hold", "capture", "release"]},
                "Given; set aside for a job; charged for it; given back because it cost less.",
            ),
            "amount": said(_SIGNED_CREDITS, "What it added to the available credits, or took from them."),
            "held": said(_SIGNED_CREDITS, "What it added to the held credits, or took from them."),
            "jobId": optional({"type": "string"}),
            "note": said(optional({"type": "string"}), "Why credits were given."),
            "createdAt": TIME,
        }
    ),
    "EntryPage": object_of({"entries": list_of("Entry"), "nextCursor": optional({"type": "string"})}),
    "Grouping": said({"type": "string", "enum": [str(one) for one in Grouping]}, "What a row of usage stands for."),
    "Usage": object_of(
        {
            "mode": MODE,
            "createdAfter": TIME,
            "createdBefore": TIME,
            "groupBy": list_of("Grouping"),
            "totals": object_of(_SUMS),
            "rows": {
                "type": "array",
                "description": "Each with the members that `groupBy` names.",
                "items": object_of({**_GROUPS, **_SUMS}, optional=tuple(_GROUPS)),
            },
        }
    ),
}
