"""A setting is one field: read in one place, described where it stands, listed in the docs.

The bug this prevents: a variable that is read deep inside the code, which no page names and no test can set.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.rules.source_files import SourceFile

from pixeldojo.cli.settings import settings_page
from pixeldojo.core.settings import CLIENT_VARIABLES, ENVIRONMENT_PREFIX, Settings, read_settings

_THE_PLACE = "core/settings.py"
_READERS = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"})
_READER_NAMES = frozenset(name.removeprefix("os.") for name in _READERS)
# Reads that are not settings of ours, each with its reason; an entry that is not needed any more fails.
ELSEWHERE: Mapping[str, str] = {}


def environment_reads(source: SourceFile) -> list[str]:
    """Return where a file other than the settings looks at the environment."""
    return [] if source.name == _THE_PLACE else list(_reads(source))


def _reads(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in _READERS:
            yield source.at(node, ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (source.at(node, alias.name) for alias in node.names if alias.name in _READER_NAMES)
        elif isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("BaseSettings") for base in node.bases):
            yield source.at(node, f"{node.name} reads settings of its own")


def test_the_environment_is_read_in_one_place(sources: tuple[SourceFile, ...]) -> None:
    reads = {source.name: found for source in sources if (found := environment_reads(source))}
    assert {name: found for name, found in reads.items() if name not in ELSEWHERE} == {}
    assert set(ELSEWHERE) <= set(reads), "take out of ELSEWHERE what reads no environment"


@pytest.mark.parametrize(
    "text",
    [
        "import os\nx = os.environ['PIXELDOJO_PORT']",
        "import os\nx = os.getenv('HOME')",
        "from os import environ",
        "class Mine(BaseSettings):\n    port: int = 1",
    ],
)
def test_a_read_is_found(text: str) -> None:
    assert environment_reads(SourceFile.from_text("worker/loop.py", text))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert len(description.split()) >= 3
    assert description.endswith("."), "a sentence ends with a full stop"


def test_every_setting_can_be_set_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_PORT", "4321")
    monkeypatch.setenv("PIXELDOJO_ALLOW_NETWORKS", "127.0.0.0/8, 10.1.0.0/16")
    settings = read_settings()
    assert settings.port == 4321
    assert [str(network) for network in settings.allow_networks] == ["127.0.0.0/8", "10.1.0.0/16"]


def test_the_reference_page_is_current(repository: Path) -> None:
    page = (repository / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run `make docs`"


def test_pages_name_only_settings_that_exist(repository: Path) -> None:
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = {
        f"{path.relative_to(repository)}: {name}"
        for path in [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
        for name in re.findall(rf"{ENVIRONMENT_PREFIX}[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
        if name not in known | CLIENT_VARIABLES
    }
    assert unknown == set()
