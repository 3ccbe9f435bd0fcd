"""The operator's commands, run as an operator runs them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.e2e.harness import Server, call

SECRET = "0123456789" * 4


def _command(data_dir: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIXELDOJO_")},
        "PIXELDOJO_DATA_DIR": str(data_dir),
        "COLUMNS": "200",
        **settings,
    }
    finished = subprocess.run(
        [sys.executable, "-m", "pixeldojo", *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in finished.stderr, finished.stderr
    return finished


def test_key_for_scripts_credits_and_revoking(server: Server) -> None:
    data_dir = server.data_dir
    options = ("--name", "ci", "--scopes", "jobs:write,jobs:read", "--rate-per-minute", "5000", "--spend-cap", "3")
    made = _command(data_dir, "keys", "create", *options, "--account", "team-blue", "--expires", "30d")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n", "scripts take standard output whole"
    assert key.startswith("pd_test_")

    run = f"{server.url}/api/v1/models/flux-1.1-pro/run"
    poor = call("POST", run, key=key, body={"prompt": "Too poor"})
    assert (poor.status, poor.json["error"]["code"]) == (402, "insufficient_credits")
    granted = _command(data_dir, "credits", "grant", "7.5", "--account", "team-blue")
    assert "7.5" in granted.stdout, granted.stderr
    jobs = [call("POST", run, key=key, body={"prompt": f"Kite {number}"}) for number in range(4)]
    assert [answer.status for answer in jobs] == [202, 202, 202, 403], "the spend cap is 3 credits"
    assert "spend" in jobs[3].json["error"]["message"]
    for answer in jobs[:3]:
        job = call("GET", answer.json["statusUrl"], key=key)
        assert job.status == 200
    other = call("GET", jobs[0].json["statusUrl"], key=server.key)
    assert (other.status, other.json["error"]["code"]) == (404, "not_found"), "another account's job"

    listed = _command(data_dir, "keys", "list", "--account", "team-blue")
    assert key[:16] in listed.stdout
    assert key not in listed.stdout
    revoked = _command(data_dir, "keys", "revoke", key[:16])
    assert revoked.returncode == 0, revoked.stderr
    refused = _until_refused(server, key)
    assert refused == "unauthorized"


def _until_refused(server: Server, key: str) -> str:
    from tests.e2e.harness import eventually

    def look() -> str | None:
        answer = call("GET", f"{server.url}/api/v1/jobs", key=key)
        return answer.json["error"]["code"] if answer.status == 401 else None

    code: str = eventually(look, seconds=6, what="the revoked key is refused")
    return code


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("keys", "revoke", "pd_test_nothere0"), {}, "no API key"),
        (("credits", "show", "--account", "nobody"), {}, "no account 'nobody'"),
        (("serve",), {}, "PIXELDOJO_DATABASE_URL"),
        (("worker",), {"PIXELDOJO_BROKER_URL": "redis://127.0.0.1:1"}, "PIXELDOJO_DATABASE_URL"),
        (("settings",), {"PIXELDOJO_PORT": "ninety"}, "PIXELDOJO_PORT"),
        (("settings",), {"PIXELDOJO_ALLOW_NETWORKS": "10.0.0.0/33"}, "PIXELDOJO_ALLOW_NETWORKS"),
        (("keys", "list"), {"PIXELDOJO_DATABASE_URL": "mysql://x/y", "PIXELDOJO_SECRET_KEY": SECRET}, "PostgreSQL"),
        (("keys", "list"), {"PIXELDOJO_DATABASE_URL": "postgresql://x/y"}, "PIXELDOJO_SECRET_KEY is not set"),
        (("up",), {"PIXELDOJO_SECRET_KEY": "short"}, "PIXELDOJO_SECRET_KEY"),
        (("up",), {"PIXELDOJO_DATA_DIR": "/dev/null"}, "PIXELDOJO_DATA_DIR is /dev/null"),
        (("no-such-command",), {}, "No such command 'no-such-command'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_told_without_a_traceback(
    arguments: tuple[str, ...], settings: Mapping[str, str], said: str, server: Server
) -> None:
    finished = _command(server.data_dir, *arguments, **settings)
    assert finished.returncode == (2 if arguments == ("no-such-command",) else 1), finished.stdout + finished.stderr
    assert said in finished.stderr


def test_commands_before_the_first_start(tmp_path: Path) -> None:
    """`migrate` then `keys create` set up a server without `up`; `doctor` finds all well before and after."""
    data_dir = tmp_path / "data"
    assert _command(data_dir, "doctor").returncode == 0
    early = _command(data_dir, "keys", "create", "--name", "x")
    assert early.returncode == 1
    assert "pixeldojo-server migrate" in early.stderr
    assert "revision none to 0004" in _command(data_dir, "migrate").stdout
    assert "up to date" in _command(data_dir, "migrate").stdout
    assert _command(data_dir, "keys", "create", "--name", "x").stdout.startswith("pd_test_")
    assert "All is well" in _command(data_dir, "doctor").stdout


def test_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    finished = _command(
        tmp_path / "data",
        "doctor",
        PIXELDOJO_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        PIXELDOJO_BROKER_URL="redis://127.0.0.1:1",
        PIXELDOJO_SECRET_KEY=SECRET,
    )
    assert finished.returncode == 1
    for part, mend in (("database", "PIXELDOJO_DATABASE_URL"), ("broker", "PIXELDOJO_BROKER_URL")):
        assert f"WRONG {part}" in finished.stdout
        assert mend in finished.stdout
