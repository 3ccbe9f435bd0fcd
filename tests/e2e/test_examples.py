"""The original document's own examples, host and key replaced, and ours: they run as they stand."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import Server, call
from tests.node import NODE

ORIGINAL = Path(__file__).parent / "original"
OURS = Path(__file__).parents[2] / "docs" / "examples"
_ORIGINAL_HOST = "https://pixeldojo.ai"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the shell examples need curl")


def _adapted(name: str, server: Server, folder: Path, **replaced: str) -> Path:
    """Write an original example with nothing changed but host, key and, where it names one, the job's id."""
    text = (ORIGINAL / name).read_text()
    assert _ORIGINAL_HOST in text
    text = text.replace(_ORIGINAL_HOST, server.url)
    for placeholder in ("YOUR_API_KEY", "your_api_key"):
        text = text.replace(placeholder, server.key)
    for old, new in replaced.items():
        text = text.replace(old, new)
    path = folder / name.removesuffix(".txt")
    path.write_text(text)
    return path


def _run(*command: str, folder: Path, server: Server) -> str:
    environment = {**os.environ, "PIXELDOJO_URL": server.url, "PIXELDOJO_API_KEY": server.key}
    finished = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def _json_objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    while (start := text.find("{")) >= 0:
        found, end = decoder.raw_decode(text[start:])
        yield found
        text = text[start + end :]


def _assert_sunset(job: dict[str, Any], server: Server) -> None:
    """The job ended well and its picture is what was asked for: square, and the format the model gives."""
    assert job["status"] == "completed"
    assert job["creditCost"] == 1
    (asset,) = job["assets"]
    answer = call("GET", asset["url"])
    assert answer.status == 200
    assert answer.headers["content-type"] == asset["contentType"] == "image/webp"
    assert (asset["width"], asset["height"]) == (1024, 1024)
    assert answer.body[:4] == b"RIFF"
    assert answer.body[8:12] == b"WEBP"
    assert len(answer.body) == asset["sizeBytes"]


@needs_curl
def test_original_curl_example(server: Server, tmp_path: Path) -> None:
    first = _adapted("example.sh", server, tmp_path)
    submit_only = first.read_text().split("# Poll for results")[0]
    accepted = next(_json_objects(_run("bash", "-c", submit_only, folder=tmp_path, server=server)))
    assert accepted["status"] == "pending"
    job = server.ended(str(accepted["jobId"]))
    _assert_sunset(job, server)
    rest = _adapted("example.sh", server, tmp_path, job_abc123=str(accepted["jobId"])).read_text()
    rest = "# Poll" + rest.split("# Poll")[1]
    polled, listed, replayed = _json_objects(_run("bash", "-c", rest, folder=tmp_path, server=server))
    assert polled["status"] == "completed"
    assert accepted["jobId"] in [found["jobId"] for found in listed["jobs"]]
    assert str(replayed["deliveryId"]).startswith("whd_")


def test_original_python_example(server: Server, tmp_path: Path) -> None:
    path = _adapted("example.py.txt", server, tmp_path)
    printed = _run(sys.executable, str(path), folder=tmp_path, server=server)
    job = eval(printed, {"__builtins__": {}}, {})
    _assert_sunset(job, server)


def test_original_javascript_example(server: Server, tmp_path: Path) -> None:
    before = {job["jobId"] for job in _listed(server)}
    path = _adapted("example.mjs", server, tmp_path)
    printed = _run(NODE, str(path), folder=tmp_path, server=server)
    assert "additionalProperties: false" in printed
    assert "image/webp" in printed
    (job,) = [job for job in _listed(server) if job["jobId"] not in before]
    _assert_sunset(job, server)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("bash", str(OURS / "run_model.sh")), marks=needs_curl),
        pytest.param((sys.executable, str(OURS / "run_model.py"))),
        pytest.param((NODE, str(OURS / "run_model.mjs"))),
    ],
    ids=["shell", "python", "javascript"],
)
def test_our_example(command: tuple[str, ...], server: Server, tmp_path: Path) -> None:
    printed = _run(*command, folder=tmp_path, server=server)
    assert "completed" in printed


def _listed(server: Server) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = call("GET", f"{server.url}/api/v1/jobs?limit=100", key=server.key).json["jobs"]
    return page
