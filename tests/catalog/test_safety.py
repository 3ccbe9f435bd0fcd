"""No caller can switch an upstream's safety check off, and no upstream is left to think that somebody did."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.catalog.strategies import MODELS
from tests.emulators.fal import published_types

from pixeldojo.catalog.check_safety import safety_findings
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.json_types import JsonValue

# The switches that the nine upstreams are known to have, with the value that leaves the check on.
SAFE: Mapping[str, JsonValue] = {
    "enable_safety_checker": True,
    "enable_output_safety_checker": True,
    "enable_safety_check": True,
    "safety_checker": True,
    "safety_check": True,
    "disable_safety_checker": False,
    "disable_safety_filter": False,
    "filter_nsfw": True,
    "nsfw_checker": True,
    "checkNSFW": True,
    "checkContent": True,
    "moderation": "auto",
    "contentModeration": "auto",
    "publicFigureThreshold": "auto",
    "personGeneration": "dont_allow",
    # Google's own default for newer models is none at all.
    "safetySettings": [
        {"category": f"HARM_CATEGORY_{category}", "threshold": "BLOCK_MEDIUM_AND_ABOVE"}
        for category in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
    ],
}
# How much a check lets through may be chosen, within the range that the upstream documents.
LEVELS = {"safety_tolerance", "safety_filter_level"}
SUSPECT = re.compile(r"safe|nsfw|moderat|censor|guardrail|toleran", re.IGNORECASE)

PACKAGED = [model for model in MODELS if model.id != "wide"]

every_model = pytest.mark.parametrize("model", PACKAGED, ids=lambda model: model.id)


def constants(upstream: Upstream) -> Iterator[tuple[str, JsonValue]]:
    """Give the last word of each path that is always sent, and its value."""
    for path, value in upstream.constants.items():
        yield path.rsplit(".", 1)[-1], value


@every_model
def test_no_parameter_is_a_switch(model: Model) -> None:
    for parameter in model.parameters:
        for name in (parameter.name, *parameter.aliases):
            assert name not in SAFE
            assert name in LEVELS or not SUSPECT.search(name), name
        if parameter.name in LEVELS:
            assert parameter.type in ("integer", "string")
            assert {"off", "none", "block_none"}.isdisjoint(str(value).lower() for value in parameter.enum or ())


@every_model
def test_no_parameter_reaches_a_switch(model: Model) -> None:
    for upstream in model.upstreams:
        targets = {send.to.rsplit(".", 1)[-1] for sends in upstream.send.values() for send in sends}
        assert targets.isdisjoint(SAFE), upstream.endpoint


@every_model
def test_a_switch_that_is_sent_stands_at_its_safe_value(model: Model) -> None:
    for upstream in model.upstreams:
        for name, value in constants(upstream):
            if SUSPECT.search(name) and name not in LEVELS:
                assert name in SAFE, f"{name} is new; say here which value leaves the check on"
            assert value == SAFE.get(name, value), (upstream.endpoint, name)


def test_the_upstreams_that_have_switches_are_told() -> None:
    """The three hosts whose switches stand open, or can be opened, for whole families of models."""
    told = {
        (upstream.provider, name)
        for model in PACKAGED
        for upstream in model.upstreams
        for name, _ in constants(upstream)
        if name in SAFE
    }
    assert told >= {
        ("fal", "enable_safety_checker"),
        ("fal", "enable_output_safety_checker"),
        ("replicate", "disable_safety_checker"),
        ("replicate", "disable_safety_filter"),
        ("replicate", "moderation"),
        ("openai", "moderation"),
        ("magnific", "filter_nsfw"),
    }
    for model_id in ("p-video", "p-video-avatar"):  # Pruna's filter is off by default.
        model = next(model for model in PACKAGED if model.id == model_id)
        (pruna,) = [upstream for upstream in model.upstreams if upstream.provider == "replicate"]
        assert pruna.constants["disable_safety_filter"] is False


def test_every_switch_that_fal_publishes_is_sent() -> None:
    """Some of them are off unless asked for, and a default that is not sent may change."""
    types = published_types()
    seen = 0
    for upstream in (one for model in PACKAGED for one in model.upstreams if one.provider == "fal"):
        takes, _ = types["endpoints"].get(upstream.endpoint, (None, None))
        switches = SAFE.keys() & (members(types["definitions"], takes) if takes else set())
        assert switches <= upstream.constants.keys(), upstream.endpoint
        seen += len(switches)
    assert seen > 50


def members(definitions: Mapping[str, Any], name: str) -> set[str]:
    """Return the names that a type has, whatever other name it goes by."""
    described = definitions[name]
    while "$ref" in described:
        described = definitions[described["$ref"].rpartition("/")[2]]
    return set(described["properties"])


OUTPAINT = next(model for model in MODELS if model.id == "outpaint")


def found(constants: Mapping[str, JsonValue], name: str = "glow", **limits: object) -> list[str]:
    """Return what is found in a model with one such parameter and one upstream that is always sent the constants."""
    parameter = Parameter.model_validate(
        {"name": name, "type": "integer", "description": "How much.", "minimum": 0, "maximum": 6, **limits}
    )
    upstream = OUTPAINT.upstreams[0].model_copy(update={"constants": constants, "send": {}})
    return [reason for _, reason in safety_findings(replace(OUTPAINT, parameters=(parameter,), upstreams=(upstream,)))]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("disable_nsfw_check", True),
        ("allow_nsfw", True),
        ("nsfw", True),
        ("skip_safety", True),
        ("skip_checks", True),
        ("disable_content_moderation", True),
        ("moderation_level", "off"),
        ("moderation", "low"),
        ("content_filter", False),
        ("safe_mode", False),
        ("enableSafetyChecker", False),
        ("contentSafety", False),
        ("checkNSFW", False),
        ("safety.checkContent", False),
        ("safety", {"checkContent": False}),
        ("options", {"inner": [{"enable-safety-checker": False}]}),
        ("safetySettings", "BLOCK_NONE"),
        ("safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]),
        ("safety_tolerance", 6),
        ("safety_filter_level", "block_only_high"),
        ("parameters.check_image", False),
        ("personGeneration", "allow_all"),
        ("guardrails", 0),
    ],
)
def test_a_constant_that_opens_a_check_is_refused_with_what_would_keep_it(path: str, value: JsonValue) -> None:
    (reason,) = found({path: value})
    assert " must be " in reason
    assert "leaves the safety check on" in reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *SAFE.items(),
        ("safety.checkContent", True),
        ("safety", {"checkContent": True}),
        ("disableNsfwFilter", False),
        ("nsfw", False),
        ("safe_mode", True),
        ("safety_tolerance", "2"),
        ("safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"}]),
        ("model", "waiANINSFWPONYXL_v140"),
        ("harmony", 0.5),
        ("checkpoint", "v2"),
    ],
)
def test_a_constant_that_keeps_a_check_or_is_none_is_taken(path: str, value: JsonValue) -> None:
    assert found({path: value}) == []


@pytest.mark.parametrize(
    "name",
    [*SAFE, "safe_mode", "allow_explicit", "adult_content", "unsafe", "guardrails", "skip_checks", "content_filter"],
)
def test_a_parameter_that_reads_like_a_check_is_refused_and_so_is_one_that_reaches_it(name: str) -> None:
    if name.islower():
        assert any("is never offered" in reason for reason in found({}, name))
    assert any("is never offered" in reason for reason in found({}, aliases=(name,)))
    upstream = OUTPAINT.upstreams[0].model_validate(
        {"provider": "fal", "endpoint": "e", "source": "s", "send": {"prompt": [{"to": f"a.{name}"}]}}, strict=False
    )
    assert any("is never offered" in why for _, why in safety_findings(replace(OUTPAINT, upstreams=(upstream,))))


@pytest.mark.parametrize(
    ("limits", "is_taken"),
    [
        ({}, True),
        ({"minimum": 1, "maximum": 5}, True),
        ({"maximum": 7}, False),
        ({"maximum": None}, False),
        ({"enum": (1, 2)}, True),
        ({"enum": (1, 9)}, False),
    ],
)
def test_a_tolerance_is_offered_in_the_documented_range_alone(limits: Mapping[str, object], is_taken: bool) -> None:
    assert (found({}, "safety_tolerance", **limits) == []) == is_taken
