"""The document's operations of the single models: each at its own address, with the inputs it is checked against.

Over the whole catalog and the made-up model that uses every part of the format; `test_openapi.py` has the rest.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.api.promises import Schema
from tests.catalog.strategies import MODELS, Request, near_inputs, requests, valid_inputs
from tests.stores import BASE_URL, HOOK

from pixeldojo.api import models, runs
from pixeldojo.api.openapi.document import build_document
from pixeldojo.api.openapi.model_runs import operation_id, schema_name
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.schema import Model

Schemas: TypeAlias = Mapping[str, Draft202012Validator]

_IDS: Final = [model.id for model in MODELS]


@pytest.fixture(scope="module")
def document() -> Schema:
    app = FastAPI()
    for resource in (models, runs):
        app.include_router(resource.router, prefix="/api/v1")
    return build_document(app, Catalog(MODELS), BASE_URL)


@pytest.fixture(scope="module")
def schemas(document: Schema) -> Schemas:
    """The request schemas as the document has them, by model."""
    return {
        model_id: Draft202012Validator({"$ref": f"#/components/schemas/{schema_name(model_id)}", **document})
        for model_id in _IDS
    }


def _runs(document: Schema) -> Iterator[tuple[str, Schema]]:
    for model_id in _IDS:
        yield model_id, document["paths"][f"/api/v1/models/{model_id}/run"]["post"]


def test_the_whole_document_is_valid(document: Schema) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_model_has_an_operation_whose_names_follow_from_its_id(document: Schema) -> None:
    assert operation_id("flux-1.1-pro") == "run_flux_1_1_pro"
    assert schema_name("flux-1.1-pro") == "Flux1_1ProInput"
    assert schema_name("ltx-2-fast-t2v") == "Ltx2FastT2vInput"
    for model_id, operation in _runs(document):
        assert operation["operationId"] == operation_id(model_id)
        content = operation["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{schema_name(model_id)}"}


@pytest.mark.parametrize("name_of", [operation_id, schema_name])
def test_names_stay_apart_in_languages_that_know_no_underscores_or_cases(
    name_of: Callable[[str], str], document: Schema
) -> None:
    squeezed = [re.sub(r"[^a-z0-9]", "", name_of(model_id).lower()) for model_id in _IDS]
    answers = [name.lower() for name in document["components"]["schemas"] if not name.endswith("Input")]
    assert len({*squeezed, *answers}) == len(squeezed) + len(answers)


def test_a_run_at_a_models_own_address_answers_as_the_general_one_does(document: Schema) -> None:
    general = document["paths"]["/api/v1/models/{apiId}/run"]["post"]
    for _, operation in _runs(document):
        assert operation["responses"] == {k: v for k, v in general["responses"].items() if k != "404"}
        assert operation["security"] == general["security"]
        assert [{"$ref": "#/components/parameters/apiId"}, *operation["parameters"]] == general["parameters"]


def test_every_model_says_what_it_costs_and_shows_an_input_that_can_be_sent(document: Schema, schemas: Schemas) -> None:
    for model, (_, operation) in zip(MODELS, _runs(document), strict=True):
        assert cost_line(model) in operation["description"]
        (example,) = document["components"]["schemas"][schema_name(model.id)]["examples"]
        assert example == model.example
        assert schemas[model.id].is_valid(example)


@pytest.mark.parametrize("model", MODELS, ids=_IDS)
def test_defaults_may_be_sent(model: Model, document: Schema) -> None:
    """Generated clients send every `default` that the caller leaves as it is."""
    properties = document["components"]["schemas"][schema_name(model.id)]["properties"]
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    assert read_input(model, {**defaults, **model.example}) == read_input(model, model.example)


def test_a_run_takes_a_webhook_and_no_other_word_beside_the_inputs(schemas: Schemas) -> None:
    for model in MODELS:
        assert schemas[model.id].is_valid({**model.example, "webhook_url": HOOK})
        assert not schemas[model.id].is_valid({**model.example, "webhook_urls": HOOK})


@settings(max_examples=150, deadline=None)
@given(requests(near_inputs) | requests(valid_inputs))
def test_what_the_document_takes_is_what_the_models_schema_takes(schemas: Schemas, request: Request) -> None:
    model, given_input = request
    assert schemas[model.id].is_valid(given_input) == Draft202012Validator(model.request_schema).is_valid(given_input)
