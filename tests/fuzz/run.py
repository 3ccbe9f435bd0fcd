"""A run over all targets: each in its turn, some values at a time, until the time is up."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.fuzz.target import Finding, Target, search

_AT_A_TIME: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        tried: At least how many values each target was given.
        findings: One for each target that broke; it was left alone from then on.
    """

    tried: Mapping[str, int]
    findings: Sequence[Finding]


@contextmanager
def open_targets() -> Iterator[tuple[Target[Any], ...]]:
    """Give every target there is."""
    # Whoever only searches need not load what is searched.
    from tests.fuzz import callers, media, upstreams, wire

    with media.open_targets() as of_media, wire.open_targets() as of_wire:
        yield (*callers.TARGETS, *upstreams.TARGETS, *of_media, *of_wire)


def fuzz(targets: Sequence[Target[Any]], *, seconds: float, number: int, at_a_time: int = _AT_A_TIME) -> Outcome:
    """Try the targets in turn, each at least once, until the time is up.

    Args:
        number: What the values follow from: with the same number come the same values, in the same order.
    """
    until = time.monotonic() + seconds
    tried: Counter[str] = Counter()
    findings: list[Finding] = []
    left = list(targets)
    turn = 0
    while left and (turn == 0 or time.monotonic() < until):
        for target in list(left):
            if turn > 0 and time.monotonic() >= until:
                break
            found = search(target, examples=at_a_time, number=number + turn)
            tried[target.name] += at_a_time
            if found is not None:
                findings.append(found)
                left.remove(target)
        turn += 1
    return Outcome(tried, findings)
