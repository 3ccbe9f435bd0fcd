"""`pixeldojo-server ledger verify`, on books of a server that runs and on books that were tampered with."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.e2e.harness import Server


def _verify(data_dir: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIXELDOJO_")}
    return subprocess.run(
        [sys.executable, "-m", "pixeldojo", "ledger", "verify"],
        check=False,
        env={**environment, "PIXELDOJO_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _copy_books(of: Path, to: Path) -> Path:
    """Copy a data folder's database, as it is at one moment, with what opens it."""
    to.mkdir()
    shutil.copy(of / "secret-key", to / "secret-key")
    with (
        closing(sqlite3.connect(of / "pixeldojo.db")) as source,
        closing(sqlite3.connect(to / "pixeldojo.db")) as target,
    ):
        source.backup(target)
    return to


def test_the_books_of_a_running_server_agree_and_tampering_is_named(server: Server, tmp_path: Path) -> None:
    accepted = server.run("flux-1.1-pro", {"prompt": "Coins on a scale"})
    server.ended(accepted.json["jobId"])

    sound = _verify(server.data_dir)

    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.startswith("Everything agrees. ")

    copy = _copy_books(server.data_dir, tmp_path / "copy")
    with closing(sqlite3.connect(copy / "pixeldojo.db")) as books:
        books.execute("PRAGMA ignore_check_constraints = ON")
        books.execute("UPDATE balances SET available = available + 1000")
        books.execute("UPDATE settlements SET captured = captured + 1 WHERE job_id = ?", (accepted.json["jobId"],))
        books.commit()

    tampered = _verify(copy)

    assert tampered.returncode == 1
    assert "available is kept as" in tampered.stdout
    assert f"The settlement of job {accepted.json['jobId']}" in tampered.stdout
    assert "faults. " in tampered.stderr
    assert "Traceback" not in tampered.stderr
