"""A strict reader of /llm.txt: every line must be of a kind that its heading allows.

The hosted service's document and this server's are read by the same reader, so that what is compared is what a
program that knows the one would find in the other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class ListedModel:
    """One model as the document lists it."""

    section: str
    id: str
    name: str
    cost: str
    features: tuple[str, ...]
    use_cases: tuple[str, ...]


@dataclass
class Document:
    """What a program finds in the document.

    Attributes:
        headings: With their number signs, in order; those of single models are not among them.
        kinds: Which kinds of lines stand under each heading.
        fences: The languages of the code under each heading.
        code: The code itself, in order.
        models: In order.
        routes: `POST /api/v1/models/{apiId}/run`, in order.
        errors: Code and status, in order.
        descriptions: Of the models, in order.
    """

    headings: list[str] = field(default_factory=list)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    fences: list[tuple[str, str]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    models: list[ListedModel] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    errors: list[tuple[str, int]] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)


class UnknownLineError(Exception):
    """A line that the document may not have where it stands."""


_MODELS: Final = re.compile(r"## (Image|Video) Models \((\d+) available\)")
_MODEL: Final = re.compile(r"### (.+) \(`([a-z0-9.-]+)`\)")
_COST: Final = re.compile(r"- Cost: (\d+(?:\.\d+)? (?:credit\(s\)|credits/sec)(?: \(\S.*\S\))?)")
_KINDS: Final = {
    "quote": re.compile(r"> \S.*"),
    "fact": re.compile(r"\*\*[^*]+:\*\* `[^`]+`"),
    "route": re.compile(r"- `([A-Z]+ /\S+)` — \S.*"),
    "term": re.compile(r"- `[a-z_]+`: \S.*"),
    "link": re.compile(r"- [^:]+: https?://\S+"),
    "point": re.compile(r"- [A-Z].*"),
    "step": re.compile(r"\d+\. \S.*"),
    "table head": re.compile(r"\| Code \| Status \| Description \|"),
    "table rule": re.compile(r"\|[-|]+\|"),
    "row": re.compile(r"\| `([a-z_]+)` \| (\d{3}) \| \S[^|]* \|"),
    "prose": re.compile(r"[A-Za-z0-9`].*"),
}
_ALLOWED: Final = {
    "# PixelDojo API (Async Jobs)": {"quote"},
    "## Overview": {"prose", "fact"},
    "### Core Endpoints": {"route"},
    "## Authentication": {"prose", "code"},
    "## Requirements": {"point"},
    "## Image Models": set(),
    "## Video Models": {"quote"},
    "## Response Format": set(),
    "### Submit Response": {"code"},
    "### Completed Response": {"code", "prose"},
    "## Error Codes": {"table head", "table rule", "row", "prose", "term"},
    "## Rate Limits": {"prose"},
    "## Examples": set(),
    "### cURL": {"code"},
    "### Python": {"code"},
    "### JavaScript": {"code"},
    "## Best Practices": {"step"},
    "## Links": {"link"},
}


class _Reader:
    """Goes through the lines once."""

    def __init__(self, text: str) -> None:
        self._lines: Iterator[str] = iter(text.splitlines())
        self._heading = ""
        self._counts: dict[str, int] = {}
        self.found = Document()

    def read(self) -> Document:
        for line in self._lines:
            if not line:
                continue
            if line.startswith("```"):
                self._read_code(line.removeprefix("```"))
            elif model := _MODEL.fullmatch(line):
                self._read_model(model[1], model[2])
            elif line.startswith("#"):
                self._read_heading(line)
            else:
                self._read_line(line)
        self._check_counts()
        return self.found

    def _read_heading(self, line: str) -> None:
        counted = _MODELS.fullmatch(line)
        self._heading = f"## {counted[1]} Models" if counted else line
        if counted:
            self._counts[counted[1]] = int(counted[2])
        if self._heading not in _ALLOWED or self._heading in self.found.headings:
            raise UnknownLineError(line)
        self.found.headings.append(self._heading)
        self.found.kinds[self._heading] = set()

    def _read_model(self, name: str, model_id: str) -> None:
        if not self._heading.endswith(" Models"):
            raise UnknownLineError(name)
        description = next(self._lines, "")
        if not re.fullmatch(r"[^\s>#|-].*\S", description):
            raise UnknownLineError(f"{model_id} has no description, but: {description}")
        cost = _COST.fullmatch(next(self._lines, ""))
        if cost is None:
            raise UnknownLineError(f"{model_id} has no cost")
        rest = {}
        for line in self._lines:
            label, _, words = line.removeprefix("- ").partition(": ")
            if label not in {"Features", "Use cases"} or label in rest or not words:
                break
            rest[label] = tuple(words.split(", "))
        else:
            line = ""
        section = self._heading.split()[1].lower()
        features, use_cases = rest.get("Features", ()), rest.get("Use cases", ())
        self.found.models.append(ListedModel(section, model_id, name, cost[1], features, use_cases))
        self.found.descriptions.append(description)
        # Nothing but the end of the list stands directly below an entry.
        if line:
            self._read_line(line)

    def _read_code(self, language: str) -> None:
        self._allow("code", f"```{language}")
        self.found.fences.append((self._heading, language))
        lines: list[str] = []
        for line in self._lines:
            if line == "```":
                self.found.code.append("\n".join(lines))
                return
            lines.append(line)
        raise UnknownLineError("code without an end")

    def _read_line(self, line: str) -> None:
        for kind in _ALLOWED.get(self._heading, set()) - {"code"}:
            match = _KINDS[kind].fullmatch(line)
            if match:
                self._allow(kind, line)
                if kind == "route":
                    self.found.routes.append(match[1])
                if kind == "row":
                    self.found.errors.append((match[1], int(match[2])))
                return
        raise UnknownLineError(f"{self._heading}: {line}")

    def _allow(self, kind: str, line: str) -> None:
        if kind not in _ALLOWED.get(self._heading, set()):
            raise UnknownLineError(f"{self._heading}: {line}")
        self.found.kinds[self._heading].add(kind)

    def _check_counts(self) -> None:
        for section, count in self._counts.items():
            listed = sum(model.section == section.lower() for model in self.found.models)
            if listed != count:
                raise UnknownLineError(f"{section}: {count} are announced and {listed} listed")


def read_document(text: str) -> Document:
    """Read a document.

    Raises:
        UnknownLineError: for the first line that is of no kind its heading allows.
    """
    return _Reader(text).read()
