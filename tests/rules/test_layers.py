"""The import contracts of pyproject.toml hold for the code as it is, and each of them can break."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# One file for each way to go wrong; together they break every contract.
TRESPASSES: Mapping[str, str] = {
    "core/climber.py": "import pixeldojo.jobs.service",
    "newcomer/__init__.py": "",
    "credits/one.py": "import pixeldojo.credits.other",
    "credits/other.py": "import pixeldojo.credits.one",
    "providers/one.py": "import pixeldojo.providers.other",
    "providers/other.py": "",
    "api/reaching_out.py": "import pixeldojo.net.fetch",
    "catalog/calling.py": "import aiohttp",
    "accounts/serving.py": "import fastapi",
}


def _verdicts(folder: Path, config: Path) -> dict[str, str]:
    """Return what import-linter says of each contract, for the package in a folder."""
    finished = subprocess.run(
        [
            *(sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
            *("--config", str(config), "--no-cache", "--no-logo"),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(re.findall(r"^(.+) (KEPT|BROKEN)(?: \(.*\))?$", finished.stdout, re.MULTILINE))
    assert found, finished.stdout + finished.stderr
    return found


def test_every_contract_is_kept(repository: Path, project: dict[str, Any]) -> None:
    contracts = {contract["name"]: "KEPT" for contract in project["tool"]["importlinter"]["contracts"]}
    assert _verdicts(repository / "src", repository / "pyproject.toml") == contracts


def test_every_contract_can_break(repository: Path, project: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(
        repository / "src" / "pixeldojo", tmp_path / "pixeldojo", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, text in TRESPASSES.items():
        path = tmp_path / "pixeldojo" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    contracts = {contract["name"]: "BROKEN" for contract in project["tool"]["importlinter"]["contracts"]}
    assert _verdicts(tmp_path, repository / "pyproject.toml") == contracts


def test_a_new_folder_must_find_its_line(project: dict[str, Any], repository: Path) -> None:
    (layers,) = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    listed = {name.strip() for line in layers["layers"] for name in line.split("|")}
    package = repository / "src" / "pixeldojo"
    there = {path.name.removesuffix(".py") for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert layers["exhaustive"] is True
    assert listed == there - {"__init__", "__pycache__"}
