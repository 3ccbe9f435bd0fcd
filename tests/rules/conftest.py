"""What the rules look at: the repository, its sources, its project file."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.rules.pages import Page, read_pages
from tests.rules.source_files import SourceFile, read_sources


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources(repository: Path) -> tuple[SourceFile, ...]:
    """Every file of the server, named relative to `src/pixeldojo`."""
    return read_sources(repository / "src" / "pixeldojo")


@pytest.fixture(scope="session")
def test_sources(repository: Path) -> tuple[SourceFile, ...]:
    """Every file of the tests, named relative to `tests`."""
    return read_sources(repository / "tests")


@pytest.fixture(scope="session")
def project(repository: Path) -> dict[str, Any]:
    """What stands in pyproject.toml."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def pages(repository: Path) -> tuple[Page, ...]:
    """Every page of documentation."""
    return read_pages(repository)
