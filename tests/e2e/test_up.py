"""`pixeldojo-server up` as a newcomer meets it: first start, pasting the curl line, Ctrl-C, second start, trouble."""

import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from tests.e2e.harness import Server, call, eventually


def _children(pid: int) -> list[int]:
    """Return the living children of a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_first_start_ctrl_c_and_second_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    picture = server.data_dir / "first-image.png"
    eventually(picture.exists, what="the first picture is saved")
    eventually(lambda: "Run a model" in server.log, what="the welcome is printed")

    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    key_file = server.data_dir / "api-key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data_dir / "secret-key").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert server.key.startswith("pd_test_")
    assert server.key in server.log
    assert str(picture) in server.log
    welcome = server.log.partition("Run a model")[0]
    assert welcome.count('"event": "request"') <= 4, "what a newcomer is told is not lost among the log's lines"

    (line,) = re.findall(r"^ *(curl .*)$", server.log, re.MULTILINE)
    pasted = subprocess.run(["bash", "-c", line], check=False, capture_output=True, text=True, timeout=60)
    assert '"status":"completed"' in pasted.stdout, pasted.stdout + pasted.stderr

    assert server.process is not None
    children = _children(server.process.pid)
    assert server.stop() == 0
    assert "Traceback" not in server.log
    assert not [child for child in children if _is_alive(child)], "a process was left behind"
    assert not (server.data_dir / "scratch").exists(), "scratch files were left behind"
    assert server.rows("SELECT COUNT(*) FROM jobs WHERE lease_owner IS NOT NULL") == [(0,)]

    key, jobs = server.key, server.rows("SELECT id FROM jobs ORDER BY id")
    saved_at = picture.stat().st_mtime_ns
    server.start()
    try:
        assert server.key == key
        listed = call("GET", f"{server.url}/api/v1/jobs", key=key).json["jobs"]
        assert sorted(job["jobId"] for job in listed) == [job_id for (job_id,) in jobs]
        assert picture.stat().st_mtime_ns == saved_at, "the first job ran again"
    finally:
        server.stop()


def test_second_server_on_the_same_data_is_refused(server: Server) -> None:
    second = Server(server.data_dir, {"PIXELDOJO_PORT": "0"})
    second.launch()
    assert second.process is not None
    assert second.process.wait(timeout=30) == 1
    assert "Another PixelDojo is running" in server.log


def test_taken_port_is_told_with_what_to_do(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "data", port=server.port)
    second.launch()
    assert second.process is not None
    assert second.process.wait(timeout=30) == 1
    assert f"Cannot listen on 127.0.0.1:{server.port}" in second.log
    assert "PIXELDOJO_PORT" in second.log
    assert "Traceback" not in second.log


def test_sigterm_during_a_job_hands_it_over(tmp_path: Path) -> None:
    """A stop in the middle of a job loses nothing: the next start finishes it."""
    server = Server(tmp_path / "data").start()
    job_id = server.run("flux-1.1-pro", {"prompt": "Slow [sandbox: slow=4]"}).json["jobId"]
    eventually(lambda: server.job(job_id)["status"] == "processing", what="the job is being processed")
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    assert server.rows(f"SELECT lease_owner FROM jobs WHERE id = '{job_id}'") == [(None,)]
    server.start()
    try:
        assert server.ended(job_id)["status"] == "completed"
    finally:
        server.stop()
    assert len([path for path in server.sandbox_calls() if job_id in path.read_text()]) == 1


def test_media_processes_die_with_a_killed_server(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    server.ended(server.run("flux-1.1-pro", {"prompt": "Anything"}).json["jobId"])
    assert server.process is not None
    children = _children(server.process.pid)
    assert children, "nothing was drawn in a process of its own"
    server.kill()
    eventually(lambda: not [child for child in children if _is_alive(child)], seconds=20, what="they are gone")


def test_webhooks_may_point_to_this_machine_only(server: Server) -> None:
    for address, allowed in (("http://127.0.0.1:9/x", True), ("http://10.0.0.1/x", False), ("http://[::1]:9/", True)):
        answer = server.run("flux-1.1-pro", {"prompt": "Anything", "webhook_url": address})
        assert (answer.status == 202) is allowed, (address, answer.body)


@pytest.mark.parametrize(
    ("rehearsal", "status", "code"),
    [
        ("fail=rejected-input", "failed", "invalid_input"),
        ("refuse", "failed", "content_rejected"),
        ("fail-later=unavailable", "failed", "upstream_error"),
        ("unknown", "failed", "upstream_unknown"),
        ("lose-answer", "completed", None),
        ("flaky=2", "completed", None),
        ("twice", "completed", None),
        ("broken-file", "failed", "upstream_error"),
        ("wrong-type", "failed", "upstream_error"),
    ],
)
def test_rehearsed_trouble_ends_as_documented(rehearsal: str, status: str, code: str | None, server: Server) -> None:
    before = call("GET", f"{server.url}/api/v1/credits", key=server.key).json["available"]
    answer = server.run("flux-1.1-pro", {"prompt": "Trouble"}, X_PixelDojo_Sandbox=rehearsal)
    assert answer.status == 202, answer.body
    job = server.ended(answer.json["jobId"])
    assert (job["status"], (job["error"] or {}).get("code")) == (status, code)
    after = call("GET", f"{server.url}/api/v1/credits", key=server.key).json["available"]
    assert before - after == job["creditCost"] == (1 if status == "completed" else 0)
    calls = [path for path in server.sandbox_calls() if job["jobId"] in path.read_text()]
    assert len(calls) <= 1, "the upstream was paid twice"


def test_cancel_stops_a_hanging_job(server: Server) -> None:
    job_id = server.run("flux-1.1-pro", {"prompt": "Endless"}, X_PixelDojo_Sandbox="hang").json["jobId"]
    eventually(lambda: server.job(job_id)["status"] == "processing", what="the job is being processed")
    answer = call("POST", f"{server.url}/api/v1/jobs/{job_id}/cancel", key=server.key)
    assert answer.status == 202, answer.body
    job = server.ended(job_id)
    assert (job["status"], job["error"]["code"], job["creditCost"]) == ("failed", "canceled", 0)
