"""Whether a model leaves every upstream's safety checks on.

Owns telling a safety check's name by the words in it, whatever an upstream calls it, and the values that leave the
check on. How much a check lets through (`safety_tolerance`, `safety_filter_level`) is no switch: a model may offer it
in the range that upstreams document.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.json_types import JsonValue

Findings: TypeAlias = Iterator[tuple[str, str]]

# Words that speak of safety wherever they stand, by how they begin.
_SUBJECTS: Final = re.compile(
    r"(un)?safe|n?sfw|moderat|(un)?censor|guardrail|explicit|adult|nud(e|ity)|porn|erotic|obscen|harm(ful)?$|toxic"
)
_WANTED: Final = re.compile(r"nsfw|explicit|adult|nud(e|ity)|porn|erotic|obscen|harm(ful)?$|toxic")
_CHECKS: Final = re.compile(r"check|filter|detect|block|guard|inspect|screen|moderat|censor|safe|threshold|classif")
_FILTERED: Final = frozenset({"content", "contents", "prompt", "input", "output"})
_CHECKED: Final = _FILTERED | {"image", "images", "video", "videos", "audio"}
_NEGATIONS: Final = re.compile(
    r"disabl|skip|bypass|ignor|allow|permit|un(safe|censor)|without|no$|not$|off$|exclud|omit"
)
# Other names that open or close a check.
_NAMED: Final = (("public", "figure"), ("person", "generation"), ("content", "policy"))

_ON_WORDS: Final = frozenset(
    {"auto", "on", "true", "yes", "enabled", "strict", "high", "highest", "default", "dont_allow"}
    | {"block_low_and_above", "block_medium_and_above"}
)
_OFF_WORDS: Final = frozenset({"off", "false", "no", "disabled", "none"})

# How much a check lets through, from the strictest to the laxest that any upstream documents; what is always sent, and
# so nobody chose, may be no laxer than the strictest default among them.
_LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "safety_tolerance": ("0", "1", "2", "3", "4", "5", "6"),
    "safety_filter_level": ("block_low_and_above", "block_medium_and_above", "block_only_high"),
}
_SENT_AT_MOST: Final = {"safety_tolerance": "2", "safety_filter_level": "block_medium_and_above"}


def safety_findings(model: Model) -> Findings:
    """Find what would let a caller switch a check off, or sends a switch at anything but its safe value."""
    for index, parameter in enumerate(model.parameters):
        yield from _offered(parameter, f"parameters[{index}] ({parameter.name})")
    for index, upstream in enumerate(model.upstreams):
        yield from _sent(upstream, f"upstreams[{index}] ({upstream.provider})")


def _offered(parameter: Parameter, place: str) -> Findings:
    if parameter.name in _LEVELS:
        yield from _level_findings(parameter, place)
    for name in (parameter.name, *parameter.aliases):
        if name not in _LEVELS and _is_check(_words(name)):
            reason = f'"{name}" reads like a safety check, which is never offered; send its safe value as a constant'
            yield place, reason
    for index, member in enumerate(parameter.fields):
        yield from _offered(member, f"{place}.fields[{index}] ({member.name})")


def _level_findings(parameter: Parameter, place: str) -> Findings:
    """Find a level that is not bounded by what upstreams document."""
    documented = _LEVELS[parameter.name]
    options = parameter.enum if parameter.enum is not None else (parameter.minimum, parameter.maximum)
    if any(str(option) not in documented for option in options):
        reason = f"must be within {documented[0]} to {documented[-1]}, as upstreams document it"
        yield place, f"{reason}; give enum, or minimum and maximum"


def _level_of(words: Sequence[str]) -> str | None:
    """Return the level that a path ends in."""
    return next((name for name in _LEVELS if "_".join(words).endswith(name)), None)


def _sent(upstream: Upstream, place: str) -> Findings:
    for name, sends in upstream.send.items():
        here = f"{place}.send.{name}"
        for send in sends:
            words = _words(send.to)
            if _is_check(words) and (name not in _LEVELS or _level_of(words) != name):
                yield (
                    here,
                    f"{send.to} reads like a safety check, which is never offered; send its safe value as a constant",
                )
            yield from _unsafe_values(words, send.each, f"{here}.each", send.to)
            for value in send.values.values():
                if not isinstance(value, str | bool | int | float):
                    yield from _unsafe_values(words, value, f"{here}.values", send.to)
    for path, value in upstream.constants.items():
        yield from _unsafe_values(_words(path), value, f"{place}.constants", path)


def _unsafe_values(words: Sequence[str], value: JsonValue, place: str, path: str) -> Findings:
    """Find every value, however deep, that stands under a check's name and does not leave the check on."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # What a setting is for (Google's safetySettings name a category) opens nothing.
            if key != "category":
                yield from _unsafe_values((*words, *_words(key)), inner, place, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _unsafe_values(words, inner, place, path)
    elif value is not None and value != "{}" and _is_check(words) and not _leaves_on(words, value):
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        yield place, f"{path} must be {_safe_words(words)}, which leaves the safety check on, not {shown}"


def _is_check(words: Sequence[str]) -> bool:
    if any(_SUBJECTS.match(word) for word in words):
        return True
    if any(one in words and other in words for one, other in _NAMED):
        return True
    checked = any(re.match("check|inspect", word) for word in words)
    subjects = _CHECKED if checked else _FILTERED
    acts = checked or any(word.startswith("filter") for word in words)
    return acts and any(word in subjects or _NEGATIONS.match(word) for word in words)


def _is_on_when_true(words: Sequence[str]) -> bool:
    """Say whether the name says that a check is made, rather than that it is left out or its subject is wanted."""
    if any(_NEGATIONS.match(word) for word in words):
        return False
    wants = any(_WANTED.match(word) for word in words)
    return not wants or any(_CHECKS.match(word) for word in words)


def _leaves_on(words: Sequence[str], value: str | bool | int | float) -> bool:
    level = _level_of(words)
    if level is not None:
        return str(value) in _sendable(level)
    is_on_when_true = _is_on_when_true(words)
    if isinstance(value, str):
        return value.lower() in (_ON_WORDS if is_on_when_true else _OFF_WORDS)
    return value == int(is_on_when_true)


def _sendable(level: str) -> tuple[str, ...]:
    documented = _LEVELS[level]
    return documented[: documented.index(_SENT_AT_MOST[level]) + 1]


def _safe_words(words: Sequence[str]) -> str:
    level = _level_of(words)
    if level is not None:
        return f"{_sendable(level)[0]} to {_sendable(level)[-1]}"
    return 'true or, where it is a word, "auto"' if _is_on_when_true(words) else "false"


def _words(name: str) -> tuple[str, ...]:
    """Return the words of a path in snake_case, camelCase or kebab-case, in small letters."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]+", " ", name)
    return tuple(spaced.lower().split())
