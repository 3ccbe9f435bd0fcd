"""What the page of a model shows, and how the list of all of them is grouped.

Owns the choice and the order. The words for prices, limits and rules are the catalog's; the layout is the templates'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Final

from pixeldojo.api.pages.examples import Examples, model_examples
from pixeldojo.catalog.conditions import joined
from pixeldojo.catalog.inputs import aliases
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.request_schema import full_description
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.texts import capabilities
from pixeldojo.catalog.wording import PriceTable, example_cost, parameter_facts, price_table, rule_sentences

_OUTPUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image": "Images, in output.images",
        "video": "A video, in output.video",
        "audio": "A sound, in output.audio",
        "model3d": "A 3D model, in output.model",
    }
)
_CONFIDENCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "documented": "Its upstreams document all of this.",
        "partly": "Its upstreams document part of this; the rest was read from programs that call them.",
        "inferred": "No upstream documents this; it was read from programs that call them.",
    }
)
_SECTIONS: Final[Mapping[str, str]] = MappingProxyType({"image": "Image models", "video": "Video models"})


@dataclass(frozen=True, slots=True)
class ShownParameter:
    """One row of the table of parameters; `level` counts how deep it lies in others."""

    name: str
    level: int
    is_required: bool
    facts: tuple[str, ...]
    description: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownUpstream:
    """Where a live key's job may go."""

    provider: str
    endpoint: str
    is_set_up: bool


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Everything on the page of one model, in words."""

    id: str
    name: str
    description: str
    section: str
    capabilities: tuple[str, ...]
    features: tuple[str, ...]
    use_cases: tuple[str, ...]
    cost: str
    least_cost: str
    prices: PriceTable
    parameters: tuple[ShownParameter, ...]
    rules: tuple[str, ...]
    output: str
    formats: str
    upstreams: tuple[ShownUpstream, ...]
    sandbox_only: str | None
    confidence: str
    examples: Examples


def model_page(model: Model, base_url: str, samples_url: str, live_providers: frozenset[str]) -> ModelPage:
    """Return what the page of a model shows."""
    return ModelPage(
        id=model.id,
        name=model.name,
        description=model.description,
        section=_SECTIONS[model.section],
        capabilities=capabilities(model),
        features=model.features,
        use_cases=model.use_cases,
        cost=cost_line(model),
        least_cost=example_cost(model),
        prices=price_table(model),
        parameters=_parameters(model),
        rules=rule_sentences(model),
        output=_OUTPUTS[model.output.kind],
        formats=joined(model.output.formats, "or"),
        upstreams=_upstreams(model, live_providers),
        sandbox_only=model.sandbox_only,
        confidence=_CONFIDENCE[model.confidence.level],
        examples=model_examples(model, base_url, samples_url),
    )


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of the list."""

    id: str
    name: str
    cost: str
    is_sandbox_only: bool


@dataclass(frozen=True, slots=True)
class ListedTask:
    """Models of one section that do the same."""

    name: str
    models: tuple[ListedModel, ...]


@dataclass(frozen=True, slots=True)
class ListedSection:
    """A heading of the list."""

    name: str
    total: int
    tasks: tuple[ListedTask, ...]


def listed_models(catalog: Catalog) -> tuple[ListedSection, ...]:
    """Return every model, by section and by what it does; in each, in the order of the catalog."""
    sections = []
    for section, models in groupby(catalog.models, key=lambda model: model.section):
        tasks: dict[str, list[ListedModel]] = {}
        for model in models:
            line = ListedModel(model.id, model.name, cost_line(model), model.sandbox_only is not None)
            tasks.setdefault(model.task, []).append(line)
        listed = tuple(ListedTask(task.replace("-", " "), tuple(found)) for task, found in tasks.items())
        sections.append(ListedSection(_SECTIONS[section], sum(len(task.models) for task in listed), listed))
    return tuple(sections)


def _parameters(model: Model) -> tuple[ShownParameter, ...]:
    others = aliases(model.parameters)
    shown: list[ShownParameter] = []
    for parameter in model.parameters:
        _show(parameter, 0, tuple(alias for alias, name in others.items() if name == parameter.name), shown)
    return tuple(shown)


def _show(parameter: Parameter, level: int, others: tuple[str, ...], shown: list[ShownParameter]) -> None:
    facts = parameter_facts(parameter)
    is_required = "required" in facts
    rest = tuple(fact for fact in facts if fact not in {"required", "optional"})
    shown.append(ShownParameter(parameter.name, level, is_required, rest, full_description(parameter), others))
    for member in parameter.fields:
        _show(member, level + 1, (), shown)


def _upstreams(model: Model, live_providers: frozenset[str]) -> tuple[ShownUpstream, ...]:
    """Return the model's upstreams in order; what is bound in several ways stands there once."""
    found = dict.fromkeys((upstream.provider, upstream.endpoint) for upstream in model.upstreams)
    return tuple(ShownUpstream(provider, endpoint, provider in live_providers) for provider, endpoint in found)
