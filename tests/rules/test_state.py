"""State lives in objects that are handed in, never in modules.

The bug this prevents: two nodes, or two tests, in one process share what a module keeps, and nobody can say who
changed it. It is also why a file grows that everyone must import.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from tests.rules.source_files import SourceFile

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
_TYPE = re.compile(r"_?[A-Z][A-Za-z0-9]*")
_DUNDER = re.compile(r"__[a-z]+__")
# What frameworks want at module level: declarations, filled while the module is imported and read afterwards.
_DECLARATIONS = frozenset({"APIRouter", "MetaData", "Table", "typer.Typer"})
_ALEMBIC_NAMES = frozenset({"revision", "down_revision", "branch_labels", "depends_on"})
# What may be called to make a constant: it gives a value, and holds nothing that lives on.
_VALUES = frozenset(
    {
        "Decimal",
        "Fraction",
        "JobFailure",
        "MappingProxyType",
        "NormalDist",
        "ParamSpec",
        "Path",
        "String",
        "TypeAdapter",
        "TypeVar",
        "datetime",
        "dict",
        "frozenset",
        "ip_network",
        "len",
        "max",
        "min",
        "np.array",
        "range",
        "re.compile",
        "sorted",
        "str.join",
        "str.maketrans",
        "struct.Struct",
        "timedelta",
        "tuple",
    }
)
_CHANGES = frozenset(
    {"add", "append", "clear", "discard", "extend", "fill", "insert", "pop", "popitem", "remove", "setdefault"}
) | {"sort", "reverse", "update"}
_CACHES = frozenset({"cache", "functools.cache", "functools.lru_cache", "lru_cache"})


def module_state(source: SourceFile) -> list[str]:
    """Return what the module keeps that could change after it was imported."""
    return [*_bad_bindings(source), *_changes(source), *_hidden(source)]


def _bindings(source: SourceFile) -> Iterator[tuple[ast.Assign | ast.AnnAssign, str, ast.expr]]:
    for node in source.tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node, ast.unparse(node.target), node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from ((node, ast.unparse(part), node.value) for part in parts)


def _bad_bindings(source: SourceFile) -> Iterator[str]:
    own = {node.name for node in source.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node, name, value in _bindings(source):
        callee = _callee(value)
        if callee in _DECLARATIONS or name in _ALEMBIC_NAMES or _DUNDER.fullmatch(name):
            continue
        if not (_CONSTANT.fullmatch(name) or _TYPE.fullmatch(name)):
            yield source.at(node, f"{name} is a variable; a module keeps constants, in upper case")
        elif callee is not None and callee not in _VALUES | own:
            yield source.at(node, f"{callee}() at module level; if it only makes a value, list it in this test")


def _callee(value: ast.expr) -> str | None:
    """Return what is called to make a value: `re.compile`; of a method of a literal, the type's: `str.join`."""
    if not isinstance(value, ast.Call):
        return None
    if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Constant):
        return f"{type(value.func.value.value).__name__}.{value.func.attr}"
    return ast.unparse(value.func).partition("[")[0]


def _changes(source: SourceFile) -> Iterator[str]:
    names = {name for _, name, _ in _bindings(source)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            changed: list[ast.expr] = [node.func.value]
        elif isinstance(node, ast.Assign | ast.Delete):
            changed = [target.value for target in node.targets if isinstance(target, ast.Subscript)]
        elif isinstance(node, ast.AugAssign):
            changed = [node.target.value if isinstance(node.target, ast.Subscript) else node.target]
        else:
            continue
        for expression in changed:
            if isinstance(expression, ast.Name) and expression.id in names and _CONSTANT.fullmatch(expression.id):
                yield source.at(expression, f"{expression.id} is changed")


def _hidden(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Global):
            yield source.at(node, f"global {', '.join(node.names)}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(called) in _CACHES:
                    yield source.at(decorator, "a cached function keeps state for the whole process")


def test_modules_keep_no_state(sources: tuple[SourceFile, ...]) -> None:
    assert [found for source in sources for found in module_state(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "seen = {}",
        "sessions: dict[str, int] = {}",
        "client = build_client()",
        "LOCK = asyncio.Lock()",
        "POOL: Final = ProcessPoolExecutor()",
        "CURRENT = ContextVar('current')",
        "SEEN = []\ndef note(x):\n    SEEN.append(x)",
        "SEEN = {}\ndef note(x):\n    SEEN[x] = 1",
        "SEEN = {1: 2}\ndef forget(x):\n    del SEEN[x]",
        "COUNT = 0\ndef count():\n    global COUNT\n    COUNT += 1",
        "@lru_cache(maxsize=None)\ndef read():\n    return 1",
    ],
)
def test_state_is_found(text: str) -> None:
    assert module_state(SourceFile.from_text("jobs/service.py", text))


@pytest.mark.parametrize(
    "text",
    [
        "LIMIT = 3",
        "_NAMES: Final = {'a': 1}",
        "_WORD = re.compile('a')",
        "Result = TypeVar('Result')",
        "Json: TypeAlias = dict[str, object]",
        "router = APIRouter(tags=['jobs'])",
        "def f():\n    seen = {}\n    seen['a'] = 1\n    return seen",
        "LINE = ', '.join(['a'])",
    ],
)
def test_constants_are_no_state(text: str) -> None:
    assert not module_state(SourceFile.from_text("jobs/service.py", text))
