"""What services publish of their inputs, and the catalog: whatever a caller may choose, the request fits.

test_every_model.py sends one request to each endpoint; here each parameter takes each of its choices, and its bounds.
"""

from collections.abc import Iterator

import pytest
from tests.emulators.schemas import published
from tests.providers.pairs import whole_catalog

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject, JsonValue

SERVICES = ["wavespeed", "magnific"]


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_a_caller_may_choose_fits(service: str) -> None:
    schemas = published(service)
    problems: dict[str, object] = {}
    reached: set[str] = set()
    for model, upstream, given in _requests(service):
        reached.add(upstream.endpoint)
        problem = schemas.problem_of(upstream.endpoint, bind(upstream, model, given, {}))
        if problem is not None:
            problems[f"{model.id} at {upstream.endpoint}: {given}"] = problem
    assert problems == {}
    assert schemas.endpoints <= reached


def _requests(service: str) -> Iterator[tuple[Model, Upstream, JsonObject]]:
    for model in whole_catalog().models:
        if all(upstream.provider != service for upstream in model.upstreams):
            continue
        for given in _inputs(model):
            for upstream in choose_upstreams(model, given):
                if upstream.provider == service:
                    yield model, upstream, given


def _inputs(model: Model) -> Iterator[JsonObject]:
    """Return the model's example, with and without each medium that may be left out, with one choice made otherwise."""
    media = [parameter for parameter in model.parameters if parameter.media and not parameter.required]
    bases = [model.example, *({**model.example, parameter.name: example_value(parameter)} for parameter in media)]
    for base in bases:
        for parameter in model.parameters:
            for value in _choices(parameter):
                try:
                    yield read_input(model, {**base, parameter.name: value})
                except ValidationError:
                    continue


def _choices(parameter: Parameter) -> list[JsonValue]:
    if parameter.is_array or parameter.media:
        return [example_value(parameter)]
    if parameter.type == "boolean":
        return [True, False]
    bounds = [bound for bound in (parameter.minimum, parameter.maximum) if bound is not None]
    return [*(parameter.enum or ()), *bounds, example_value(parameter)]
