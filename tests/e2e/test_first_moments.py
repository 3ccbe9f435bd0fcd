"""A node that serves before it works: whoever is early is answered, and waits no longer than the workers' start."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from tests.api.asgi import Client

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.bootstrap import Node, open_node, prepare_embedded
from pixeldojo.core.settings import read_settings

RUN = "/api/v1/models/flux-1.1-pro/run"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    settings = read_settings(data_dir=tmp_path / "data", media_workers=1)
    await prepare_embedded(settings)
    async with open_node(settings, structlog.get_logger(), with_api=True, with_worker=True, owns_data=True) as opened:
        yield opened


@pytest.fixture
async def caller(node: Node) -> Client:
    account_id = await node.office.accounts.create_account("early")
    await node.office.credits.grant(account_id, KeyMode.TEST, 100_000, "for a test")
    key = await node.office.accounts.create_key(account_id, name="early", mode=KeyMode.TEST)
    assert node.app is not None
    return Client(node.app, print, key.secret)


async def test_a_job_submitted_before_work_has_begun_is_taken_in_and_ends(node: Node, caller: Client) -> None:
    accepted = await caller.post(RUN, {"prompt": "early [sandbox: fail=refused_content]"})
    assert (accepted.status, accepted.json["status"]) == (202, "pending")
    waiting = asyncio.create_task(caller.post(RUN, {"prompt": "[sandbox: fail=refused_content]"}, prefer="wait=30"))
    await node.start_work()
    assert (await waiting).json["status"] == "failed"
    job = await caller.get(f"/api/v1/jobs/{accepted.json['jobId']}", prefer="wait=30")
    assert job.json["status"] == "failed"
    assert job.json["error"]["code"] == "content_rejected"


async def test_a_node_that_never_began_to_work_can_be_taken_down(node: Node, caller: Client) -> None:
    assert (await caller.get("/healthz")).status == 200
    assert (await caller.get("/readyz")).status == 200
