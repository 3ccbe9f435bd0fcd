"""The JSON Schema 2020-12 of a model's inputs.

Owns the two forms of it: the whole one that is published, and the one without rules between parameters that `inputs`
checks with before it words those rules itself. Tests hold the two together.
"""

import json
from collections.abc import Mapping, Sequence

from pixeldojo.catalog.conditions import Condition, describe
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.rules import ChooseRule, Rule, WhenRule
from pixeldojo.core.json_types import JsonObject, JsonValue

TEXT_MAXIMUM = 20_000
# Room for 25 MB of media as a base64 data URI.
MEDIA_MAXIMUM = 33_500_000
ITEMS_MAXIMUM = 100
NUMBER_MAXIMUM = 2**53 - 1
MEDIA_PATTERN = "^(https?://|data:)"


def property_schema(parameter: Parameter) -> JsonObject:
    """Return the schema of one parameter: type, description, limits, default."""
    schema: dict[str, JsonValue] = {"type": "array" if parameter.is_array else parameter.type}
    schema["description"] = full_description(parameter)
    if parameter.is_array:
        schema["items"] = {"type": parameter.item_type, **_limits(parameter)}
        schema["minItems"] = parameter.min_items if parameter.min_items is not None else int(parameter.required)
        schema["maxItems"] = parameter.max_items or ITEMS_MAXIMUM
    else:
        schema.update(_limits(parameter))
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def object_schema(parameters: Sequence[Parameter]) -> dict[str, JsonValue]:
    """Return the schema of an object with these members and no others, without rules between them."""
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {parameter.name: property_schema(parameter) for parameter in parameters},
        "additionalProperties": False,
    }
    required = [parameter.name for parameter in parameters if parameter.required and not parameter.applies_when]
    if required:
        schema["required"] = required
    return schema


def published_schema(title: str, parameters: Sequence[Parameter], rules: Sequence[Rule]) -> dict[str, JsonValue]:
    """Return the whole schema, with every rule that JSON Schema can say."""
    known = {parameter.name: parameter for parameter in parameters}
    clauses = [clause for rule in rules if (clause := _rule(rule, known))]
    clauses += [_applies(parameter, known) for parameter in parameters if parameter.applies_when]
    clauses = _one_for_each_condition(clauses)
    schema: dict[str, JsonValue] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **object_schema(parameters),
    }
    if len(clauses) == 1:
        schema.update(clauses[0])
    elif clauses:
        schema["allOf"] = clauses
    return schema


def full_description(parameter: Parameter) -> str:
    """Return the parameter's sentence, and what its kind of value and its place add to it."""
    words = parameter.description
    if parameter.media:
        article = "an" if parameter.media[0] in "aeiou" else "a"
        words += (
            f" An https URL, a data: URI or the url of an upload (POST /api/v1/files) of {article} {parameter.media}."
        )
    if parameter.applies_when:
        words += f" Only when {describe(parameter.applies_when)}."
    return words


def _limits(parameter: Parameter) -> dict[str, JsonValue]:
    limits: dict[str, JsonValue] = {}
    match parameter.item_type:
        case "object":
            limits = object_schema(parameter.fields)
            del limits["type"]
        case "integer" | "number":
            limits["minimum"] = parameter.minimum if parameter.minimum is not None else -NUMBER_MAXIMUM
            limits["maximum"] = parameter.maximum if parameter.maximum is not None else NUMBER_MAXIMUM
            if parameter.multiple_of is not None:
                limits["multipleOf"] = parameter.multiple_of
        case "string" if parameter.media:
            limits = {"pattern": MEDIA_PATTERN, "maxLength": MEDIA_MAXIMUM}
        case "string":
            limits["maxLength"] = parameter.max_length or TEXT_MAXIMUM
            if parameter.min_length or parameter.required:
                limits["minLength"] = parameter.min_length or 1
    if parameter.enum is not None:
        limits = {"enum": list(parameter.enum)}
    return limits


def _rule(rule: Rule, known: Mapping[str, Parameter]) -> dict[str, JsonValue]:
    match rule:
        case ChooseRule():
            return _choose(rule, known)
        case WhenRule():
            return _when(rule, known)
        case _:
            return {}  # sums, equal lengths and areas are beyond JSON Schema; `inputs` checks them


def _choose(rule: ChooseRule, known: Mapping[str, Parameter]) -> dict[str, JsonValue]:
    each: list[JsonValue] = [_given(name, known) for name in rule.of]
    match rule.rule:
        case "exactly_one":
            return {"oneOf": each}
        case "at_least_one":
            return {"anyOf": each}
        case "at_most_one":
            return {"oneOf": [*each, {"not": {"anyOf": each}}]}


def _when(rule: WhenRule, known: Mapping[str, Parameter]) -> dict[str, JsonValue]:
    if rule.when == Condition(given=rule.when.given) and not rule.allow and not rule.refuses:
        simple = not any(known[name].drops_when_empty for name in (*rule.when.given, *rule.needs))
        if simple and len(rule.when.given) == 1:
            return {"dependentRequired": {rule.when.given[0]: list(rule.needs)}}
    then: list[JsonValue] = [_value_in(name, values, known, absent_passes=True) for name, values in rule.allow.items()]
    then += [_given(name, known) for name in rule.needs]
    then += [{"not": _given(name, known)} for name in rule.refuses]
    return {"if": _condition(rule.when, known), "then": _all(then)}


def _applies(parameter: Parameter, known: Mapping[str, Parameter]) -> dict[str, JsonValue]:
    assert parameter.applies_when is not None
    clause: dict[str, JsonValue] = {"if": _condition(parameter.applies_when, known)}
    if parameter.required:
        clause["then"] = {"required": [parameter.name]}
    return {**clause, "else": {"not": _given(parameter.name, known)}}


def _one_for_each_condition(clauses: Sequence[dict[str, JsonValue]]) -> list[dict[str, JsonValue]]:
    """Put what follows from the same condition under one `if`, where the first of them stood.

    It is shorter, and programs that make inputs from a schema give up where there are too many.
    """
    together: dict[str, list[dict[str, JsonValue]]] = {}
    for clause in clauses:
        together.setdefault(json.dumps(clause.get("if", clause)), []).append(clause)
    return [_joined(alike) if len(alike) > 1 else alike[0] for alike in together.values()]


def _joined(clauses: Sequence[dict[str, JsonValue]]) -> dict[str, JsonValue]:
    """Join clauses of which all have the same `if`, or which are all the same."""
    joined = dict(clauses[0])
    for branch in ("then", "else"):
        parts = [clause[branch] for clause in clauses if branch in clause]
        if parts:
            joined[branch] = _all(parts)
    return joined


def _condition(condition: Condition, known: Mapping[str, Parameter]) -> JsonObject:
    parts: list[JsonValue] = [_given(name, known) for name in condition.given]
    parts += [{"not": _given(name, known)} for name in condition.absent]
    parts += [_value_in(name, values, known, absent_passes=False) for name, values in condition.one_of.items()]
    parts += [_bound(name, "minimum", "minItems", n, known) for name, n in condition.at_least.items()]
    parts += [_bound(name, "maximum", "maxItems", n, known) for name, n in condition.at_most.items()]
    return _all(parts)


def _given(name: str, known: Mapping[str, Parameter]) -> JsonObject:
    parameter = known[name]
    if not parameter.drops_when_empty:
        return {"required": [name]}
    smallest: JsonObject = {"minItems": 1} if parameter.is_array else {"minLength": 1}
    return {"required": [name], "properties": {name: smallest}}


def _value_in(
    name: str, values: Sequence[JsonValue], known: Mapping[str, Parameter], *, absent_passes: bool
) -> JsonObject:
    clause: dict[str, JsonValue] = {"properties": {name: {"enum": list(values)}}}
    default = known[name].default
    if not (absent_passes if default is None else default in values):
        clause["required"] = [name]
    return clause


def _bound(name: str, word: str, items: str, limit: float, known: Mapping[str, Parameter]) -> JsonObject:
    clause: dict[str, JsonValue] = {"properties": {name: {items if known[name].is_array else word: limit}}}
    default = known[name].default
    if not isinstance(default, int | float):
        missing_passes = word == "maximum"
    else:
        missing_passes = default <= limit if word == "maximum" else default >= limit
    if not missing_passes:
        clause["required"] = [name]
    return clause


def _all(parts: Sequence[JsonValue]) -> JsonObject:
    if len(parts) == 1 and isinstance(parts[0], Mapping):
        return parts[0]
    return {"allOf": list(parts)}
