"""GET /api/openapi: valid, complete, and the same as what the app does. `promises.py` holds every answer against it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.api.dojo import PROMPT, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.core.errors import PixelDojoError


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, described in document["paths"].items():
        for method, operation in described.items():
            yield method, path, operation


def codes(kind: type[PixelDojoError] = PixelDojoError) -> set[tuple[int, str]]:
    return {(kind.status, kind.code)}.union(*(codes(child) for child in kind.__subclasses__()))


@pytest.fixture
def document(dojo: Dojo) -> dict[str, Any]:
    content: dict[str, Any] = dojo.app.state.document.content
    return content


async def test_it_is_a_valid_openapi_3_1_document_and_public(dojo: Dojo) -> None:
    reply = await dojo.stranger.get("/api/openapi")
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.json["openapi"].startswith("3.1.")
    assert reply.json["servers"] == [{"url": "http://dojo.test"}]
    OpenAPIV31SpecValidator(reply.json).validate()


async def test_it_is_built_once_and_may_be_kept_by_caches(dojo: Dojo) -> None:
    first, second = [await dojo.stranger.get("/api/openapi") for _ in range(2)]
    assert first.body == second.body == dojo.app.state.document.encoded
    assert first.header("cache-control") == "public, max-age=300"
    assert dojo.build().state.document.encoded == first.body, "two servers of one version publish the same document"


async def test_it_has_every_route_of_the_app_and_no_other(dojo: Dojo, document: dict[str, Any]) -> None:
    routes = {
        (method.lower(), context.path)
        for context in iter_route_contexts(dojo.app.routes)
        if isinstance(context.original_route, APIRoute)
        for method in context.methods or ()
    }
    assert len(routes) > 10
    assert {(method, path) for method, path, _ in operations(document)} == routes


async def test_every_operation_is_described(document: dict[str, Any]) -> None:
    ids = []
    for method, path, operation in operations(document):
        place = f"{method} {path}"
        assert operation["summary"], place
        assert operation["description"], place
        assert operation["tags"], place
        ids.append(operation["operationId"])
        for parameter in operation.get("parameters", []):
            assert parameter["description"], f"{place} {parameter['name']}"
            assert "null" not in json.dumps(parameter["schema"]), f"{place} {parameter['name']}"
        assert all(response["description"] for response in operation["responses"].values()), place
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z]*", operation_id) for operation_id in ids)


async def test_every_error_of_the_table_is_in_it(document: dict[str, Any]) -> None:
    table = codes()
    error = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]
    assert set(error["code"]["enum"]) == {code for _, code in table}
    told = {
        (int(status), code)
        for _, _, operation in operations(document)
        for status, response in operation["responses"].items()
        if "Error" in json.dumps(response.get("content", {}))
        for code in re.findall(r"\b[a-z]+_?[a-z]+_?[a-z]*\b", response["description"])
    }
    # A method that an address does not take belongs to no operation; the document's description tells of it.
    assert {pair for pair in table if pair not in told} == {(405, "method_not_allowed")}
    assert "405 `method_not_allowed`" in document["info"]["description"]


async def test_operations_with_a_key_tell_of_its_errors_and_all_of_faults(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        statuses = set(operation["responses"])
        if operation["security"]:
            assert statuses >= {"401", "403", "429", "500", "503"}, f"{method} {path}"
        elif path not in {"/healthz", "/readyz"}:
            assert statuses >= {"429", "500", "503"}, f"{method} {path}"
        if any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
            assert "400" in statuses, f"{method} {path}"
        assert "422" not in statuses or path.endswith("/run"), f"{method} {path}"


async def test_filters_list_the_words_of_the_catalog(dojo: Dojo, document: dict[str, Any]) -> None:
    parameters = {one["name"]: one["schema"] for one in document["paths"]["/api/v1/models"]["get"]["parameters"]}
    for name in ("capability", "use_case"):
        assert parameters[name]["enum"]
        for word in parameters[name]["enum"]:
            assert (await dojo.stranger.get(f"/api/v1/models?{name}={word}")).json["total"] > 0


async def test_what_is_sent_to_a_webhook_is_as_the_document_says(
    dojo: Dojo, caller: Caller, document: dict[str, Any]
) -> None:
    content = document["webhooks"]["jobEnded"]["post"]["requestBody"]["content"]["application/json"]
    for end in (dojo.completed, dojo.failed):
        job_id = await caller.run({**PROMPT, "webhook_url": HOOK})
        await end(job_id)
        delivery = (await dojo.stores.webhooks.find_deliveries([job_id]))[job_id]
        dojo.promises.validate(content["schema"], json.loads(delivery.body))


async def test_nothing_in_it_tells_how_the_server_is_built(dojo: Dojo) -> None:
    text = (await dojo.stranger.get("/api/openapi")).body.decode()
    assert not re.search(
        r"HTTPValidationError|sqlalchemy|fastapi|pydantic|/work/|/home/|Traceback", text, re.IGNORECASE
    )
