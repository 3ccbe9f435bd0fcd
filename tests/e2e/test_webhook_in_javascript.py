"""Our signatures against a second implementation: the receiver that we show to users of Node, as it stands."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.e2e.harness import Server, call
from tests.node import NODE

from pixeldojo.webhooks.signature import headers, new_secret

RECEIVER: Final = Path(__file__).parents[2] / "docs" / "examples" / "receive_webhook.mjs"
BODY: Final = '{"type":"job.completed","data":{"jobId":"job_1","status":"completed","prompt":"Grüße"}}'.encode()


@dataclass
class Listening:
    """The example at work."""

    process: "subprocess.Popen[str]"
    url: str

    def heard(self) -> Any:
        """Return what it says of the next webhook it believed."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def answers(self, body: bytes, sent: Mapping[str, str]) -> int:
        """Return the status with which it answers a post."""
        return call("POST", self.url, body=body, headers=sent).status


@contextmanager
def listening(secret: str) -> Iterator[Listening]:
    environment = {**os.environ, "PIXELDOJO_WEBHOOK_SECRET": secret, "PORT": "0"}
    with subprocess.Popen([NODE, str(RECEIVER)], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Listening(process, f"http://127.0.0.1:{process.stdout.readline().split()[-1]}/hook")
        finally:
            process.kill()


def signed(secrets: list[str], *, age: timedelta = timedelta(), body: bytes = BODY) -> dict[str, str]:
    return headers(secrets, "whd_1", datetime.now(UTC) - age, body)


def test_it_believes_what_we_sign_and_nothing_else() -> None:
    secret, old, stranger = new_secret(), new_secret(), new_secret()
    good = signed([secret])
    with listening(secret) as receiver:
        for secrets in ([secret], [secret, old], [old, secret]):
            assert receiver.answers(BODY, signed(secrets)) == 204
            assert receiver.heard() == {
                "id": "whd_1",
                "type": "job.completed",
                "jobId": "job_1",
                "status": "completed",
            }
        forged: list[tuple[bytes, Mapping[str, str]]] = [
            (BODY, signed([stranger])),
            (BODY, signed([secret], age=timedelta(minutes=6))),
            (BODY, signed([secret], age=-timedelta(minutes=6))),
            (BODY.replace(b"completed", b"failed"), good),
            (BODY, good | {"webhook-id": "whd_2"}),
            (BODY, good | {"webhook-timestamp": str(int(time.time()) + 1)}),
            (BODY, good | {"webhook-timestamp": "soon"}),
            (BODY, good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}),
            (BODY, good | {"webhook-signature": "v1,"}),
            (BODY, {}),
        ]
        assert [receiver.answers(*post) for post in forged] == [400] * len(forged)


@pytest.mark.e2e
def test_it_hears_of_a_job_by_either_secret_while_one_is_rotated(server: Server) -> None:
    def secret(method: str) -> str:
        found: str = call(method, f"{server.url}/api/v1/webhooks/secret", key=server.key).json["secret"]
        return found

    old = secret("GET")
    new = secret("POST")
    assert old != new
    for known in (old, new):
        with listening(known) as receiver:
            job_id = server.run("flux-1.1-pro", {"prompt": "A bell", "webhook_url": receiver.url}).json["jobId"]
            heard = receiver.heard()
        assert (heard["jobId"], heard["type"], heard["status"]) == (job_id, "job.completed", "completed")
        assert heard["id"].startswith("whd_")
