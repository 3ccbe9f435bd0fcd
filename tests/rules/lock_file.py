"""A file of locked requirements, read as uv writes it: a pin, its hashes, and who asked for it."""

from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@dataclass
class Pin:
    """One pinned package; universal locks may hold several of a name, for different Pythons."""

    name: str
    version: Version
    hash_count: int = 0
    asked_by: set[str] = field(default_factory=set)


def read_lock(path: Path) -> list[Pin]:
    """Return the pins of a lock.

    Raises:
        ValueError: for a line that is neither a pin, nor a hash, nor a comment.
    """
    pins: list[Pin] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip().removesuffix("\\").strip()
        if text.startswith("--hash=sha256:"):
            pins[-1].hash_count += 1
        elif text.startswith("#"):
            pins[-1].asked_by.add(text.removeprefix("#").strip().removeprefix("via").strip())
        elif text:
            pins.append(_pin(text))
    return pins


def _pin(text: str) -> Pin:
    requirement = Requirement(text)
    (specifier,) = requirement.specifier
    if specifier.operator != "==":
        raise ValueError(f"{text} is no pin")
    return Pin(str(canonicalize_name(requirement.name)), Version(specifier.version))
