"""The OpenAPI 3.1 document: everything there is to say of the HTTP API, read from the routes as they are.

Owns putting it together: what every operation shares, which key it needs, the operations of the single models, the
webhook. The routes say what they do; `schemas.py` has the shapes of answers, `answers.py` what surrounds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from pixeldojo import __version__
from pixeldojo.accounts.keys import Scope
from pixeldojo.api.auth import NeedsKey, count_public
from pixeldojo.api.openapi.answers import HEADERS, Sharing, complete_answers
from pixeldojo.api.openapi.examples import EXAMPLES
from pixeldojo.api.openapi.model_runs import add_model_runs, model_tags
from pixeldojo.api.openapi.webhook import WEBHOOKS
from pixeldojo.api.schemas import SCHEMAS
from pixeldojo.api.shapes import Schema
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.texts import capabilities

_SUMMARY: Final = "One async API over many hosted AI image, video, audio and 3D models."
_DESCRIPTION: Final = """Submit a job, poll it or wait for its webhook, fetch the files it gave.

**Keys.** Send `Authorization: Bearer pd_test_…` to work in the sandbox, which draws real files and costs test credits,
or `pd_live_…` to reach the real models. Discovery, documents and asset files need no key.

**Models.** Every model has an address of its own, with its inputs, limits and defaults: `POST
/api/v1/models/flux-1.1-pro/run` is the operation `run_flux_1_1_pro`. The general `POST /api/v1/models/{apiId}/run` is
the same address for programs that choose the model while they run; it checks the same inputs.

**Jobs.** A run answers 202 at once; its job goes from `pending` over `processing` to `completed` or `failed`. A failed
job costs nothing. A completed one keeps its files until `expiresAt`; afterwards it answers 410.

**Errors.** All have the one shape `Error`, with a message that says what would be right and, for inputs, every
violation in `details`. Every answer carries `X-Request-Id`. An address that exists answers a method it does not take
with 405 `method_not_allowed` and `Allow`, and HEAD wherever it answers GET. Addresses that do not exist answer 404
`not_found`. Requests that do not come whole in time are answered with 408, headers that are too long with 431."""
_TAGS: Final[Mapping[str, str]] = {
    "models": "What there is: models with their inputs and prices, and running one that is chosen at run time.",
    "jobs": "What was submitted: how it goes, what came of it, and stopping it.",
    "assets": "The files that jobs gave, for whoever knows their addresses, until they expire.",
    "files": "Uploads that can be given as inputs, for whoever knows their addresses, until they expire.",
    "credits": "Balances, in test and live mode apart.",
    "keys": "API keys: what each may do, and how much; made and changed by keys that have no less.",
    "webhooks": "The secret that signs what we send to a `webhook_url`.",
    "callbacks": "Where upstreams announce the end of their work; nothing that callers of this API send.",
    "documents": "Descriptions of this API for programs.",
    "health": "Whether the server lives and may get traffic.",
}


@dataclass(frozen=True, slots=True)
class _Door:
    """How a route lets callers in: with which scope, if any, and whether the request counts against a rate."""

    scope: Scope | None
    is_counted: bool


def build_document(app: FastAPI, catalog: Catalog, base_url: str) -> Schema:
    """Return the document, as JSON to be encoded.

    Args:
        app: Whose routes are described, every one that is not left out of the schema.
        catalog: Whose models get an operation, a request schema and an example each.
        base_url: Where the API is reached, without a slash at the end.
    """
    document: Schema = get_openapi(
        title="PixelDojo API",
        version=__version__,
        openapi_version="3.1.0",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        routes=app.routes,
        servers=[{"url": base_url}],
    )
    sharing = Sharing()
    doors = _doors(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, doors[method, path], sharing)
    _name_filter_words(document, catalog)
    schemas = {name: _with_examples(name, schema) for name, schema in SCHEMAS.items()}
    add_model_runs(document["paths"], schemas, catalog, sharing)
    document["tags"] = _tags(document["paths"])
    document["webhooks"] = WEBHOOKS
    document["components"] = {
        "schemas": schemas,
        "parameters": sharing.parameters,
        "headers": HEADERS,
        "responses": sharing.responses,
        "links": sharing.links,
        "securitySchemes": {
            "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `pd_test_…` or `pd_live_…`."}
        },
    }
    return document


def described_routes(app: FastAPI) -> list[RouteContext]:
    """Return the routes that belong into the document, with the addresses at which the app has them."""
    return [
        context
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and context.include_in_schema
    ]


def _doors(app: FastAPI) -> dict[tuple[str, str], _Door]:
    """Return the doors by method and path."""
    return {
        (method.lower(), str(context.path_format)): _door(context.dependant)
        for context in described_routes(app)
        for method in context.methods or ()
    }


def _door(dependant: Dependant) -> _Door:
    calls = list(_calls(dependant))
    scopes = [call.scope for call in calls if isinstance(call, NeedsKey)]
    return _Door(scopes[0] if scopes else None, is_counted=bool(scopes) or count_public in calls)


def _calls(dependant: Dependant) -> list[object]:
    return [call for inner in dependant.dependencies for call in (inner.call, *_calls(inner))]


def _complete(operation: Schema, door: _Door, sharing: Sharing) -> None:
    """Add to an operation what FastAPI does not know: the key, the answers to any request, shared parts by name."""
    operation["security"] = [] if door.scope is None else [{"apiKey": [str(door.scope)]}]
    if door.scope is not None:
        operation["description"] += f"\n\nNeeds a key with the scope `{door.scope}`."
    parameters = [{**one, "schema": _plain(one["schema"])} for one in operation.get("parameters", [])]
    if parameters:
        operation["parameters"] = [sharing.parameter(one) for one in parameters]
    operation["responses"] = complete_answers(operation["responses"], sharing, is_counted=door.is_counted)


def _plain(schema: Schema) -> Schema:
    """Return a parameter's schema alone: its description stands beside it, and what is not given is not null."""
    kept = {name: value for name, value in schema.items() if name not in {"title", "description", "anyOf"}}
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    assert len(kinds) <= 1, "a parameter of several types would need to be told apart in a query string"
    return kept | (kinds[0] if kinds else {})


def _name_filter_words(document: Schema, catalog: Catalog) -> None:
    words = {
        ("/api/v1/models", "capability"): sorted({word for model in catalog.models for word in capabilities(model)}),
        ("/api/v1/models", "use_case"): sorted({word for model in catalog.models for word in model.use_cases}),
        ("/api/v1/jobs", "model"): sorted(model.id for model in catalog.models),
    }
    for path, operations in document["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if (path, parameter.get("name")) in words:
                parameter["schema"]["enum"] = words[path, parameter["name"]]


def _with_examples(name: str, schema: Schema) -> Schema:
    return {**schema, "examples": EXAMPLES[name]} if name in EXAMPLES else schema


def _tags(paths: Mapping[str, Mapping[str, Any]]) -> list[Schema]:
    used = {tag for operations in paths.values() for operation in operations.values() for tag in operation["tags"]}
    described = {**_TAGS, **model_tags()}
    # A tag that nobody has described yet is shown all the same.
    return [{"name": tag, "description": words} for tag, words in described.items() if tag in used] + [
        {"name": tag} for tag in sorted(used - described.keys())
    ]
