"""fal's published types of its endpoints, as JSON Schema: what `fal.json` beside this file was made with.

fal publishes them as TypeScript in @fal-ai/client (MIT licence). To make the file again:

    npm pack @fal-ai/client && tar xzf fal-ai-client-*.tgz
    python -m tests.emulators.published.fal_types package/src/types/endpoints.d.ts > tests/emulators/published/fal.json

Owns reading that one file as it is written today: type aliases of object literals, unions, arrays and names.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.emulators.endpoints import endpoints_of

from pixeldojo.catalog.load import load_catalog

SOURCE: Final = "npm @fal-ai/client 1.10.1, src/types/endpoints.d.ts"
Schema = dict[str, Any]

# What fal's own pages (`llms.txt` of the model) have beyond the types, by endpoint and member.
NEWER: Final[Mapping[str, Mapping[str, Schema]]] = {
    # By docs.comfy.org's page on it.
    "clarityai/crystal-upscaler": {"output_format": {"enum": ["jpeg", "png", "webp"]}},
    "fal-ai/sync-lipsync/v2": {"model": {"enum": ["lipsync-2", "lipsync-2-pro"]}},
    "wan/v2.6/reference-to-video/flash": {"generate_audio": {"type": "boolean"}},
}

_COMMENT = re.compile(r"/\*.*?\*/|^import .*$", re.DOTALL | re.MULTILINE)
_ALIAS = re.compile(r"^export type (\w+) = (.*?);\n(?=export|\Z)", re.DOTALL | re.MULTILINE)
_ENDPOINT = re.compile(r'"([\w./-]+)": \{\s*input: (\w+);\s*output: (\w+);')
_MEMBER = re.compile(r'^\s*"?([\w-]+)"?(\??): (.*)$', re.DOTALL)
_PLAIN: Final[Mapping[str, Schema]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "unknown": {},
    "any": {},
    "null": {"type": "null"},
    "Date": {"type": "string"},
}
_UPLOADABLE: Final = frozenset({"Blob", "File"})


def read_types(text: str, endpoints: Mapping[str, str]) -> Schema:
    """Return the schemas of input and output for each of the endpoints that the text knows."""
    text = _COMMENT.sub("", text)
    aliases = dict(_ALIAS.findall(text))
    named = {name: (given, made) for name, given, made in _ENDPOINT.findall(text) if name in endpoints}
    wanted = {part for pair in named.values() for part in pair}
    definitions: Schema = {}
    while missing := sorted(wanted - definitions.keys()):
        for name in missing:
            definitions[name] = _schema(aliases[name]) if name in aliases else {}
            wanted |= set(_references(definitions[name]))
    for endpoint, members in NEWER.items():
        given = definitions[named[endpoint][0]]
        while "$ref" in given:
            given = definitions[given["$ref"].rpartition("/")[2]]
        given["properties"] |= members
    return {"source": SOURCE, "endpoints": named, "definitions": definitions}


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _schema(text: str) -> Schema:
    options = [part.strip() for part in _split(text.strip(), "|") if part.strip()]
    # The browser's own, offered beside an address; fal has a `File` of its own too.
    if "Blob" in options:
        options = [option for option in options if option not in _UPLOADABLE]
    literals = [json.loads(option) for option in options if option.startswith('"') or option in {"true", "false"}]
    others = [_one(option) for option in options if not option.startswith('"') and option not in {"true", "false"}]
    # The types write whole numbers of a list as text; the pages show that they travel as numbers.
    numbers = [int(literal) for literal in literals if isinstance(literal, str) and literal.isdecimal()]
    found: list[Schema] = [*([{"enum": [*literals, *numbers]}] if literals else []), *others]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _one(text: str) -> Schema:
    if text in _PLAIN:
        return _PLAIN[text]
    if text.startswith("Array<"):
        return {"type": "array", "items": _schema(text[6:-1])}
    if text.endswith("[]"):
        return {"type": "array", "items": _schema(text[:-2].strip("()"))}
    if text.startswith("{"):
        return _object(text[1:-1])
    if re.fullmatch(r"-?[0-9.]+", text):
        return {"const": json.loads(text)}
    return {"$ref": f"#/definitions/{text}"} if re.fullmatch(r"\w+", text) else {}


def _object(text: str) -> Schema:
    members: Schema = {}
    required = []
    for part in _split(text, ";"):
        match = _MEMBER.match(part)
        if match is not None:
            members[match[1]] = _schema(match[3])
            required += [] if match[2] else [match[1]]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": not members}


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators that stand in no brackets and no quotes."""
    depth, quoted, start = 0, False, 0
    for place, character in enumerate(text):
        quoted ^= character == '"'
        depth += (character in "{<[(") - (character in "}>])") if not quoted else 0
        if character == separator and depth == 0 and not quoted:
            yield text[start:place]
            start = place + 1
    yield text[start:]


if __name__ == "__main__":
    found = read_types(Path(sys.argv[1]).read_text(encoding="utf-8"), endpoints_of(load_catalog(), "fal"))
    json.dump(found, sys.stdout, separators=(",", ":"), sort_keys=True)
    sys.stdout.write("\n")
