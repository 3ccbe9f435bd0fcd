"""Whether a model leaves every upstream's safety checks on.

Owns the switches that upstreams are known to have, and the value of each that keeps its check. How much a check lets
through (`safety_tolerance`, `safety_filter_level`) is no switch: a model may offer it in the upstream's own range.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.json_types import JsonValue

_SAFE: Final[Mapping[str, JsonValue]] = {
    "enable_safety_checker": True,
    "enable_output_safety_checker": True,
    "enable_safety_check": True,
    "safety_checker": True,
    "disable_safety_checker": False,
    "disable_safety_filter": False,
    "filter_nsfw": True,
    "checkNSFW": True,
    "checkContent": True,
    "moderation": "auto",
    "contentModeration": "auto",
}
_LEVELS: Final = ("safety_tolerance", "safety_filter_level")
_SUSPECT: Final = ("safety", "nsfw", "moderation", "censor")


def safety_findings(model: Model) -> Iterator[tuple[str, str]]:
    """Find what would let a caller switch a check off, or sends a switch at anything but its safe value."""
    for index, parameter in enumerate(model.parameters):
        words = (parameter.name, *parameter.aliases)
        if any(suspect in word for word in words for suspect in _SUSPECT) and parameter.name not in _LEVELS:
            reason = "switches an upstream's safety check, which is never offered; send the safe value as a constant"
            yield f"parameters[{index}] ({parameter.name})", reason
    for index, upstream in enumerate(model.upstreams):
        yield from _sent(upstream, f"upstreams[{index}] ({upstream.provider})")


def _sent(upstream: Upstream, place: str) -> Iterator[tuple[str, str]]:
    for name, sends in upstream.send.items():
        for send in sends:
            if _last_word(send.to) in _SAFE:
                yield f"{place}.send.{name}", f"{send.to} is a safety switch; send its safe value as a constant"
    for path, value in upstream.constants.items():
        safe = _SAFE.get(_last_word(path), value)
        if value != safe:
            yield f"{place}.constants", f"{path} must be {_shown(safe)}, which leaves the safety check on"


def _last_word(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _shown(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'
