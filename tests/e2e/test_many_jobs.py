"""500 jobs submitted at once: each ends once, the books balance, each webhook arrives and verifies."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from standardwebhooks.webhooks import Webhook
from tests.e2e.harness import Receiver, assert_books_balance, call, eventually, running

JOBS = 500


def test_500_jobs_at_once(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data", PIXELDOJO_FIRST_CREDITS="1000") as server:
        secret = call("GET", f"{server.url}/api/v1/webhooks/secret", key=server.key).json["secret"]

        def submit(number: int) -> str:
            # Every tenth fails in a way of its own, so that releases are among the settlements.
            prompt = f"Boat {number}" + (" [sandbox: refuse]" if number % 10 == 0 else "")
            body = {"prompt": prompt, "width": 256, "height": 256, "aspect_ratio": "custom"}
            answer = server.run("flux-1.1-pro", {**body, "webhook_url": f"{receiver.url}/{number}"})
            assert answer.status == 202, answer.body
            job_id: str = answer.json["jobId"]
            return job_id

        with ThreadPoolExecutor(50) as threads:
            job_ids = list(threads.map(submit, range(JOBS)))
        assert len(set(job_ids)) == JOBS
        eventually(
            lambda: server.rows("SELECT COUNT(*) FROM jobs WHERE step <> 'ended'") == [(0,)],
            seconds=180,
            what="every job ends",
        )
        eventually(
            lambda: server.rows("SELECT COUNT(*) FROM deliveries WHERE status <> 'delivered'") == [(0,)],
            seconds=60,
            what="every webhook is delivered",
        )
        ended = Counter(server.rows("SELECT status, error_code FROM jobs WHERE webhook_url IS NOT NULL"))
        assert ended == {("completed", None): JOBS * 9 // 10, ("failed", "content_rejected"): JOBS // 10}
        heard = {}
        for received in receiver.received:
            event = json.loads(received.body)
            Webhook(secret).verify(received.body, received.headers)
            assert event["type"] == f"job.{event['data']['status']}"
            heard[event["data"]["jobId"]] = event["data"]["status"]
        assert heard.keys() == set(job_ids)
        assert_books_balance(server)
        balance = call("GET", f"{server.url}/api/v1/credits", key=server.key).json
        # One credit each, and one for the first job of the fresh installation.
        assert balance["available"] == 1000 - JOBS * 9 // 10 - 1
        assert balance["held"] == 0
        assert len(server.sandbox_calls()) <= JOBS + 1
