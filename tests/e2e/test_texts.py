"""The programs in the served /llm.txt, and the commands of docs/agents.md: they run as they stand there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.dojo import PNG
from tests.catalog.llm_document import read_document
from tests.e2e.harness import Server, call
from tests.node import NODE
from tests.rules.pages import Page

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the shell examples need curl")


def _example(server: Server, language: str) -> str:
    """Return an example of the served text with nothing changed but the key, which it asks to be filled in."""
    document = read_document(call("GET", f"{server.url}/llm.txt").body.decode())
    code = {language: code for (_, language), code in zip(document.fences, document.code, strict=True)}
    return code[language].replace("YOUR_API_KEY", server.key).replace("your_api_key", server.key)


def _run(server: Server, folder: Path, *command: str) -> str:
    environment = {**os.environ, "PIXELDOJO_URL": server.url, "PIXELDOJO_API_KEY": server.key}
    finished = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@needs_curl
def test_the_shell_example_submits_polls_lists_and_replays(server: Server, tmp_path: Path) -> None:
    printed = _run(server, tmp_path, "bash", "-euc", _example(server, "bash"))
    assert '"status":"completed"' in printed
    assert '"jobs":[{"jobId":"job_' in printed
    assert '"deliveryId":"whd_' in printed


def test_the_python_example_ends_completed(server: Server, tmp_path: Path) -> None:
    printed = _run(server, tmp_path, sys.executable, "-c", _example(server, "python"))
    assert printed.startswith(f"completed {{'images': ['{server.url}/assets/")


def test_the_javascript_example_ends_completed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "example.mjs"
    path.write_text(_example(server, "javascript"))
    assert _run(server, tmp_path, NODE, str(path)).startswith("completed {")


@needs_curl
def test_the_page_on_language_models_goes_from_question_to_file(server: Server, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "docs" / "agents.md"
    find, price, run, upload, hand_out = Page(path.name, path, path.read_text(encoding="utf-8")).code("bash")
    printed = _run(server, tmp_path, "bash", "-euc", find)
    assert '"apiId":"nano-banana-pro"' in printed
    assert "# Google Nano Banana Pro (`nano-banana-pro`)" in printed
    assert '"creditCost":6' in _run(server, tmp_path, "bash", "-euc", price)
    first, again = (_run(server, tmp_path, "bash", "-euc", run) for _ in range(2))
    assert '"status":"completed"' in first
    assert again == first
    (tmp_path / "sketch.png").write_bytes(PNG)
    assert '"contentType":"image/png"' in _run(server, tmp_path, "bash", "-euc", upload)
    assert "--spend-cap" in hand_out
