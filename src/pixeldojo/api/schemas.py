"""The shapes of bodies as OpenAPI names them: a model's input schema comes from the catalog.

Those about money and keys stand in `account_schemas.py`.
"""

from pixeldojo.api.account_schemas import ACCOUNT_SCHEMAS
from pixeldojo.api.responses import all_errors
from pixeldojo.api.shapes import CREDITS, MODE, TIME, Schema, object_of, optional, said
from pixeldojo.core.errors import JobFailureCode, PixelDojoError
from pixeldojo.jobs.states import JobStatus

_ERROR_CODES = sorted({kind.code for kind in all_errors(PixelDojoError)})
_URL: Schema = {"type": "string", "format": "uri"}
# As the caller gave it, so letters beyond ASCII may stand in it.
_GIVEN_URL: Schema = {"type": "string", "format": "iri"}
_STATUS: Schema = {"$ref": "#/components/schemas/JobStatus"}

_DELIVERY: dict[str, Schema] = {
    "deliveryId": said({"type": "string"}, "The `webhook-id` that receivers get."),
    "jobId": {"type": "string"},
    "event": {"type": "string", "enum": ["job.completed", "job.failed"]},
    "url": _GIVEN_URL,
    "status": {"type": "string", "enum": ["pending", "delivered", "failed"]},
    "attempts": said({"type": "integer", "minimum": 0}, "How many were made."),
    "nextAttemptAt": optional(TIME),
    "createdAt": TIME,
    "deliveredAt": optional(TIME),
}

SCHEMAS: dict[str, Schema] = {
    **ACCOUNT_SCHEMAS,
    "Error": object_of(
        {
            "error": object_of(
                {
                    "code": {"type": "string", "enum": _ERROR_CODES},
                    "message": said({"type": "string"}, "What was wrong, and what would be right."),
                    "status": said({"type": "integer"}, "The HTTP status once more."),
                    "requestId": said({"type": "string"}, "Finds the request in the server's log."),
                    "details": {
                        "type": "array",
                        "description": "Every violation at once; `path` is the input, such as `loras[0].path`.",
                        "items": object_of({"path": {"type": "string"}, "message": {"type": "string"}}),
                    },
                },
                optional=("details",),
            )
        }
    ),
    "RunRequest": {
        "type": "object",
        "description": "The inputs of the model, as its request schema says, and optionally a webhook address.",
        "properties": {
            "webhook_url": {
                **_URL,
                "description": "Where the end of the job is announced, signed; a public https address.",
                "pattern": "^https?://",
                "maxLength": 2048,
            }
        },
        "additionalProperties": True,
        "examples": [{"prompt": "A paper lantern in the rain", "aspect_ratio": "16:9"}],
    },
    "JobStatus": {
        "type": "string",
        "enum": [str(status) for status in JobStatus],
        "description": "The last two are final; no other is ever shown.",
    },
    "JobAccepted": object_of(
        {
            "jobId": {"type": "string"},
            "status": {"const": "pending"},
            "statusUrl": said(_URL, "Where the job is polled."),
            "creditCost": said(CREDITS, "What is held; the charge is never more."),
            "creditsRemaining": said(CREDITS, "What is left to spend."),
            "expiresAt": said(TIME, "When the job is deleted at the latest."),
        }
    ),
    "Estimate": object_of(
        {
            "creditCost": CREDITS,
            "breakdown": {
                "type": "array",
                "description": "What adds up to `creditCost`. Quantity times unit price, rounded up, is the amount.",
                "items": object_of(
                    {
                        "label": {"type": "string"},
                        "quantity": {"type": "number", "exclusiveMinimum": 0},
                        "unit": {"type": "string", "enum": ["request", "output", "second"]},
                        "unitPrice": CREDITS,
                        "amount": CREDITS,
                        "isMaximum": {"type": "boolean"},
                    }
                ),
            },
            "upstreams": {
                "type": "array",
                "description": "Where the job would be sent: to each in turn until one takes it.",
                "items": object_of({"provider": {"type": "string"}, "endpoint": {"type": "string"}}),
            },
            "note": said({"type": "string"}, "Only where `upstreams` is empty: how a run with this key is refused."),
        },
        optional=("note",),
    ),
    "Asset": object_of(
        {
            "url": said(_URL, "Needs no key, cannot be guessed, works until the job expires."),
            "kind": {"type": "string", "enum": ["image", "video", "audio", "model3d"]},
            "contentType": {"type": "string"},
            "sizeBytes": {"type": "integer", "minimum": 0},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "width": said(optional({"type": "integer"}), "Pixels; null for sound and 3D models."),
            "height": said(optional({"type": "integer"}), "Pixels; null for sound and 3D models."),
            "durationSeconds": said(optional({"type": "number"}), "Null for pictures and 3D models."),
        }
    ),
    "JobOutput": {
        "type": "object",
        "description": "The addresses of the files, under the name of their kind.",
        "properties": {
            "images": {"type": "array", "items": _URL},
            "video": _URL,
            "audio": _URL,
            "model": _URL,
        },
    },
    "JobWebhook": object_of(
        {
            "url": _GIVEN_URL,
            "status": {"type": "string", "enum": ["waiting", "pending", "delivered", "failed"]},
            "deliveryId": optional({"type": "string"}),
            "attempts": {"type": "integer", "minimum": 0},
            "nextAttemptAt": optional(TIME),
            "deliveredAt": optional(TIME),
        },
        optional=("nextAttemptAt", "deliveredAt"),
    ),
    "Job": object_of(
        {
            "jobId": {"type": "string"},
            "status": _STATUS,
            "model": said({"type": "string"}, "The `apiId` of the model."),
            "mode": said(MODE, "As the key that ran it: `test` is the sandbox."),
            "input": said({"type": "object"}, "Under the model's own names, defaults filled in."),
            "output": optional({"$ref": "#/components/schemas/JobOutput"}),
            "assets": {"type": "array", "items": {"$ref": "#/components/schemas/Asset"}},
            "creditCost": said(CREDITS, "What is held, then what was charged; 0 for a failed job."),
            "error": optional(
                object_of(
                    {
                        "code": {"type": "string", "enum": [str(code) for code in JobFailureCode]},
                        "message": {"type": "string"},
                    }
                )
            ),
            "webhook": optional({"$ref": "#/components/schemas/JobWebhook"}),
            "createdAt": TIME,
            "startedAt": optional(TIME),
            "completedAt": optional(TIME),
            "expiresAt": TIME,
        }
    ),
    "JobPage": object_of(
        {
            "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}},
            "nextCursor": optional({"type": "string"}),
        }
    ),
    "JobEvent": object_of(
        {
            "type": {"type": "string", "enum": ["job.completed", "job.failed"]},
            "timestamp": TIME,
            "data": {"$ref": "#/components/schemas/Job"},
        }
    ),
    "Cancelling": object_of(
        {
            "jobId": {"type": "string"},
            "status": _STATUS,
            "cancel": {"type": "string", "enum": ["canceled", "requested", "not_supported"]},
            "message": {"type": "string"},
        }
    ),
    "Delivery": object_of(_DELIVERY),
    "DeliveryLog": object_of(
        {
            **_DELIVERY,
            "attemptLog": {
                "type": "array",
                "description": "Every attempt, oldest first.",
                "items": object_of(
                    {
                        "number": {"type": "integer", "minimum": 1},
                        "at": TIME,
                        "durationSeconds": {"type": "number", "minimum": 0},
                        "status": said(optional({"type": "integer"}), "What the receiver answered."),
                        "error": said(optional({"type": "string"}), "Why there was no answer."),
                    }
                ),
            },
        }
    ),
    "DeliveryPage": object_of(
        {
            "deliveries": {"type": "array", "items": {"$ref": "#/components/schemas/Delivery"}},
            "nextCursor": optional({"type": "string"}),
        }
    ),
    "File": object_of(
        {
            "fileId": {"type": "string"},
            "url": {**_URL, "description": "To be given as an input; needs no key."},
            "contentType": {"type": "string", "description": "What the content is, whatever it was called."},
            "sizeBytes": {"type": "integer", "minimum": 1},
            "expiresAt": TIME,
        }
    ),
    "WebhookSecret": object_of(
        {
            "secret": {"type": "string", "pattern": "^whsec_"},
            "activeSecrets": {"type": "integer", "minimum": 1},
            "overlapHours": {"type": "integer"},
        },
        optional=("overlapHours",),
    ),
    "Model": object_of(
        {
            "apiId": {"type": "string"},
            "name": {"type": "string"},
            "description": {"type": "string"},
            "modality": {"type": "string", "enum": ["image", "video"]},
            "capabilities": {"type": "array", "items": {"type": "string"}},
            "features": {"type": "array", "items": {"type": "string"}},
            "useCases": {"type": "array", "items": {"type": "string"}},
            "creditCost": {"$ref": "#/components/schemas/CreditCost"},
            "sandboxOnly": {
                "type": "boolean",
                "description": "Whether no upstream can run it, so that live keys may not.",
            },
        }
    ),
    "CreditCost": object_of(
        {
            "type": {
                "type": "string",
                "enum": ["fixed", "per_output", "per_second", "by_resolution", "by_resolution_and_duration"],
            },
            "default": said(CREDITS, "What a run with only the required inputs costs."),
            "unit": {"type": "string", "enum": ["request", "output", "second"]},
            "amount": said(CREDITS, "For one unit, where that does not depend on an input or for the usual one."),
            "by": {
                "type": "object",
                "description": "For one unit, by the value of the input it depends on; by resolution, then by length.",
                "additionalProperties": {
                    "anyOf": [CREDITS, {"type": "object", "additionalProperties": CREDITS}],
                },
            },
        },
        optional=("amount", "by"),
    ),
    "ModelParameter": object_of(
        {
            "name": {"type": "string"},
            "type": said({"type": "string"}, "A JSON type, or `array<…>` of one."),
            "required": {"type": "boolean"},
            "description": {"type": "string"},
            "default": said({}, "What counts where it is left out."),
            "enum": said({"type": "array", "items": {}}, "The only values."),
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "multipleOf": {"type": "number"},
            "minLength": {"type": "integer"},
            "maxLength": {"type": "integer"},
            "minItems": {"type": "integer"},
            "maxItems": {"type": "integer"},
            "media": {"type": "string", "enum": ["image", "video", "audio", "file"]},
            "appliesWhen": said({"type": "string"}, "In words; elsewhere it is refused."),
            "fields": said(
                {"type": "array", "items": {"$ref": "#/components/schemas/ModelParameter"}},
                "The members of an object, or of the objects of an array.",
            ),
        },
        optional=(
            *("default", "enum", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"),
            *("media", "appliesWhen", "fields"),
        ),
    ),
    "ModelDetail": {
        "allOf": [
            {"$ref": "#/components/schemas/Model"},
            object_of(
                {
                    "parameters": {"type": "array", "items": {"$ref": "#/components/schemas/ModelParameter"}},
                    "requestSchema": said({"type": "object"}, "JSON Schema 2020-12 of the inputs."),
                    "outputKind": {"type": "string", "enum": ["image", "video", "audio", "model3d"]},
                }
            ),
        ]
    },
    "ModelList": object_of(
        {
            "models": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
            "total": {"type": "integer"},
            "imageCount": {"type": "integer"},
            "videoCount": {"type": "integer"},
        }
    ),
    "ModelSchema": object_of({"apiId": {"type": "string"}, "schema": {"type": "object"}}),
    "Health": object_of({"status": {"const": "ok"}}),
    "Readiness": object_of(
        {
            "status": {"type": "string", "enum": ["ok", "unavailable"]},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    ),
}
