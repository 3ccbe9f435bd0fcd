"""Following a job: every state is told as it comes, on whichever node, and again to those who come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.asgi import Exchange, Message
from tests.api.dojo import Caller, Dojo
from tests.stores import LEASE_SECONDS, RETENTION, Stores

from pixeldojo.api import events
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.jobs.job import Job


@dataclass(frozen=True)
class Event:
    """One event as a client reads it."""

    id: str
    kind: str
    data: Any


class Stream(Exchange):
    """A stream under way, and what has come of it so far."""

    def __init__(self, scope: Message) -> None:
        super().__init__(scope)
        self._has_come = asyncio.Event()

    async def _send(self, message: Message) -> None:
        await super()._send(message)
        self._has_come.set()

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode()

    @property
    def events(self) -> list[Event]:
        blocks = [block for block in self.text.split("\n\n") if block.startswith("id: ")]
        fields = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
        return [Event(field["id"], field["event"], json.loads(field["data"])) for field in fields]

    async def until(self, count: int) -> list[Event]:
        """Return the events once there are that many."""
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self._has_come.clear()
                await self._has_come.wait()
        return self.events

    async def until_said(self, text: str) -> None:
        """Return once a text has come."""
        async with asyncio.timeout(10):
            while text not in self.text:
                self._has_come.clear()
                await self._has_come.wait()


@asynccontextmanager
async def following(dojo: Dojo, caller: Caller, job_id: str, last_id: str | None = None) -> AsyncIterator[Stream]:
    given = [] if last_id is None else [("last-event-id", last_id)]
    stream = Stream(caller._scope("GET", f"/api/v1/jobs/{job_id}/events", given, b""))
    running = asyncio.create_task(stream.run(caller.app))
    try:
        yield stream
    finally:
        stream.hang_up()
        async with asyncio.timeout(10):
            await running


async def progressed(dojo: Dojo, job: Job, progress: float) -> Job:
    return await dojo.stores.claims.change(job, progress=progress)


async def test_each_state_is_told_once_and_the_whole_job_last(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
        job = await dojo.accepted(job_id)
        await stream.until(2)
        await progressed(dojo, job, 0.25)
        await stream.until(3)
        await dojo.stores.claims.fail(job, JobFailure(JobFailureCode.CONTENT_REJECTED, "Refused."))
        told = await stream.until(4)
        await stream.answered.wait()
    assert [(event.kind, event.data["status"]) for event in told] == [
        ("status", "pending"),
        ("status", "processing"),
        ("progress", "processing"),
        ("done", "failed"),
    ]
    assert told[2].data == {"jobId": job_id, "status": "processing", "progress": 0.25}
    assert told[3].data == (await caller.get(f"/api/v1/jobs/{job_id}")).json
    assert len({event.id for event in told}) == 4
    reply = stream.reply()
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream; charset=utf-8")
    assert reply.header("cache-control") == "no-store"
    assert dojo.clock.sleeper_count == 0


@pytest.mark.parametrize("next_word", ["an event", "a heartbeat"])
async def test_a_revoked_key_hears_nothing_more(dojo: Dojo, caller: Caller, next_word: str) -> None:
    """On whichever node it listens, and although it was let in when it was valid."""
    job_id = await caller.run()
    job = await dojo.accepted(job_id)
    elsewhere = Stores(dojo.stores.database, dojo.clock, dojo.stores.blobs)
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
        await elsewhere.accounts.revoke_key(caller.api_key.id)
        await dojo.clock.until_sleeping(2)  # its heartbeat, and who looks for all that follow
        dojo.clock.advance(5)
        if next_word == "an event":
            await dojo.stores.claims.fail(job, JobFailure(JobFailureCode.CONTENT_REJECTED, "Refused."))
        else:
            dojo.clock.advance(events.HEARTBEAT_SECONDS)
        async with asyncio.timeout(10):
            await stream.answered.wait()
    assert len(stream.events) == 1
    assert "still here" not in stream.text
    assert dojo.clock.sleeper_count == 0


async def test_whoever_comes_back_hears_only_what_is_new(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    job = await dojo.accepted(job_id)
    async with following(dojo, caller, job_id) as stream:
        [heard] = await stream.until(1)
    async with following(dojo, caller, job_id, heard.id) as stream:
        await stream.until_said("retry: ")
        await progressed(dojo, job, 0.5)
        [event] = await stream.until(1)
    assert (heard.kind, event.kind, event.data["progress"]) == ("status", "progress", 0.5)
    await dojo.stores.claims.complete(await dojo.stores.claims.begin_collect(job, None), [], 1_000)
    async with following(dojo, caller, job_id, event.id) as stream:
        [done] = await stream.until(1)
    assert (done.kind, done.data["status"]) == ("done", "completed")
    over = await caller.get(f"/api/v1/jobs/{job_id}/events", last_event_id=done.id)
    assert (over.status, over.body) == (204, b""), "a browser's EventSource stops coming back"


@pytest.mark.parametrize("last_id", ["", "nonsense", "9", "1.", "2.0.0", "🦊".encode().decode("latin-1")])
async def test_a_last_event_id_that_was_never_given_out_is_told_everything(
    dojo: Dojo, caller: Caller, last_id: str
) -> None:
    job_id = await caller.run()
    await dojo.completed(job_id)
    async with following(dojo, caller, job_id, last_id) as stream:
        [done] = await stream.until(1)
    assert done.kind == "done"


async def test_a_silent_stream_is_kept_alive_and_ends_after_a_while(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
        await dojo.clock.until_sleeping(2)  # the next heartbeat, and who looks for all that follow
        dojo.clock.advance(events.HEARTBEAT_SECONDS)
        await stream.until_said(": still here\n\n")
        await dojo.clock.until_sleeping(2)
        dojo.clock.advance(events.LONGEST_SECONDS)
        await stream.answered.wait()
    assert len(stream.events) == 1


async def test_a_stopping_server_ends_its_streams(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
        dojo.app.state.stopping.set()
        async with asyncio.timeout(10):
            await stream.answered.wait()
    assert dojo.clock.sleeper_count == 0


async def test_a_caller_that_hangs_up_leaves_nothing_behind(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    before = asyncio.all_tasks()
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
    assert {task.get_name() for task in asyncio.all_tasks() - before} <= {"sqlite-writer"}
    assert dojo.clock.sleeper_count == 0
    assert dojo.app.state.event_streams == {}


async def test_a_move_on_another_node_is_told_without_news(dojo: Dojo, caller: Caller) -> None:
    """As it is with two processes on one database and no broker."""
    job_id = await caller.run()
    elsewhere = Stores(dojo.stores.database, dojo.clock, dojo.stores.blobs)
    async with following(dojo, caller, job_id) as stream:
        await stream.until(1)
        claimed = await elsewhere.claims.claim(job_id, "worker_2", LEASE_SECONDS)
        assert claimed is not None
        await elsewhere.submitted(claimed)
        await dojo.clock.until_sleeping(2)
        dojo.clock.advance(0.25)
        told = await stream.until(2)
    assert told[1].data["status"] == "processing"


async def test_hundreds_who_wait_cost_one_query_a_round(dojo: Dojo, caller: Caller, statements: Sequence[str]) -> None:
    job_ids = [await caller.run() for _ in range(20)]
    async with asyncio.timeout(20):
        async with AsyncExitStack() as stack:
            for job_id in job_ids * 15:
                stream = await stack.enter_async_context(following(dojo, caller, job_id))
                await stream.until(1)
            await dojo.clock.until_sleeping(301)
            before = len(statements)
            for _ in range(4):
                dojo.clock.advance(0.25)
                await dojo.clock.until_sleeping(301)
        assert len(statements) - before <= 4


async def test_a_key_has_a_bound_of_streams(dojo: Dojo, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS_PER_KEY", 2)
    job_id = await caller.run()
    async with following(dojo, caller, job_id) as first, following(dojo, caller, job_id) as second:
        await asyncio.gather(first.until(1), second.until(1))
        refused = await caller.get(f"/api/v1/jobs/{job_id}/events")
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        other = await dojo.caller()
        assert (await other.get(f"/api/v1/jobs/{job_id}/events")).status == 404
    await dojo.completed(job_id)
    assert (await caller.get(f"/api/v1/jobs/{job_id}/events")).status == 200


async def test_nobody_follows_what_they_may_not_see(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    assert (await (await dojo.caller()).get(f"/api/v1/jobs/{job_id}/events")).status == 404
    await dojo.completed(job_id)
    dojo.clock.advance(RETENTION.total_seconds())
    assert (await caller.get(f"/api/v1/jobs/{job_id}/events")).status == 410
