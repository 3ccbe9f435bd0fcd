"""Every model of the catalog at each of its upstreams that has an adapter: bound, sent, and taken by the emulator."""

import base64
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack

import pytest
from tests.emulators.samples import Samples
from tests.providers.pairs import PAIRS, Pair, whole_catalog
from tests.providers.stand import LOOPBACK

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.conditions import Condition
from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import PROVIDERS, Model, Upstream
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.settings import Settings, read_settings, variable_of
from pixeldojo.net.client import OutboundClient
from pixeldojo.providers.contract import Call, TakesContent, UpstreamError
from pixeldojo.providers.registry import build_upstreams

_MOST_MORE = 2
PICTURE = f"data:image/png;base64,{base64.b64encode(Samples().image).decode()}"


class _LeftOut:
    """Stands for a parameter that is not given."""


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
async def test_the_service_takes_what_the_catalog_says(pair: Pair) -> None:
    http = OutboundClient(LOOPBACK)
    refused: dict[str, str] = {}
    async with pair.open_emulator() as emulator, AsyncExitStack() as stack:
        stack.push_async_callback(http.close)
        provider = pair.provider(emulator)
        client = http.for_provider(provider)
        for model, upstream in _offered(pair.name):
            try:
                await provider.submit(_call(model, upstream, isinstance(provider, TakesContent)), client)
            except UpstreamError as error:
                refused[f"{model.id} at {upstream.endpoint}"] = error.message
            else:
                work = emulator.paid[-1]
                assert work.endpoint in upstream.endpoint
                assert work.arguments
    assert refused == {}
    assert emulator.paid


def test_every_adapter_is_tried_here(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = [name for name, setting in Settings.model_fields.items() if setting.alias]
    for name in credentials:
        monkeypatch.delenv(variable_of(name), raising=False)
    built = build_upstreams(read_settings(**dict.fromkeys(credentials, "id:secret")))
    assert {name: type(provider) for name, provider in built.items()} == {pair.name: pair.adapter for pair in PAIRS}
    assert set(built) == set(PROVIDERS), "catalog/schema.py lists the providers that a model's file may name"
    assert build_upstreams(read_settings()) == {}


def _offered(provider: str) -> Iterator[tuple[Model, Upstream]]:
    for model in whole_catalog().models:
        yield from ((model, upstream) for upstream in model.upstreams if upstream.provider == provider)


def _call(model: Model, upstream: Upstream, takes_content: bool) -> Call:
    given = _input_for(model, upstream)
    files = {(media.parameter, media.index): PICTURE for media in media_values(model, given) if takes_content}
    return Call(
        job_id="job_1",
        attempt_id=f"att_{model.id}_{model.upstreams.index(upstream)}",
        model_id=model.id,
        task=model.task,
        endpoint=upstream.endpoint,
        arguments=bind(upstream, model, given, files),
        input=given,
        output=model.output_json,
    )


def _input_for(model: Model, upstream: Upstream) -> JsonObject:
    """Return an input that goes to this upstream: the model's example, with what decides about upstreams varied."""
    deciding = dict.fromkeys(upstream.when.names() if upstream.when else ())
    others = [parameter.name for parameter in model.parameters if parameter.name not in deciding]
    # A rule, or an upstream that comes before, may ask for more to be changed.
    for count in range(_MOST_MORE + 1):
        for more in itertools.combinations(others, count):
            for changed in _variants(model, upstream, [*deciding, *more]):
                try:
                    given = read_input(model, changed)
                except ValidationError:
                    continue
                if upstream in choose_upstreams(model, given):
                    return given
    raise AssertionError(f"no input of {model.id} goes to {upstream.endpoint}")


def _variants(model: Model, upstream: Upstream, names: Sequence[str]) -> Iterator[dict[str, JsonValue]]:
    for values in itertools.product(*(_telling(model.known[name], upstream) for name in names)):
        changed = {**model.example, **dict(zip(names, values, strict=True))}
        yield {name: value for name, value in changed.items() if not isinstance(value, _LeftOut)}


def _telling(parameter: Parameter, upstream: Upstream) -> Sequence[JsonValue | _LeftOut]:
    """Return values of a parameter over which upstreams differ."""
    when = upstream.when or Condition()
    listed: list[JsonValue | _LeftOut] = list(when.one_of.get(parameter.name, ()))
    usual: list[JsonValue | _LeftOut] = list(parameter.enum or ()) if not parameter.is_array else []
    bounds = [table[parameter.name] for table in (when.at_least, when.at_most) if parameter.name in table]
    if parameter.type == "boolean":
        usual = [True, False]
    return [*listed, *bounds, example_value(parameter), _LeftOut(), *usual]
