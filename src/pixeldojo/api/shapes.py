"""The words in which the shapes of bodies are written; the shapes themselves stand in `schemas.py`."""

from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]
"""JSON Schema 2020-12, as OpenAPI 3.1 takes it."""

TIME: Final[Schema] = {"type": "string", "format": "date-time"}
CREDITS: Final[Schema] = {"type": "number", "minimum": 0, "multipleOf": 0.001}
MODE: Final[Schema] = {"type": "string", "enum": ["test", "live"]}


def said(schema: Schema, description: str) -> Schema:
    """Return a schema with words on what it stands for."""
    return {**schema, "description": description}


def optional(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def object_of(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has all these members, but for those that may be left out."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def list_of(name: str) -> Schema:
    """Return the schema of a list of what another schema of the document describes."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
