"""Python files as the rules look at them: parsed once, with a name relative to where they were found.

Owns reading and the few questions that several rules ask. Leaves every rule to its own test file.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """One Python file.

    Attributes:
        name: Such as `jobs/store.py`, relative to the folder that was read.
        text: What stands in it.
        tree: The same, parsed.
    """

    name: str
    text: str
    tree: ast.Module

    @classmethod
    def from_text(cls, name: str, text: str) -> "SourceFile":
        """Return a file that exists only for a test."""
        return cls(name, text, ast.parse(text))

    @property
    def layer(self) -> str:
        """The folder or module right below the package: `jobs` of `jobs/store.py`, `blobs` of `blobs.py`."""
        return self.name.partition("/")[0].removesuffix(".py")

    def line(self, number: int) -> str:
        """Return a line by its number, which counts from 1."""
        return self.text.splitlines()[number - 1]

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler, what: str) -> str:
        """Return a finding as an editor can jump to it."""
        return f"{self.name}:{node.lineno}: {what}"


def read_sources(folder: Path) -> tuple[SourceFile, ...]:
    """Return every Python file below a folder, by name."""
    return tuple(
        SourceFile.from_text(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    )


def imports(source: SourceFile) -> Iterator[tuple[ast.stmt, str, tuple[str, ...]]]:
    """Yield every import: the statement, the module, and the names taken from it (none for `import x`)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or "", tuple(alias.name for alias in node.names)


def is_third_party(module: str) -> bool:
    """Whether a module is neither Python's nor the project's."""
    return module.partition(".")[0] not in {*sys.stdlib_module_names, "pixeldojo", "tests", "benchmarks"}
