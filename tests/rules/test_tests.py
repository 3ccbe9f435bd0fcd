"""How tests are written: they wait for events, not for time, and hand in fakes instead of patching.

The bug this prevents: a test that passes because the machine was quick, and one that passes because what it patched
is not what runs.
"""

import ast
from collections.abc import Mapping

import pytest
from tests.rules.source_files import SourceFile, imports

# Where real time passes on purpose; an entry that is not needed any more fails.
WAITS: Mapping[str, str] = {
    "postgres.py": "asks a process that starts whether it answers",
    "e2e/harness.py": "asks a server in another process",
    "contract/test_engine.py": "asks a Valkey that was restarted",
    "contract/test_news.py": "asks a Valkey that was restarted",
    "unit/net/test_fetch.py": "plays a server and a sink that are slow",
}


def real_waits(source: SourceFile) -> list[str]:
    """Return where a file sleeps on the real clock; `sleep(0)` only lets others run."""
    imported = {"sleep" for _, module, names in imports(source) if module in {"asyncio", "time"} and "sleep" in names}
    return [
        source.at(node, ast.unparse(node))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"asyncio.sleep", "time.sleep", *imported}
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


def patches(source: SourceFile) -> list[str]:
    """Return the imports of a mocking library."""
    return [
        source.at(node, module)
        for node, module, _ in imports(source)
        if module.partition(".")[0] in {"mock", "pytest_mock"} or module.startswith("unittest.mock")
    ]


def test_tests_wait_for_events(test_sources: tuple[SourceFile, ...]) -> None:
    waits = {source.name: found for source in test_sources if (found := real_waits(source))}
    assert {name: found for name, found in waits.items() if name not in WAITS} == {}
    assert set(WAITS) <= set(waits), "take out of WAITS what does not wait"


def test_fakes_are_handed_in(test_sources: tuple[SourceFile, ...]) -> None:
    assert [found for source in test_sources for found in patches(source)] == []


@pytest.mark.parametrize("text", ["time.sleep(1)", "asyncio.sleep(0.1)", "from time import sleep\nsleep(pause)"])
def test_a_wait_is_found(text: str) -> None:
    assert real_waits(SourceFile.from_text("unit/test_it.py", text))
    assert not real_waits(SourceFile.from_text("unit/test_it.py", "asyncio.sleep(0)"))
    assert not real_waits(SourceFile.from_text("unit/test_it.py", "clock.sleep(3)\nsleep(3)"))


@pytest.mark.parametrize("text", ["from unittest.mock import patch", "import unittest.mock", "import pytest_mock"])
def test_a_mock_is_found(text: str) -> None:
    assert patches(SourceFile.from_text("unit/test_it.py", text))
