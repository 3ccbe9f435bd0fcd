"""One operation for each model, on its own address: `POST /api/v1/models/flux-1.1-pro/run`.

Owns their names, words, request schemas and examples, all of them from the catalog. What such an operation answers is
what the one with `{apiId}` answers: it is the same route, and the decision record says why both are described.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pixeldojo.api.openapi.answers import Sharing
from pixeldojo.api.schemas import SCHEMAS
from pixeldojo.api.shapes import Schema
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.request_schema import MEDIA_PATTERN
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.wording import rule_sentences
from pixeldojo.core.json_types import JsonValue

_TEMPLATE: Final = "/api/v1/models/{apiId}/run"
_MODEL_ID: Final = {"$ref": "#/components/parameters/apiId"}
# A model that is in the document is in the catalog.
_NEVER: Final = frozenset({"404"})
_SECTIONS: Final[Mapping[str, str]] = {
    "image": "Each model of the image section by its own address, with its inputs.",
    "video": "Each model of the video section by its own address, with its inputs.",
}
_OUTPUTS: Final[Mapping[str, str]] = {
    "image": "images, in `output.images`",
    "video": "a video, in `output.video`",
    "audio": "a sound file, in `output.audio`",
    "model3d": "a 3D model (glTF), in `output.model`",
}
_WEBHOOK_URL: Final = SCHEMAS["RunRequest"]["properties"]["webhook_url"]
_SHAPE: Final = ("type", "properties", "required", "additionalProperties")


def model_tags() -> dict[str, str]:
    """Return the tags of these operations, and what stands beneath each."""
    return {_tag(section): words for section, words in _SECTIONS.items()}


def add_model_runs(paths: dict[str, Schema], schemas: dict[str, Schema], catalog: Catalog, sharing: Sharing) -> None:
    """Add an address to `paths` and a request schema to `schemas` for each model of the catalog."""
    general = paths[_TEMPLATE]["post"]
    general["responses"] = {
        status: described if "$ref" in described else sharing.response(f"Run{status}", described)
        for status, described in general["responses"].items()
    }
    for model in catalog.models:
        name = schema_name(model.id)
        assert name not in schemas, f"two models, or a model and an answer, want to be called {name}"
        schemas[name] = _input_schema(model)
        paths[_TEMPLATE.replace("{apiId}", model.id)] = {"post": _operation(model, general)}


def operation_id(api_id: str) -> str:
    """Return `run_flux_1_1_pro` for `flux-1.1-pro`: a name in every language, which can be guessed from the model's."""
    return "run_" + re.sub(r"[^a-z0-9]", "_", api_id)


def schema_name(api_id: str) -> str:
    """Return `Flux1_1ProInput` for `flux-1.1-pro`: named like the other schemas, figures kept apart."""
    parts = re.split(r"[^a-z0-9]+", api_id)
    joined = "".join(part.capitalize() if not part[:1].isdigit() else f"_{part}" for part in parts)
    # Only between two figures does it matter where one ends.
    return re.sub(r"(?<![0-9])_", "", joined) + "Input"


def _operation(model: Model, general: Schema) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema_name(model.id)}"}}}
    price = f"Gives {_OUTPUTS[model.output.kind]}. Costs {cost_line(model)}."
    rules = "\n".join(f"- {sentence}" for sentence in rule_sentences(model))
    return {
        "tags": [_tag(model.section)],
        "summary": model.name,
        "description": "\n\n".join(filter(None, (model.description, price, rules))),
        "operationId": operation_id(model.id),
        "parameters": [parameter for parameter in general["parameters"] if parameter != _MODEL_ID],
        "requestBody": {"required": True, "content": content},
        "responses": {status: answer for status, answer in general["responses"].items() if status not in _NEVER},
        "security": general["security"],
    }


def _tag(section: str) -> str:
    return f"{section} models"


def _input_schema(model: Model) -> Schema:
    """Return what the body may be: the model's inputs and `webhook_url`.

    It accepts what the model's published schema accepts; its form is the one that generators of clients read best.
    Rules between inputs stand in `allOf`: beside the properties, `oneOf` and `if` are taken for alternatives to them.
    A default that holds only on some inputs is told in words: generated clients send what `default` says.
    """
    published = model.request_schema
    properties = published["properties"]
    assert isinstance(properties, Mapping)
    schema: Schema = {
        "description": model.description,
        **{word: published[word] for word in _SHAPE if word in published},
        "properties": {**{name: _property(one) for name, one in properties.items()}, "webhook_url": _WEBHOOK_URL},
        "examples": [dict(model.example)],
    }
    for parameter in model.parameters:
        if parameter.applies_when is not None and parameter.default is not None:
            described = schema["properties"][parameter.name]
            default = json.dumps(described.pop("default"), ensure_ascii=False)
            described["description"] += f" Then {default} is the default."
    rules = {word: rule for word, rule in published.items() if word not in {*_SHAPE, "$schema", "title"}}
    if rules:
        schema["allOf"] = rules["allOf"] if rules.keys() == {"allOf"} else [rules]
    return schema


def _property(schema: JsonValue) -> Any:
    """Return a copy of an input's schema, addresses marked as such: a format tells generators more than a pattern."""
    if isinstance(schema, list | tuple):
        return [_property(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {name: _property(one) for name, one in schema.items()}
    return {**inner, "format": "uri"} if inner.get("pattern") == MEDIA_PATTERN else inner
