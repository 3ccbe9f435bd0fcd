"""The programs on the models' pages, taken from the page as it is served, run with nothing but the key filled in."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.test_pages import Page
from tests.e2e.harness import Server, call

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="the JavaScript examples need Node")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the curl examples need curl")


def program(server: Server, model: str, language: str) -> str:
    page = Page()
    page.feed(call("GET", f"{server.url}/api-platform/{model}").body.decode())
    code = page.programs[language]
    assert server.url in code
    for placeholder in ("YOUR_API_KEY", "your_api_key"):
        code = code.replace(placeholder, server.key)
    return code


def printed(*command: str) -> str:
    finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@needs_curl
def test_the_curl_line_runs_to_a_completed_job(server: Server) -> None:
    job = json.loads(printed("bash", "-euc", program(server, "flux-1.1-pro", "bash")))
    assert (job["status"], job["model"]) == ("completed", "flux-1.1-pro")


def test_the_python_program_runs_to_a_completed_job_on_a_sample_clip(server: Server) -> None:
    assert printed(sys.executable, "-c", program(server, "video-to-sound", "python")).startswith("completed {")


@needs_node
def test_the_javascript_program_runs_to_a_completed_job_on_a_sample_picture(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "example.mjs"
    path.write_text(program(server, "p-image-edit", "javascript"))
    assert printed("node", str(path)).startswith("completed {")
