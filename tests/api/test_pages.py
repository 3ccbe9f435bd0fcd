"""The pages under /api-platform: whole, small, without script, and safe whatever a catalog file says."""

import json
import re
import shlex
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from tests.api.asgi import Client, Reply
from tests.api.dojo import Caller, Dojo
from tests.stores import BASE_URL, Stores

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.wording import price_table, rule_sentences
from pixeldojo.core.settings import read_settings

LARGEST_PAGE: Final = 30_000
SINGLE_PAGES: Final = ("/api-platform/documentation", "/api-platform/api-keys", "/api-platform/flux-2-pro")
_VOID: Final = frozenset({"meta", "link", "br", "img", "input"})
_MARKUP: Final = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


@dataclass
class Page(HTMLParser):
    """A page as a browser takes it: elements, their attributes, and the text."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    programs: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    _language: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            self.open.append(tag)
        found = re.fullmatch(r"language-(\w+)", attributes.get("class") or "")
        self._language = found[1] if found else self._language

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "code":
            self._language = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._language:
            self.programs[self._language] = self.programs.get(self._language, "") + data

    def addresses(self) -> set[str]:
        """Return where links, styles and scripts lead."""
        return {value for _, found in self.tags for name in ("href", "src") if (value := found.get(name))}


def read_page(reply: Reply) -> Page:
    assert reply.header("content-type") == "text/html; charset=utf-8"
    page = Page()
    page.feed(reply.body.decode())
    page.close()
    assert page.open == [], "every element that is opened is closed"
    return page


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Every model."""
    return load_catalog()


@pytest.fixture
def reader(dojo: Dojo) -> Client:
    """Someone with a browser. Pages are no operations of the API, so they are not held against its document."""
    return Client(dojo.app, lambda _reply: None)


async def test_the_list_links_to_every_model(reader: Client, catalog: Catalog) -> None:
    reply = await reader.get("/api-platform")
    page = read_page(reply)
    assert reply.status == 200
    assert len(reply.body) < LARGEST_PAGE
    assert {f"/api-platform/{model.id}" for model in catalog.models} <= page.addresses()
    assert f"{len(catalog.models)} models" in page.text
    marked = {model.id for model in catalog.models if f"{model.name} {cost_line(model)} · sandbox only" in page.text}
    assert marked == {model.id for model in catalog.models if model.sandbox_only}


async def test_every_model_has_a_page_that_says_all_there_is_and_needs_no_script(
    reader: Client, catalog: Catalog
) -> None:
    for model in catalog.models:
        reply = await reader.get(f"/api-platform/{model.id}")
        assert reply.status == 200, model.id
        assert len(reply.body) < LARGEST_PAGE, model.id
        page = read_page(reply)
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "style", "iframe", "img", "form"}, model.id
        words = [model.name, model.description, *rule_sentences(model)]
        words += [cell for row in price_table(model).rows for cell in row]
        words += [f"{parameter.name} " for parameter in model.parameters]
        assert [word for word in words if word not in page.text] == [], model.id
        places = [model.sandbox_only] if model.sandbox_only else [one.endpoint for one in model.upstreams]
        assert [place for place in places if place not in page.text] == [], model.id
        assert set(page.programs) == {"bash", "python", "javascript"}, model.id
        assert all(f"/models/{model.id}/run" in code for code in page.programs.values()), model.id
        assert "example.com" not in "".join(page.programs.values()), model.id


async def test_every_link_leads_somewhere_on_this_server(reader: Client) -> None:
    waiting, seen = {"/api-platform", *SINGLE_PAGES}, set[str]()
    while waiting:
        address = waiting.pop()
        seen.add(address)
        reply = await reader.get(address.partition("#")[0])
        assert reply.status == 200, address
        # One model's page is like another's.
        if address in {"/api-platform", *SINGLE_PAGES}:
            found = {one for one in read_page(reply).addresses() if not one.startswith(("data:", "#"))}
            assert all(one.startswith("/") and not one.startswith("//") for one in found), found
            waiting |= {one for one in found if "/api-platform/" not in one or "files" in one} - seen
    assert any("swagger-ui-bundle.js" in address for address in seen)


@pytest.mark.parametrize("address", ["/api-platform", *SINGLE_PAGES])
async def test_a_page_is_made_once_and_not_sent_again_to_who_has_it(reader: Client, address: str) -> None:
    first = await reader.get(address)
    tag = first.header("etag") or ""
    assert re.fullmatch(r'"[0-9a-f]{64}"', tag)
    again = await reader.get(address, if_none_match=tag)
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    assert (await reader.get(address)).body == first.body
    assert (await reader.head(address)).status == 200


@pytest.mark.parametrize(
    ("address", "scripts"), [("/api-platform/flux-2-pro", None), ("/api-platform/documentation", "script-src 'self'")]
)
async def test_a_page_may_load_nothing_from_elsewhere_and_run_nothing_inline(
    reader: Client, address: str, scripts: str | None
) -> None:
    reply = await reader.get(address)
    policy = (reply.header("content-security-policy") or "").split("; ")
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert [part for part in policy if part.startswith("script-src")] == ([scripts] if scripts else [])
    assert "unsafe" not in " ".join(policy)
    page = read_page(reply)
    assert all(found.get("src") for tag, found in page.tags if tag == "script")
    assert not any(name.startswith("on") or name == "style" for _, found in page.tags for name in found)


@pytest.mark.parametrize(
    ("name", "content_type", "holds"),
    [
        ("frame.css", "text/css; charset=utf-8", b"prefers-color-scheme: dark"),
        ("style.css", "text/css; charset=utf-8", b".parameters"),
        ("reference.js", "text/javascript; charset=utf-8", b"/api/openapi"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8", b"SwaggerUIBundle"),
        ("swagger-ui.css", "text/css; charset=utf-8", b"html.dark-mode"),
        ("picture.jpg", "image/jpeg", b"\xff\xd8\xff"),
        ("clip.mp4", "video/mp4", b"ftyp"),
        ("speech.mp3", "audio/mpeg", b""),
    ],
)
async def test_the_files_of_pages_are_served_from_here(
    reader: Client, name: str, content_type: str, holds: bytes
) -> None:
    reply = await reader.get(f"/api-platform/files/{name}")
    assert (reply.status, reply.header("content-type")) == (200, content_type)
    assert holds in reply.body


@pytest.mark.parametrize("name", ["..%2Froutes.py", "routes.py", "%2Fetc%2Fpasswd", "x"])
async def test_no_other_file_is(reader: Client, name: str) -> None:
    reply = await reader.get(f"/api-platform/files/{name}")
    assert reply.status == 404


async def test_the_bare_address_leads_to_the_list(reader: Client) -> None:
    for reply in (await reader.get("/"), await reader.head("/")):
        assert (reply.status, reply.header("location")) == (307, "/api-platform")


async def test_the_page_on_keys_shows_a_request_that_makes_one(dojo: Dojo, reader: Client, caller: Caller) -> None:
    page = read_page(await reader.get("/api-platform/api-keys"))
    operators, callers = page.programs["bash"].split("curl ")
    assert operators == "pixeldojo-server keys create --name my-app"
    words = shlex.split(callers.replace("\\\n", " "))
    assert words[:3] == ["-X", "POST", f"{BASE_URL}/api/v1/keys"]
    made = await caller.post("/api/v1/keys", json.loads(words[words.index("-d") + 1]))
    assert made.status == 201, made.body


async def test_an_unknown_model_has_a_page_that_names_the_nearest(reader: Client) -> None:
    reply = await reader.get("/api-platform/flux-1.1-prp")
    page = read_page(reply)
    assert reply.status == 404
    assert "/api-platform/flux-1.1-pro" in page.addresses()
    assert "There is no model called flux-1.1-prp." in page.text
    far = read_page(await reader.get("/api-platform/%3Cscript%3Ealert(1)%3C%2Fscript%3E".replace("%2F", "-")))
    assert "script" not in {tag for tag, _ in far.tags}
    assert "<script>alert(1)" in far.text
    assert "Did you mean" not in far.text


async def test_another_method_is_told_which_to_use(reader: Client) -> None:
    reply = await reader.post("/api-platform/flux-2-pro")
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert set((reply.header("allow") or "").split(", ")) == {"GET", "HEAD"}


async def test_pages_count_against_the_limit_of_the_address(reader: Client) -> None:
    first = await reader.get("/api-platform")
    second = await reader.get("/api-platform/no-such-model")
    left = [int(reply.header("x-ratelimit-remaining") or "") for reply in (first, second)]
    assert left[1] == left[0] - 1


async def test_behind_a_path_every_link_begins_with_it(stores: Stores, catalog: Catalog) -> None:
    dojo = Dojo(stores, catalog, read_settings(public_url=f"{BASE_URL}/tools/pixeldojo"))
    reader = Client(dojo.app, lambda _reply: None)
    assert (await reader.get("/")).header("location") == "/tools/pixeldojo/api-platform"
    page = read_page(await reader.get("/api-platform/p-image-edit"))
    found = {one for one in page.addresses() if not one.startswith(("data:", "#"))}
    assert all(one.startswith("/tools/pixeldojo/") for one in found)
    assert f"{BASE_URL}/tools/pixeldojo/api-platform/files/picture.jpg" in page.programs["bash"]


async def test_texts_of_the_catalog_are_shown_and_never_taken_for_markup(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "trap.toml").write_text(_TRAP.replace("MARKUP", json.dumps(_MARKUP)[1:-1]), encoding="utf-8")
    dojo = Dojo(stores, load_catalog(tmp_path), read_settings(public_url=BASE_URL))
    reader = Client(dojo.app, lambda _reply: None)
    for address, shown in (("/api-platform", 1), ("/api-platform/trap", 8)):
        page = read_page(await reader.get(address))
        assert not {tag for tag, _ in page.tags} & {"script", "img"}
        assert page.text.count("<script>alert(1)</script><img src=x onerror=alert(2)>") >= shown
    assert "A lamp, it'\"'\"'s lit" in page.programs["bash"]


# A TOML text escapes as a JSON one does.
_TRAP: Final = """
name = "Name MARKUP"
description = "Description MARKUP"
section = "image"
order = 1
task = "text-to-image"
confidence = { level = "documented", source = "a test" }
price = { rule = "by_resolution", by = "size", amounts = { "MARKUP" = "1" } }

[[parameters]]
name = "prompt"
type = "string"
required = true
description = "Words MARKUP"
example = "A lamp, it's lit"

[[parameters]]
name = "size"
type = "string"
enum = ["MARKUP"]
default = "MARKUP"
description = "How large."

[[parameters]]
name = "end"
type = "string"
description = "More words."

[[rules]]
rule = "when"
when = { given = ["end"] }
allow = { size = ["MARKUP"] }
because = "of MARKUP"

[output]
kind = "image"
formats = ["png"]

[output.size.table."*"]
"*" = [64, 64]

[[upstreams]]
provider = "fal"
endpoint = "MARKUP"
source = "a test"
"""
