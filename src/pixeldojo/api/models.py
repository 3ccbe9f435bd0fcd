"""GET /models, /models/{apiId}, /models/{apiId}/schema: public discovery, straight from the catalog."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.responses import answer, error_answers
from pixeldojo.catalog import texts

router = APIRouter(tags=["models"], dependencies=[Depends(count_public)])

ModelId = Annotated[str, Path(alias="apiId", description="A model's `apiId`.", examples=["flux-1.1-pro"])]


@router.get(
    "/models",
    summary="List models",
    operation_id="listModels",
    responses={**answer(200, "ModelList", "The models that match."), **error_answers(400, 429)},
)
async def list_models(
    request: Request,
    modality: Annotated[Literal["image", "video"] | None, Query(description="Only this section.")] = None,
    capability: Annotated[str | None, Query(description="Only models that can do this.")] = None,
    use_case: Annotated[str | None, Query(description="Only models for this use case.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only models whose texts hold these words.")] = None,
    detailed: Annotated[bool, Query(description="With parameters and request schema of each.")] = False,
) -> JSONResponse:
    """List the models with their prices."""
    body: Any = texts.list_models(
        services_of(request).catalog,
        modality=modality,
        capability=capability,
        use_case=use_case,
        q=q,
        detailed=detailed,
    )
    return JSONResponse(body)


@router.get(
    "/models/{apiId}",
    summary="Look at a model",
    operation_id="getModel",
    responses={**answer(200, "ModelDetail", "The model with its parameters."), **error_answers(404, 429)},
)
async def get_model(request: Request, api_id: ModelId) -> JSONResponse:
    """Return a model with its parameters, request schema and price."""
    body: Any = texts.model_detail(services_of(request).catalog.find(api_id))
    return JSONResponse(body)


@router.get(
    "/models/{apiId}/schema",
    summary="A model's request schema",
    operation_id="getModelSchema",
    responses={**answer(200, "ModelSchema", "The JSON Schema of the inputs."), **error_answers(404, 429)},
)
async def get_schema(request: Request, api_id: ModelId) -> JSONResponse:
    """Return the JSON Schema (2020-12) that inputs of this model are checked against."""
    model = services_of(request).catalog.find(api_id)
    body: Any = {"apiId": model.id, "schema": model.request_schema}
    return JSONResponse(body)
