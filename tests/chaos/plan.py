"""What is done to the cluster, and when: drawn from a seed, so that a run that failed can be had again. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Trouble(StrEnum):
    """What can befall a part, in words that go into the report."""

    KILL = "kill -9"
    STOP = "stop"
    SUSPEND = "suspend"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong.

    Attributes:
        at: Seconds after the beginning.
        trouble: What happens.
        part: To whom: `api`, `worker`, `database` or `broker`.
        number: Which of them.
        lasts: Seconds until it is put right again.
    """

    at: float
    trouble: Trouble
    part: str
    number: int
    lasts: float

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.trouble} {self.part} {self.number} for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of blow: how often it is drawn against the others, and how long it lasts."""

    weight: int
    trouble: Trouble
    part: str
    lasts: tuple[float, float]


# Pauses shorter and longer than a lease of 2 s; servers are away for less than a caller is patient.
_KINDS: Final = (
    _Kind(6, Trouble.KILL, "worker", (0.0, 3.0)),
    _Kind(4, Trouble.SUSPEND, "worker", (0.5, 6.0)),
    _Kind(2, Trouble.STOP, "worker", (0.0, 1.0)),
    _Kind(3, Trouble.KILL, "api", (0.0, 2.0)),
    _Kind(1, Trouble.SUSPEND, "api", (0.5, 3.0)),
    _Kind(1, Trouble.STOP, "api", (0.0, 1.0)),
    _Kind(2, Trouble.CRASH, "database", (0.0, 3.0)),
    _Kind(2, Trouble.CRASH, "broker", (0.0, 4.0)),
)
# Seconds between two blows. A node takes some seconds of a processor to start: hit more often, none would ever work.
_PAUSE: Final = (1.0, 5.0)
_FIRST_PAUSE: Final = (0.2, 1.6)
# The beginning of every plan: however short, it has the blows that matter most.
_ALWAYS: Final = (0, 1, 6, 7, 3)


def draw_plan(seed: int, *, seconds: float, workers: int, apis: int) -> list[Blow]:
    """Return the blows of a run in order; a part is hit again only after the blow before is over."""
    return list(_draw(Random(seed), seconds, {"worker": workers, "api": apis, "database": 1, "broker": 1}))


def _draw(random: Random, seconds: float, counts: dict[str, int]) -> Iterator[Blow]:
    at = 1.0
    busy_until: dict[tuple[str, int], float] = {}
    first = list(_ALWAYS)
    while at < seconds:
        kind = _KINDS[first.pop(0)] if first else random.choices(_KINDS, [kind.weight for kind in _KINDS])[0]
        number, lasts = random.randrange(counts[kind.part]), random.uniform(*kind.lasts)
        if busy_until.get((kind.part, number), 0.0) <= at:
            # A second after its return, so that it has begun to work again.
            busy_until[kind.part, number] = at + lasts + 1.0
            yield Blow(round(at, 2), kind.trouble, kind.part, number, round(lasts, 2))
        at += random.uniform(*(_FIRST_PAUSE if first else _PAUSE))
