"""GET /api/openapi: valid, complete, and the same as what the app does. `promises.py` holds every answer against it."""

import json
import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.api.dojo import PROMPT, Caller, Dojo
from tests.api.promises import Promises, Schema
from tests.stores import HOOK

from pixeldojo.accounts.keys import Scope
from pixeldojo.core.errors import PixelDojoError


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, described in document["paths"].items():
        for method, operation in described.items():
            yield method, path, operation


def codes(kind: type[PixelDojoError] = PixelDojoError) -> set[tuple[int, str]]:
    return {(kind.status, kind.code)}.union(*(codes(child) for child in kind.__subclasses__()))


@pytest.fixture
def document(dojo: Dojo) -> Schema:
    content: Schema = dojo.app.state.document.content
    return content


@pytest.fixture
def promises(dojo: Dojo) -> Promises:
    return dojo.promises


async def test_it_is_a_valid_openapi_3_1_document_and_public(dojo: Dojo) -> None:
    reply = await dojo.stranger.get("/api/openapi")
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.json["openapi"].startswith("3.1.")
    assert reply.json["servers"] == [{"url": "http://dojo.test"}]
    OpenAPIV31SpecValidator(reply.json).validate()


async def test_two_servers_of_one_version_publish_the_same_document(dojo: Dojo, document: Schema) -> None:
    first = await dojo.stranger.get("/api/openapi")
    assert first.json == document
    dojo.build()
    assert (await dojo.stranger.get("/api/openapi")).body == first.body


async def test_it_has_every_route_of_the_app_and_no_other(dojo: Dojo, document: Schema) -> None:
    routes = {
        (method.lower(), str(context.path))
        for context in iter_route_contexts(dojo.app.routes)
        if isinstance(context.original_route, APIRoute) and context.include_in_schema
        for method in context.methods or ()
    }
    runs = {("post", f"/api/v1/models/{model.id}/run") for model in dojo.services.catalog.models}
    assert len(routes) > 10
    assert {(method, path) for method, path, _ in operations(document)} == routes | runs


async def test_every_operation_is_described(promises: Promises, document: Schema) -> None:
    ids = []
    for method, path, operation in operations(document):
        place = f"{method} {path}"
        assert operation["summary"], place
        assert operation["description"], place
        ids.append(operation["operationId"])
        for parameter in map(promises.resolved, operation.get("parameters", [])):
            assert parameter["description"], f"{place} {parameter['name']}"
            assert "null" not in json.dumps(parameter["schema"]), f"{place} {parameter['name']}"
        for response in map(promises.resolved, operation["responses"].values()):
            assert response["description"], place
            for header in map(promises.resolved, response["headers"].values()):
                assert header["description"], place
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z]*|run_[a-z0-9_]+", operation_id) for operation_id in ids)


async def test_every_tag_is_described_and_used(document: Schema) -> None:
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    described = {tag["name"]: tag.get("description") for tag in document["tags"]}
    assert {name for name, words in described.items() if words} == used, "describe the tag in api/openapi/document.py"


async def test_whatever_is_shared_is_referred_to(document: Schema) -> None:
    text = json.dumps(document)
    referred = set(re.findall(r'"#/components/([^"]+)"', text))
    shared = {f"{kind}/{name}" for kind, parts in document["components"].items() for name in parts}
    # Security schemes are referred to by their bare name.
    assert referred == {name for name in shared if not name.startswith("securitySchemes/")}


async def test_every_example_fits_its_schema(promises: Promises, document: Schema) -> None:
    schemas = document["components"]["schemas"]
    shown = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert {"Error", "Job", "JobAccepted", "JobEvent"} < shown.keys()
    for name, examples in shown.items():
        for example in examples:
            promises.validate({"$ref": f"#/components/schemas/{name}"}, example)


async def test_the_document_is_known_by_its_tag(dojo: Dojo) -> None:
    first = await dojo.stranger.get("/api/openapi")
    tag = first.header("etag") or ""
    assert re.fullmatch(r'"[0-9a-f]{64}"', tag), "a strong tag"
    again = await dojo.stranger.get("/api/openapi", If_None_Match=f'"other", {tag}')
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    assert again.header("cache-control") == first.header("cache-control") == "public, max-age=300"
    assert (await dojo.stranger.get("/api/openapi", If_None_Match='"other"')).status == 200


async def test_who_needs_which_key_is_what_the_routes_ask_for(dojo: Dojo, document: Schema) -> None:
    """Every operation is tried with a key that has all scopes but the one that the document names, and without any."""
    for method, path, operation in operations(document):
        address = path.replace("{apiId}", "flux-1.1-pro").replace("{", "").replace("}", "")
        strange = await dojo.stranger.send(method.upper(), address)
        if not operation["security"]:
            assert strange.status != 401, f"{method} {path}"
            continue
        ((scope,),) = (needed["apiKey"] for needed in operation["security"])
        assert f"`{scope}`" in operation["description"] or operation["operationId"].startswith("run_")
        assert strange.status == 401, f"{method} {path}"
        others = await dojo.caller(scopes=frozenset(Scope) - {Scope(scope)})
        assert (await others.send(method.upper(), address)).status == 403, f"{method} {path}"


async def test_every_error_of_the_table_is_in_it(promises: Promises, document: Schema) -> None:
    table = codes()
    error = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]
    assert set(error["code"]["enum"]) == {code for _, code in table}
    told = {
        (int(status), code)
        for _, _, operation in operations(document)
        for status, response in ((key, promises.resolved(one)) for key, one in operation["responses"].items())
        if "Error" in json.dumps(response.get("content", {}))
        for code in re.findall(r"\b[a-z]+_?[a-z]+_?[a-z]*\b", response["description"])
    }
    # A method that an address does not take belongs to no operation; the document's description tells of it.
    assert {pair for pair in table if pair not in told} == {(405, "method_not_allowed")}
    assert "405 `method_not_allowed`" in document["info"]["description"]


async def test_operations_with_a_key_tell_of_its_errors_and_all_of_faults(document: Schema) -> None:
    for method, path, operation in operations(document):
        statuses = set(operation["responses"])
        assert statuses >= {"500", "503"}, f"{method} {path}"
        if operation["security"]:
            assert statuses >= {"401", "403", "429"}, f"{method} {path}"
        elif path not in {"/healthz", "/readyz"}:
            assert "429" in statuses, f"{method} {path}"
        if any(parameter.get("in") == "query" for parameter in operation.get("parameters", [])):
            assert "400" in statuses, f"{method} {path}"
        takes_keys = {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])
        assert ("422" in statuses) == takes_keys, f"{method} {path}"


async def test_filters_list_the_words_of_the_catalog(dojo: Dojo, document: Schema) -> None:
    listed = [dojo.promises.resolved(one) for one in document["paths"]["/api/v1/models"]["get"]["parameters"]]
    parameters = {one["name"]: one["schema"] for one in listed}
    for name in ("capability", "use_case"):
        assert parameters[name]["enum"]
        for word in parameters[name]["enum"]:
            assert (await dojo.stranger.get(f"/api/v1/models?{name}={word}")).json["total"] > 0


async def test_what_is_sent_to_a_webhook_is_as_the_document_says(dojo: Dojo, caller: Caller, document: Schema) -> None:
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
