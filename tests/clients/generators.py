"""The public generators of clients, fetched once in the versions and with the hashes that are pinned here.

Owns where they are kept (below the virtual environment, so `make clean` removes them) and running them. Leaves what
is generated to the tests.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.node import NODE, NPM
from uv import find_uv_bin

_REPOSITORY: Final = Path(__file__).parents[2]
_PYTHON_LOCK: Final = _REPOSITORY / "requirements" / "clients.txt"
TYPESCRIPT: Final = Path(__file__).with_name("typescript")
PYTHON: Final = Path(__file__).with_name("python")


class GeneratorMissing(Exception):
    """A generator could not be fetched."""


def run(*command: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; an AssertionError shows all of it when it fails."""
    finished = _run(command, folder, environment or {})
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout}{finished.stderr}"
    return finished.stdout


def python_packages() -> Path:
    """Return the folder with openapi-python-client and what it needs, fit for PYTHONPATH.

    It is apart from the environment of the tests because it wants an older Typer than the server.

    Raises:
        GeneratorMissing: PyPI could not be reached, or gave other files than those pinned.
    """

    def fetch(folder: Path) -> None:
        uv = (find_uv_bin(), "--quiet", "--no-config", "--system-certs", "pip", "install", "--python", sys.executable)
        pinned = ("--require-hashes", "--no-deps", "--target", str(folder), "--requirement", str(_PYTHON_LOCK))
        _fetch("PyPI", (*uv, *pinned), folder)

    return _kept(f"python{sys.version_info.major}.{sys.version_info.minor}", [_PYTHON_LOCK], fetch)


def typescript_packages() -> Path:
    """Return the `node_modules` with openapi-typescript, openapi-fetch and TypeScript.

    Raises:
        GeneratorMissing: the npm registry could not be reached, or gave other files than those pinned.
    """
    locks = [TYPESCRIPT / "package.json", TYPESCRIPT / "package-lock.json"]

    def fetch(folder: Path) -> None:
        for lock in locks:
            shutil.copy(lock, folder)
        _fetch("the npm registry", (*NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"), folder)

    return _kept("typescript", locks, fetch) / "node_modules"


def node(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run Node and return what it printed."""
    return run(NODE, *arguments, folder=folder, environment=environment)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240
    )


def _fetch(origin: str, command: Sequence[str], folder: Path) -> None:
    finished = _run(command, folder, {"NODE_USE_SYSTEM_CA": "1"})
    if finished.returncode != 0:
        raise GeneratorMissing(
            f"A generator of clients is fetched from {origin} once, and could not be: is the network there?\n"
            f"{' '.join(command)}\n{finished.stdout}{finished.stderr}"
        )


def _kept(name: str, locks: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """Return a folder that was made from these locks, now or by an earlier run."""
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    kept = Path(sys.prefix) / "clients" / f"{name}-{digest[:16]}"
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        # Whole or not at all: test processes may be at it together.
        with tempfile.TemporaryDirectory(dir=kept.parent) as room:
            fresh = Path(room) / name
            fresh.mkdir()
            make(fresh)
            if not kept.exists():
                fresh.rename(kept)
    return kept
