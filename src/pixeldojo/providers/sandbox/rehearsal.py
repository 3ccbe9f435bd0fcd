"""Trouble on request: what a caller can have the sandbox rehearse, by header or in the prompt. Pure.

Words, separated by commas or spaces: `slow=SECONDS`, `fail=KIND`, `fail-later=KIND`, `refuse`, `hang`, `twice`,
`lose-answer`, `unknown`, `flaky=N`, `broken-file`, `wrong-type`. docs/sandbox.md says what each does.
"""

import re
from dataclasses import dataclass, replace

from pixeldojo.core.json_types import JsonObject
from pixeldojo.providers.contract import UpstreamErrorKind

_IN_PROMPT = re.compile(r"\[sandbox:([^\]]{1,200})\]", re.IGNORECASE)
_SEPARATOR = re.compile(r"[,;\s]+")
_LONGEST_SLOW_SECONDS = 86_400.0
_MOST_FLAKY = 100
_KINDS = ", ".join(kind.replace("_", "-") for kind in UpstreamErrorKind)
_KNOWN = (
    "slow=SECONDS, fail=KIND, fail-later=KIND, refuse, hang, twice, lose-answer, unknown, flaky=N, broken-file, "
    f"wrong-type; KIND is one of {_KINDS}"
)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What to rehearse; the default is a job that goes well.

    Attributes:
        slow_seconds: The work takes at least that long.
        fail: Refuse the submit in this way.
        fail_later: Accept, then report a failure of this kind.
        hangs: Never finish.
        answers_twice: Finish with every output given twice.
        loses_answer: Accept, but lose the answer to the first submit.
        never_answers: Accept, but lose the answer to every submit.
        flaky: So many submits are answered `unavailable` before one is taken.
        output: What the files are like: `whole`, `broken` or `wrong-type`.
    """

    slow_seconds: float = 0.0
    fail: UpstreamErrorKind | None = None
    fail_later: UpstreamErrorKind | None = None
    hangs: bool = False
    answers_twice: bool = False
    loses_answer: bool = False
    never_answers: bool = False
    flaky: int = 0
    output: str = "whole"


def parse_rehearsal(text: str) -> Rehearsal:
    """Read the value of the `X-PixelDojo-Sandbox` header.

    Raises:
        ValueError: naming the word that is not known, and those that are.
    """
    rehearsal = Rehearsal()
    words = [word for word in _SEPARATOR.split(text.strip()) if word]
    if not words:
        raise ValueError(f"says nothing to rehearse; known are {_KNOWN}")
    for word in words:
        rehearsal = _with_word(rehearsal, word)
    return rehearsal


def find_rehearsal(header: str | None, given: JsonObject) -> Rehearsal:
    """Return what a job should rehearse: the header where there is one, else `[sandbox: …]` in the prompt.

    Words in a prompt that are not known are part of the prompt.
    """
    if header is not None:
        return parse_rehearsal(header)
    prompt = given.get("prompt")
    found = _IN_PROMPT.search(prompt) if isinstance(prompt, str) else None
    if found is None:
        return Rehearsal()
    try:
        return parse_rehearsal(found.group(1))
    except ValueError:
        return Rehearsal()


_FLAGS: dict[str, dict[str, object]] = {
    "refuse": {"fail": UpstreamErrorKind.REFUSED_CONTENT},
    "hang": {"hangs": True},
    "twice": {"answers_twice": True},
    "lose-answer": {"loses_answer": True},
    "unknown": {"never_answers": True},
    "broken-file": {"output": "broken"},
    "wrong-type": {"output": "wrong-type"},
}


def _with_word(rehearsal: Rehearsal, word: str) -> Rehearsal:
    name, equals, value = word.lower().replace("_", "-").partition("=")
    if not equals and name in _FLAGS:
        return replace(rehearsal, **_FLAGS[name])  # type: ignore[arg-type]  # each value fits its field
    match name:
        case "slow":
            return replace(rehearsal, slow_seconds=_number(word, value, _LONGEST_SLOW_SECONDS))
        case "flaky":
            return replace(rehearsal, flaky=int(_number(word, value, _MOST_FLAKY)))
        case "fail":
            return replace(rehearsal, fail=_kind(word, value))
        case "fail-later":
            return replace(rehearsal, fail_later=_kind(word, value))
        case _:
            raise ValueError(f"{word!r} is not known; known are {_KNOWN}")


def _number(word: str, value: str, most: float) -> float:
    if not re.fullmatch(r"\d{1,6}(?:\.\d{1,3})?", value) or float(value) > most:
        raise ValueError(f"{word!r} needs a number from 0 to {most:g}, as in {word.partition('=')[0]}=5")
    return float(value)


def _kind(word: str, value: str) -> UpstreamErrorKind:
    try:
        return UpstreamErrorKind(value.replace("-", "_"))
    except ValueError:
        raise ValueError(f"{word!r} names no kind of failure; kinds are {_KINDS}") from None
