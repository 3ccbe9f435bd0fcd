"""The commands for developers: each explained, listed by a bare `make`, and none of them skipping a step."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.rules.makefile import read_targets


@pytest.fixture(scope="module")
def makefile(repository: Path) -> str:
    """The Makefile's text."""
    return (repository / "Makefile").read_text(encoding="utf-8")


def test_every_target_is_explained_and_phony(repository: Path, makefile: str) -> None:
    targets = read_targets(repository / "Makefile")
    assert [name for name, line in targets.items() if len(line.split()) < 2] == []
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert set(phony.split()) == set(targets)


def test_a_bare_make_lists_the_targets(repository: Path) -> None:
    listed = subprocess.run(["make"], cwd=repository, capture_output=True, text=True, check=True).stdout
    expected = {f"make {name}": line for name, line in read_targets(repository / "Makefile").items()}
    found = dict(re.findall(r"^ +(make [a-z-]+) +(.+)$", listed, re.MULTILINE))
    assert found == expected


def test_the_promised_commands_are_there(repository: Path) -> None:
    promised = {"run", "test", "lint", "format", "coverage", "bench", "catalog", "docs", "lock", "clean", "help"}
    assert promised <= set(read_targets(repository / "Makefile"))


def test_testing_lints_first_and_runs_every_tool(repository: Path) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "test"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    order = [
        planned.index(f".venv/bin/{tool}") for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports")
    ]
    assert order == sorted(order)
    assert planned.rindex(".venv/bin/pytest") > order[-1]


def test_no_recipe_hides_a_failure(repository: Path, makefile: str) -> None:
    # `-command`, `|| true` and pipes without pipefail turn red into green.
    ci = (repository / ".ci" / "run").read_text(encoding="utf-8")
    assert not re.search(r"^\t@?-", makefile, re.MULTILINE)
    assert "|| true" not in makefile + ci
    assert "--exit-zero" not in makefile
    assert "set -euo pipefail" in ci
    assert re.search(r"^make test$", ci, re.MULTILINE)
    assert re.search(r"^make test-slow$", ci, re.MULTILINE)
    assert (repository / ".ci" / "run").stat().st_mode & 0o111


def test_every_test_is_run_by_one_of_the_two_targets(makefile: str) -> None:
    assert re.findall(r"^\t.*/pytest .*-m (\"not slow\"|slow) ", makefile, re.MULTILINE) == ['"not slow"', "slow"]


def test_no_test_is_left_out_by_default(project: dict[str, object]) -> None:
    options = str(project["tool"]["pytest"]["ini_options"]["addopts"])  # type: ignore[index]  # TOML, read just before
    assert not re.search(r"(?:^|\s)(?:-m|-k|--ignore|--deselect)\b", options)
