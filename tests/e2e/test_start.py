"""What a command does not wait for: modules that are loaded only where they are needed.

Seconds differ from machine to machine; what was imported does not. Python itself tells it: `-X importtime`.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Server

from pixeldojo.db.migrate import migrate

_COMMAND = (sys.executable, "-X", "importtime", "-m", "pixeldojo")
_IMPORT = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)

# Drawing and decoding are the media processes'; migrating, pages and texts, an upstream's adapter, and what a
# scaled-out set-up needs, have their own moment; there are no web sockets.
NOT_IN_A_SERVER = {
    "numpy",
    "PIL",
    "av",
    "alembic",
    "mako",
    "redis",
    "taskiq_redis",
    "asyncpg",
    "sqlalchemy.dialects.postgresql",
    "websockets",
    "jinja2",
    "pixeldojo.api.openapi.document",
    "pixeldojo.catalog.llm_texts",
    "pixeldojo.providers.fal",
}
# Work begins once the server answers.
NOT_BEFORE_ITS_FIRST_ANSWER = {"aiohttp", "taskiq", "pixeldojo.bootstrap.crew", "pixeldojo.worker.team"}
HTTP = {"fastapi", "starlette", "uvicorn", "aiohttp", "taskiq", "limits", "obstore", "jsonschema_rs", "tomli"}
DATABASE = {"sqlalchemy", "aiosqlite", "alembic"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder as an earlier start left it, in what matters here."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    asyncio.run(migrate(f"sqlite:///{folder / 'pixeldojo.db'}"))
    return folder


@pytest.fixture
def server(data_dir: Path) -> Iterator[Server]:
    """`up`, telling what it imports."""
    started = Server(data_dir)
    try:
        yield started.start(*_COMMAND, "up")
    finally:
        started.stop()


def imported(told: str) -> set[str]:
    """Return the modules that Python says it imported."""
    modules = set(_IMPORT.findall(told))
    assert "typer" in modules
    return modules


def told_by(data_dir: Path, *arguments: str) -> str:
    environment = {**os.environ, "PIXELDOJO_DATA_DIR": str(data_dir)}
    finished = subprocess.run(
        [*_COMMAND, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return finished.stderr


def test_help_waits_for_neither_server_nor_database(tmp_path: Path) -> None:
    assert imported(told_by(tmp_path, "--help")) & (HTTP | DATABASE | NOT_IN_A_SERVER) == set()


def test_a_command_on_the_database_does_not_wait_for_a_server(data_dir: Path) -> None:
    told = imported(told_by(data_dir, "keys", "list"))
    assert "sqlalchemy" in told
    assert told & (HTTP | NOT_IN_A_SERVER) == set()


def test_a_server_on_data_it_has_waits_for_nothing_that_its_first_answer_does_not_need(server: Server) -> None:
    told = imported(server.log)
    assert "fastapi" in told
    assert told & NOT_IN_A_SERVER == set()


def test_a_server_answers_before_it_loads_what_only_its_work_needs() -> None:
    """Its own code is what it loads before it opens anything; what comes later is imported where it is used."""
    command = (*_COMMAND[:-2], "-c", "import pixeldojo.cli.main, pixeldojo.cli.embedded")
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    assert imported(told) & NOT_BEFORE_ITS_FIRST_ANSWER == set()
