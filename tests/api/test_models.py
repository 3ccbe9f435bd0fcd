"""GET /models, /models/{apiId}, /models/{apiId}/schema: discovery for everybody."""

import re

import pytest
from jsonschema_rs import Draft202012Validator
from tests.api.dojo import PROMPT, RUN, Caller, Dojo

ITEM = {"apiId", "name", "description", "modality", "capabilities", "features", "useCases", "creditCost", "sandboxOnly"}


async def test_anyone_can_list_the_models_with_their_prices(dojo: Dojo) -> None:
    reply = await dojo.stranger.get("/api/v1/models")
    assert reply.status == 200
    models = reply.json["models"]
    assert {model["apiId"] for model in models} == {model.id for model in dojo.services.catalog.models}
    assert all(set(model) == ITEM for model in models)
    assert reply.json["total"] == len(models) == reply.json["imageCount"] + reply.json["videoCount"]
    assert reply.json["imageCount"] == sum(model["modality"] == "image" for model in models)
    flux = next(model for model in models if model["apiId"] == "flux-1.1-pro")
    assert flux["creditCost"] == {"type": "fixed", "default": 1, "amount": 1, "unit": flux["creditCost"]["unit"]}


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer nonsense", "Bearer pd_test_wrong", "Basic dXNlcjpwYXNz"])
async def test_discovery_does_not_look_at_keys(dojo: Dojo, key: str) -> None:
    for target in ("/api/v1/models", "/api/v1/models/flux-1.1-pro", "/api/v1/models/flux-1.1-pro/schema"):
        assert (await dojo.stranger.get(target, authorization=key)).status == 200


_KEPT = (
    *("/api/v1/models", "/api/v1/models?detailed=true", "/api/v1/models?modality=video", "/api/v1/models?q=flux"),
    *("/api/v1/models/flux-1.1-pro", "/api/v1/models/flux-1.1-pro/schema"),
)


@pytest.mark.parametrize("target", _KEPT)
async def test_whoever_has_an_answer_is_told_that_it_is_unchanged(dojo: Dojo, target: str) -> None:
    first = await dojo.stranger.get(target)
    tag = first.header("etag") or ""
    assert re.fullmatch('"[0-9a-f]{64}"', tag)
    assert first.header("cache-control") == "public, max-age=300"
    again = await dojo.stranger.get(target, if_none_match=f'"other", W/{tag}')
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    assert again.header("cache-control") == first.header("cache-control")
    other = await dojo.stranger.get(target, if_none_match='"other"')
    assert (other.status, other.body) == (200, first.body)
    head = await dojo.stranger.head(target)
    assert (head.status, head.header("etag"), head.header("content-length")) == (200, tag, str(len(first.body)))


async def test_different_answers_have_different_tags_and_nodes_of_one_version_the_same(dojo: Dojo) -> None:
    tags = [(await dojo.stranger.get(target)).header("etag") for target in _KEPT]
    assert len(set(tags)) == len(_KEPT)
    dojo.build()
    assert [(await dojo.stranger.get(target)).header("etag") for target in _KEPT] == tags


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("modality=image", {"flux-1.1-pro", "flux-2-pro", "nano-banana-2", "p-image-edit"}),
        ("capability=music", {"text-to-music"}),
        ("capability=MUSIC", {"text-to-music"}),
        ("use_case=character&modality=image&q=flux%201.1", {"flux-1.1-pro"}),
        ("q=nothing%20like%20this", set()),
        ("modality=video&capability=text-to-image", set()),
    ],
)
async def test_filters_narrow_the_list_and_its_counts(dojo: Dojo, query: str, expected: set[str]) -> None:
    reply = await dojo.stranger.get(f"/api/v1/models?{query}")
    assert reply.status == 200
    found = {model["apiId"] for model in reply.json["models"]}
    assert found >= expected if query == "modality=image" else found == expected
    assert reply.json["total"] == len(found)


@pytest.mark.parametrize(
    ("query", "path", "says"),
    [
        ("modality=audio", "modality", "'image' or 'video'"),
        ("modality=", "modality", "'image' or 'video'"),
        ("capability=fly", "capability", "text-to-image"),
        ("use_case=fly", "use_case", "photorealism"),
        ("detailed=maybe", "detailed", "must be true or false"),
        ("q=" + "x" * 201, "q", "at most 200"),
    ],
)
async def test_a_filter_that_no_model_could_match_is_400_and_lists_what_there_is(
    dojo: Dojo, query: str, path: str, says: str
) -> None:
    reply = await dojo.stranger.get(f"/api/v1/models?{query}")
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.member(path)


async def test_detailed_adds_what_each_model_shows_alone(dojo: Dojo) -> None:
    reply = await dojo.stranger.get("/api/v1/models?detailed=true&modality=image")
    for model in reply.json["models"]:
        assert model == (await dojo.stranger.get(f"/api/v1/models/{model['apiId']}")).json


async def test_a_model_shows_its_parameters_and_a_schema_that_its_own_run_follows(dojo: Dojo, caller: Caller) -> None:
    detail = (await dojo.stranger.get("/api/v1/models/flux-1.1-pro")).json
    assert set(detail) == ITEM | {"parameters", "requestSchema", "outputKind"}
    assert detail["outputKind"] == "image"
    schema = detail["requestSchema"]
    assert {parameter["name"] for parameter in detail["parameters"]} == set(schema["properties"])
    validator = Draft202012Validator(schema)
    for content in ({}, PROMPT, {**PROMPT, "seed": "x"}, {**PROMPT, "colour": 1}, {**PROMPT, "output_format": "png"}):
        reply = await caller.post(RUN, content)
        assert (reply.status == 202) == validator.is_valid(content)


async def test_every_schema_is_one_strict_and_described(dojo: Dojo) -> None:
    for model in dojo.services.catalog.models:
        reply = await dojo.stranger.get(f"/api/v1/models/{model.id}/schema")
        assert (reply.status, set(reply.json), reply.json["apiId"]) == (200, {"apiId", "schema"}, model.id)
        schema = reply.json["schema"]
        Draft202012Validator(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["additionalProperties"] is False
        assert all(member["type"] and member["description"] for member in schema["properties"].values())
        assert schema == (await dojo.stranger.get(f"/api/v1/models/{model.id}")).json["requestSchema"]


@pytest.mark.parametrize("rest", ["", "/schema"])
@pytest.mark.parametrize(
    ("model", "nearest"),
    [("flux-1.1-por", "flux-1.1-pro"), ("wan-2.6", "wan-2.6-standard"), ("veo3.1-fast", "veo-3.1-fast")],
)
async def test_an_unknown_model_is_404_and_names_the_nearest(dojo: Dojo, rest: str, model: str, nearest: str) -> None:
    reply = await dojo.stranger.get(f"/api/v1/models/{model}{rest}")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert f'Did you mean "{nearest}"?' in reply.error["message"]
