"""Saying an input in an upstream's words.

Owns the choice among a model's upstreams and the translation of one input for one of them. Leaves calling them to
the adapters. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from pixeldojo.catalog.conditions import holds
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import MediaLimits, Model, Send, SizeBinding, Upstream
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.output_facts import Size, Source

_SEGMENT = re.compile(r"^(?P<name>[^\[\]]+)(?P<index>\[\d*\])?$")


class BindingError(ValueError):
    """An upstream's words in a catalog file contradict each other; the loader finds this before any request."""


class GivenFile(Source, Protocol):
    """The facts of a fetched media input that decide who can take it; a contract `InputFile` is one."""

    @property
    def size_bytes(self) -> int: ...


def choose_upstreams(model: Model, given: JsonObject, files: Sequence[GivenFile] = ()) -> tuple[Upstream, ...]:
    """Return the upstreams that can serve this input with these files, in order, at most one for each provider.

    Empty when none can; the caller then says so instead of asking one that will refuse.
    """
    chosen: dict[str, Upstream] = {}
    for upstream in model.upstreams:
        if upstream.provider not in chosen and _can_serve(model, upstream, given, files):
            chosen[upstream.provider] = upstream
    return tuple(chosen.values())


def bind(
    upstream: Upstream,
    model: Model,
    given: JsonObject,
    media_urls: Mapping[tuple[str, int], str],
    sources: Sequence[Source] = (),
) -> dict[str, JsonValue]:
    """Return the arguments for one upstream.

    Args:
        upstream: One that `choose_upstreams` returned for this input.
        model: The upstream's model.
        given: What `read_input` returned.
        media_urls: The address the upstream may fetch each media input from, by parameter and index as in
            `media_values`; an address not listed travels as the caller gave it.
        sources: The fetched media, which an output's size may follow.
    """
    arguments: dict[str, JsonValue] = {}
    sized = _size_parameters(model.output.size) if upstream.size and model.output.size else frozenset()
    unsent = {*upstream.lacks, *upstream.ignores, *sized}
    ordered = [
        *upstream.send,
        *(parameter.name for parameter in model.parameters if parameter.name not in upstream.send),
    ]
    known = {parameter.name: parameter for parameter in model.parameters}
    for name in ordered:
        if name not in given or (name in unsent and name not in upstream.send):
            continue
        value = _with_urls(known[name], name, given[name], _Counter(media_urls))
        for send in upstream.send.get(name, (Send(to=name),)):
            _send(arguments, send, value)
    if upstream.size:
        _send_size(arguments, upstream.size, model.output.pixels(given, sources))
    for path, constant in upstream.constants.items():
        put(arguments, path, constant)
    return arguments


def put(arguments: dict[str, JsonValue], path: str, value: JsonValue) -> None:
    """Put a value where a path says: `a.b`, `a[0].b`, or `a.b[]` to append.

    Raises:
        BindingError: if something else already stands there, or the path is not one.
    """
    here = arguments
    *parents, last = path.split(".")
    for segment in parents:
        here = _descend(here, segment, path)
    name, index = _parts(last, path)
    if index is None:
        if name in here:
            raise BindingError(f"{path} is written twice")
        here[name] = value
    else:
        items = _list_at(here, name, path)
        if index not in ("", str(len(items))):
            raise BindingError(f"{path} is written twice or leaves a gap")
        items.append(value)


def _can_serve(model: Model, upstream: Upstream, given: JsonObject, files: Sequence[GivenFile]) -> bool:
    defaults = {parameter.name: parameter.default for parameter in model.parameters}
    return (
        holds(upstream.when, given)
        and all(given.get(name, defaults[name]) == defaults[name] for name in upstream.lacks)
        and all(_fits(upstream.limits.get(file.parameter), file) for file in files)
    )


def _fits(limits: MediaLimits | None, file: GivenFile) -> bool:
    if limits is None:
        return True
    sides = [side for side in (file.width, file.height) if side is not None]
    return (
        _within(file.size_bytes, limits.maximum_bytes)
        and _within(file.duration_seconds or 0, limits.maximum_seconds)
        and all(side >= (limits.minimum_side or 0) and _within(side, limits.maximum_side) for side in sides)
    )


def _within(value: float, most: float | None) -> bool:
    return most is None or value <= most


def _size_parameters(size: Size) -> frozenset[str]:
    names = (size.resolution_parameter, size.aspect_parameter, size.width_parameter, size.height_parameter)
    return frozenset(name for name in names if name)


class _Counter:
    """Hands out the addresses of each media parameter in the order in which its values are met."""

    def __init__(self, urls: Mapping[tuple[str, int], str]) -> None:
        self._urls = urls
        self._met: dict[str, int] = {}

    def address(self, path: str, value: str) -> str:
        index = self._met.get(path, 0)
        self._met[path] = index + 1
        return self._urls.get((path, index), value)


def _with_urls(parameter: Parameter, path: str, value: JsonValue, urls: _Counter) -> JsonValue:
    if isinstance(value, list | tuple):
        return [_with_urls(parameter, path, item, urls) for item in value]
    if isinstance(value, Mapping):
        return {
            member.name: _with_urls(member, f"{path}.{member.name}", value[member.name], urls)
            for member in parameter.fields
            if member.name in value
        }
    return urls.address(path, value) if parameter.media and isinstance(value, str) else value


def _send(arguments: dict[str, JsonValue], send: Send, value: JsonValue) -> None:
    if not isinstance(value, list | tuple):
        if value not in send.omit:
            said = _said(send, value)
            put(arguments, send.to, [said] if send.listed else said)
        return
    items = [_said(send, item) for item in value if item not in send.omit]
    if not items:
        return
    if send.join is not None:
        put(arguments, send.to, send.join.join(_as_text(item) for item in items))
    elif send.first:
        put(arguments, send.to, items[0])
    elif send.to.endswith("[]"):
        for item in items:
            put(arguments, send.to, item)
    else:
        put(arguments, send.to, items)


def _said(send: Send, value: JsonValue) -> JsonValue:
    """Return one value in the upstream's words."""
    if send.pluck is not None and isinstance(value, Mapping):
        value = value.get(send.pluck)
    value = send.values.get(_as_text(value), value)
    if send.invert:
        value = not value
    if send.times is not None and isinstance(value, int | float):
        product = value * send.times
        value = int(product) if product == int(product) else product
    if send.text is not None:
        value = send.text.replace("{}", _as_text(value))
    return value if send.each is None else _in_template(send.each, value)


def _as_text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _in_template(template: JsonValue, value: JsonValue) -> JsonValue:
    if template == "{}":
        return value
    if isinstance(template, Mapping):
        return {key: _in_template(inner, value) for key, inner in template.items()}
    if isinstance(template, list | tuple):
        return [_in_template(inner, value) for inner in template]
    return template


def _send_size(arguments: dict[str, JsonValue], binding: SizeBinding, pixels: tuple[int, int]) -> None:
    width, height = pixels
    if binding.to is not None:
        put(arguments, binding.to, binding.text.replace("{width}", str(width)).replace("{height}", str(height)))
    if binding.width is not None and binding.height is not None:
        put(arguments, binding.width, width)
        put(arguments, binding.height, height)


def _descend(here: dict[str, JsonValue], segment: str, path: str) -> dict[str, JsonValue]:
    name, index = _parts(segment, path)
    if index is None:
        inner = here.setdefault(name, {})
    else:
        items = _list_at(here, name, path)
        if index == str(len(items)):
            items.append({})
        if not index.isdigit() or int(index) >= len(items):
            raise BindingError(f"{path} leaves a gap before [{index}]")
        inner = items[int(index)]
    if not isinstance(inner, dict):
        raise BindingError(f"{path} goes through {segment}, which already holds a value")
    return inner


def _list_at(here: dict[str, JsonValue], name: str, path: str) -> list[JsonValue]:
    items = here.setdefault(name, [])
    if not isinstance(items, list):
        raise BindingError(f"{path} appends to {name}, which is not a list")
    return items


def _parts(segment: str, path: str) -> tuple[str, str | None]:
    match = _SEGMENT.match(segment)
    if match is None:
        raise BindingError(f'{path} is not a path; write "a.b", "a[0].b" or "a.b[]"')
    index = match["index"]
    return match["name"], None if index is None else index[1:-1]
