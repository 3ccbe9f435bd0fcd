"""/llm/{apiId}.txt: each model's text tells all that its schema enforces and its price rule charges."""

import json
import re
import shlex
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from tests.catalog.rule_inputs import holding
from tests.catalog.strategies import MODELS
from tests.catalog.test_llm_texts import FACTS

from pixeldojo.catalog.inputs import aliases, read_input
from pixeldojo.catalog.model_text import model_text
from pixeldojo.catalog.price import cost_line, quote_price
from pixeldojo.catalog.request_schema import MEDIA_PATTERN, NUMBER_MAXIMUM
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.wording import example_cost, price_table, rule_sentences
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonValue

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
_PARAMETER = re.compile(r"(?P<indent> *)- `(?P<name>[a-z0-9_]+)` \((?P<facts>.+?)\): (?P<words>\S.*)")


def sections(text: str) -> dict[str, list[str]]:
    """Return the lines under each heading, without blank ones; those before the first under the empty name."""
    found: dict[str, list[str]] = {"": []}
    for line in text.splitlines():
        if line.startswith("## "):
            found[line.removeprefix("## ")] = []
        elif line:
            list(found.values())[-1].append(line)
    return found


def told(lines: list[str]) -> dict[str, tuple[str, str]]:
    """Return facts and words of each parameter; members of objects as `loras.path`."""
    found: dict[str, tuple[str, str]] = {}
    parents: list[str] = []
    for line in lines:
        match = _PARAMETER.fullmatch(line)
        assert match is not None, line
        parents = [*parents[: len(match["indent"]) // 2], match["name"]]
        found[".".join(parents)] = (match["facts"], match["words"])
    return found


def expected_facts(schema: dict[str, Any]) -> list[str]:
    """Return what must be among the facts of a property, from its published schema alone."""
    items = schema.get("items", schema)
    facts = [f"array of {items['type']}s" if "items" in schema else schema["type"]]
    facts += [json.dumps(value, ensure_ascii=False) for value in items.get("enum", ())]
    limits = ["minItems", "maxItems"] if "items" in schema else []
    facts += [str(schema[name]) for name in limits if schema[name]]
    names = ["minimum", "maximum", "multipleOf"]
    if items.get("pattern") != MEDIA_PATTERN:
        names += ["minLength", "maxLength"]
    facts += [str(items[name]) for name in names if name in items and abs(items[name]) != NUMBER_MAXIMUM]
    if "default" in schema:
        facts.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return facts


def properties(schema: dict[str, Any], path: str = "") -> dict[str, tuple[dict[str, Any], bool]]:
    """Return every property of a schema by its path, and whether it is required."""
    found = {}
    for name, inner in schema["properties"].items():
        found[f"{path}{name}"] = (inner, name in schema.get("required", ()))
        members = inner.get("items", inner)
        if "properties" in members:
            found.update(properties(members, f"{path}{name}."))
    return found


@every_model
def test_every_property_is_told_with_its_limits_and_default(model: Model) -> None:
    parameters = told(sections(model_text(model, FACTS))["Parameters"])
    expected = properties(json.loads(json.dumps(model.request_schema)))
    assert set(parameters) == {*expected, "webhook_url"}
    for path, (schema, is_required) in expected.items():
        facts, words = parameters[path]
        assert [fact for fact in expected_facts(schema) if not _stands_in(fact, facts)] == [], path
        assert ("required" in facts.split(", ")) == is_required, path
        assert words.startswith(schema["description"]), path


def _stands_in(fact: str, facts: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(fact)}(?![\w.])", facts) is not None


@every_model
def test_the_example_is_a_request_that_is_accepted_at_the_price_told(model: Model) -> None:
    example = sections(model_text(model, FACTS))["Example"]
    command = "\n".join(example[example.index("```bash") + 1 : example.index("```")]).replace("\\\n", " ")
    words = shlex.split(command)
    assert words[:4] == ["curl", "-X", "POST", f"https://dojo.example.com/api/v1/models/{model.id}/run"]
    body = json.loads(words[words.index("-d") + 1])
    assert Draft202012Validator(model.request_schema).is_valid(body)
    quote = quote_price(model, read_input(model, body))
    assert f"it costs {example_cost(model)}." in example[0]
    assert Decimal(example_cost(model).split()[0]) * 1000 == quote.amount_millicredits


@every_model
def test_the_price_table_is_what_is_charged_and_offers_what_can_be_bought(model: Model) -> None:
    table = price_table(model)
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in _table(model)]
    assert shown == [list(table.columns), ["---"] * len(table.columns), *[list(row) for row in table.rows]]
    for value, *amounts in table.rows:
        for column, amount in zip(table.columns[1:], amounts, strict=True):
            content = holding(model, _chosen(model, value, column))
            if amount == "—":
                with pytest.raises(ValidationError):
                    read_input(model, content)
            else:
                quote = quote_price(model, read_input(model, content))
                assert Decimal(amount) * 1000 == (quote.rate_millicredits or quote.unit_millicredits), (value, column)


def test_what_the_list_of_prices_names_and_no_upstream_makes_is_not_offered() -> None:
    tables = {model.id: price_table(model) for model in MODELS}
    bare = {(name, row[0]) for name, table in tables.items() for row in table.rows if "—" in row}
    assert bare >= {("hailuo-standard", "1080p"), ("hailuo-fast", "1080p")}
    assert tables["hailuo-standard"].rows == (("768p", "8", "12"), ("1080p", "12", "—"))
    assert all(("—" in " ".join(table.notes)) == any("—" in row for row in table.rows) for table in tables.values())


def _table(model: Model) -> list[str]:
    return [line for line in sections(model_text(model, FACTS))["Price"] if line.startswith("|")]


def _chosen(model: Model, value: str, column: str) -> dict[str, JsonValue]:
    """Return the values of parameters that a cell of the table stands for."""
    texts: dict[str, str] = {}
    if by := re.fullmatch(r"`(\w+)`", price_table(model).columns[0]):
        texts[by[1]] = value
    if seconds := re.fullmatch(r"credits for `(\w+)` (\d+)", column):
        texts[seconds[1]] = seconds[2]
    return {name: _option(model, name, text) for name, text in texts.items()}


def _option(model: Model, name: str, text: str) -> JsonValue:
    (option,) = [option for option in model.known[name].enum or () if str(option) == text]
    return option


@every_model
def test_rules_and_aliases_are_told(model: Model) -> None:
    found = sections(model_text(model, FACTS))
    rules = found.get("Rules", [])
    assert rules == [f"- {sentence}" for sentence in rule_sentences(model)]
    assert len(rules) == len(model.rules) + len(model.lengths)
    parameters = told(found["Parameters"])
    also = {alias: name for name, (_, words) in parameters.items() for alias in _also(words)}
    assert also == aliases(model.parameters)


def _also(words: str) -> list[str]:
    _, _, others = words.partition(" Also accepted as ")
    return re.findall(r"`(\w+)`", others)


@every_model
def test_the_opening_says_what_the_list_says(model: Model) -> None:
    title, quote, *facts = sections(model_text(model, FACTS))[""]
    assert title == f"# {model.name} (`{model.id}`)"
    assert quote == f"> {model.description}"
    assert f"- Cost: {cost_line(model)}" in facts
    assert (f"- Features: {', '.join(model.features)}" in facts) == bool(model.features)
    assert (f"- Use cases: {', '.join(model.use_cases)}" in facts) == bool(model.use_cases)


RULES = {
    ("hunyuan-3d", "Give exactly one of prompt or image_url."),
    ("veo-3.1-fast", "Give at most one of image_url or image_urls."),
    ("heygen-avatar", "Give at least one of script or audio_url."),
    ("veo-3.1-fast", "When end_image_url is given, give image_url too."),
    ("veo-3.1-fast", 'When image_urls is given, duration must be 8 and aspect_ratio must be "16:9".'),
    ("flux", 'When model is "flux-schnell" or "flux-schnell-lora", leave image_url out.'),
    (
        "consistent-characters",
        'When image_urls has at least 5 items, model must be "nano-banana-pro" or "nano-banana-2": flux-2-dev takes '
        "four pictures at most.",
    ),
    (
        "xai-image-edit",
        'When image_urls has at most 1 item, aspect_ratio must be "auto": one picture keeps its own shape.',
    ),
    ("flux-2-klein-4b", "loras and lora_scales have as many items as one another."),
    (
        "gpt-image-2",
        "width x height is 655360 to 8294400 pixels in all, the longer side at most 3 times the other.",
    ),
    ("seedream-4", "Together, the items of image_urls and num_outputs come to 1 to 15."),
    ("kling-motion-control", "video_url must be 3 to 30 seconds long."),
    ("kling-motion-control", 'When character_orientation is "image", video_url must be at most 10 seconds long.'),
    ("seedance-2-reference", "Each item of audio_urls must be at most 15 seconds long."),
}


@pytest.mark.parametrize(("model_id", "sentence"), sorted(RULES))
def test_a_rule_is_an_instruction(model_id: str, sentence: str) -> None:
    (model,) = [model for model in MODELS if model.id == model_id]
    assert sentence in rule_sentences(model)


def test_it_says_which_keys_run_the_model_here() -> None:
    flux, other = (model_text(model, FACTS) for model in _two())
    assert "`pd_live_` runs it on a real upstream" in flux
    assert "`pd_live_` is answered 503" in other


def _two() -> tuple[Model, Model]:
    (flux,) = [model for model in MODELS if model.id == "flux-1.1-pro"]
    return flux, replace(flux, id="other")
