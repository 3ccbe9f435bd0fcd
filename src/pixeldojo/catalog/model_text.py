"""/llm/{apiId}.txt: one model, whole: what it does, costs and takes, and a request that can be sent as it stands.

Owns the order and the Markdown. Leaves the words for prices, limits and rules to `wording`.
"""

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Final

from pixeldojo.catalog.conditions import joined
from pixeldojo.catalog.inputs import aliases, media_values, read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.request_schema import full_description
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.server_facts import ServerFacts
from pixeldojo.catalog.texts import capabilities
from pixeldojo.catalog.wording import example_cost, parameter_facts, price_table, rule_sentences

SANDBOX_ONLY: Final = "Sandbox only: `pd_live_` keys cannot run it."
_OUTPUTS = {
    "image": "images, in `output.images`",
    "video": "a video, in `output.video`",
    "audio": "a sound, in `output.audio`",
    "model3d": "a 3D model, in `output.model`",
}


def model_text(model: Model, facts: ServerFacts) -> str:
    """Return the text of one model, in Markdown."""
    parts = [
        _opening(model, facts),
        _section("Price", _price(model)),
        _section("Parameters", _parameters(model)),
        _section("Rules", [f"- {sentence}" for sentence in rule_sentences(model)]),
        _section("Example", _example(model, facts)),
        _section("Links", _links(model, facts)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def on_one_line(text: str) -> str:
    """Return a text of a catalog file as one line, whatever line breaks it was written with."""
    return " ".join(text.split())


def in_short(model: Model) -> str:
    """Return the description on one line; where live keys may not run the model, that too."""
    mark = f" {SANDBOX_ONLY}" if model.sandbox_only else ""
    return on_one_line(model.description) + mark


def listed(label: str, words: Iterable[str]) -> list[str]:
    """Return the line of a list, or none where the list is empty."""
    line = ", ".join(words)
    return [f"- {label}: {line}"] if line else []


def _section(heading: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"## {heading}\n\n{body}" if body else ""


def _opening(model: Model, facts: ServerFacts) -> str:
    lines = [
        f"# {on_one_line(model.name)} (`{model.id}`)",
        "",
        f"> {on_one_line(model.description)}",
        "",
        f"- Cost: {cost_line(model)}",
        f"- Does: {', '.join(capabilities(model))}",
        f"- Gives: {_OUTPUTS[model.output.kind]}, as {joined(model.output.formats, 'or')}",
        *listed("Features", model.features),
        *listed("Use cases", model.use_cases),
        f"- Keys: {_keys(model, facts)}",
    ]
    return "\n".join(lines)


def _keys(model: Model, facts: ServerFacts) -> str:
    if model.sandbox_only:
        return f"`pd_test_` alone, on the sandbox; `pd_live_` is answered 403. {model.sandbox_only}"
    if facts.has_upstream(model):
        return "`pd_live_` runs it on a real upstream, `pd_test_` on the sandbox"
    return "`pd_test_` runs it on the sandbox; this server has no real upstream for it, so `pd_live_` is answered 503"


def _price(model: Model) -> list[str]:
    table = price_table(model)
    return [
        _row(table.columns),
        _row(["---"] * len(table.columns)),
        *(_row(row) for row in table.rows),
        "",
        *table.notes,
        "The price is held when the job is accepted; the job never costs more, and nothing when it fails.",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _parameters(model: Model) -> Iterator[str]:
    others = aliases(model.parameters)
    for parameter in model.parameters:
        yield from _parameter(parameter, "", [alias for alias, name in others.items() if name == parameter.name])
    yield (
        "- `webhook_url` (string, optional): An https address that is posted the job when it has ended; taken beside "
        "the inputs of every model."
    )


def _parameter(parameter: Parameter, indent: str, others: list[str]) -> Iterator[str]:
    also = f" Also accepted as {joined([f'`{name}`' for name in others], 'or')}." if others else ""
    facts = ", ".join(parameter_facts(parameter))
    yield f"{indent}- `{parameter.name}` ({facts}): {on_one_line(full_description(parameter))}{also}"
    for member in parameter.fields:
        yield from _parameter(member, f"{indent}  ", [])


def _example(model: Model, facts: ServerFacts) -> list[str]:
    body = json.dumps(model.example, ensure_ascii=False, default=list)
    has_media = bool(media_values(model, read_input(model, model.example)))
    placeholder = " Put addresses of your own files in place of those at example.com." if has_media else ""
    return [
        f"Nothing but what is needed; it costs {example_cost(model)}.{placeholder}",
        "",
        "```bash",
        f'curl -X POST "{facts.base_url}/api/v1/models/{model.id}/run" \\',
        '  -H "Authorization: Bearer YOUR_API_KEY" \\',
        '  -H "Content-Type: application/json" \\',
        f"  -d {shlex.quote(body)}",
        "```",
        "",
        "The answer (202) names the job; GET its `statusUrl` until `status` is `completed` or `failed`.",
    ]


def _links(model: Model, facts: ServerFacts) -> list[str]:
    address = f"{facts.base_url}/api/v1/models/{model.id}"
    return [
        f"- JSON Schema of the inputs: {address}/schema",
        f"- All of this as JSON: {address}",
        f"- Authentication, errors, polling, webhooks: {facts.base_url}/llm.txt",
    ]
