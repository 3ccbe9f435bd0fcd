"""What import-linter cannot say: which third-party package a layer may use at all, and where SQL may stand."""

import ast
from collections.abc import Iterator, Mapping

import pytest
from tests.rules.source_files import SourceFile, imports, is_third_party

# A package used everywhere can be replaced nowhere: a layer that needs another one says so here.
ALLOWED: Mapping[str, frozenset[str]] = {
    "__main__": frozenset(),
    "cli": frozenset({"fastapi", "pydantic", "rich", "sqlalchemy", "structlog", "typer", "uvicorn", "uvloop"}),
    "bootstrap": frozenset({"fastapi", "structlog"}),
    "office": frozenset(),
    "api": frozenset({"fastapi", "jinja2", "pydantic", "python_multipart", "starlette", "structlog"}),
    "worker": frozenset({"structlog"}),
    "jobs": frozenset({"sqlalchemy"}),
    "credits": frozenset({"sqlalchemy"}),
    "assets": frozenset({"sqlalchemy"}),
    "files": frozenset({"sqlalchemy"}),
    "webhooks": frozenset({"sqlalchemy"}),
    "accounts": frozenset({"sqlalchemy"}),
    "db": frozenset({"alembic", "sqlalchemy"}),
    "blobs": frozenset({"obstore"}),
    "engine": frozenset({"redis", "taskiq", "taskiq_redis"}),
    "limiter": frozenset({"limits", "redis"}),
    "metrics": frozenset({"prometheus_client"}),
    "net": frozenset({"aiohttp", "yarl"}),
    "media": frozenset({"PIL", "av", "numpy"}),
    "catalog": frozenset({"jsonschema_rs", "pydantic", "pydantic_core", "tomli"}),
    "providers": frozenset({"cryptography"}),
    "core": frozenset({"pydantic", "pydantic_core", "pydantic_settings"}),
}
# Outside the stores a connection is passed on and an error is caught; statements are not made.
HARMLESS_SQL = {"sqlalchemy.ext.asyncio": {"AsyncConnection"}, "sqlalchemy.exc": None}
_RUNS_SQL = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "stream_scalars"})


def strangers(source: SourceFile) -> list[str]:
    """Return the third-party imports that the file's layer may not make."""
    allowed = ALLOWED.get(source.layer, frozenset())
    return [
        source.at(node, f"{source.layer} may not import {module}")
        for node, module, _ in imports(source)
        if is_third_party(module) and module.partition(".")[0] not in allowed
    ]


def stray_sql(source: SourceFile) -> list[str]:
    """Return where a file that is neither a store nor an audit, which sees all accounts on purpose, has SQL."""
    if source.layer == "db" or source.name.endswith(("/store.py", "/audit.py")):
        return []
    return [*_sql_imports(source), *_sql_calls(source)]


def _sql_imports(source: SourceFile) -> Iterator[str]:
    for node, module, names in imports(source):
        if module.partition(".")[0] != "sqlalchemy":
            continue
        harmless = HARMLESS_SQL.get(module, set())
        if harmless is not None and not (names and set(names) <= harmless):
            yield source.at(node, f"{module}.{', '.join(names) or '*'} belongs into a store")


def _sql_calls(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RUNS_SQL:
            yield source.at(node, f".{node.func.attr}() belongs into a store")


def test_a_layer_uses_only_the_packages_it_was_granted(sources: tuple[SourceFile, ...]) -> None:
    assert [found for source in sources for found in strangers(source)] == []


def test_no_grant_is_left_over(sources: tuple[SourceFile, ...]) -> None:
    used: dict[str, set[str]] = {source.layer: set() for source in sources if source.layer != "__init__"}
    for source in sources:
        for _, module, _ in imports(source):
            if is_third_party(module):
                used[source.layer].add(module.partition(".")[0])
    assert used == {layer: set(granted) for layer, granted in ALLOWED.items()}


def test_statements_are_made_and_run_in_stores_only(sources: tuple[SourceFile, ...]) -> None:
    # A query outside its store is the one that forgets the account, or the fence.
    assert [found for source in sources for found in stray_sql(source)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/money.py", "import sqlalchemy"),
        ("providers/fal.py", "from aiohttp import ClientSession"),
        ("jobs/service.py", "def f():\n    import fastapi"),
        ("new_folder/thing.py", "import pydantic"),
    ],
)
def test_a_stranger_is_found(name: str, text: str) -> None:
    assert strangers(SourceFile.from_text(name, text))


@pytest.mark.parametrize(
    "text",
    [
        "from sqlalchemy import select",
        "import sqlalchemy.ext.asyncio",
        "from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine",
        "async def f(connection):\n    await connection.execute('DELETE FROM jobs')",
    ],
)
def test_stray_sql_is_found(text: str) -> None:
    assert stray_sql(SourceFile.from_text("jobs/service.py", text))
    assert not stray_sql(SourceFile.from_text("jobs/store.py", text))


def test_passing_a_connection_on_is_no_stray_sql() -> None:
    text = "from sqlalchemy.exc import IntegrityError\nfrom sqlalchemy.ext.asyncio import AsyncConnection"
    assert not stray_sql(SourceFile.from_text("jobs/service.py", text))
