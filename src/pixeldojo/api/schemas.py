"""The shapes of bodies as OpenAPI names them, ours alone: a model's input schema comes from the catalog."""

from typing import Any, TypeAlias

from pixeldojo.api.responses import all_errors
from pixeldojo.core.errors import JobFailureCode, PixelDojoError
from pixeldojo.jobs.states import JobStatus

Schema: TypeAlias = dict[str, Any]

_TIME: Schema = {"type": "string", "format": "date-time"}
_CREDITS: Schema = {"type": "number", "minimum": 0, "multipleOf": 0.001}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _optional(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_ERROR_CODES = sorted({kind.code for kind in all_errors(PixelDojoError)})
_URL: Schema = {"type": "string", "format": "uri"}
# As the caller gave it, so letters beyond ASCII may stand in it.
_GIVEN_URL: Schema = {"type": "string", "format": "iri"}
_STATUS: Schema = {"$ref": "#/components/schemas/JobStatus"}
_MODE: Schema = {"type": "string", "enum": ["test", "live"]}

_DELIVERY: dict[str, Schema] = {
    "deliveryId": _said({"type": "string"}, "The `webhook-id` that receivers get."),
    "jobId": {"type": "string"},
    "event": {"type": "string", "enum": ["job.completed", "job.failed"]},
    "url": _GIVEN_URL,
    "status": {"type": "string", "enum": ["pending", "delivered", "failed"]},
    "attempts": _said({"type": "integer", "minimum": 0}, "How many were made."),
    "nextAttemptAt": _optional(_TIME),
    "createdAt": _TIME,
    "deliveredAt": _optional(_TIME),
}

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {
            "error": _object(
                {
                    "code": {"type": "string", "enum": _ERROR_CODES},
                    "message": _said({"type": "string"}, "What was wrong, and what would be right."),
                    "status": _said({"type": "integer"}, "The HTTP status once more."),
                    "requestId": _said({"type": "string"}, "Finds the request in the server's log."),
                    "details": {
                        "type": "array",
                        "description": "Every violation at once; `path` is the input, such as `loras[0].path`.",
                        "items": _object({"path": {"type": "string"}, "message": {"type": "string"}}),
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
    "JobAccepted": _object(
        {
            "jobId": {"type": "string"},
            "status": {"const": "pending"},
            "statusUrl": _said(_URL, "Where the job is polled."),
            "creditCost": _said(_CREDITS, "What is held; the charge is never more."),
            "creditsRemaining": _said(_CREDITS, "What is left to spend."),
            "expiresAt": _said(_TIME, "When the job is deleted at the latest."),
        }
    ),
    "Estimate": _object(
        {
            "creditCost": _CREDITS,
            "breakdown": {
                "type": "array",
                "description": "What adds up to `creditCost`. Quantity times unit price, rounded up, is the amount.",
                "items": _object(
                    {
                        "label": {"type": "string"},
                        "quantity": {"type": "number", "exclusiveMinimum": 0},
                        "unit": {"type": "string", "enum": ["request", "output", "second"]},
                        "unitPrice": _CREDITS,
                        "amount": _CREDITS,
                        "isMaximum": {"type": "boolean"},
                    }
                ),
            },
            "upstreams": {
                "type": "array",
                "description": "Where the job would be sent: to each in turn until one takes it.",
                "items": _object({"provider": {"type": "string"}, "endpoint": {"type": "string"}}),
            },
        }
    ),
    "Asset": _object(
        {
            "url": _said(_URL, "Needs no key, cannot be guessed, works until the job expires."),
            "kind": {"type": "string", "enum": ["image", "video", "audio", "model3d"]},
            "contentType": {"type": "string"},
            "sizeBytes": {"type": "integer", "minimum": 0},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "width": _said(_optional({"type": "integer"}), "Pixels; null for sound and 3D models."),
            "height": _said(_optional({"type": "integer"}), "Pixels; null for sound and 3D models."),
            "durationSeconds": _said(_optional({"type": "number"}), "Null for pictures and 3D models."),
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
    "JobWebhook": _object(
        {
            "url": _GIVEN_URL,
            "status": {"type": "string", "enum": ["waiting", "pending", "delivered", "failed"]},
            "deliveryId": _optional({"type": "string"}),
            "attempts": {"type": "integer", "minimum": 0},
            "nextAttemptAt": _optional(_TIME),
            "deliveredAt": _optional(_TIME),
        },
        optional=("nextAttemptAt", "deliveredAt"),
    ),
    "Job": _object(
        {
            "jobId": {"type": "string"},
            "status": _STATUS,
            "model": _said({"type": "string"}, "The `apiId` of the model."),
            "mode": _said(_MODE, "As the key that ran it: `test` is the sandbox."),
            "input": _said({"type": "object"}, "Under the model's own names, defaults filled in."),
            "output": _optional({"$ref": "#/components/schemas/JobOutput"}),
            "assets": {"type": "array", "items": {"$ref": "#/components/schemas/Asset"}},
            "creditCost": _said(_CREDITS, "What is held, then what was charged; 0 for a failed job."),
            "error": _optional(
                _object(
                    {
                        "code": {"type": "string", "enum": [str(code) for code in JobFailureCode]},
                        "message": {"type": "string"},
                    }
                )
            ),
            "webhook": _optional({"$ref": "#/components/schemas/JobWebhook"}),
            "createdAt": _TIME,
            "startedAt": _optional(_TIME),
            "completedAt": _optional(_TIME),
            "expiresAt": _TIME,
        }
    ),
    "JobPage": _object(
        {
            "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}},
            "nextCursor": _optional({"type": "string"}),
        }
    ),
    "JobEvent": _object(
        {
            "type": {"type": "string", "enum": ["job.completed", "job.failed"]},
            "timestamp": _TIME,
            "data": {"$ref": "#/components/schemas/Job"},
        }
    ),
    "Cancelling": _object(
        {
            "jobId": {"type": "string"},
            "status": _STATUS,
            "cancel": {"type": "string", "enum": ["canceled", "requested", "not_supported"]},
            "message": {"type": "string"},
        }
    ),
    "Delivery": _object(_DELIVERY),
    "DeliveryLog": _object(
        {
            **_DELIVERY,
            "attemptLog": {
                "type": "array",
                "description": "Every attempt, oldest first.",
                "items": _object(
                    {
                        "number": {"type": "integer", "minimum": 1},
                        "at": _TIME,
                        "durationSeconds": {"type": "number", "minimum": 0},
                        "status": _said(_optional({"type": "integer"}), "What the receiver answered."),
                        "error": _said(_optional({"type": "string"}), "Why there was no answer."),
                    }
                ),
            },
        }
    ),
    "DeliveryPage": _object(
        {
            "deliveries": {"type": "array", "items": {"$ref": "#/components/schemas/Delivery"}},
            "nextCursor": _optional({"type": "string"}),
        }
    ),
    "Credits": _object(
        {
            "mode": _MODE,
            "available": _CREDITS,
            "held": _CREDITS,
            "balances": {
                "type": "object",
                "additionalProperties": _object({"available": _CREDITS, "held": _CREDITS}),
            },
        }
    ),
    "File": _object(
        {
            "fileId": {"type": "string"},
            "url": {**_URL, "description": "To be given as an input; needs no key."},
            "contentType": {"type": "string", "description": "What the content is, whatever it was called."},
            "sizeBytes": {"type": "integer", "minimum": 1},
            "expiresAt": _TIME,
        }
    ),
    "WebhookSecret": _object(
        {
            "secret": {"type": "string", "pattern": "^whsec_"},
            "activeSecrets": {"type": "integer", "minimum": 1},
            "overlapHours": {"type": "integer"},
        },
        optional=("overlapHours",),
    ),
    "Model": _object(
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
    "CreditCost": _object(
        {
            "type": {
                "type": "string",
                "enum": ["fixed", "per_output", "per_second", "by_resolution", "by_resolution_and_duration"],
            },
            "default": _said(_CREDITS, "What a run with only the required inputs costs."),
            "unit": {"type": "string", "enum": ["request", "output", "second"]},
            "amount": _said(_CREDITS, "For one unit, where that does not depend on an input or for the usual one."),
            "by": {
                "type": "object",
                "description": "For one unit, by the value of the input it depends on; by resolution, then by length.",
                "additionalProperties": {
                    "anyOf": [_CREDITS, {"type": "object", "additionalProperties": _CREDITS}],
                },
            },
        },
        optional=("amount", "by"),
    ),
    "ModelParameter": _object(
        {
            "name": {"type": "string"},
            "type": _said({"type": "string"}, "A JSON type, or `array<…>` of one."),
            "required": {"type": "boolean"},
            "description": {"type": "string"},
            "default": _said({}, "What counts where it is left out."),
            "enum": _said({"type": "array"}, "The only values."),
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "multipleOf": {"type": "number"},
            "minLength": {"type": "integer"},
            "maxLength": {"type": "integer"},
            "minItems": {"type": "integer"},
            "maxItems": {"type": "integer"},
            "media": {"type": "string", "enum": ["image", "video", "audio", "file"]},
            "appliesWhen": _said({"type": "string"}, "In words; elsewhere it is refused."),
            "fields": _said(
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
            _object(
                {
                    "parameters": {"type": "array", "items": {"$ref": "#/components/schemas/ModelParameter"}},
                    "requestSchema": _said({"type": "object"}, "JSON Schema 2020-12 of the inputs."),
                    "outputKind": {"type": "string", "enum": ["image", "video", "audio", "model3d"]},
                }
            ),
        ]
    },
    "ModelList": _object(
        {
            "models": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
            "total": {"type": "integer"},
            "imageCount": {"type": "integer"},
            "videoCount": {"type": "integer"},
        }
    ),
    "ModelSchema": _object({"apiId": {"type": "string"}, "schema": {"type": "object"}}),
    "Health": _object({"status": {"const": "ok"}}),
    "Readiness": _object(
        {
            "status": {"type": "string", "enum": ["ok", "unavailable"]},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    ),
}
