"""GET /models, /models/{apiId}, /models/{apiId}/schema: public discovery, straight from the catalog.

Owns the addresses and what is kept of the answers. Leaves what they say to the catalog, which changes only with the
server: whoever has an answer is told so by its `ETag`.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.published import IfNoneMatch, Published, Tagged
from pixeldojo.api.responses import error_answers, kept_answer
from pixeldojo.catalog import texts
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonObject

router = APIRouter(tags=["models"], dependencies=[Depends(count_public)])

ModelId = Annotated[str, Path(alias="apiId", description="A model's `apiId`.", examples=["flux-1.1-pro"])]
_JSON: Final = "application/json"


class Discovery:
    """The answers of one app: the whole lists and each model, made once, for the first who asks."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: dict[tuple[str, str], Published] = {}

    def whole_list(self, *, detailed: bool) -> Published:
        """Return the list of every model."""
        make = partial(texts.list_models, self._catalog, detailed=detailed)
        return self._published(("list", str(detailed)), make)

    def model(self, model: Model) -> Published:
        """Return a model with its parameters, request schema and price."""
        return self._published(("model", model.id), partial(texts.model_detail, model))

    def schema(self, model: Model) -> Published:
        """Return a model's request schema."""
        body: JsonObject = {"apiId": model.id, "schema": model.request_schema}
        return self._published(("schema", model.id), lambda: body)

    def _published(self, what: tuple[str, str], make: Callable[[], JsonObject]) -> Published:
        kept = self._kept.get(what)
        if kept is None:
            kept = self._kept[what] = Published(_JSON, lambda: _encoded(make()))
        return kept


@router.get(
    "/models",
    summary="List models",
    operation_id="listModels",
    responses={**kept_answer("ModelList", "The models that match."), **error_answers(400, 429)},
)
async def list_models(
    request: Request,
    modality: Annotated[Literal["image", "video"] | None, Query(description="Only this section.")] = None,
    capability: Annotated[str | None, Query(description="Only models that can do this.")] = None,
    use_case: Annotated[str | None, Query(description="Only models for this use case.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only models whose texts hold these words.")] = None,
    detailed: Annotated[bool, Query(description="With parameters and request schema of each.")] = False,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """List the models with their prices."""
    if modality is None and capability is None and use_case is None and q is None:
        return await _discovery_of(request).whole_list(detailed=detailed).answer(request)
    found = texts.list_models(
        services_of(request).catalog,
        modality=modality,
        capability=capability,
        use_case=use_case,
        q=q,
        detailed=detailed,
    )
    return Tagged.of(_encoded(found)).answer(request, _JSON)


@router.get(
    "/models/{apiId}",
    summary="Look at a model",
    operation_id="getModel",
    responses={**kept_answer("ModelDetail", "The model with its parameters."), **error_answers(404, 429)},
)
async def get_model(request: Request, api_id: ModelId, _if_none_match: IfNoneMatch = None) -> Response:
    """Return a model with its parameters, request schema and price."""
    return await _discovery_of(request).model(services_of(request).catalog.find(api_id)).answer(request)


@router.get(
    "/models/{apiId}/schema",
    summary="A model's request schema",
    operation_id="getModelSchema",
    responses={**kept_answer("ModelSchema", "The JSON Schema of the inputs."), **error_answers(404, 429)},
)
async def get_schema(request: Request, api_id: ModelId, _if_none_match: IfNoneMatch = None) -> Response:
    """Return the JSON Schema (2020-12) that inputs of this model are checked against."""
    return await _discovery_of(request).schema(services_of(request).catalog.find(api_id)).answer(request)


def _discovery_of(request: Request) -> Discovery:
    discovery = request.app.state.discovery
    assert isinstance(discovery, Discovery)
    return discovery


def _encoded(body: JsonObject) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
