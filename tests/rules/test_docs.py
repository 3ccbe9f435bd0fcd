"""Pages that cannot lie: links resolve, commands exist, names named are names that are there."""

import ast
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.rules.makefile import read_targets
from tests.rules.pages import Page
from tests.rules.source_files import SourceFile
from tests.rules.test_commands import COMMANDS

from pixeldojo.cli.main import app

_MAKE = re.compile(r"(?:^|`|&& )make ([a-z][a-z-]*)", re.MULTILINE)
_SERVER = re.compile(r"pixeldojo-server((?: [a-z][a-z-]*)+)")
_PATH = re.compile(
    r"`((?:src|tests|docs|benchmarks|requirements|api|cli|jobs|worker|core|catalog|providers|db)/[\w./-]+)`"
)
_PYTHON_FILE = re.compile(r"(?<![\w/])((?:[a-z_0-9]+/)*[a-z_]\w*\.py)\b")
_DOC_PAGE = re.compile(r"\bdocs/[\w/.-]+\.md\b")
# Pages are about the software. Who or what wrote a line helps no reader, and is wrong a year later.
_STAFFING = re.compile(
    r"\b(?:staff(?:ed|ing)?|colleagues?|co-?workers?|headcount|assistants?|(?<!user-)agents?(?!\.md\b)"
    r"|chatbots?|copilots?)\b",
    re.IGNORECASE,
)
_MACHINE_PATHS = re.compile(r"(?<![\w.~/-])/(?:home|root|Users|work|tmp|opt|mnt)/[\w.-]+")


def dead_links(page: Page, pages: tuple[Page, ...]) -> list[str]:
    """Return the links of a page that lead to no file, or to no heading."""
    by_path = {other.path.resolve(): other for other in pages}
    dead = []
    for link in page.links:
        if re.match(r"https?://|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path.resolve()
        if not path.exists() or (anchor and (path not in by_path or anchor not in by_path[path].anchors)):
            dead.append(f"{page.name}: {link}")
    return dead


def test_links_resolve(pages: tuple[Page, ...]) -> None:
    assert [dead for page in pages for dead in dead_links(page, pages)] == []


def test_every_page_can_be_found_from_the_readme(repository: Path, pages: tuple[Page, ...]) -> None:
    by_path = {page.path.resolve(): page for page in pages}
    reached: set[Path] = set()
    waiting = [(repository / "README.md").resolve()]
    while waiting:
        path = waiting.pop()
        if path in by_path and path not in reached:
            reached.add(path)
            waiting += [(path.parent / link.partition("#")[0]).resolve() for link in by_path[path].links]
    assert sorted(by_path[path].name for path in set(by_path) - reached) == []


def test_make_commands_exist(repository: Path, pages: tuple[Page, ...]) -> None:
    targets = read_targets(repository / "Makefile")
    code = {page.name: [*re.findall(r"`[^`\n]+`", page.prose), *page.code("bash"), *page.code("")] for page in pages}
    unknown = [
        f"{name}: make {target}"
        for name, blocks in code.items()
        for target in _MAKE.findall("\n".join(blocks))
        if target not in targets
    ]
    assert unknown == []


def test_server_commands_exist(pages: tuple[Page, ...]) -> None:
    words = {" ".join(command) for command in COMMANDS}
    groups = {command for command in words if any(other.startswith(f"{command} ") for other in words)}
    unknown = []
    for page in pages:
        for match in _SERVER.finditer(page.text):
            first, *rest = match.group(1).split()
            if first not in words or (first in groups and rest and f"{first} {rest[0]}" not in words):
                unknown.append(f"{page.name}: {match.group()}")
    assert unknown == []
    assert app.info.name == "pixeldojo-server"


# Made up for the recipes of CONTRIBUTING.md.
_EXAMPLES = frozenset(
    {
        "src/pixeldojo/catalog/models/paper-lantern.toml",
        "src/pixeldojo/providers/lanterns.py",
        "tests/emulators/lanterns.py",
        "tests/providers/test_lanterns_client.py",
    }
)


def test_paths_that_pages_name_exist(repository: Path, pages: tuple[Page, ...]) -> None:
    package = repository / "src" / "pixeldojo"
    gone = [
        f"{page.name}: {path}"
        for page in pages
        for path in set(_PATH.findall(page.prose)) - _EXAMPLES
        if not (repository / path).exists() and not (package / path).exists()
    ]
    assert gone == []


def test_files_that_the_code_names_exist(
    repository: Path, sources: tuple[SourceFile, ...], test_sources: tuple[SourceFile, ...]
) -> None:
    # A docstring that points to a file that was renamed sends its reader away for nothing.
    names = [f"/src/pixeldojo/{s.name}" for s in sources] + [f"/tests/{s.name}" for s in test_sources]
    gone = []
    for source in sources:
        for named in _PYTHON_FILE.findall(_docstrings(source)):
            if not any(name.endswith(f"/{named}") for name in names):
                gone.append(f"{source.name}: {named}")
        gone += [f"{source.name}: {p}" for p in _DOC_PAGE.findall(source.text) if not (repository / p).exists()]
    assert gone == []


def _docstrings(source: SourceFile) -> str:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n".join(ast.get_docstring(n) or "" for n in ast.walk(source.tree) if isinstance(n, documented))


def test_every_line_of_the_log_is_explained(repository: Path, sources: tuple[SourceFile, ...]) -> None:
    page = (repository / "docs" / "operating.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([^`]+)`", page.partition("## Reading the log")[2]))
    logged = {event for source in sources for event in _events(source)}
    assert logged - explained == set()


def _events(source: SourceFile) -> set[str]:
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    return {
        str(node.args[0].value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and ast.unparse(node.func.value).endswith("log")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_the_ledgers_proof_runs_and_finds_what_is_wrong(repository: Path, sqlite_address: str) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", (repository / "docs" / "operating.md").read_text(), re.DOTALL)
    with closing(sqlite3.connect(sqlite_address.removeprefix("sqlite:///"))) as connection:
        connection.execute("INSERT INTO accounts VALUES ('acct_1', 'one', '2026-01-01 00:00:00')")
        connection.execute("INSERT INTO balances VALUES ('acct_1', 'test', 5, 0, 0, 5)")
        entry = "INSERT INTO entries VALUES (?, 'acct_1', 'test', 'grant', NULL, '', '2026-01-01 00:00:00', ?, 0, 0, ?)"
        connection.execute(entry, ("entry_1", 5, -5))
        assert connection.execute(query).fetchall() == []
        connection.execute(entry, ("entry_2", 1, -1))
        assert connection.execute(query).fetchall() == [("acct_1", "test")]


def test_decisions_have_their_parts_and_their_line_in_the_list(repository: Path) -> None:
    folder = repository / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    records = sorted(folder.glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings[0].startswith(path.name[:4])
        assert headings[1:] == ["Context", "Decision", "Consequences"], path.name
        assert f"]({path.name})" in listed


def test_pages_speak_of_the_software(pages: tuple[Page, ...]) -> None:
    assert [f"{page.name}: {match}" for page in pages for match in _STAFFING.findall(page.text)] == []


def test_no_path_of_a_certain_machine_is_written_down(
    repository: Path, pages: tuple[Page, ...], sources: tuple[SourceFile, ...]
) -> None:
    files = {page.name: page.text for page in pages} | {source.name: source.text for source in sources}
    files |= {name: (repository / name).read_text() for name in ("Makefile", "pyproject.toml", ".ci/run")}
    assert [f"{name}: {path}" for name, text in files.items() for path in _MACHINE_PATHS.findall(text)] == []


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[a](there.md)", []),
        ("[a](there.md#a-heading)", []),
        ("[a](https://example.com/x)", []),
        ("[a](gone.md)", ["page.md: gone.md"]),
        ("[a](there.md#no-heading)", ["page.md: there.md#no-heading"]),
        ("```\n[a](gone.md)\n```\n", []),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, text: str, dead: list[str]) -> None:
    for name, content in (("there.md", "# A heading\n"), ("page.md", text)):
        (tmp_path / name).write_text(content)
    pages = tuple(Page(name, tmp_path / name, (tmp_path / name).read_text()) for name in ("page.md", "there.md"))
    assert dead_links(pages[0], pages) == dead


@pytest.mark.parametrize("text", ["built by five colleagues", "an agent wrote this", "our staff"])
def test_a_word_on_staffing_is_found(text: str) -> None:
    assert _STAFFING.search(text)
    assert not _STAFFING.search("the User-Agent header of a caller")
