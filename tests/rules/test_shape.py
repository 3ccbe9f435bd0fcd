"""Files and functions stay readable: they say what they own, have a name that means something, and end in time.

The bug this prevents: the tail. Medians never show a code base going bad; its largest file and longest function do.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

import pytest
from tests.rules.source_files import SourceFile

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
# What is over the line today, and by how much. An entry may shrink or go; a new one needs a reason beside it.
RATCHET: Mapping[str, int] = {}
_EMPTY_WORDS = re.compile(r"(?:^|_)(?:utils?|helpers?|common|managers?|misc|base)(?:_|$)")
# Written once and never changed again, however long it is.
_HISTORY = "db/migrations/versions/"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(body: Sequence[ast.stmt], outer: str = "") -> Iterator[tuple[str, _Function, bool]]:
    """Yield functions and methods with their dotted name and whether they are public; not those inside functions."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{outer}{node.name}.")
        elif isinstance(node, _Function):
            name = f"{outer}{node.name}"
            is_public = not any(part.startswith("_") for part in name.split("."))
            yield name, node, is_public


def too_long(source: SourceFile) -> dict[str, int]:
    """Return the lengths, in lines, of what is over the limit: the file, and functions as `file::name`."""
    if source.name.startswith(_HISTORY):
        return {}
    found = {}
    length = len(source.text.splitlines())
    if length > LONGEST_FILE:
        found[source.name] = length
    for name, node, _ in _functions(source.tree.body):
        assert node.end_lineno is not None
        length = node.end_lineno - node.lineno + 1
        if length > LONGEST_FUNCTION:
            found[f"{source.name}::{name}"] = length
    return found


def interface_words(sources: Sequence[SourceFile]) -> frozenset[str]:
    """Return the names of the methods that an interface documents for all who implement it."""
    return frozenset(
        method.name
        for source in sources
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        for method in node.body
        if isinstance(method, _Function) and ast.get_docstring(method)
    )


def undocumented(source: SourceFile, inherited: frozenset[str] = frozenset()) -> list[str]:
    """Return the public functions, methods and classes without a docstring, and the file if it has none.

    A method may leave its words to the interface it implements: one of `inherited`, or that of a base class.
    """
    if source.name.startswith(_HISTORY):
        return []
    found = []
    if source.text.strip() and not ast.get_docstring(source.tree):
        found.append(f"{source.name}:1: begins without saying what it owns")
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            found.append(source.at(node, f"class {node.name} has no docstring"))
    heirs = _methods_with_a_base(source)
    for name, function, is_public in _functions(source.tree.body):
        if is_public and not ast.get_docstring(function) and name not in heirs and function.name not in inherited:
            found.append(source.at(function, f"{name} has no docstring"))
    return found


def _methods_with_a_base(source: SourceFile) -> set[str]:
    """Return the methods of classes that have a base, such as a protocol whose docstring lists its attributes."""
    return {
        f"{node.name}.{method.name}"
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and node.bases
        for method in node.body
        if isinstance(method, _Function)
    }


def test_files_and_functions_end_in_time(sources: tuple[SourceFile, ...]) -> None:
    longer = {name: length for source in sources for name, length in too_long(source).items()}
    assert {name: length for name, length in longer.items() if length > RATCHET.get(name, 0)} == {}
    assert set(RATCHET) <= set(longer), "take out of RATCHET what is short enough by now"


def test_whatever_is_public_says_what_it_does(sources: tuple[SourceFile, ...]) -> None:
    inherited = interface_words(sources)
    assert [found for source in sources for found in undocumented(source, inherited)] == []


def test_test_files_say_what_they_prove(test_sources: tuple[SourceFile, ...]) -> None:
    silent = [source.name for source in test_sources if source.text.strip() and not ast.get_docstring(source.tree)]
    assert silent == []


def test_names_of_files_mean_something(sources: tuple[SourceFile, ...], test_sources: tuple[SourceFile, ...]) -> None:
    # A file called after nothing in particular is where everything in particular ends up.
    parts = {part.removesuffix(".py") for source in (*sources, *test_sources) for part in source.name.split("/")}
    assert sorted(part for part in parts if _EMPTY_WORDS.search(part)) == []


def test_an_implementation_inherits_the_words_of_its_interface() -> None:
    text = '"""Doc."""\nclass Clock(Protocol):\n    """Doc."""\n    def now(self):\n        """Doc."""\n'
    interface = SourceFile.from_text("core/clock.py", text)
    own = SourceFile.from_text("core/system.py", '"""Doc."""\nclass System:\n    """Doc."""\n    def now(self): ...')
    assert undocumented(own, interface_words([interface])) == []


def test_what_is_too_long_is_found() -> None:
    function = "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION
    source = SourceFile.from_text("jobs/service.py", function + "# more\n" * LONGEST_FILE)
    assert too_long(source) == {
        "jobs/service.py": LONGEST_FILE + LONGEST_FUNCTION + 1,
        "jobs/service.py::f": LONGEST_FUNCTION + 1,
    }


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        '"""Doc."""\ndef f(): ...',
        '"""Doc."""\nclass C: ...',
        '"""Doc."""\nclass C:\n    """Doc."""\n    def f(self): ...',
    ],
)
def test_silence_is_found(text: str) -> None:
    assert undocumented(SourceFile.from_text("jobs/service.py", text))


@pytest.mark.parametrize("text", ["", '"""Doc."""\ndef _f(): ...', '"""Doc."""\nclass _C:\n    def f(self): ...'])
def test_what_is_private_may_be_silent(text: str) -> None:
    assert not undocumented(SourceFile.from_text("jobs/service.py", text))
