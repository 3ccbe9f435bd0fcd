"""What upstreams say, as it may stand in a log: services quote what they were sent, and that is the caller's alone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pixeldojo.core.json_types import JsonObject, JsonValue

# Shorter words tell nothing, and are in every sentence.
_WORD: Final = re.compile(r"\w{4,}")


def without_input(said: str, given: JsonObject) -> str:
    """Return a sentence with `…` for each of its words that the input has too, or that begins one the input has.

    Word by word, because a service may quote a part, and sentences are cut off where they are too long.
    """
    sent = {word.casefold() for text in _texts(given) for word in _WORD.findall(text)}

    def hide(match: re.Match[str]) -> str:
        word = match[0].casefold()
        return "…" if any(one.startswith(word) for one in sent) else match[0]

    return _WORD.sub(hide, said)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, Sequence):
        for member in value:
            yield from _texts(member)
