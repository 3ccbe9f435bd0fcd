"""The shapes of bodies about an account's money and keys; `schemas.py` has the others."""

from typing import Final

from pixeldojo.accounts.keys import Scope, SpendCapPeriod
from pixeldojo.api.key_bodies import HIGHEST_RATE
from pixeldojo.api.shapes import CREDITS, MODE, TIME, Schema, list_of, object_of, optional, said
from pixeldojo.core.labels import LONGEST_NAME
from pixeldojo.core.money import LARGEST_CREDITS
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
_SCOPES: Final[Schema] = {"type": "array", "items": {"type": "string", "enum": sorted(Scope)}, "uniqueItems": True}
_CAP_AMOUNT: Final[Schema] = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": LARGEST_CREDITS,
    "multipleOf": 0.001,
}
_TERMS: Final[dict[str, Schema]] = {
    "name": said({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}, "What it is for; shown in lists."),
    "scopes": said({**_SCOPES, "minItems": 1}, "What it may do."),
    "ratePerMinute": said(
        optional({"type": "integer", "minimum": 1, "maximum": HIGHEST_RATE}),
        "Requests a minute; null is the server's default.",
    ),
    "spendCap": said(optional({"$ref": "#/components/schemas/SpendCap"}), "The most it may spend; null is no cap."),
    "expiresAt": said(optional(TIME), "When it ends; null is never."),
}
_KEY: Final[dict[str, Schema]] = {
    "keyId": {"type": "string"},
    "prefix": said({"type": "string"}, "The public start of its secret."),
    "name": {"type": "string"},
    "mode": MODE,
    "scopes": _SCOPES,
    "ratePerMinute": said(optional({"type": "integer"}), "Requests a minute; null is the server's default."),
    "spendCap": optional({"$ref": "#/components/schemas/SpendCap"}),
    "spent": said(
        object_of({"today": CREDITS, "total": CREDITS}), "Today in UTC, and ever; with what is held for running jobs."
    ),
    "createdAt": TIME,
    "expiresAt": optional(TIME),
    "revokedAt": optional(TIME),
}

ACCOUNT_SCHEMAS: Final[dict[str, Schema]] = {
    "SpendCap": {
        **object_of(
            {
                "amount": said(_CAP_AMOUNT, "Credits."),
                "period": said(
                    {"type": "string", "enum": [str(period) for period in SpendCapPeriod]},
                    "Each day in UTC, or the key's whole life.",
                ),
            }
        ),
        "additionalProperties": False,
    },
    "Key": object_of(_KEY),
    "CreatedKey": object_of({**_KEY, "secret": said({"type": "string"}, "The whole key; not to be had again.")}),
    "KeyPage": object_of({"keys": list_of("Key"), "nextCursor": optional({"type": "string"})}),
    "NewKey": {
        **object_of(
            {**_TERMS, "mode": said(MODE, "If given, the calling key's own.")},
            optional=("ratePerMinute", "spendCap", "expiresAt", "mode"),
        ),
        "additionalProperties": False,
        "examples": [{"name": "poster maker", "scopes": ["jobs:read", "jobs:write"]}],
    },
    "KeyChanges": {
        **object_of(_TERMS, optional=tuple(_TERMS)),
        "minProperties": 1,
        "additionalProperties": False,
        "examples": [{"spendCap": {"amount": 5, "period": "day"}}],
    },
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
