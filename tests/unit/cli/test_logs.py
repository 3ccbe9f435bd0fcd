"""What a traceback shows: where it went wrong, and nothing of what the variables held."""

import os
import pty
import subprocess
import sys
from typing import Final

import pytest

_PROGRAM: Final = """
import sys
from pixeldojo.cli.logs import configure_logs
from pixeldojo.core.settings import read_settings

def fail(secret):
    prompt = ["canary", secret]
    raise ValueError("it broke")

log = configure_logs(read_settings(log_format=sys.argv[1], log_level="debug"))
try:
    fail("of-a-key-1f0c")
except ValueError:
    log.exception("step failed")
"""


def _logged_on_a_terminal(log_format: str) -> str:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", _PROGRAM, log_format], stderr=theirs, check=True, timeout=60)
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        said = b""
        while chunk := _next(terminal.fileno()):
            said += chunk
    return said.decode()


def _next(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variables(log_format: str) -> None:
    said = _logged_on_a_terminal(log_format)
    assert "step failed" in said
    assert "ValueError" in said
    assert "it broke" in said
    assert "1f0c" not in said.replace('fail("of-a-key-1f0c")', "")
