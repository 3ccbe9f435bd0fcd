"""What is fuzzed, and how: a target, a search for a value that breaks it, a finding that can be kept and repeated.

Owns the search's bounds and the form of a finding. Which parsers there are stands in the files beside.
"""

import ast
import hashlib
import signal
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

Given = TypeVar("Given")
Result = TypeVar("Result")

# Of processor time. Nothing that a stranger sends may hold an event loop for so long, by far.
LONGEST_SECONDS: Final = 2.0


class TookTooLong(Exception):
    """One value kept a parser busy beyond any reason."""


@dataclass(frozen=True, slots=True)
class Target(Generic[Given]):
    """A parser that sees what strangers send.

    Attributes:
        name: As it is chosen on the command line, and begins the names of its findings.
        values: What it is given; built of what Python can write as a literal, so that a finding can be kept as text.
        attempt: Gives it a value. Returns where it was read or refused as promised; raises whatever else happens.
    """

    name: str
    values: st.SearchStrategy[Given]
    attempt: Callable[[Given], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """A value that broke a target.

    Attributes:
        target: Its name.
        value: The smallest that was found, as a Python literal.
        story: What happened, with a traceback.
    """

    target: str
    value: str
    story: str

    def save(self, folder: Path) -> Path:
        """Keep it in a file that `replay` reads; return where."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.target}-{hashlib.sha256(self.value.encode()).hexdigest()[:12]}.txt"
        path.write_text(f"{self.target}\n{self.value}\n\n{self.story}", encoding="utf-8")
        return path


def search(
    target: Target[Any], *, examples: int, number: int, longest_seconds: float = LONGEST_SECONDS
) -> Finding | None:
    """Try so many values, those of a number; return the smallest that breaks the target, None where none does."""
    last: list[object] = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    @given(target.values)
    def attempt(value: object) -> None:
        last[:] = [value]
        with _in_time(longest_seconds):
            target.attempt(value)

    try:
        attempt()
    except Exception as error:  # noqa: BLE001  whatever was not promised is what is looked for
        return Finding(target.name, repr(last[0]), "".join(traceback.format_exception(error)))
    return None


def replay(targets: tuple[Target[Any], ...], path: Path) -> None:
    """Try a saved finding again.

    Raises:
        Exception: as the target did when it was found, unless it has been mended.
    """
    name, value = path.read_text(encoding="utf-8").splitlines()[:2]
    (target,) = (target for target in targets if target.name == name)
    with _in_time(LONGEST_SECONDS):
        target.attempt(ast.literal_eval(value))


def finished(reading: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine returns that waits for nothing."""
    try:
        reading.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        reading.close()
    raise AssertionError("it waited for something")


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raise in what takes too much processor time; also where Python would go on for ever."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"over {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
