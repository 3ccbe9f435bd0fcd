"""What must hold after any trouble, each claim with what was counted and whatever breaks it.

Looks from outside: at the database's rows, the files, the upstreams' own books, what the receiver of webhooks got.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.e2e.cluster import Cluster
from tests.e2e.harness import Receiver, call

_SHOWN: Final = 5
_FOLDERS: Final = ("assets", "inputs", "sandbox")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job whose acceptance a caller heard of."""

    job_id: str
    mode: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must hold.

    Attributes:
        text: What, with the figures that were found.
        wrong: Whatever breaks it.
    """

    text: str
    wrong: Sequence[str]

    def __str__(self) -> str:
        shown = "; ".join(self.wrong[:_SHOWN]) + (" …" if len(self.wrong) > _SHOWN else "")
        return f"{'no ' if self.wrong else 'yes'}  {self.text}" + (f"\n       {shown}" if self.wrong else "")


def prove(cluster: Cluster, receiver: Receiver, accepted: Collection[Accepted]) -> list[Claim]:
    """Return every claim, true or not; the cluster has to be in order again, and its work done."""
    by_id = {job.job_id: job for job in accepted}
    return [
        _every_job_ended_once(cluster, by_id),
        *_nobody_paid_twice(cluster, by_id),
        _the_ledger_agrees(cluster),
        _every_webhook_arrived(cluster, receiver, by_id),
        _every_asset_is_whole(cluster),
        _no_lease_is_left(cluster),
        _no_file_is_stray(cluster),
    ]


def _every_job_ended_once(cluster: Cluster, accepted: Mapping[str, Accepted]) -> Claim:
    found = cluster.rows("SELECT id, status, step FROM jobs")
    settled = Counter(job_id for (job_id,) in cluster.rows("SELECT job_id FROM settlements"))
    ended = Counter(status for _, status, _ in found)
    wrong = [f"{job_id} was accepted and is gone" for job_id in accepted.keys() - {row[0] for row in found}]
    for job_id, status, step in found:
        if job_id not in accepted:
            wrong.append(f"{job_id} was made twice for one request")
        if step != "ended" or status not in {"completed", "failed"}:
            wrong.append(f"{job_id} is still {status}")
        if settled[job_id] != 1:
            wrong.append(f"{job_id} has {settled[job_id]} settlements")
    how = ", ".join(f"{count:,} {status}" for status, count in sorted(ended.items()))
    return Claim(f"{len(accepted):,} jobs were accepted, and each ended once ({how})", wrong)


def _nobody_paid_twice(cluster: Cluster, accepted: Mapping[str, Accepted]) -> Iterator[Claim]:
    by_prompt = {job.prompt: job.job_id for job in accepted.values()}
    books: tuple[tuple[str, str, Callable[[], list[str]]], ...] = (
        ("the sandbox", "test", cluster.sandbox_calls),
        ("fal", "live", lambda: [by_prompt.get(prompt, f"nobody ({prompt})") for prompt in cluster.upstream.prompts]),
    )
    for name, mode, read in books:
        calls = Counter(read())
        jobs = {job.job_id for job in accepted.values() if job.mode == mode}
        wrong = [f"{count} calls for {job_id}" for job_id, count in calls.items() if count > 1 or job_id not in jobs]
        done = cluster.rows(f"SELECT id FROM jobs WHERE status = 'completed' AND mode = '{mode}'")
        wrong += [f"{job_id} was completed without a call" for (job_id,) in done if job_id not in calls]
        yield Claim(f"{name} was paid {calls.total():,} times for {len(jobs):,} jobs, never twice for one", wrong)


def _the_ledger_agrees(cluster: Cluster) -> Claim:
    done = cluster.command("ledger", "verify")
    said = (done.stdout + done.stderr).strip().splitlines()
    held = [f"{amount} still held in {mode}" for mode, amount in cluster.rows("SELECT mode, held FROM balances")]
    wrong = [line for line in held if not line.startswith("0 ")]
    return Claim(f"`ledger verify`: {said[-1] if said else ''}", [*wrong, *(said if done.returncode else [])])


def _every_webhook_arrived(cluster: Cluster, receiver: Receiver, accepted: Mapping[str, Accepted]) -> Claim:
    secret = call("GET", f"{cluster.apis[0].url}/api/v1/webhooks/secret", key=cluster.keys["test"]).json["secret"]
    status = dict(cluster.rows("SELECT id, status FROM jobs"))
    heard: Counter[str] = Counter()
    wrong = []
    for received in list(receiver.received):
        try:
            Webhook(secret).verify(received.body, received.headers)
        except WebhookVerificationError as error:
            wrong.append(f"{received.path}: {error}")
            continue
        data = json.loads(received.body)["data"]
        heard[data["jobId"]] += 1
        if data["status"] != status.get(data["jobId"]):
            wrong.append(f"{data['jobId']} is {status.get(data['jobId'])} and was told to be {data['status']}")
    wrong += [f"nothing was heard of {job_id}" for job_id in accepted if not heard[job_id]]
    again = heard.total() - len(heard)
    return Claim(f"{len(heard):,} webhooks arrived and verify, {again:,} of them again", wrong)


def _every_asset_is_whole(cluster: Cluster) -> Claim:
    rows = cluster.rows("SELECT job_id, blob_key, size_bytes, sha256 FROM assets")
    done = {job_id for (job_id,) in cluster.rows("SELECT id FROM jobs WHERE status = 'completed'")}
    having = {row[0] for row in rows}
    wrong = [f"{job_id} was completed without a file" for job_id in done - having]
    wrong += [f"{job_id} was not completed and has a file" for job_id in having - done]
    total = 0
    for job_id, key, size, digest in rows:
        path = cluster.blobs / key
        content = path.read_bytes() if path.exists() else None
        if content is None:
            wrong.append(f"{job_id}: {key} is missing")
        elif len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            wrong.append(f"{job_id}: {key} has {len(content):,} bytes instead of {size:,}, or others")
        total += size
    return Claim(f"{len(rows):,} assets are there, {total:,} bytes by their SHA-256", wrong)


def _no_lease_is_left(cluster: Cluster) -> Claim:
    wrong = [
        f"{row_id} is held by {owner}"
        for table in ("jobs", "deliveries")
        for row_id, owner in cluster.rows(f"SELECT id, lease_owner FROM {table} WHERE lease_owner IS NOT NULL")
    ]
    return Claim("no lease is left on a job or a webhook", wrong)


def _no_file_is_stray(cluster: Cluster) -> Claim:
    """No file outlives its job: files of tries that a crash cut short lie in the folder of a job and end with it."""
    jobs = {job_id for (job_id,) in cluster.rows("SELECT id FROM jobs")}
    kept = {key for (key,) in cluster.rows("SELECT blob_key FROM assets")}
    files = [path.relative_to(cluster.blobs) for path in cluster.blobs.rglob("*") if path.is_file()]
    owned = [path for path in files if path.parts[0] in _FOLDERS]
    wrong = [str(path) for path in owned if path.parts[1] not in jobs]
    cut_short = sum(1 for path in owned if path.parts[0] == "assets" and str(path) not in kept)
    return Claim(f"no file is without a job; {cut_short:,} of cut-short tries end with theirs", wrong)
