"""kill -9 at each step of a job's life, then a restart: every accepted job ends once, nobody pays twice."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from tests.e2e.harness import Answer, Receiver, Server, assert_books_balance, call, eventually

_JOBS = 3
POINTS = [
    ("pixeldojo.jobs.service:JobsService.create", "before"),
    ("pixeldojo.jobs.service:JobsService.create", "after"),
    ("pixeldojo.jobs.claims:JobClaims.claim", "before"),
    ("pixeldojo.jobs.claims:JobClaims.claim", "after"),
    ("pixeldojo.jobs.claims:JobClaims.begin_submit", "before"),
    ("pixeldojo.jobs.claims:JobClaims.begin_submit", "after"),
    ("pixeldojo.worker.sandbox_upstream:SandboxLedger.record", "before"),
    ("pixeldojo.worker.sandbox_upstream:SandboxLedger.record", "after"),
    ("pixeldojo.jobs.claims:JobClaims.accept", "before"),
    ("pixeldojo.jobs.claims:JobClaims.accept", "after"),
    ("pixeldojo.worker.sandbox_upstream:SandboxStudio.draw", "before"),
    ("pixeldojo.worker.sandbox_upstream:SandboxStudio.draw", "after"),
    ("pixeldojo.jobs.claims:JobClaims.begin_collect", "before"),
    ("pixeldojo.jobs.claims:JobClaims.begin_collect", "after"),
    ("pixeldojo.blobs:Blobs.put", "before"),
    ("pixeldojo.blobs:Blobs.put", "after"),
    ("pixeldojo.jobs.claims:JobClaims.complete", "before"),
    ("pixeldojo.jobs.claims:JobClaims.complete", "after"),
    ("pixeldojo.webhooks.service:WebhooksService.claim", "before"),
    ("pixeldojo.webhooks.service:WebhooksService.claim", "after"),
    ("pixeldojo.net.client:OutboundClient.post", "before"),
    ("pixeldojo.net.client:OutboundClient.post", "after"),
    ("pixeldojo.webhooks.service:WebhooksService.record", "before"),
    ("pixeldojo.webhooks.service:WebhooksService.record", "after"),
]


@pytest.fixture(scope="module")
def started_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose first start is over, to copy: the fault then hits the jobs of the test."""
    data_dir = tmp_path_factory.mktemp("template") / "data"
    server = Server(data_dir).start()
    eventually((data_dir / "first-image.png").exists, what="the first job is done")
    assert server.stop() == 0
    return data_dir


# What lies between the end of one step and the begin of the next differs little: half of the points are left to slow.
CASES = [pytest.param(*point, marks=[pytest.mark.slow] if point[1] == "before" else []) for point in POINTS]


@pytest.mark.parametrize(("target", "moment"), CASES, ids=lambda value: str(value).rpartition(":")[2])
def test_kill_and_restart(target: str, moment: str, started_before: Path, tmp_path: Path, receiver: Receiver) -> None:
    server = _copy(started_before, tmp_path / "data")
    server.start(sys.executable, "-m", "tests.e2e.crashing", target, moment, "2")
    accepted = _submit_until_it_dies(server, receiver)
    assert server.process is not None
    assert server.process.wait(timeout=60) == -9, "the fault was never reached"
    server.start()
    try:
        # A caller whose answer was lost asks again with the same key, and gets the job it has, or a new one.
        for number in range(_JOBS):
            answer = _submit(server, receiver, number)
            assert answer.status == 202, answer.body
            assert accepted.setdefault(number, answer.json["jobId"]) == answer.json["jobId"]
        for job_id in accepted.values():
            assert server.ended(job_id)["status"] == "completed"
        eventually(
            lambda: server.rows("SELECT COUNT(*) FROM deliveries WHERE status <> 'delivered'") == [(0,)],
            what="every webhook is delivered",
        )
        secret = call("GET", f"{server.url}/api/v1/webhooks/secret", key=server.key).json["secret"]
    finally:
        server.stop()
    heard = set()
    for received in receiver.received:
        Webhook(secret).verify(received.body, received.headers)
        heard.add(json.loads(received.body)["data"]["jobId"])
    assert heard == set(accepted.values())
    assert server.rows("SELECT COUNT(*) FROM jobs WHERE step <> 'ended'") == [(0,)]
    assert server.rows("SELECT COUNT(*) FROM jobs") == [(_JOBS + 1,)]
    assert_books_balance(server)
    assert server.rows("SELECT SUM(captured) FROM balances") == [((_JOBS + 1) * 1000,)]
    assert len(server.sandbox_calls()) == _JOBS + 1, "an upstream was called twice for a job"


def test_kill_during_the_sweep(started_before: Path, tmp_path: Path) -> None:
    """Killed while expired jobs are purged: the next sweep finishes, and the job answers 410."""
    server = _copy(started_before, tmp_path / "data", PIXELDOJO_RETENTION_HOURS="0.0005")
    server.start(
        sys.executable, "-m", "tests.e2e.crashing", "pixeldojo.assets.service:AssetsService.delete_files", "after", "1"
    )
    assert server.process is not None
    job_id = server.run("flux-1.1-pro", {"prompt": "Short-lived"}).json["jobId"]
    assert server.process.wait(timeout=60) == -9
    server.start()
    try:
        gone = eventually(
            lambda: server.rows(f"SELECT purged_at FROM jobs WHERE id = '{job_id}'")[0][0], what="the job is purged"
        )
        assert gone
        answer = call("GET", f"{server.url}/api/v1/jobs/{job_id}", key=server.key)
        assert (answer.status, answer.json["error"]["code"]) == (410, "expired")
    finally:
        server.stop()
    assert not list((server.data_dir / "blobs" / "assets" / job_id).glob("*"))
    assert_books_balance(server)


def _copy(template: Path, data_dir: Path, **settings: str) -> Server:

    shutil.copytree(template, data_dir)
    return Server(data_dir, settings)


def _submit(server: Server, receiver: Receiver, number: int) -> Answer:
    body = {"prompt": f"Kite {number}", "webhook_url": f"{receiver.url}/{number}"}
    return server.run("flux-1.1-pro", body, Idempotency_Key=f"kite-{number}")


def _submit_until_it_dies(server: Server, receiver: Receiver) -> dict[int, str]:
    """Submit the jobs; return those whose acceptance was heard of."""
    accepted = {}
    for number in range(_JOBS):
        try:
            answer = _submit(server, receiver, number)
        except OSError:
            continue
        assert answer.status == 202, answer.body
        accepted[number] = answer.json["jobId"]
    return accepted
