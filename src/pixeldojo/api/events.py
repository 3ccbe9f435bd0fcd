"""GET /jobs/{jobId}/events: a job's moves as server-sent events.

Events tell the job's state, not its history, so nothing has to be kept for those who come back: an event's id says
which state it told of, and whoever sends it back as Last-Event-ID hears only of what is different since.
Format and reconnecting: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response, StreamingResponse

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.auth import is_still_let_in, needs, services_of
from pixeldojo.api.jobs import JobId
from pixeldojo.api.responses import Responses, error_answers
from pixeldojo.api.services import Services
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Expired, NotFound, RateLimitExceeded
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import JobStatus

router = APIRouter(tags=["jobs"])

HEARTBEAT_SECONDS: Final = 15.0
"""Proxies close connections that are silent; most after a minute."""
LONGEST_SECONDS: Final = 900.0
"""A stream ends then; clients come back by themselves and go on where they were."""
STREAMS_PER_KEY: Final = 1_000

_RETRY = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_RANKS = {JobStatus.PENDING: 0, JobStatus.PROCESSING: 1, JobStatus.COMPLETED: 2, JobStatus.FAILED: 2}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EXAMPLE = """id: 1.500
event: progress
data: {"jobId":"job_06fg2m8r3p5t7w9yb1d3f5h7k9mpqrst","status":"processing","progress":0.5}

"""
_STREAM: Responses = {
    200: {
        "description": "Events until the job has ended: `status` and `progress` with jobId, status and progress (0 to "
        "1, or null), `done` with the whole job. Comments keep the connection alive.",
        # OpenAPI 3.1 has no schema for a stream of events: readers disagree whether it is of one or of the whole text.
        "content": {"text/event-stream": {"example": _EXAMPLE}},
    },
    204: {"description": "Last-Event-ID is that of `done`: there is nothing more to tell. EventSource stops."},
}


@router.get(
    "/jobs/{jobId}/events",
    summary="Follow a job",
    operation_id="followJob",
    response_class=StreamingResponse,
    responses={**_STREAM, **error_answers(401, 403, 404, 410, 429)},
)
async def follow_job(
    request: Request,
    job_id: JobId,
    key: Annotated[ApiKey, Depends(needs(Scope.JOBS_READ))],
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Id of the last event heard; only what is new is told.")
    ] = None,
) -> Response:
    """Tell of each change of a job as it happens, on whichever node it happens."""
    services = services_of(request)
    streams: dict[str, int] = request.app.state.event_streams
    if streams.get(key.id, 0) >= STREAMS_PER_KEY:
        raise RateLimitExceeded(
            f"This key follows {STREAMS_PER_KEY:,} jobs already. Close some streams, or use webhooks.",
            headers={"Retry-After": "5"},
        )
    states = services.jobs.follow(key, job_id)
    first = await anext(states)
    if first.status.is_terminal and event_id(first) == last_event_id:
        await states.aclose()
        return Response(status_code=204)
    told = _tell(request, states, first, last_event_id)
    return StreamingResponse(_counted(told, streams, key.id), media_type="text/event-stream", headers=_HEADERS)


def event_id(job: Job) -> str:
    """Return the id of the event that tells of this state."""
    return f"{_RANKS[job.status]}.{round((job.progress or 0) * 1_000)}"


async def _counted(stream: AsyncGenerator[bytes, None], streams: dict[str, int], key_id: str) -> AsyncIterator[bytes]:
    streams[key_id] = streams.get(key_id, 0) + 1
    try:
        async with aclosing(stream):
            async for part in stream:
                yield part
    finally:
        streams[key_id] -= 1
        if not streams[key_id]:
            del streams[key_id]


async def _tell(
    request: Request, states: AsyncGenerator[Job, None], job: Job, last_id: str | None
) -> AsyncGenerator[bytes, None]:
    """Yield what a caller hears who knows `last_id`, beginning with the job as it stands; until the key is revoked."""
    services, stopping = services_of(request), request.app.state.stopping
    clock = services.clock
    until = clock.monotonic() + LONGEST_SECONDS
    yield _RETRY
    if event_id(job) != last_id:
        yield await _event(services, job, last_id)
    async with aclosing(_with_heartbeats(clock, states, stopping)) as heard:
        async for state in heard:
            if not await is_still_let_in(request):
                return
            if state is None:
                yield _HEARTBEAT
            else:
                yield await _event(services, state, event_id(job))
                job = state
            if clock.monotonic() >= until:
                return


async def _with_heartbeats(
    clock: Clock, states: AsyncGenerator[Job, None], stopping: asyncio.Event
) -> AsyncGenerator[Job | None, None]:
    """Yield the states that follow, and None whenever there was none for a while; end when the server stops."""
    coming, ending = asyncio.create_task(_next(states)), asyncio.create_task(stopping.wait())
    try:
        while not ending.done():
            beat = asyncio.create_task(clock.sleep(HEARTBEAT_SECONDS))
            try:
                await asyncio.wait({coming, ending, beat}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                beat.cancel()
            if not coming.done():
                yield None
                continue
            state = coming.result()
            if state is None:
                return
            yield state
            coming = asyncio.create_task(_next(states))
    finally:
        coming.cancel()
        ending.cancel()
        await asyncio.gather(coming, ending, return_exceptions=True)
        await states.aclose()


async def _next(states: AsyncGenerator[Job, None]) -> Job | None:
    """Return the next state; None after the last, and when the job's time is over on the way."""
    try:
        return await anext(states, None)
    except (NotFound, Expired):
        return None


async def _event(services: Services, job: Job, last_id: str | None) -> bytes:
    if job.status.is_terminal:
        kind, data = "done", (await services.jobs.present([job]))[0]
    else:
        is_same_status = last_id is not None and last_id.startswith(f"{_RANKS[job.status]}.")
        kind = "progress" if is_same_status else "status"
        data = {"jobId": job.id, "status": str(job.status), "progress": job.progress}
    return f"id: {event_id(job)}\nevent: {kind}\ndata: {_json(data)}\n\n".encode()


def _json(data: JsonObject) -> str:
    return json.dumps(data, separators=(",", ":"))
