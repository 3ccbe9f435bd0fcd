"""Clients that public generators make from our document: their types hold, and they run a job on a real server.

The programs in `python/` and `typescript/` are written as a user would write them, against the generated types, which
a type checker proves right and, where a line says so, proves wrong.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.clients.generators import PYTHON, TYPESCRIPT, node, python_packages, run, typescript_packages
from tests.e2e.harness import Server, call


def _assert_picture(printed: str, server: Server) -> None:
    """What the program read through its types is what the server says of the job."""
    read: dict[str, Any] = json.loads(printed)
    job = server.job(read["jobId"])
    assert job["status"] == read["status"] == "completed"
    assert job["model"] == "flux-1.1-pro"
    assert job["output"]["images"] == [read["image"]]
    (asset,) = job["assets"]
    assert (asset["width"], asset["height"]) == (read["width"], read["height"])
    assert asset["width"] > asset["height"], "the aspect ratio that was asked for"
    assert job["creditCost"] == read["estimate"] == read["creditCost"] == 1
    assert len(call("GET", read["image"]).body) == asset["sizeBytes"]
    assert read["refused"] == ["validation_error", "width"]


def test_a_generated_python_client_runs_a_job_and_reads_its_types(
    server: Server, document: Path, tmp_path: Path
) -> None:
    packages = {"PYTHONPATH": str(python_packages())}
    generate = ("generate", "--path", str(document), "--output-path", "pixeldojo_api", "--meta", "none")
    config = ("--config", str(PYTHON / "generator.yml"))
    said = run(sys.executable, "-m", "openapi_python_client", *generate, *config, folder=tmp_path, environment=packages)
    # A file's bytes are fetched by their address; that the generator has no type for them is all it may complain of.
    assert [line for line in said.splitlines() if line.startswith("WARNING") and "/assets/" not in line] == []
    shutil.copy(PYTHON / "program.py.txt", tmp_path / "program.py")
    checked = ("mypy", "--strict", "--follow-imports", "silent", "--cache-dir", "mypy-cache", "program.py")
    run(sys.executable, "-m", *checked, folder=tmp_path)
    surroundings = {**packages, "PIXELDOJO_URL": server.url, "PIXELDOJO_API_KEY": server.key}
    _assert_picture(run(sys.executable, "program.py", folder=tmp_path, environment=surroundings), server)


def test_a_generated_typescript_client_runs_a_job_and_reads_its_types(
    server: Server, document: Path, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(typescript_packages())
    for name in ("package.json", "tsconfig.json", "program.ts"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    generator = "node_modules/openapi-typescript/bin/cli.js"
    # What has a default may be left out of a request.
    node(generator, str(document), "-o", "schema.d.ts", "--default-non-nullable", "false", folder=tmp_path)
    node("node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--project", ".", folder=tmp_path)
    surroundings = {"PIXELDOJO_URL": server.url, "PIXELDOJO_API_KEY": server.key}
    _assert_picture(node("program.ts", folder=tmp_path, environment=surroundings), server)
