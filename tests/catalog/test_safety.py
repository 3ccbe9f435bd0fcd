"""No caller can switch an upstream's safety check off, and no upstream is left to think that somebody did."""

import re
from collections.abc import Iterator, Mapping

import pytest
from tests.catalog.strategies import MODELS

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
