"""Short texts that people give to things: names of keys and accounts, notes in the ledger."""

import unicodedata

LONGEST_NAME = 100
LONGEST_NOTE = 200
# Control characters, halves of surrogate pairs, and what breaks lines; joiners stay, emoji are made with them.
_UNSHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They let a text show in another order than it is stored (https://www.unicode.org/reports/tr9/, 2.1 to 2.5).
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def read_label(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text that can stand in a list, without the spaces around it.

    Raises:
        ValueError: if nothing of it shows, it has more than `longest` characters, or holds characters that would spoil
            the line it stands in.
    """
    label = text.strip()
    if any(unicodedata.category(sign) in _UNSHOWN or sign in _REORDERING for sign in label):
        raise ValueError("it holds control characters, line breaks or bytes that are no text; leave them out")
    if not any(sign.isprintable() and sign != " " for sign in label):
        raise ValueError("it is empty; write at least one character that shows")
    if len(label) > longest:
        raise ValueError(f"it has {len(label):,} characters; the most is {longest}")
    return label
