"""Whether the parts of one model's file fit together.

Owns every check that needs more than one key: defaults within limits, prices that cover what can be asked, size
tables that cover what can be shown, words for upstreams that do not collide. A finding stops the start.
Leaves the shape of each table to its own module.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from jsonschema_rs import Draft202012Validator

from pixeldojo.catalog.bind import BindingError, bind
from pixeldojo.catalog.breaches import schema_breaches
from pixeldojo.catalog.check_output import output_findings
from pixeldojo.catalog.check_price import price_findings
from pixeldojo.catalog.check_safety import safety_findings
from pixeldojo.catalog.conditions import Condition, shown
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.request_schema import ITEMS_MAXIMUM, object_schema
from pixeldojo.catalog.rules import ChooseRule, Rule, WhenRule, names
from pixeldojo.catalog.schema import Model, Send, SizeBinding, Upstream
from pixeldojo.catalog.toml_file import Origin, refuse_any
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.near_miss import nearest

Findings: TypeAlias = Iterator[tuple[str, str]]

_EXAMPLE_FILES = {
    "image": "https://example.com/picture.jpg",
    "video": "https://example.com/clip.mp4",
    "audio": "https://example.com/sound.mp3",
    "file": "https://example.com/file.bin",
}


def check_names(parameters: Sequence[Parameter], rules: Sequence[Rule], origin: Origin) -> None:
    """Check that every name stands for one parameter, and that rules and conditions name only those.

    Raises:
        ConfigurationError: naming each that does not.
    """
    refuse_any(origin, _names_findings(parameters, rules))


def check_providers(upstreams: Sequence[Upstream], known: Sequence[str], origin: Origin) -> None:
    """Check that every upstream has an adapter.

    Raises:
        ConfigurationError: naming each that has none, and the providers that have one.
    """
    refuse_any(origin, _provider_findings(upstreams, known))


def check_model(model: Model, origin: Origin) -> None:
    """Check a whole model whose names are known to be right.

    Raises:
        ConfigurationError: naming everything that the first failing check finds; what comes after it relies on it.
    """
    checks: tuple[Callable[[Model], Findings], ...] = (
        _parameter_findings,
        safety_findings,
        _rule_findings,
        _length_findings,
        price_findings,
        output_findings,
        _route_findings,
        _upstream_findings,
        _example_findings,
    )
    for check in checks:
        refuse_any(origin, check(model))


def derive_example(parameters: Sequence[Parameter]) -> dict[str, JsonValue]:
    """Return an input with the required parameters only, made from their examples and limits."""
    return {p.name: example_value(p) for p in parameters if p.required and not p.applies_when}


def example_value(parameter: Parameter) -> JsonValue:
    """Return a value the parameter accepts."""
    for given in (parameter.example, parameter.default):
        if given is not None:
            return given
    if parameter.is_array:
        return [_item_example(parameter)] * max(parameter.min_items or 1, 1)
    return _item_example(parameter)


def _item_example(parameter: Parameter) -> JsonValue:
    if parameter.enum:
        return parameter.enum[0]
    match parameter.item_type:
        case "string" if parameter.media:
            return _EXAMPLE_FILES[parameter.media]
        case "string":
            return "A lighthouse at dusk"
        case "boolean":
            return True
        case "object":
            return {member.name: example_value(member) for member in parameter.fields}
        case _:
            return parameter.minimum if parameter.minimum is not None else parameter.multiple_of or 1


def unknown_name(name: str, parameters: Sequence[Parameter]) -> str:
    """Return the reason for a name that no parameter has."""
    return f'no parameter is named "{name}"{nearest(name, [p.name for p in parameters])}'


def _names_findings(parameters: Sequence[Parameter], rules: Sequence[Rule]) -> Findings:
    known = {parameter.name for parameter in parameters}
    taken: set[str] = set()
    for index, parameter in enumerate(parameters):
        place = f"parameters[{index}]"
        if parameter.name == "webhook_url":
            yield f"{place}.name", "webhook_url belongs to the API, which takes it off before the model sees the input"
        for name in (parameter.name, *parameter.aliases):
            if name in taken:
                yield place, f'"{name}" stands for two parameters; every name and alias may stand once'
            taken.add(name)
        for name in parameter.applies_when.names() if parameter.applies_when else ():
            if name not in known:
                yield f"{place}.applies_when", unknown_name(name, parameters)
    for index, rule in enumerate(rules):
        for name in names(rule):
            if name not in known:
                yield f"rules[{index}]", unknown_name(name, parameters)


def _provider_findings(upstreams: Sequence[Upstream], known: Sequence[str]) -> Findings:
    for index, upstream in enumerate(upstreams):
        if upstream.provider not in known:
            hint = nearest(upstream.provider, known) or "; note an upstream without an adapter in a comment"
            reason = f'must be one of {", ".join(known)}, not "{upstream.provider}"{hint}'
            yield f"upstreams[{index}].provider", reason


def _parameter_findings(model: Model) -> Findings:
    for index, parameter in enumerate(model.parameters):
        place = f"parameters[{index}] ({parameter.name})"
        yield from _one_parameter(parameter, place)
        if parameter.applies_when:
            yield from condition_findings(parameter.applies_when, model, f"{place}.applies_when")


def _one_parameter(parameter: Parameter, place: str) -> Findings:
    if (parameter.media is None) != (parameter.role is None):
        yield place, "media and role belong together: what kind of file, and what it is for"
    if parameter.media and parameter.item_type != "string":
        yield (
            f"{place}.media",
            f'media are addresses: the type is "string" or "array<string>", not "{parameter.type}"',
        )
    if (parameter.item_type == "object") != bool(parameter.fields):
        yield f"{place}.fields", "objects list their members as fields, and only objects do"
    if parameter.required and parameter.default is not None:
        yield f"{place}.default", "a required parameter has no default; drop one of the two"
    if (parameter.max_items or 0) > ITEMS_MAXIMUM:
        yield f"{place}.max_items", f"{ITEMS_MAXIMUM} items are the most any input takes"
    yield from _limit_findings(parameter, place)
    for key, value in (("default", parameter.default), ("example", parameter.example)):
        if value is not None:
            yield from _value_findings(parameter, value, f"{place}.{key}")
    for index, member in enumerate(parameter.fields):
        yield from _one_parameter(member, f"{place}.fields[{index}] ({member.name})")


def _limit_findings(parameter: Parameter, place: str) -> Findings:
    numeric, textual = parameter.item_type in ("integer", "number"), parameter.item_type == "string"
    fitting = {
        "minimum": numeric,
        "maximum": numeric,
        "multiple_of": numeric,
        "min_length": textual and not parameter.media,
        "max_length": textual and not parameter.media,
        "min_items": parameter.is_array,
        "max_items": parameter.is_array,
    }
    for key, fits in fitting.items():
        if getattr(parameter, key) is not None and not fits:
            yield f"{place}.{key}", f'is no limit of the type "{parameter.type}"'
    for low, high in (("minimum", "maximum"), ("min_length", "max_length"), ("min_items", "max_items")):
        least, most = getattr(parameter, low), getattr(parameter, high)
        if least is not None and most is not None and least > most:
            yield f"{place}.{low}", f"{least} is above {high}, {most}"
    options = parameter.enum or ()
    if len(set(map(repr, options))) < len(options):
        yield f"{place}.enum", "lists a value twice"
    for option in options:
        yield from _value_findings(parameter, [option] if parameter.is_array else option, f"{place}.enum")


def _value_findings(parameter: Parameter, value: JsonValue, place: str) -> Findings:
    validator = Draft202012Validator(object_schema([parameter]))
    for error in validator.iter_errors({parameter.name: value}):
        for breach in schema_breaches(error, {parameter.name: parameter}):
            yield place, breach.message


def condition_findings(condition: Condition, model: Model, place: str) -> Findings:
    """Find what a condition reads that it cannot."""
    for name in condition.names():
        parameter = model.parameter(name)
        if parameter is None:
            yield place, unknown_name(name, model.parameters)
        elif parameter.applies_when:
            yield place, f"{name} itself exists only sometimes; a condition reads parameters that always apply"
    for name in (*condition.given, *condition.absent):
        parameter = model.parameter(name)
        if parameter and (parameter.default is not None or parameter.required):
            yield place, f"{name} is always there; ask for its value with one_of"
    for name, values in condition.one_of.items():
        parameter = model.parameter(name)
        for value in values:
            if parameter and parameter.enum is not None and value not in parameter.enum:
                yield f"{place}.one_of.{name}", f"{value!r} is not among the values of {name}"


def _rule_findings(model: Model) -> Findings:
    for index, rule in enumerate(model.rules):
        place = f"rules[{index}]"
        if isinstance(rule, ChooseRule):
            yield from condition_findings(Condition(given=rule.of), model, f"{place}.of")
        if isinstance(rule, WhenRule):
            yield from condition_findings(rule.when, model, f"{place}.when")
            yield from condition_findings(Condition(one_of=rule.allow), model, f"{place}.allow")
            yield from condition_findings(Condition(given=(*rule.needs, *rule.refuses)), model, place)
            if not (rule.allow or rule.needs or rule.refuses):
                yield place, "says when, but not what: give allow, needs or refuses"


def _length_findings(model: Model) -> Findings:
    for index, limit in enumerate(model.lengths):
        place = f"lengths[{index}]"
        parameter = model.parameter(limit.of)
        if parameter is None:
            yield f"{place}.of", unknown_name(limit.of, model.parameters)
        elif parameter.media not in ("video", "audio"):
            yield f"{place}.of", f"{limit.of} is no clip or sound"
        if limit.when:
            yield from condition_findings(limit.when, model, f"{place}.when")
        if limit.minimum is None and limit.maximum is None:
            yield place, "limits nothing: give minimum, maximum or both"
        elif limit.minimum and limit.maximum and limit.minimum > limit.maximum:
            yield place, f"the minimum, {limit.minimum:g}, is above the maximum, {limit.maximum:g}"


def _route_findings(model: Model) -> Findings:
    if not model.upstreams and model.sandbox_only is None:
        yield "upstreams", "is missing; give at least one, or say in sandbox_only why there is none"
    if model.upstreams and model.sandbox_only is not None:
        yield "sandbox_only", "is for models without upstreams; drop it, or the upstreams"


def _upstream_findings(model: Model) -> Findings:
    for index, upstream in enumerate(model.upstreams):
        place = f"upstreams[{index}] ({upstream.provider})"
        if upstream.when:
            yield from condition_findings(upstream.when, model, f"{place}.when")
        for key in ("send", "lacks", "ignores", "limits"):
            for name in getattr(upstream, key):
                if model.parameter(name) is None:
                    yield f"{place}.{key}", unknown_name(name, model.parameters)
        twice = [name for name in upstream.lacks if name in upstream.ignores or name in upstream.send]
        twice += [name for name in upstream.ignores if name in upstream.send]
        if twice:
            yield place, f"{twice[0]} stands under two of send, lacks and ignores"
        for name, sends in upstream.send.items():
            yield from _replacement_findings(model, name, sends, f"{place}.send.{name}")
        if upstream.size:
            yield from _size_findings(model, upstream.size, f"{place}.size")
        yield from _binding_findings(model, upstream, place)


def _replacement_findings(model: Model, name: str, sends: Sequence[Send], place: str) -> Findings:
    """Find replacements for values the parameter cannot have: they would never happen."""
    parameter = model.parameter(name)
    if parameter is None or (parameter.enum is None and parameter.type != "boolean"):
        return
    known = [shown(option).strip('"') for option in parameter.enum or (True, False)]
    for send in sends:
        for value in send.values.keys() - set(known):
            yield f"{place}.values", f'"{value}" is not among the values of {name}{nearest(value, known)}'


def _size_findings(model: Model, size: SizeBinding, place: str) -> Findings:
    if model.output.size is None:
        yield place, f"a model that makes {model.output.kind} has no size to send"
    if (size.to is None) == (size.width is None or size.height is None):
        yield place, "give either width and height, or to (with text)"


def _binding_findings(model: Model, upstream: Upstream, place: str) -> Findings:
    """Bind everything the upstream can meet at once, so that no two words collide."""
    unmet = upstream.when.absent if upstream.when else ()
    everything = {p.name: example_value(p) for p in model.parameters if p.name not in unmet}
    try:
        bind(upstream, model, everything, {})
    except BindingError as error:
        yield place, f"{error}; every path may be written once"


def _example_findings(model: Model) -> Findings:
    try:
        read_input(model, model.example)
        complete = Draft202012Validator(model.request_schema).is_valid(model.example)
    except ValidationError as error:
        yield "example", f"is not a valid input: {error.message} Give one in the key example"
        return
    if not complete:
        yield "example", "passes the rules but not their JSON Schema; one of the two is wrong"
