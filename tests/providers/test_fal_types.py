"""What fal publishes of its endpoints: the adapter finds the outputs where each of them puts its files."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.emulators.endpoints import endpoints_of
from tests.emulators.fal import published_types
from tests.providers.pairs import whole_catalog
from tests.providers.scripted import Scripted

from pixeldojo.providers.contract import Finished, HttpAnswer, Operation
from pixeldojo.providers.fal import FalProvider

PUBLISHED = published_types()
KINDS = endpoints_of(whole_catalog(), "fal")


def _example(schema: Mapping[str, Any], place: str) -> object:
    """Return a value of a type in which every address tells where it stands."""
    if "$ref" in schema:
        return _example(PUBLISHED["definitions"][schema["$ref"].rpartition("/")[2]], place)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], place)
    if schema.get("type") == "object":
        return {name: _example(inner, f"{place}/{name}") for name, inner in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_example(schema["items"], place)] * 2
    return f"https://files.test{place}" if place.endswith("url") else None


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
async def test_the_outputs_are_found(kind: str) -> None:
    provider, missed = FalProvider("key"), {}
    for endpoint, (_given, made) in PUBLISHED["endpoints"].items():
        if KINDS.get(endpoint) != kind:
            continue
        result = _example(PUBLISHED["definitions"][made], "")
        answers = [HttpAnswer(200, {}, json.dumps(body).encode()) for body in ({"status": "COMPLETED"}, result)]
        finished = await provider.check(Operation("abc", {"app": "a/b", "kind": kind}), Scripted(*answers))
        assert isinstance(finished, Finished)
        found = [str(file.url).removeprefix("https://files.test/").partition("/")[0] for file in finished.outputs]
        if not found or any(name.startswith(("thumbnail", "frames", "mask", "texture")) for name in found):
            missed[endpoint] = result
    assert missed == {}


def test_most_endpoints_have_published_types() -> None:
    known = set(PUBLISHED["endpoints"]) & set(KINDS)
    assert len(known) > 0.85 * len(KINDS)
