"""/llms.txt: where to find what, in the format of https://llmstxt.org: a title, a summary, lists of links."""

from pixeldojo.catalog.llm_texts import SECTIONS
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.model_text import in_short, on_one_line
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.server_facts import ServerFacts


def llms_text(catalog: Catalog, facts: ServerFacts) -> str:
    """Return /llms.txt: a title, a summary, and lists of links that say what is behind each."""
    base = facts.base_url
    parts = [
        "# PixelDojo",
        f"> One async HTTP API over {len(catalog.models)} AI models for images, video, sound and 3D: submit a job, "
        "poll it or take a signed webhook, fetch the files. A job's price, in credits, is known before it runs.",
        "Each model has a text of its own below, with every parameter, limit, rule and price, and a request that can "
        "be sent as it stands. All of the API in one text is llm.txt.",
        "## Docs",
        "\n".join(
            [
                _link("The whole API", f"{base}/llm.txt", "keys, endpoints, every model's price, errors, examples"),
                _link("OpenAPI", f"{base}/api/openapi", "every route, error and request schema, OpenAPI 3.1 as JSON"),
            ]
        ),
    ]
    for section, heading in SECTIONS:
        models = [model for model in catalog.models if model.section == section]
        lines = [
            _link(model.name, f"{base}/llm/{model.id}.txt", f"{in_short(model)} {cost_line(model)}") for model in models
        ]
        parts += [f"## {heading}", "\n".join(lines)] if lines else []
    parts += [
        "## Optional",
        _link("Models as JSON", f"{base}/api/v1/models?detailed=true", "the same with JSON Schemas, in one answer"),
    ]
    return "\n\n".join(parts) + "\n"


def _link(name: str, address: str, notes: str) -> str:
    # A bracket would end the name early for readers that look for the first one.
    title = on_one_line(name).replace("[", "(").replace("]", ")")
    return f"- [{title}]({address}): {notes}"
