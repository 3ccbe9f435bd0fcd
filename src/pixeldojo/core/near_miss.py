"""The known word that somebody may have meant: for errors that name the remedy.

Leaves the sentence around it to whoever refuses the word.
"""

import difflib
from collections.abc import Sequence

_COMPARED_CHARACTERS = 80


def nearest(word: str, known: Sequence[str], likeness: float = 0.6) -> str:
    """Return `; did you mean "x"?` for the nearest known word that is at least so like it (0..1), or nothing."""
    near = near_word(word, known, likeness)
    return f'; did you mean "{near}"?' if near else ""


def near_word(word: str, known: Sequence[str], likeness: float = 0.6) -> str | None:
    """Return the nearest known word that is at least so like it (0..1), or None; case is no difference."""
    folded = {one.casefold(): one for one in reversed(known)}
    close = difflib.get_close_matches(word[:_COMPARED_CHARACTERS].casefold(), list(folded), n=1, cutoff=likeness)
    return folded[close[0]] if close else None
