"""The first job of a fresh installation, run as any client would: over HTTP, with the key that was just made."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

FIRST_MODEL = "flux-1.1-pro"
FIRST_PROMPT = "A sunset over the sea"
_PATIENCE_SECONDS = 60.0
# Below the time-out of one call, so that an answer that is held arrives.
_HELD_SECONDS = 20


def run_first_job(base_url: str, key: str, picture: Path) -> None:
    """Submit, wait and download; blocks, so it runs in a thread.

    The answer is held until the job has ended: polling would fill the screen with the log of its requests.

    Raises:
        ValueError: if the job did not complete.
        OSError: if the server could not be reached.
    """
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"prompt": FIRST_PROMPT, "output_format": "png"}).encode()
    prefer = {"Prefer": f"wait={_HELD_SECONDS}"}
    job = _call(f"{base_url}/api/v1/models/{FIRST_MODEL}/run", {**headers, **prefer}, body)
    until = time.monotonic() + _PATIENCE_SECONDS
    while job["status"] not in {"completed", "failed"}:
        if time.monotonic() > until:
            raise ValueError(f"the job {job['jobId']} is still {job['status']} after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(1)
        job = _call(f"{base_url}/api/v1/jobs/{job['jobId']}", headers)
    if job["status"] == "failed":
        raise ValueError(f"the job {job['jobId']} failed: {job['error']['message']}")
    with urlopen(job["output"]["images"][0], timeout=30) as answer:  # noqa: S310  our own address
        unfinished = picture.with_suffix(".part")
        unfinished.write_bytes(answer.read())
    unfinished.rename(picture)


def _call(url: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
    request = Request(url, body, headers)  # noqa: S310  our own address
    with urlopen(request, timeout=30) as answer:  # noqa: S310  as above
        read: dict[str, Any] = json.load(answer)
        return read
