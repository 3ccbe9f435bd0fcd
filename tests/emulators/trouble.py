"""What an emulator does wrong when it is asked to: the words, and how they are found in a request.

A request asks by its own text: `a lantern, trouble:busy`, `trouble:busy*3` for the first three times. So many requests
with troubles of their own run against one emulator at the same time, and a person can ask through the API.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Trouble(StrEnum):
    """The words; `accepted` says whether the work was taken (and is paid) although the answer went wrong."""

    # The submit, not accepted.
    SILENT = "silent"
    CUT_OFF = "cut-off"
    BUSY = "busy"
    BUSY_QUIET = "busy-quiet"
    AWAY = "away"
    BROKEN = "broken"
    QUOTA = "quota"
    WRONG_KEY = "wrong-key"
    BAD_INPUT = "bad-input"
    # The submit, accepted.
    ACCEPTED_SILENT = "accepted-silent"
    ACCEPTED_CUT_OFF = "accepted-cut-off"
    ACCEPTED_HTML = "accepted-html"
    ACCEPTED_GATEWAY = "accepted-gateway"
    # Questions how it goes.
    ASKED_SILENT = "asked-silent"
    ASKED_CUT_OFF = "asked-cut-off"
    ASKED_BUSY = "asked-busy"
    ASKED_BUSY_QUIET = "asked-busy-quiet"
    ASKED_BROKEN = "asked-broken"
    ASKED_HTML = "asked-html"
    ENDLESS = "endless"
    ODD_STATUS = "odd-status"
    # The end.
    FAILED = "failed"
    STOPPED = "stopped"
    MODERATED = "moderated"
    PARTIAL = "partial"
    EMPTY = "empty"
    # The files.
    FILE_GONE = "file-gone"
    FILE_CUT_OFF = "file-cut-off"
    FILE_TRUNCATED = "file-truncated"
    FILE_HTML = "file-html"
    FILE_MISLABELLED = "file-mislabelled"
    # Callbacks.
    CALLED_TWICE = "called-twice"
    CALLED_EARLY = "called-early"
    CALLED_BY_ANOTHER = "called-by-another"
    CALLED_LATE_CLOCK = "called-late-clock"
    NOT_CALLED = "not-called"


@dataclass(frozen=True, slots=True)
class Wish:
    """One trouble, and the first how many times it happens."""

    trouble: Trouble | None = None
    times: int = 1


_WORDS: Final = "|".join(sorted((re.escape(word) for word in Trouble), key=len, reverse=True))
_WISH: Final = re.compile(rf"trouble:({_WORDS})(?:\*([0-9]+))?(?![\w-])")

# What lasts, unless told otherwise.
_LASTING: Final[Mapping[Trouble, int]] = {
    trouble: 1_000_000
    for trouble in Trouble
    if trouble in {Trouble.ENDLESS, Trouble.QUOTA, Trouble.WRONG_KEY} or trouble.startswith("file-")
}


def find_wish(text: str) -> Wish:
    """Return the trouble that a request asks for, if any."""
    found = _WISH.search(text)
    if found is None:
        return Wish()
    trouble = Trouble(found[1])
    return Wish(trouble, int(found[2]) if found[2] else _LASTING.get(trouble, 1))
