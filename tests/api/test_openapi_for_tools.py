"""The document as linters and generators read it: in the part of JSON Schema that each of them knows."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import pytest
from tests.api.dojo import Dojo
from tests.api.promises import Schema
from tests.catalog.strategies import MODELS
from tests.stores import BASE_URL

from pixeldojo.api.openapi.document import build_document
from pixeldojo.catalog.load import Catalog

Place: TypeAlias = tuple[str, Schema | bool]

_ONE: Final = ("items", "not", "if", "then", "else", "contains", "propertyNames", "additionalProperties")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "$defs")


@pytest.fixture
def schemas(dojo: Dojo) -> dict[str, Schema | bool]:
    """Every schema of the document of all routes and models, however deep, by its place."""
    document = build_document(dojo.app, Catalog(MODELS), BASE_URL)
    return dict(_roots(document, ""))


def _roots(node: object, place: str) -> Iterator[Place]:
    if isinstance(node, Mapping):
        for name, inner in node.items():
            if name == "schema":
                yield from _below(inner, f"{place}/{name}")
            elif place == "/components" and name == "schemas":
                for title, schema in inner.items():
                    yield from _below(schema, f"{place}/{name}/{title}")
            elif name not in {"example", "examples"}:
                yield from _roots(inner, f"{place}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _roots(inner, f"{place}/{number}")


def _below(schema: Schema | bool, place: str) -> Iterator[Place]:
    yield place, schema
    if isinstance(schema, bool):
        return
    for word in _ONE:
        if word in schema:
            yield from _below(schema[word], f"{place}/{word}")
    for word in _LISTS:
        for number, inner in enumerate(schema.get(word, ())):
            yield from _below(inner, f"{place}/{word}/{number}")
    for word in _MAPS:
        for name, inner in schema.get(word, {}).items():
            yield from _below(inner, f"{place}/{word}/{name}")


async def test_no_schema_is_a_mere_true_or_false(schemas: dict[str, Schema | bool]) -> None:
    """Legal since OpenAPI 3.1, and unknown to many tools, but for `additionalProperties`, as in 3.0."""
    assert len(schemas) > 3000
    mere = [place for place, schema in schemas.items() if isinstance(schema, bool)]
    assert [place for place in mere if not place.endswith("/additionalProperties")] == []


async def test_every_array_says_what_its_items_are(schemas: dict[str, Schema | bool]) -> None:
    arrays = {place: schema for place, schema in schemas.items() if not isinstance(schema, bool) and _is_array(schema)}
    assert len(arrays) > 100
    assert [place for place, schema in arrays.items() if "items" not in schema] == []


def _is_array(schema: Schema) -> bool:
    kinds = schema.get("type", ())
    return "array" in ([kinds] if isinstance(kinds, str) else kinds)
