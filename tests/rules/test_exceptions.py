"""Nothing is caught or silenced without saying why.

The bug this prevents: a handler that catches everything turns a fault of ours into an upstream's, and the job is
charged or lost in silence; a check switched off without a reason stays off when the reason is gone.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from tests.rules.source_files import SourceFile

_BROAD = frozenset({"Exception", "BaseException"})
_SWITCH = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[a-z0-9, -]+\])?|pragma:\s*no\s*cover)")
_WORDS = re.compile(r"[A-Za-z]{2,}")


def unexplained_handlers(source: SourceFile) -> list[str]:
    """Return the broad handlers that neither raise again nor carry a reason, on their line or the one above."""
    return [
        source.at(node, f"{caught} is caught and neither raised again nor explained in a comment")
        for node, caught in _broad_handlers(source)
        if not _is_explained(source, node.lineno)
    ]


def _broad_handlers(source: SourceFile) -> Iterator[tuple[ast.expr | ast.excepthandler, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else ast.unparse(node.type)
            if caught in {*_BROAD, "everything"} and not _raises(node):
                yield node, caught
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            for argument in node.args:
                if ast.unparse(argument) in _BROAD:
                    yield node, ast.unparse(argument)


def _raises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising, or sorts out what it was not meant for and raises that again."""
    is_sorting = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    return is_sorting or isinstance(handler.body[-1], ast.Raise)


def _is_explained(source: SourceFile, number: int) -> bool:
    above = source.line(number - 1).strip() if number > 1 else ""
    reasons = [source.line(number).partition("#")[2], above.removeprefix("#") if above.startswith("#") else ""]
    return any(_gives_reason(f"#{reason}") for reason in reasons if reason)


def unexplained_switches(source: SourceFile) -> list[str]:
    """Return the comments that switch a check off and do not say why, or do not say which."""
    found = []
    for number, line in enumerate(source.text.splitlines(), start=1):
        for match in _SWITCH.finditer(line):
            is_whole = match.group().rstrip() in {"# noqa", "# type: ignore"}
            if is_whole or not _gives_reason(line[match.start() :]):
                found.append(f"{source.name}:{number}: {line.strip()}")
    return found


def _gives_reason(comment: str) -> bool:
    return len(_WORDS.findall(_SWITCH.sub("", comment))) >= 2


def test_broad_handlers_say_why(sources: tuple[SourceFile, ...]) -> None:
    assert [found for source in sources for found in unexplained_handlers(source)] == []


def test_checks_are_switched_off_one_by_one_and_with_a_reason(
    sources: tuple[SourceFile, ...], test_sources: tuple[SourceFile, ...]
) -> None:
    others = [source for source in test_sources if not source.name.startswith("rules/")]
    assert [found for source in (*sources, *others) for found in unexplained_switches(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept BaseException as error:  # noqa: BLE001\n    log(error)",
        "with suppress(Exception):\n    f()",
        "with contextlib.suppress(ValueError, Exception):\n    f()",
    ],
)
def test_a_silent_handler_is_found(text: str) -> None:
    assert unexplained_handlers(SourceFile.from_text("worker/loop.py", text))


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept ValueError:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise",
        "try:\n    f()\nexcept Exception as error:\n    raise ValueError from error",
        "try:\n    f()\nexcept Exception:  # noqa: BLE001  the sweep outlives it\n    pass",
        "# What is not heard is found by the sweep.\nwith suppress(Exception):\n    f()",
    ],
)
def test_a_handler_with_a_reason_is_fine(text: str) -> None:
    assert not unexplained_handlers(SourceFile.from_text("worker/loop.py", text))


@pytest.mark.parametrize(
    "comment", ["# noqa", "# noqa: S105", "# type: ignore", "# type: ignore[arg-type]", "# type: ignore  #"]
)
def test_a_silent_switch_is_found(comment: str) -> None:
    assert unexplained_switches(SourceFile.from_text("worker/loop.py", f"x = 1  {comment}"))


@pytest.mark.parametrize("comment", ["# noqa: S105  a file name", "# type: ignore[arg-type]  # checked by pydantic"])
def test_a_switch_with_a_reason_is_fine(comment: str) -> None:
    assert not unexplained_switches(SourceFile.from_text("worker/loop.py", f"x = 1  {comment}"))
