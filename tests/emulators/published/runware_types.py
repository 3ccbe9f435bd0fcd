"""Runware's published types of its models, as JSON Schema: what `runware.json` beside this file was made with.

Runware publishes them in its Python client, runware-sdk (types/task_map.py), which is installed for the tests. To make
the file again, after the catalog names another model of Runware's or the client is a newer one:

    python -m tests.emulators.published.runware_types > tests/emulators/published/runware.json

Owns reading those types as they are written today. Of what stands inside `inputs`, `settings` and `providerSettings`
they say nothing.
"""

import json
import re
import sys
import types
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from runware.types import task_map
from tests.emulators.endpoints import endpoints_of

from pixeldojo.catalog.load import load_catalog

Schema = dict[str, Any]

_MODEL = re.compile(r"Inference params for curated model `([^`]+)`")
# What stands around a model's input; the emulator looks after it by itself.
_ENVELOPE: Final = frozenset({"taskUUID", "model"})
_PLAIN: Final[dict[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    object: {},
}


def read_types(models: Iterable[str]) -> Schema:
    """Return the members of a task for each of the models, by AIR id; KeyError if the client does not know one."""
    known = {match[1]: found for found in vars(task_map).values() if (match := _MODEL.match(found.__doc__ or ""))}
    source = f"PyPI runware-sdk {metadata.version('runware-sdk')}, types/task_map.py, {{}}"
    return {model: {"source": source.format(known[model].__name__), **_task(known[model])} for model in models}


def _task(described: type) -> Schema:
    hints = get_type_hints(described, include_extras=True)
    members: Schema = {}
    required = []
    for name, hint in hints.items():
        is_optional = get_origin(hint) is NotRequired
        members[name] = _schema(get_args(hint)[0] if is_optional else hint)
        required += [] if is_optional or name in _ENVELOPE else [name]
    return {"properties": members, "required": sorted(required)}


def _schema(hint: Any) -> Schema:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is list:
        return {"type": "array", "items": _schema(inner[0])}
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema(option) for option in inner]}
    return {"type": "object"} if origin is dict else _PLAIN[hint]


if __name__ == "__main__":
    json.dump(read_types(endpoints_of(load_catalog(), "runware")), sys.stdout, separators=(",", ":"), sort_keys=True)
    sys.stdout.write("\n")
