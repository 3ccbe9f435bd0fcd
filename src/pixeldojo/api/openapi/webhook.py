"""What we send to a `webhook_url`, as the document describes it: OpenAPI's `webhooks`."""

from collections.abc import Mapping
from typing import Final

from pixeldojo.api.shapes import Schema

_HEADERS: Final = (
    ("webhook-id", "Stays the same over all attempts of a delivery: receive it once.", "^whd_[0-9a-z]{32}$"),
    ("webhook-timestamp", "Unix seconds of this attempt.", "^[0-9]+$"),
    (
        "webhook-signature",
        "Base64 HMAC-SHA-256 of `id.timestamp.body`; several, between spaces, while a secret is being replaced.",
        "^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$",
    ),
)
WEBHOOKS: Final[Mapping[str, Schema]] = {
    "jobEnded": {
        "post": {
            "tags": ["webhooks"],
            "summary": "A job has ended",
            "description": (
                "Sent to the `webhook_url` of the run, signed as Standard Webhooks 1.0.0 says: any of its libraries "
                "verifies it, with the secret of `GET /api/v1/webhooks/secret`. Only a 2xx in time counts as received; "
                "anything else is tried again with growing pauses, for as long as the job exists. `data` is the job as "
                "`GET /api/v1/jobs/{jobId}` shows it."
            ),
            "operationId": "jobEnded",
            "security": [],
            "parameters": [
                {
                    "name": name,
                    "in": "header",
                    "required": True,
                    "description": description,
                    "schema": {"type": "string", "pattern": pattern},
                }
                for name, description, pattern in _HEADERS
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobEvent"}}},
            },
            "responses": {
                "2XX": {"description": "Received."},
                "410": {"description": "Gone: no further attempt is made."},
            },
        }
    }
}
"""By name."""
