"""Trouble on request: the words a caller can put into the `X-PixelDojo-Sandbox` header or into a prompt.

Owns the words, which docs/sandbox.md explains to callers. Leaves acting on them to `adapter`.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.contract import UpstreamErrorKind

_MOST_SLOW_SECONDS = 3_600.0
_MOST_REFUSALS = 10
_IN_PROMPT = re.compile(r"\[sandbox:([^\]]*)\]", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;]+")
_KINDS = ", ".join(UpstreamErrorKind)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What should go wrong.

    Attributes:
        slow_seconds: How long the work takes; None for the usual time.
        fail: Refuse the submit with this kind of error.
        fail_later: Accept, then report this kind of failure.
        flaky: Refuse this many submits of the job as unavailable, then accept.
        hang: Never finish.
        twice: Announce the end twice.
        lose_answer: Accept, but lose the answer to the first submit of an attempt.
        unknown: Accept, but lose the answer to every submit.
        broken_file: Give files that are cut short.
        wrong_type: Give an HTML page for each file.
    """

    slow_seconds: float | None = None
    fail: UpstreamErrorKind | None = None
    fail_later: UpstreamErrorKind | None = None
    flaky: int = 0
    hang: bool = False
    twice: bool = False
    lose_answer: bool = False
    unknown: bool = False
    broken_file: bool = False
    wrong_type: bool = False

    def to_json(self) -> JsonObject:
        """Return what `from_json` reads: the members that are not at their default."""
        plain = Rehearsal()
        values: dict[str, JsonValue] = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value != getattr(plain, name)}

    @classmethod
    def from_json(cls, data: JsonObject) -> "Rehearsal":
        """Read what `to_json` wrote."""
        values = dict(data)
        for name in ("fail", "fail_later"):
            if isinstance(kind := values.get(name), str):
                values[name] = UpstreamErrorKind(kind)
        return cls(**values)  # type: ignore[arg-type]  # written by to_json


def parse_rehearsal(text: str) -> Rehearsal:
    """Read the header: words or `word=value`, separated by commas or spaces.

    Raises:
        ValueError: naming the word or value that is wrong and what is known.
    """
    rehearsal = Rehearsal()
    for item in filter(None, _BETWEEN.split(text.strip())):
        rehearsal = _read_item(rehearsal, item)
    return rehearsal


def find_rehearsal(prompt: str, header: str | None) -> Rehearsal:
    """Return what header and prompt ask for together; where both name the same thing, the header counts.

    Words in the prompt that mean nothing here are ignored: the prompt is the caller's.

    Raises:
        ValueError: if the header is wrong.
    """
    rehearsal = Rehearsal()
    for brackets in _IN_PROMPT.findall(prompt):
        for item in filter(None, _BETWEEN.split(brackets.strip())):
            try:
                rehearsal = _read_item(rehearsal, item)
            except ValueError:
                continue
    asked = parse_rehearsal(header or "")
    plain = Rehearsal()
    changes = {name: getattr(asked, name) for name in asked.__slots__ if getattr(asked, name) != getattr(plain, name)}
    return replace(rehearsal, **changes)


def strip_rehearsal(prompt: str) -> str:
    """Return the prompt without its instructions: what is drawn and written under the picture."""
    return " ".join(_IN_PROMPT.sub(" ", prompt).split()) if _IN_PROMPT.search(prompt) else prompt


def _read_item(rehearsal: Rehearsal, item: str) -> Rehearsal:
    word, _, value = item.casefold().partition("=")
    if word in _WITH_VALUE:
        return _WITH_VALUE[word](rehearsal, value)
    if word in _PLAIN_WORDS and not value:
        changed: dict[str, JsonValue] = dict(_PLAIN_WORDS[word])
        return replace(rehearsal, **changed)  # type: ignore[arg-type]  # the table below holds fields of a Rehearsal
    raise ValueError(f"the sandbox does not know {item!r}; it knows {_KNOWN}")


def _slow(rehearsal: Rehearsal, value: str) -> Rehearsal:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MOST_SLOW_SECONDS:
        raise ValueError(f"slow={value} is not a number of seconds from 0 to {_MOST_SLOW_SECONDS:g}, such as slow=5")
    return replace(rehearsal, slow_seconds=seconds)


def _flaky(rehearsal: Rehearsal, value: str) -> Rehearsal:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:4]) <= _MOST_REFUSALS:
        raise ValueError(f"flaky={value} is not a number of refusals from 1 to {_MOST_REFUSALS}, such as flaky=2")
    return replace(rehearsal, flaky=int(value))


def _fail(rehearsal: Rehearsal, value: str) -> Rehearsal:
    return replace(rehearsal, fail=_kind("fail", value))


def _fail_later(rehearsal: Rehearsal, value: str) -> Rehearsal:
    return replace(rehearsal, fail_later=_kind("fail-later", value))


def _kind(word: str, value: str) -> UpstreamErrorKind:
    try:
        return UpstreamErrorKind(value.replace("-", "_"))
    except ValueError:
        raise ValueError(f"{word}={value} names no kind of error; the kinds are {_KINDS}") from None


_WITH_VALUE: Mapping[str, Callable[[Rehearsal, str], Rehearsal]] = {
    "slow": _slow,
    "fail": _fail,
    "fail-later": _fail_later,
    "flaky": _flaky,
}
_PLAIN_WORDS: Mapping[str, JsonObject] = {
    "refuse": {"fail": UpstreamErrorKind.REFUSED_CONTENT},
    "hang": {"hang": True},
    "twice": {"twice": True},
    "lose-answer": {"lose_answer": True},
    "unknown": {"unknown": True},
    "broken-file": {"broken_file": True},
    "wrong-type": {"wrong_type": True},
}
_KNOWN = "slow=SECONDS, fail=KIND, fail-later=KIND, flaky=TIMES, " + ", ".join(_PLAIN_WORDS)
