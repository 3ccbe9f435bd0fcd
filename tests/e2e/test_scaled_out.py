"""The same code on PostgreSQL, Valkey and S3: `serve` and `worker` apart, two workers, one of them killed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from standardwebhooks.webhooks import Webhook
from tests.e2e.harness import Receiver, Server, call, eventually, free_port
from tests.postgres import PostgresServer


@pytest.fixture
def addresses(postgres: PostgresServer, valkey_address: str) -> Iterator[dict[str, str]]:
    """Settings of a set-up with every part of its own."""
    import asyncio

    import boto3  # type: ignore[import-untyped]  # ships no types

    asyncio.run(postgres.create_database("scaled_out"))
    s3 = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", **credentials).create_bucket(Bucket="media")
    yield {
        "PIXELDOJO_DATABASE_URL": postgres.address("scaled_out"),
        "PIXELDOJO_BROKER_URL": valkey_address,
        "PIXELDOJO_BLOBS_URL": f"s3://media/dojo?endpoint=http://{host}:{port}&region=us-east-1",
        "PIXELDOJO_SECRET_KEY": "a secret of at least thirty-two characters",
        "PIXELDOJO_ALLOW_NETWORKS": "127.0.0.0/8",
        "PIXELDOJO_LEASE_SECONDS": "3",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    s3.stop()
    asyncio.run(postgres.drop_database("scaled_out"))


def _command(settings: dict[str, str], *arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "pixeldojo", *arguments],
        check=False,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_serve_and_two_workers_of_which_one_is_killed(
    addresses: dict[str, str], tmp_path: Path, receiver: Receiver
) -> None:
    _command(addresses, "migrate")
    key = _command(addresses, "keys", "create", "--name", "e2e", "--rate-per-minute", "100000").strip()
    _command(addresses, "credits", "grant", "100")
    assert "All is well" in _command(addresses, "doctor")

    api = Server(tmp_path / "api", addresses)
    metrics = {"PIXELDOJO_METRICS_PORT": str(free_port())}
    workers = [Server(tmp_path / "worker1", addresses), Server(tmp_path / "worker2", {**addresses, **metrics})]
    python = (sys.executable, "-m", "pixeldojo")
    try:
        for node in (api, *workers):
            node.data_dir.mkdir()
        (api.data_dir / "api-key").write_text(key)
        api.start(*python, "serve")
        for worker in workers:
            worker.launch(*python, "worker")
        job_ids = []
        for number in range(30):
            body = {"prompt": f"Kite {number} [sandbox: slow=1]", "webhook_url": f"{receiver.url}/{number}"}
            answer = call("POST", f"{api.url}/api/v1/models/flux-1.1-pro/run", key=key, body=body)
            assert answer.status == 202, answer.body
            job_ids.append(answer.json["jobId"])
        eventually(lambda: api.job(job_ids[0])["status"] != "pending", what="the workers begin")
        workers[0].kill()
        jobs = [api.ended(job_id) for job_id in job_ids]
        assert {job["status"] for job in jobs} == {"completed"}
        answer = call("GET", jobs[0]["output"]["images"][0])
        assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
        secret = call("GET", f"{api.url}/api/v1/webhooks/secret", key=key).json["secret"]

        def heard() -> bool:
            events = [json.loads(received.body) for received in receiver.received]
            return {event["data"]["jobId"] for event in events} == set(job_ids)

        eventually(heard, what="every webhook arrives")
        for received in receiver.received:
            Webhook(secret).verify(received.body, received.headers)
        credits = call("GET", f"{api.url}/api/v1/credits", key=key).json
        assert (credits["available"], credits["held"]) == (70, 0)
        waited = call(
            "POST",
            f"{api.url}/api/v1/models/flux-1.1-pro/run",
            key=key,
            body={"prompt": "Waited for across processes"},
            headers={"Prefer": "wait=30"},
        )
        assert (waited.status, waited.json["status"]) == (200, "completed")
        own = call("GET", f"http://127.0.0.1:{metrics['PIXELDOJO_METRICS_PORT']}/metrics").body.decode()
        assert re.search(r'^pixeldojo_jobs_ended_total{error="none",mode="test",status="completed"} [1-9]', own, re.M)
        assert re.search(r'^pixeldojo_webhook_attempt_duration_seconds_count{outcome="delivered"} [1-9]', own, re.M)
        whole = call("GET", f"{api.url}/metrics").body.decode()
        assert 'pixeldojo_jobs_open{mode="test",status="pending"} 0.0' in whole
    finally:
        codes = [node.stop() for node in (api, workers[1])]
        workers[0].kill()
    assert codes == [0, 0]
    for node in (api, workers[1]):
        assert "Traceback" not in node.log, node.log[-3000:]
