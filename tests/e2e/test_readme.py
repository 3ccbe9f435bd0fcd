"""The README's examples, run as they stand there against a server."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.harness import Server
from tests.node import NODE
from tests.rules.pages import Page

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the shell examples need curl")


@pytest.fixture(scope="module")
def readme() -> Page:
    """The README."""
    path = Path(__file__).parents[2] / "README.md"
    return Page(path.name, path, path.read_text(encoding="utf-8"))


def _run(server: Server, *command: str) -> str:
    environment = {**os.environ, "PIXELDOJO_URL": server.url, "PIXELDOJO_API_KEY": server.key}
    finished = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@needs_curl
def test_the_shell_examples_submit_list_and_rehearse(readme: Page, server: Server) -> None:
    set_up, key, submit, rehearse = readme.code("bash")
    assert "make run" in set_up
    assert "api-key" in key
    printed = _run(server, "bash", "-euc", submit)
    assert '"status":"pending"' in printed
    assert '"jobs":[{"jobId":"job_' in printed
    assert '"code":"content_rejected"' in _run(server, "bash", "-euc", rehearse)


def test_the_python_example_ends_completed(readme: Page, server: Server) -> None:
    (code,) = readme.code("python")
    assert _run(server, sys.executable, "-c", code).startswith(f"completed ['{server.url}/assets/")


def test_the_javascript_example_ends_completed(readme: Page, server: Server, tmp_path: Path) -> None:
    (code,) = readme.code("javascript")
    path = tmp_path / "example.mjs"
    path.write_text(code)
    assert _run(server, NODE, str(path)).startswith("completed [")
