"""/llm.txt says of the 132 models what the original says, in its shape, and of the server what is so.

`original/llm.txt` is the original with its sentences and programs taken out: ids, names, counts, cost lines, features,
use cases, error codes, headings and their order stand in it as they were.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.catalog.llm_document import Document, UnknownLineError, read_document

from pixeldojo.catalog.llm_texts import ERRORS, FAILURES, llm_text
from pixeldojo.catalog.llms_index import llms_text
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.catalog.server_facts import Endpoint, ServerFacts
from pixeldojo.core.errors import JobFailureCode, PixelDojoError

CATALOG = load_catalog()
MODELS = CATALOG.models
FACTS = ServerFacts(
    base_url="https://dojo.example.com",
    endpoints=(
        Endpoint("GET", "/api/v1/models", "List models"),
        Endpoint("POST", "/api/v1/jobs/{jobId}/cancel", "Cancel a job"),
    ),
    pages=(("Documentation", "https://dojo.example.com/pages"),),
    rate_per_minute=61,
    public_rate_per_minute=607,
    retention_hours=12.5,
    longest_wait_seconds=59,
    max_body_bytes=7 * 2**20,
    max_media_bytes=11 * 2**20,
    has_upstream=lambda model: model.id == "flux-1.1-pro",
)
ORIGINAL_TEXT = (Path(__file__).parent / "original" / "llm.txt").read_text(encoding="utf-8")
# What this server tells beyond the original: the shape of errors, why jobs fail, where outputs of each kind stand.
ADDED_KINDS = {"### Completed Response": {"prose"}, "## Error Codes": {"prose", "term"}}


def differences(ours: Document, original: Document) -> list[str]:
    """Return everything in which a document is not as the original."""
    found = [
        f"{name}: {mine} instead of {theirs}"
        for name, mine, theirs in (
            ("headings", ours.headings, original.headings),
            ("code", ours.fences, original.fences),
            ("routes", ours.routes[: len(original.routes)], original.routes),
            ("errors", ours.errors[: len(original.errors)], original.errors),
            ("order", [model.id for model in ours.models], [model.id for model in original.models]),
        )
        if mine != theirs
    ]
    theirs = {model.id: model for model in original.models}
    found += [f"{model} instead of {theirs.get(model.id)}" for model in ours.models if model != theirs.get(model.id)]
    for heading, kinds in original.kinds.items():
        expected = kinds | ADDED_KINDS.get(heading, set())
        if ours.kinds.get(heading) != expected:
            found.append(f"{heading}: {ours.kinds.get(heading)} instead of {expected}")
    return found


@pytest.fixture(scope="module")
def text() -> str:
    return llm_text(CATALOG, FACTS)


@pytest.fixture(scope="module")
def original() -> Document:
    return read_document(ORIGINAL_TEXT)


def test_the_original_lists_71_image_and_61_video_models(original: Document) -> None:
    assert [model.section for model in original.models] == ["image"] * 71 + ["video"] * 61


def test_everything_is_as_in_the_original(text: str, original: Document) -> None:
    assert differences(read_document(text), original) == []


def _replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _replaced("71 available", "72 available"),
        _replaced("(`flux-2-pro`)", "(`flux-2-prop`)"),
        _replaced("### Flux 2 Pro ", "### Flux 2 Professional "),
        _replaced("1 MP=1.5, 2 MP=2, 4 MP=2", "1 MP=1.5, 2 MP=2, 4 MP=3"),
        _replaced("- Cost: 0.1 credit(s)\n- Features: LoRA, Editing", "- Cost: 0.1 credit(s)\n- Features: Editing"),
        _replaced("- Use cases: character\n", ""),
        _replaced("- Cost: 40 credit(s)\n", ""),
        _replaced("credits/sec", "credits per second"),
        _replaced("## Rate Limits", "## Limits"),
        _replaced("## Rate Limits", "* 60 a minute\n\n## Rate Limits"),
        _replaced("## Links", "### JavaScript\n\n## Links"),
        _replaced("| `expired` | 410 |", "| `expired` | 404 |"),
        _replaced("```python", "```py"),
        _replaced("- `GET /api/v1/models/{apiId}`", "- `GET /api/v1/models/{modelId}`"),
        lambda text: text[: text.index("## Links")],
        lambda text: re.sub(r"(### Ernie .*?\n\n)(### Face Enhance .*?\n\n)", r"\2\1", text, flags=re.DOTALL),
    ],
)
def test_a_text_that_strays_is_found_out(change: Callable[[str], str], text: str, original: Document) -> None:
    changed = change(text)
    assert changed != text
    try:
        found = differences(read_document(changed), original)
    except UnknownLineError:
        return
    assert found


def test_a_new_model_appears_and_is_counted(text: str) -> None:
    last = max(model.order for model in MODELS if model.section == "video")
    lantern = replace(MODELS[-1], id="paper-lantern", name="Paper\nLantern", section="video", order=last + 1)
    grown = Catalog((*MODELS, lantern))
    before, after = read_document(text), read_document(llm_text(grown, FACTS))
    assert after.models[:-1] == before.models
    assert (after.models[-1].id, after.models[-1].name) == ("paper-lantern", "Paper Lantern")
    assert "(https://dojo.example.com/llm/paper-lantern.txt)" in llms_text(grown, FACTS)


def test_every_error_is_in_the_table_once() -> None:
    def below(kind: type[PixelDojoError]) -> list[type[PixelDojoError]]:
        return [grandchild for child in kind.__subclasses__() for grandchild in (child, *below(child))]

    assert len({kind for kind, _ in ERRORS}) == len(ERRORS)
    assert {kind.code for kind, _ in ERRORS} == {kind.code for kind in below(PixelDojoError)}
    assert [code for code, _ in FAILURES] == list(JobFailureCode)


def test_what_it_says_of_the_server_is_what_it_was_told(text: str) -> None:
    assert "**Base URL:** `https://dojo.example.com/api/v1`" in text
    for told in (
        "61 requests per minute for a key",
        "607 per minute",
        "12.5 hours after",
        "`Prefer: wait=59`",
        "may have 7 MB, a media file 11 MB",
        f"for 1 of the {len(MODELS)} models",
        "- `POST /api/v1/jobs/{jobId}/cancel` — Cancel a job",
        "- Documentation: https://dojo.example.com/pages",
    ):
        assert told in text
    assert "pixeldojo.ai" not in text
    elsewhere = llm_text(CATALOG, replace(FACTS, has_upstream=lambda _model: False))
    assert "for none of the models so far" in elsewhere


def test_what_runs_on_the_sandbox_alone_is_marked_where_models_are_chosen(text: str) -> None:
    bound = {model.id for model in MODELS if model.sandbox_only}
    assert bound
    mark = "Sandbox only: `pd_live_` keys cannot run it."
    document = read_document(text)
    listed = zip(document.models, document.descriptions, strict=True)
    assert {model.id for model, description in listed if description.endswith(mark)} == bound
    index = [line for line in llms_text(CATALOG, FACTS).splitlines() if mark in line]
    assert {line.partition("/llm/")[2].partition(".txt")[0] for line in index} == bound
    keys = text[text.index("## Authentication") : text.index("## Requirements")]
    assert {model.id for model in MODELS if f"`{model.id}`" in keys} == bound
    rest = Catalog(tuple(model for model in MODELS if not model.sandbox_only))
    assert "Sandbox only" not in llm_text(rest, FACTS)


def test_a_route_is_named_once_however_it_is_reached(text: str) -> None:
    routes = read_document(text).routes
    assert len(routes) == len(set(routes)) == 5


def test_the_examples_run_a_model_that_is_there() -> None:
    others = Catalog(tuple(model for model in MODELS if model.id != "flux-1.1-pro"))
    text = "\n".join(read_document(llm_text(others, FACTS)).code)
    assert f"/models/{others.models[0].id}/run" in text
    assert "/models/flux-1.1-pro/" not in text


_LINK = re.compile(r"- \[[^\[\]]+\]\((https://dojo\.example\.com/[^()\s]*)\): \S.*")


def test_the_index_is_a_title_a_summary_and_lists_of_links() -> None:
    """The order of https://llmstxt.org: H1, blockquote, text without headings, then H2s over lists of links."""
    title, quote, *rest = [line for line in llms_text(CATALOG, FACTS).splitlines() if line]
    assert title == "# PixelDojo"
    assert quote.startswith("> ")
    headings = [line for line in rest if line.startswith("#")]
    assert headings == ["## Docs", "## Image Models", "## Video Models", "## Optional"]
    listed = [line for line in rest[rest.index("## Docs") :] if not line.startswith("#")]
    links = [_LINK.fullmatch(line) for line in listed]
    assert None not in links, [line for line, link in zip(listed, links, strict=True) if link is None]
    addresses = [link[1] for link in links if link]
    texts = [f"https://dojo.example.com/llm/{model.id}.txt" for model in MODELS]
    assert [address for address in addresses if "/llm/" in address] == texts
    assert len(set(addresses)) == len(addresses) == len(texts) + 3
