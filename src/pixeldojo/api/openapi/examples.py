"""Examples of answers, one story told throughout: a picture is run, drawn, paid and announced.

Owns nothing that a program relies on; tests hold each example against its schema.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pixeldojo.core.json_types import JsonObject

_HOST: Final = "https://pixeldojo.example.com"
_JOB_ID: Final = "job_06fg2m8r3p5t7w9yb1d3f5h7k9mpqrst"
_DELIVERY_ID: Final = "whd_06fg2m9a1c3e5g7j9mnpqrstvwxyz024"
_HOOK: Final = "https://example.com/webhooks/pixeldojo"
_ASSET: Final[JsonObject] = {
    "url": f"{_HOST}/assets/06fg2m9c5e7g9j1m3p5r7t9v.webp",
    "kind": "image",
    "contentType": "image/webp",
    "sizeBytes": 148_224,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "width": 1344,
    "height": 768,
    "durationSeconds": None,
}
_JOB: Final[JsonObject] = {
    "jobId": _JOB_ID,
    "status": "completed",
    "model": "flux-1.1-pro",
    "mode": "test",
    "input": {"prompt": "A paper lantern in the rain", "aspect_ratio": "16:9"},
    "output": {"images": [_ASSET["url"]]},
    "assets": [_ASSET],
    "creditCost": 1,
    "error": None,
    "webhook": {
        "url": _HOOK,
        "status": "pending",
        "deliveryId": _DELIVERY_ID,
        "attempts": 0,
        "nextAttemptAt": "2026-05-04T12:00:07Z",
        "deliveredAt": None,
    },
    "createdAt": "2026-05-04T12:00:00Z",
    "startedAt": "2026-05-04T12:00:01Z",
    "completedAt": "2026-05-04T12:00:07Z",
    "expiresAt": "2026-05-05T12:00:07Z",
}
EXAMPLES: Final[Mapping[str, Sequence[JsonObject]]] = {
    "Error": [
        {
            "error": {
                "code": "validation_error",
                "message": "The input of flux-1.1-pro cannot be used. prompt is required.",
                "status": 400,
                "requestId": "req_06fg2m8r3p5t7w9yb1d3f5h7k9mpqrst",
                "details": [{"path": "prompt", "message": "prompt is required."}],
            }
        }
    ],
    "JobAccepted": [
        {
            "jobId": _JOB_ID,
            "status": "pending",
            "statusUrl": f"{_HOST}/api/v1/jobs/{_JOB_ID}",
            "creditCost": 1,
            "creditsRemaining": 99,
            "expiresAt": "2026-05-05T12:00:00Z",
        }
    ],
    "Job": [_JOB],
    "JobPage": [{"jobs": [_JOB], "nextCursor": None}],
    "JobEvent": [{"type": "job.completed", "timestamp": "2026-05-04T12:00:07Z", "data": _JOB}],
    "Credits": [
        {
            "mode": "test",
            "available": 99,
            "held": 0,
            "balances": {"test": {"available": 99, "held": 0}, "live": {"available": 0, "held": 0}},
        }
    ],
}
"""By the name of their schema."""
