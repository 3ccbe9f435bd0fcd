"""Schemathesis against a running server, with its worker: what the document says holds there as it does in a test."""

import itertools
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
import schemathesis
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from tests.api.schema_trial import GENERIC_RUN, trial_config, tried
from tests.e2e.harness import Server, running

# Every model's own address is tried in the test's process; here jobs are drawn, so a few stand for all.
_MODELS: Final = "flux|flux-1.1-pro|p-image-edit|hailuo-standard|text-to-music|hunyuan-3d|video-upscaler"
# A stream ends with its job, and only upstreams call back. Keys are left as they are: one of them is the trial's.
_LEFT_OUT: Final = f"/events$|/callbacks/|/api/v1/models/(?!({_MODELS}|{{apiId}})/)[^/]+/run$"
_MUST_BE_SEEN: Final = {
    (GENERIC_RUN, 202),
    (GENERIC_RUN, 400),
    (GENERIC_RUN, 401),
    ("POST /api/v1/models/flux/run", 202),
    ("GET /api/v1/jobs/{jobId}", 200),
    ("POST /api/v1/files", 201),
    ("POST /api/v1/keys", 201),
    ("GET /api/v1/credits/entries", 200),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    generous = {
        "PIXELDOJO_FIRST_CREDITS": "100000000",
        "PIXELDOJO_MAX_JOBS_IN_FLIGHT": "100000",
        "PIXELDOJO_TRUSTED_PROXIES": "127.0.0.0/8",
    }
    with running(tmp_path / "data", **generous) as started:
        yield started


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every request come from an address of its own: one address may not try wrong keys for long."""
    numbers = itertools.count(int(ip_address("198.18.0.0")))

    def add_headers(_: HTTPAdapter, request: PreparedRequest, **__: object) -> None:
        request.headers["X-Forwarded-For"] = str(ip_address(next(numbers)))

    monkeypatch.setattr(HTTPAdapter, "add_headers", add_headers)


@pytest.mark.slow
@pytest.mark.usefixtures("callers")
@pytest.mark.timeout(600)
def test_a_running_server_does_what_its_document_says(server: Server) -> None:
    config = trial_config(server.key, max_examples=5)
    schema = schemathesis.openapi.from_url(f"{server.url}/api/openapi", config=config)
    some = schema.exclude(path_regex=_LEFT_OUT).exclude(operation_id=["changeKey", "revokeKey"])
    problems, seen = tried(some)
    assert not problems, "\n\n".join(sorted(problems))
    assert seen >= _MUST_BE_SEEN, "Schemathesis did not get far enough to prove anything"
    assert server.process is not None
    assert server.process.poll() is None, server.log[-4000:]
    assert "Traceback" not in server.log
