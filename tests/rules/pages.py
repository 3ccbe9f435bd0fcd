"""Pages of documentation as the rules look at them: links, headings, code."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page; `name` is its path in the repository."""

    name: str
    path: Path
    text: str

    @property
    def prose(self) -> str:
        """The page without its code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """Where it points."""
        return [match["target"] for match in _LINK.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """The names of its headings, as links spell them."""
        headings = (match["text"].lower() for match in _HEADING.finditer(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}

    def code(self, language: str) -> list[str]:
        """Return its code blocks in a language."""
        return [match["code"] for match in _FENCE.finditer(self.text) if match["language"] == language]


def read_pages(repository: Path) -> tuple[Page, ...]:
    """Return every page: those in the root, and those below docs/."""
    paths = [*sorted(repository.glob("*.md")), *sorted((repository / "docs").rglob("*.md"))]
    return tuple(
        Page(path.relative_to(repository).as_posix(), path, path.read_text(encoding="utf-8")) for path in paths
    )
