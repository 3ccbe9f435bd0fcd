"""What is installed is what is used: dependencies, locks and versions agree with one another and with the code."""

import re
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.rules.lock_file import Pin, read_lock
from tests.rules.source_files import SourceFile, imports, is_third_party

from pixeldojo import __version__

# Loaded by a library that we tell its name; here is where we tell it.
NAMED_NOT_IMPORTED: Mapping[str, str] = {
    "aiosqlite": '"sqlite+aiosqlite"',
    "asyncpg": '"postgresql+asyncpg"',
    "fastapi-offline": 'files("fastapi_offline")',
    "httptools": "httptools_impl",
}
# Installed together with the one that stands in pyproject.toml, in the exact version that it needs.
PART_OF: Mapping[str, str] = {"pydantic-core": "pydantic"}


def _distributions(sources: tuple[SourceFile, ...]) -> set[str]:
    """Return the distributions whose modules the files import."""
    owners = packages_distributions()
    found = set()
    for source in sources:
        for _, module, _ in imports(source):
            root = module.partition(".")[0]
            if is_third_party(module):
                assert root in owners, f"{source.name} imports {module}, which is not installed"
                name = canonicalize_name(owners[root][0])
                found.add(PART_OF.get(name, str(name)))
    return found


def _requirements(lines: list[str]) -> dict[str, Requirement]:
    return {str(canonicalize_name(requirement.name)): requirement for requirement in map(Requirement, lines)}


def _lock(repository: Path, name: str) -> list[Pin]:
    return read_lock(repository / "requirements" / name)


def _versions(pins: list[Pin]) -> dict[str, set[Version]]:
    versions: dict[str, set[Version]] = {}
    for pin in pins:
        versions.setdefault(pin.name, set()).add(pin.version)
    return versions


def test_the_server_asks_for_what_it_imports_and_nothing_else(
    sources: tuple[SourceFile, ...], project: dict[str, Any]
) -> None:
    asked = set(_requirements(project["project"]["dependencies"]))
    text = "\n".join(source.text for source in sources)
    named = {name for name, place in NAMED_NOT_IMPORTED.items() if place in text}
    assert asked == _distributions(sources) | named


def test_the_tests_import_nothing_that_is_there_by_chance(
    test_sources: tuple[SourceFile, ...], project: dict[str, Any]
) -> None:
    asked = set(_requirements([*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]))
    assert _distributions(test_sources) - asked == set()


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "uv.txt", "clients.txt"])
def test_every_pin_has_its_hashes(repository: Path, lock: str) -> None:
    assert [pin.name for pin in _lock(repository, lock) if not pin.hash_count] == []


@pytest.mark.parametrize(("lock", "groups"), [("run.txt", []), ("dev.txt", ["dev"])])
def test_locks_are_current(repository: Path, project: dict[str, Any], lock: str, groups: list[str]) -> None:
    wanted = {"pyproject.toml": _requirements(project["project"]["dependencies"])}
    wanted |= {f"pyproject.toml:{group}": _requirements(project["dependency-groups"][group]) for group in groups}
    pins = _lock(repository, lock)
    for asker, requirements in wanted.items():
        found = [pin for pin in pins if f"pixeldojo-server ({asker})" in pin.asked_by]
        assert {pin.name for pin in found} == set(requirements), "run `make lock`"
        unfit = [pin for pin in found if not requirements[pin.name].specifier.contains(pin.version)]
        assert unfit == [], "run `make lock`"


def test_what_runs_is_tested_in_the_same_versions(repository: Path) -> None:
    run, dev = _versions(_lock(repository, "run.txt")), _versions(_lock(repository, "dev.txt"))
    assert {name: versions for name, versions in run.items() if dev.get(name) != versions} == {}


def test_the_build_uses_what_the_locks_hold(repository: Path, project: dict[str, Any]) -> None:
    # Without build isolation, what the build needs must already be in the environment.
    needed = set(_requirements(project["build-system"]["requires"])) | {"editables", "uv"}
    for lock in ("run.txt", "dev.txt"):
        assert needed <= set(_versions(_lock(repository, lock)))


def test_versions_agree(repository: Path, project: dict[str, Any]) -> None:
    assert project["project"]["version"] == __version__
    headings = re.findall(r"^## \[?([^\]\s]+)", (repository / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = [Version(heading) for heading in headings[1:]]
    assert released == sorted(released, reverse=True)
    assert not released or released[0] <= Version(__version__)


def test_the_lowest_python_is_the_same_everywhere(repository: Path, project: dict[str, Any]) -> None:
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    assert "--python-version 3.11" in makefile
    assert "sys.version_info < (3, 11)" in makefile
    assert "Python 3.11" in (repository / "README.md").read_text(encoding="utf-8")


def test_the_wheel_carries_the_catalog_and_its_types(repository: Path) -> None:
    package = repository / "src" / "pixeldojo"
    assert (package / "py.typed").exists()
    assert list((package / "catalog" / "models").glob("*.toml"))
    assert (package / "db" / "migrations" / "script.py.mako").exists()
