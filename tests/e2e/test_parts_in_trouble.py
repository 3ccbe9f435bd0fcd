"""Messages lost and repeated, workers suspended, servers restarted, disks full: each with real processes.

After every trial the same is proven (tests/chaos/proof.py): every accepted job ended once, no upstream was paid twice,
`ledger verify` agrees, webhooks arrived and verify, files are whole, no lease is left.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.cluster import PYTHON, is_suspended, open_cluster, wake
from tests.e2e.harness import Answer, Receiver, Server, call, eventually
from tests.e2e.trial import Trial

pytestmark = pytest.mark.slow

_CRASHING = (PYTHON[0], "-m", "tests.e2e.crashing")
_DROPPED = "job dropped: another has it, or it has ended"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """A cluster with one API node, and workers as the trials need them."""
    receiver = Receiver()
    try:
        with open_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
            yield Trial(cluster, receiver)
    finally:
        receiver.close()


def test_every_message_is_lost(trial: Trial) -> None:
    trial.submit_some(3)
    trial.cluster.broker.forget()
    trial.worker()
    trial.finish()


def test_every_message_comes_three_times_to_two_workers(trial: Trial) -> None:
    trial.end_workers()
    job_ids = trial.submit_some(5, " [sandbox: twice]")
    assert trial.cluster.broker.repeat_messages(2) >= len(job_ids)
    trial.worker()
    trial.worker(2)
    trial.finish()
    assert {trial.job(job_id)["status"] for job_id in job_ids} == {"completed"}


@pytest.mark.parametrize(
    ("target", "moment", "ending"),
    [
        # Nobody can know whether the call was made, so nobody makes it again; that it is made late costs nobody twice.
        ("pixeldojo.jobs.claims:JobClaims.begin_submit", "after", "upstream_unknown"),
        ("pixeldojo.providers.fal:FalProvider.submit", "after", "upstream_unknown"),
        ("pixeldojo.jobs.claims:JobClaims.complete", "before", None),
    ],
    ids=lambda value: str(value).rpartition(":")[2],
)
def test_a_worker_wakes_after_its_lease(trial: Trial, target: str, moment: str, ending: str | None) -> None:
    trial.end_workers()
    sleeper = trial.cluster.add_worker(*_CRASHING, target, moment, "1", "SIGSTOP", "worker")
    job_id = trial.submit("live")
    eventually(lambda: is_suspended(sleeper), what=f"the worker is suspended\n{sleeper.log[-3000:]}")
    trial.worker()
    before = trial.until_ended(job_id)
    wake(sleeper)
    trial.until_said(sleeper, _DROPPED)
    assert trial.job(job_id) == before, "a worker without a lease wrote something"
    assert before["error_code"] == ending
    sleeper.kill()
    trial.finish()


def test_the_database_is_restarted(trial: Trial) -> None:
    trial.worker()
    job_ids = trial.submit_some(2, " [sandbox: slow=2]")
    trial.cluster.database.server.crash()
    api = trial.cluster.apis[0]
    refused = trial.ask("test", "while-the-database-is-away")
    assert (refused.status, refused.headers["retry-after"].isdigit()) == (503, True)
    # What the parts answered is a second old at most.
    eventually(lambda: call("GET", f"{api.url}/readyz").status == 503, seconds=10, what="the API is not ready")
    assert call("GET", f"{api.url}/healthz").status == 200
    trial.cluster.database.server.resume()
    eventually(lambda: call("GET", f"{api.url}/readyz").status == 200, what="the API is ready again")
    assert trial.ask("test", "while-the-database-is-away").status == 202
    trial.finish()
    # The sandbox can be asked again; of the others, one whose answer was lost in that moment may end unknown.
    assert {trial.job(job_id)["status"] for job_id in job_ids[::2]} == {"completed"}


def test_the_broker_is_away(trial: Trial) -> None:
    worker = trial.worker()
    in_hand = trial.submit("test", " [sandbox: slow=2]")
    eventually(lambda: trial.job(in_hand)["step"] == "check", what=f"the job is in hand\n{worker.log[-3000:]}")
    waiting = trial.submit("live")
    trial.cluster.broker.crash()
    try:
        assert trial.ask("test", "while-the-broker-is-away").status == 503, "without counting there is no limit"
        assert trial.until_ended(in_hand)["status"] == "completed", "jobs in hand go on"
    finally:
        trial.cluster.broker.resume()
    assert trial.until_ended(waiting)["status"] == "completed"
    assert trial.until_ended(trial.submit("test"))["status"] == "completed"
    trial.finish()


# Media stores that take nothing


@contextmanager
def _no_folder(folder: Path) -> Iterator[None]:
    """Let there be a file where the folder was: nothing can be written, not even by root."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this system does not let us mount a file system: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("why", ["no folder", "full", "read-only"])
def test_the_media_store_takes_nothing(trial: Trial, why: str) -> None:
    folder = trial.cluster.blobs / "assets"
    folder.mkdir(exist_ok=True)
    worker = trial.worker()
    hurt = {"no folder": _no_folder(folder), "full": _mounted(folder, "size=4k"), "read-only": _mounted(folder, "ro")}
    with hurt[why]:
        if why == "full":
            (folder / "filler").write_bytes(b"\0" * 4096)
        job_ids = trial.submit_some(1)
        for job_id in job_ids:
            eventually(partial(_has_failed_to_copy, worker, job_id), what=f"the output of {job_id} is refused")
            assert trial.job(job_id)["step"] != "ended", "completed without its file, or given up at once"
    trial.finish()
    assert {trial.job(job_id)["status"] for job_id in job_ids} == {"completed"}


def _has_failed_to_copy(worker: Server, job_id: str) -> bool:
    return any("output could not be copied" in line and job_id in line for line in worker.log.splitlines())


# The embedded set-up


def test_the_disk_under_sqlite_is_full(tmp_path: Path, receiver: Receiver) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    with _mounted(data_dir, "size=24m,mode=0700"):
        server = Server(data_dir).start()
        try:
            filler = data_dir / "filler"
            _fill(filler)
            refused = [answer for number in range(20) if (answer := _submit(server, receiver, number)).status != 202]
            assert refused, "the disk was not full"
            assert {(answer.status, answer.json["error"]["code"]) for answer in refused} == {(500, "submission_failed")}
            filler.unlink()
            job_ids = []
            for number in range(20):
                what = f"job {number} is accepted"
                job_ids.append(eventually(partial(_accepted, server, receiver, number), what=what))
            assert len(set(job_ids)) == len(job_ids)
            assert {server.ended(job_id)["status"] for job_id in job_ids} == {"completed"}
            assert {path.parent.name for path in server.sandbox_calls()} >= set(job_ids)
            jobs = [path.parent.name for path in server.sandbox_calls()]
            assert len(jobs) == len(set(jobs)), "a job was called twice"
            environment = {**os.environ, "PIXELDOJO_DATA_DIR": str(data_dir)}
            done = subprocess.run(
                [*PYTHON, "ledger", "verify"], check=False, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            server.stop()


def _fill(filler: Path) -> None:
    """Write until there is no room, down to the last page."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def _submit(server: Server, receiver: Receiver, number: int) -> Answer:
    body = {"prompt": f"Boat {number}", "webhook_url": f"{receiver.url}/{number}"}
    return server.run("flux-1.1-pro", body, Idempotency_Key=f"boat-{number}")


def _accepted(server: Server, receiver: Receiver, number: int) -> str | None:
    answer = _submit(server, receiver, number)
    if answer.status != 202:
        return None
    job_id: str = answer.json["jobId"]
    return job_id
