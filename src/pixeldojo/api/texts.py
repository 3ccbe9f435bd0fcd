"""GET /llm.txt, /llms.txt, /llm/{apiId}.txt and /.well-known/api-catalog: what programs read to find their way.

Owns the addresses, and gathering what the texts say of this server; leaves the words to `catalog`. Each text is made
when it is first asked for, and kept; what makes them is imported then, since most servers start to do something else.
"""

import json
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.models import ModelId
from pixeldojo.api.published import IfNoneMatch, Published
from pixeldojo.api.responses import PUBLISHED_HEADERS, Responses, error_answers, not_modified
from pixeldojo.api.runs import LONGEST_WAIT_SECONDS
from pixeldojo.api.services import Services
from pixeldojo.catalog.schema import Model

if TYPE_CHECKING:
    from pixeldojo.catalog.server_facts import Endpoint, ServerFacts

_API: Final = "/api/v1"
_PAGES: Final = (
    ("API Platform", "/api-platform"),
    ("API Keys", "/api-platform/api-keys"),
    ("Documentation", "/api-platform/documentation"),
)
_FOR_UPSTREAMS: Final = "callbacks"
# Markdown, under names that end in .txt: browsers show it, and a program that asked for text gets text.
_TEXT: Final = "text/plain; charset=utf-8"
_LINKSET: Final = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'


class Texts:
    """The texts of one app, each made once, for the first who asks."""

    def __init__(self, app: FastAPI, services: Services) -> None:
        self._app = app
        self._services = services
        self._base = services.settings.base_url
        self.whole = self._text(self._make_whole)
        self.index = self._text(self._make_index)
        self.links = Published(_LINKSET, lambda: json.dumps(_linkset(self._base)).encode())
        self._models: dict[str, Published] = {}

    @cached_property
    def facts(self) -> "ServerFacts":
        """What the texts say of the server, read from its settings and routes."""
        from pixeldojo.catalog.server_facts import ServerFacts  # noqa: PLC0415  see above

        settings = self._services.settings
        return ServerFacts(
            base_url=self._base,
            endpoints=tuple(_endpoints(self._app)),
            pages=tuple(_pages(self._app, self._base)),
            rate_per_minute=settings.rate_per_minute,
            public_rate_per_minute=settings.public_rate_per_minute,
            retention_hours=settings.retention_hours,
            longest_wait_seconds=LONGEST_WAIT_SECONDS,
            max_body_bytes=settings.max_body_bytes,
            max_media_bytes=settings.max_media_bytes,
            has_upstream=self._services.has_upstream,
        )

    def model(self, model: Model) -> Published:
        """Return the text of one model of the catalog."""
        kept = self._models.get(model.id)
        if kept is None:
            kept = self._models[model.id] = self._text(partial(self._make_model, model))
        return kept

    def _make_whole(self) -> str:
        from pixeldojo.catalog.llm_texts import llm_text  # noqa: PLC0415  see above

        return llm_text(self._services.catalog, self.facts)

    def _make_index(self) -> str:
        from pixeldojo.catalog.llms_index import llms_text  # noqa: PLC0415  see above

        return llms_text(self._services.catalog, self.facts)

    def _make_model(self, model: Model) -> str:
        from pixeldojo.catalog.model_text import model_text  # noqa: PLC0415  see above

        return model_text(model, self.facts)

    def _text(self, make: Callable[[], str]) -> Published:
        return Published(_TEXT, lambda: make().encode())

    def link(self, *relations: tuple[str, str]) -> str:
        """Return a Link header (RFC 8288) of relations to addresses of this server."""
        return ", ".join(f'<{self._base}{path}>; rel="{relation}"' for relation, path in relations)


def _published(what: str, media_type: str) -> Responses:
    link = {"description": "Where the rest is described.", "required": True, "schema": {"type": "string"}}
    return {
        200: {
            "description": what,
            "headers": {**PUBLISHED_HEADERS, "Link": link},
            "content": {media_type: {"schema": {"type": "string" if media_type == "text/plain" else "object"}}},
        },
        **not_modified(),
        **error_answers(429),
    }


router = APIRouter(tags=["documents"], dependencies=[Depends(count_public)])


@router.get(
    "/llm.txt",
    summary="The API for language models",
    operation_id="getLlmText",
    responses=_published("Markdown.", "text/plain"),
)
async def get_llm_text(request: Request, _if_none_match: IfNoneMatch = None) -> Response:
    """Return all of the API in one text: endpoints, every model with its price, errors, limits, examples."""
    texts = _texts_of(request)
    return await _linked(request, texts.whole, texts, ("service-desc", "/api/openapi"), ("describedby", "/llms.txt"))


@router.get(
    "/llms.txt",
    summary="The list of texts for language models",
    operation_id="getLlmsText",
    responses=_published("Markdown, in the format of llmstxt.org.", "text/plain"),
)
async def get_llms_text(request: Request, _if_none_match: IfNoneMatch = None) -> Response:
    """Return links to the texts, one for each model, with a line on each."""
    texts = _texts_of(request)
    return await _linked(request, texts.index, texts, ("service-desc", "/api/openapi"))


@router.get(
    "/llm/{apiId}.txt",
    summary="A model for language models",
    operation_id="getModelText",
    responses={**_published("Markdown.", "text/plain"), **error_answers(404)},
)
async def get_model_text(request: Request, api_id: ModelId, _if_none_match: IfNoneMatch = None) -> Response:
    """Return one model in words: parameters with limits and defaults, rules, price, a request to send."""
    texts = _texts_of(request)
    model = services_of(request).catalog.find(api_id)
    schema = f"{_API}/models/{model.id}/schema"
    return await _linked(request, texts.model(model), texts, ("describedby", "/llms.txt"), ("describedby", schema))


@router.get(
    "/.well-known/api-catalog",
    summary="Where the API is described",
    operation_id="getApiCatalog",
    responses=_published("Links (RFC 9264), in the profile of RFC 9727.", "application/linkset+json"),
)
async def get_api_catalog(request: Request, _if_none_match: IfNoneMatch = None) -> Response:
    """Return links to the OpenAPI document, the texts and the health of this API, by RFC 9727."""
    texts = _texts_of(request)
    return await _linked(request, texts.links, texts, ("api-catalog", "/.well-known/api-catalog"))


async def _linked(request: Request, text: Published, texts: Texts, *relations: tuple[str, str]) -> Response:
    response = await text.answer(request)
    response.headers["Link"] = texts.link(*relations)
    return response


def _texts_of(request: Request) -> Texts:
    texts = request.app.state.texts
    assert isinstance(texts, Texts)
    return texts


def _endpoints(app: FastAPI) -> "list[Endpoint]":
    from pixeldojo.api.openapi.document import described_routes  # noqa: PLC0415  see above
    from pixeldojo.catalog.server_facts import Endpoint  # noqa: PLC0415  see above

    return [
        Endpoint(method, str(context.path_format), str(context.summary))
        for context in described_routes(app)
        for method in sorted(context.methods or ())
        if str(context.path_format).startswith(f"{_API}/") and _FOR_UPSTREAMS not in context.tags
    ]


def _pages(app: FastAPI, base: str) -> list[tuple[str, str]]:
    there = {context.path_format for context in iter_route_contexts(app.routes)}
    return [(name, f"{base}{path}") for name, path in _PAGES if path in there]


def _linkset(base: str) -> dict[str, object]:
    described = {
        "anchor": f"{base}{_API}",
        "service-desc": [{"href": f"{base}/api/openapi", "type": "application/json", "title": "OpenAPI 3.1"}],
        "service-doc": [
            {"href": f"{base}/llm.txt", "type": "text/plain", "title": "The whole API in one text"},
            {"href": f"{base}/llms.txt", "type": "text/plain", "title": "A text for each model"},
        ],
        "service-meta": [{"href": f"{base}{_API}/models", "type": "application/json", "title": "Models and prices"}],
        "status": [{"href": f"{base}/healthz", "type": "application/json"}],
    }
    return {"linkset": [described]}
