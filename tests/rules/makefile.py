"""The Makefile as the rules look at it: its targets and the line that explains each."""

import re
from pathlib import Path

_TARGET = re.compile(r"^(?P<name>[a-z][a-z-]*):(?!=)[^#\n]*(?:## (?P<help>.+))?$", re.MULTILINE)


def read_targets(path: Path) -> dict[str, str]:
    """Return the named targets and their help lines, empty where there is none."""
    return {match["name"]: match["help"] or "" for match in _TARGET.finditer(path.read_text(encoding="utf-8"))}
