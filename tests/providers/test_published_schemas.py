"""What services publish of their inputs, and the catalog: whatever a caller may choose, the request fits.

test_every_model.py sends one request to each endpoint; here each parameter takes each of its choices, and its bounds.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest
from tests.emulators.dashscope_requests import check_request
from tests.emulators.emulator import Refusal
from tests.emulators.endpoints import endpoints_of
from tests.emulators.schemas import published
from tests.providers.pairs import whole_catalog

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject, JsonValue


def _problem_at_dashscope(endpoint: str, arguments: JsonObject) -> object:
    """Return what DashScope's pages have against a request; they are no schemas."""
    model, _, path = endpoint.partition("@")
    try:
        check_request(path, model, {"model": model, **arguments}, lambda why: Refusal(400, why))
    except Refusal as refusal:
        return refusal.body
    return None


SERVICES: Final[Mapping[str, Callable[[str, JsonObject], object]]] = {
    **{service: published(service).problem_of for service in ("wavespeed", "magnific", "runware")},
    "dashscope": _problem_at_dashscope,
}


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_a_caller_may_choose_fits(service: str) -> None:
    problems: dict[str, object] = {}
    reached: set[str] = set()
    for model, upstream, given in _requests(service):
        reached.add(upstream.endpoint)
        problem = SERVICES[service](upstream.endpoint, bind(upstream, model, given, {}))
        if problem is not None:
            problems[f"{model.id} at {upstream.endpoint}: {given}"] = problem
    assert problems == {}
    assert endpoints_of(whole_catalog(), service).keys() <= reached


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
