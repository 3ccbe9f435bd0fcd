"""/llm.txt, /llms.txt, /llm/{apiId}.txt and the API catalog: for everybody, made once, true of this server."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.api.asgi import Client, Reply
from tests.api.dojo import Caller, Dojo
from tests.catalog.llm_document import read_document
from tests.stores import BASE_URL

from pixeldojo.api.openapi.document import described_routes

TEXTS = ("/llm.txt", "/llms.txt", "/llm/veo-3.1-fast.txt")
LINKS = "/.well-known/api-catalog"


def relations(reply: Reply) -> set[tuple[str, str]]:
    """Return relation and address of each link in the Link header."""
    return {(match[2], match[1]) for match in re.finditer(r'<([^>]+)>; rel="([a-z-]+)"', reply.header("link") or "")}


async def answered(client: Client, address: str) -> int:
    """Return the status at an address of this server."""
    assert address.startswith(f"{BASE_URL}/")
    parts = urlsplit(address)
    return (await client.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)).status


@pytest.mark.parametrize("target", TEXTS)
async def test_a_text_is_utf8_and_open_to_all(dojo: Dojo, target: str) -> None:
    for key in ("", "Bearer nonsense"):
        reply = await dojo.stranger.get(target, authorization=key)
        assert (reply.status, reply.header("content-type")) == (200, "text/plain; charset=utf-8")
    text = reply.body.decode("utf-8")
    assert text.startswith("# ")
    assert text.endswith("\n")


@pytest.mark.parametrize("target", [*TEXTS, LINKS])
async def test_who_has_a_text_is_told_that_it_is_unchanged(dojo: Dojo, target: str) -> None:
    first = await dojo.stranger.get(target)
    tag = first.header("etag") or ""
    assert re.fullmatch('"[0-9a-f]{64}"', tag)
    again = await dojo.stranger.get(target, if_none_match=f'"other", {tag}')
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    assert again.header("cache-control") == first.header("cache-control")
    other = await dojo.stranger.get(target, if_none_match='"other"')
    assert (other.status, other.body) == (200, first.body)
    head = await dojo.stranger.head(target)
    assert (head.status, head.header("etag"), head.header("content-length")) == (200, tag, str(len(first.body)))


async def test_each_text_is_made_once(dojo: Dojo) -> None:
    asked: list[object] = []

    class Providers(frozenset[str]):
        def __contains__(self, name: object) -> bool:
            asked.append(name)
            return False

    dojo.build(live_providers=Providers())
    assert asked == [], "starting the server makes no text"
    counts = []
    for _ in range(3):
        for target in ("/llm.txt", "/llm/flux-2-pro.txt"):
            assert (await dojo.stranger.get(target)).status == 200
        counts.append(len(asked))
    assert counts[0] > len(dojo.services.catalog.models)
    assert counts == [counts[0]] * 3


async def test_two_nodes_of_one_version_give_the_same_bytes(dojo: Dojo) -> None:
    before = [(await dojo.stranger.get(target)).body for target in (*TEXTS, LINKS)]
    dojo.build()
    assert [(await dojo.stranger.get(target)).body for target in (*TEXTS, LINKS)] == before


async def test_the_whole_text_lists_the_models_and_routes_that_there_are(dojo: Dojo) -> None:
    document = read_document((await dojo.stranger.get("/llm.txt")).body.decode())
    assert [model.id for model in document.models] == [model.id for model in dojo.services.catalog.models]
    routes = {
        f"{method} {context.path_format}"
        for context in described_routes(dojo.app)
        for method in context.methods or ()
        if str(context.path_format).startswith("/api/v1/")
    }
    routes.discard("POST /api/v1/callbacks/{provider}/{jobId}")  # of upstreams, not of callers
    assert len(document.routes) == len(routes)
    assert set(document.routes) == routes


async def test_its_answers_have_the_shapes_of_the_document(dojo: Dojo) -> None:
    text = read_document((await dojo.stranger.get("/llm.txt")).body.decode())
    code = dict(zip(text.fences, text.code, strict=True))
    for heading, schema in (("### Submit Response", "JobAccepted"), ("### Completed Response", "Job")):
        shown = json.loads(code[heading, "json"])
        dojo.promises.validate({"$ref": f"#/components/schemas/{schema}"}, shown)
        assert set(shown) == set(_members(dojo, schema)), "it shows every member there is"


def _members(dojo: Dojo, schema: str) -> dict[str, Any]:
    members: dict[str, Any] = dojo.app.state.document.content["components"]["schemas"][schema]["properties"]
    return members


async def test_the_address_is_the_server_s_own_whatever_host_was_asked(dojo: Dojo) -> None:
    for target in (*TEXTS, LINKS):
        reply = await dojo.stranger.send("GET", target, headers={"host": "evil.example"})
        assert b"evil.example" not in reply.body
        assert "evil.example" not in (reply.header("link") or "")
        assert f"{BASE_URL}/api".encode() in reply.body


async def test_every_link_of_the_index_leads_to_what_it_says(dojo: Dojo) -> None:
    index = (await dojo.stranger.get("/llms.txt")).body.decode()
    links = re.findall(r"\]\((\S+)\)", index)
    assert len(links) == len(dojo.services.catalog.models) + 3
    for address in links:
        assert await answered(dojo.stranger, address) == 200, address


@pytest.mark.parametrize("target", ["/llm.txt", "/llm/veo-3.1-fast.txt"])
async def test_every_address_that_a_text_tells_to_read_is_there(dojo: Dojo, target: str) -> None:
    text = (await dojo.stranger.get(target)).body.decode()
    section = text[text.index("## Links") :]
    addresses = re.findall(rf"{re.escape(BASE_URL)}\S*", section)
    assert len(addresses) >= 3
    # Pages for people are no operations, so nothing is held against the OpenAPI document here.
    reader = Client(dojo._app, lambda _reply: None)
    for address in addresses:
        assert await answered(reader, address) == 200, address


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("flux-1.1-por", "flux-1.1-pro"), ("veo3.1-fast", "veo-3.1-fast"), ("FLUX-2-PRO", "flux-2-pro")],
)
async def test_an_unknown_model_is_404_and_names_the_nearest(dojo: Dojo, given: str, nearest: str) -> None:
    reply = await dojo.stranger.get(f"/llm/{given}.txt")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert f'Did you mean "{nearest}"?' in reply.error["message"]


async def test_texts_count_by_address_as_discovery_does_and_not_against_a_key(dojo: Dojo) -> None:
    dojo.build(settings=dojo.services.settings.model_copy(update={"public_rate_per_minute": 4}))
    caller = await dojo.caller(rate_per_minute=1)
    replies = [await caller.get(target) for target in (*TEXTS, LINKS, "/llm.txt")]
    assert [reply.status for reply in replies] == [200, 200, 200, 200, 429]
    assert [reply.header("x-ratelimit-remaining") for reply in replies] == ["3", "2", "1", "0", "0"]
    assert (await caller.get("/api/v1/jobs")).status == 200


async def test_the_headers_link_what_belongs_together(dojo: Dojo) -> None:
    described, index = ("service-desc", f"{BASE_URL}/api/openapi"), ("describedby", f"{BASE_URL}/llms.txt")
    schema = ("describedby", f"{BASE_URL}/api/v1/models/veo-3.1-fast/schema")
    expected = {
        "/llm.txt": {described, index},
        "/llms.txt": {described},
        "/llm/veo-3.1-fast.txt": {index, schema},
        LINKS: {("api-catalog", f"{BASE_URL}{LINKS}")},
    }
    for target, links in expected.items():
        assert relations(await dojo.stranger.get(target)) == relations(await dojo.stranger.head(target)) == links
        for _, address in links:
            assert await answered(dojo.stranger, address) == 200


async def test_the_api_catalog_is_a_linkset_in_the_profile_of_rfc_9727(dojo: Dojo, caller: Caller) -> None:
    reply = await dojo.stranger.get(LINKS)
    profile = 'profile="https://www.rfc-editor.org/info/rfc9727"'
    assert reply.header("content-type") == f"application/linkset+json; {profile}"
    (described,) = reply.json["linkset"]
    assert described.pop("anchor") == f"{BASE_URL}/api/v1"
    assert set(described) == {"service-desc", "service-doc", "service-meta", "status"}
    for link in (link for links in described.values() for link in links):
        target = await dojo.stranger.get(urlsplit(link["href"]).path)
        assert target.status == 200
        assert (target.header("content-type") or "").partition(";")[0] == link["type"]
