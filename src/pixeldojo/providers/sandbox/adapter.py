"""The sandbox as an upstream: it accepts, takes a moment, draws, and goes wrong where it was asked to.

Owns the upstream's manners. Leaves what to draw to `plan`, drawing to the function it is handed, and the words for
trouble to `rehearsal`. An operation carries all that `check` needs, so any worker can go on with it; `submit` counts
each paid call once, however often the same attempt is repeated.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

from pixeldojo.core.clock import Clock
from pixeldojo.core.json_types import JsonObject
from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpClient,
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.sandbox.plan import CannotDraw, plan_order, read_prompt_text
from pixeldojo.providers.sandbox.rehearsal import Rehearsal, find_rehearsal

_HANGING_POLL_SECONDS = 1.0
_LARGEST_SKEW_SECONDS = 5.0
_NOT_MEDIA = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>\n"

_MESSAGES = {
    UpstreamErrorKind.REJECTED_INPUT: "The sandbox rejected the input, as rehearsed.",
    UpstreamErrorKind.REFUSED_CONTENT: "The sandbox's moderation refused the content, as rehearsed.",
    UpstreamErrorKind.OVER_LIMIT: "The sandbox is over its limit, as rehearsed.",
    UpstreamErrorKind.UNAUTHORIZED: "The sandbox did not accept the operator's credentials, as rehearsed.",
    UpstreamErrorKind.UNAVAILABLE: "The sandbox is unavailable, as rehearsed.",
    UpstreamErrorKind.UNKNOWN: "The sandbox's answer was lost, as rehearsed.",
}


class DrawingFailed(Exception):
    """The order cannot be drawn, now or later; the message may be shown to the caller."""


class Draw(Protocol):
    """Draws an order: `media.render.render` in a media process."""

    async def __call__(self, order: JsonObject, input_paths: Sequence[Path]) -> Sequence[Path]:
        """Return the files drawn; they belong to the caller.

        Raises:
            DrawingFailed: if it cannot be drawn.
        """
        ...


class OpenInput(Protocol):
    """Brings an input file within reach."""

    def __call__(self, blob_key: str) -> AbstractAsyncContextManager[Path]:
        """Give a path that holds the blob's content while the context lasts."""
        ...


class CallLedger(Protocol):
    """The upstream's own books: what it was asked, kept through a crash and as long as the job.

    `call-ATTEMPT` is a paid call; `refusal-NUMBER` a submit that was turned away.
    """

    async def record(self, job_id: str, name: str, content: bytes) -> bool:
        """Write an entry on a job unless it is there already; say whether it was written."""
        ...


class SandboxProvider:
    """The upstream of every model in test mode."""

    name: str = "sandbox"
    is_resubmit_safe: bool = True

    def __init__(
        self,
        *,
        draw: Draw,
        open_input: OpenInput,
        ledger: CallLedger,
        clock: Clock,
        announce: Callable[[str], Awaitable[None]] | None = None,
        image_seconds: float = 0.05,
        video_seconds: float = 0.2,
    ) -> None:
        """Make the sandbox.

        Args:
            draw: Draws orders.
            open_input: Opens input files.
            ledger: Where calls are counted.
            clock: Tells when work that was accepted is done.
            announce: Tells the workers that a job's upstream has news, as a callback would; for `twice`.
            image_seconds: How long images and 3D models are pretended to take.
            video_seconds: How long videos and sounds are.
        """
        self._draw = draw
        self._open_input = open_input
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._seconds = {"image": image_seconds, "model3d": image_seconds}
        self._video_seconds = video_seconds

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Accept the work and count it."""
        rehearsal = _rehearsal(call)
        await self._refuse(call, rehearsal)
        try:
            order = plan_order(call)
        except CannotDraw as error:
            raise UpstreamError(UpstreamErrorKind.REJECTED_INPUT, str(error)) from error
        entry = {"jobId": call.job_id, "model": call.model_id, "at": self._clock.now().isoformat()}
        is_first = await self._ledger.record(call.job_id, f"call-{call.attempt_id}", json.dumps(entry).encode())
        if rehearsal.unknown or (rehearsal.lose_answer and is_first):
            raise _trouble(UpstreamErrorKind.UNKNOWN)
        takes_seconds = self._takes_seconds(order, rehearsal)
        data: JsonObject = {
            "job_id": call.job_id,
            "order": order,
            "inputs": [file.blob_key for file in call.files],
            "accepted_at": self._clock.now().isoformat(),
            "takes_seconds": takes_seconds,
            "rehearsal": rehearsal.to_json(),
        }
        poll = _HANGING_POLL_SECONDS if rehearsal.hang else takes_seconds
        return Operation(id=f"sandbox-{call.attempt_id}", data=data, can_cancel=True, poll_after_seconds=poll)

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Draw once the pretended time is over."""
        rehearsal = _kept_rehearsal(operation)
        if rehearsal.hang:
            return Running(poll_after_seconds=_HANGING_POLL_SECONDS)
        takes_seconds = cast(float, operation.data["takes_seconds"])
        left = takes_seconds - self._elapsed_seconds(operation)
        if left > 0:
            return Running(progress=round(1 - left / takes_seconds, 2), poll_after_seconds=left)
        if rehearsal.fail_later is not None:
            raise _trouble(rehearsal.fail_later, is_final=True)
        outputs = await self._outputs(operation, rehearsal)
        if rehearsal.twice and self._announce is not None:
            job_id = cast(str, operation.data["job_id"])
            await asyncio.gather(self._announce(job_id), self._announce(job_id))
        return Finished(outputs, upstream_cost="0 (sandbox)")

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Stop what is still running."""
        if _kept_rehearsal(operation).hang:
            return CancelOutcome.CANCELED
        is_running = self._elapsed_seconds(operation) < cast(float, operation.data["takes_seconds"])
        return CancelOutcome.CANCELED if is_running else CancelOutcome.TOO_LATE

    async def _refuse(self, call: Call, rehearsal: Rehearsal) -> None:
        """Turn the submit away where that was asked for; nothing is counted as a call."""
        if rehearsal.fail is not None:
            raise _trouble(rehearsal.fail)
        for number in range(1, rehearsal.flaky + 1):
            if await self._ledger.record(call.job_id, f"refusal-{number}", call.attempt_id.encode()):
                raise _trouble(UpstreamErrorKind.UNAVAILABLE)

    async def _outputs(self, operation: Operation, rehearsal: Rehearsal) -> tuple[OutputFile, ...]:
        order = cast(JsonObject, operation.data["order"])
        if rehearsal.broken_file:
            order = {**order, "cut_short": True}
        if rehearsal.wrong_type:
            count = cast(int, order.get("count", 1))
            return tuple(OutputFile(content=_NOT_MEDIA) for _ in range(count))
        async with AsyncExitStack() as opened:
            keys = cast(Sequence[str], operation.data["inputs"])
            inputs = [await opened.enter_async_context(self._open_input(key)) for key in keys]
            try:
                paths = await self._draw(order, inputs)
            except DrawingFailed as error:
                raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, str(error), is_final=True) from error
        return tuple(OutputFile(path=path) for path in paths)

    def _takes_seconds(self, order: JsonObject, rehearsal: Rehearsal) -> float:
        usual = self._seconds.get(cast(str, order["kind"]), self._video_seconds)
        return usual if rehearsal.slow_seconds is None else rehearsal.slow_seconds

    def _elapsed_seconds(self, operation: Operation) -> float:
        accepted_at = datetime.fromisoformat(cast(str, operation.data["accepted_at"]))
        elapsed = (self._clock.now() - accepted_at).total_seconds()
        # More than nodes may differ by: the clock was set back, and pretended time is not worth waiting for that long.
        return math.inf if elapsed < -_LARGEST_SKEW_SECONDS else max(0.0, elapsed)


def _rehearsal(call: Call) -> Rehearsal:
    try:
        return find_rehearsal(read_prompt_text(call.input), call.rehearsal)
    except ValueError as error:
        raise UpstreamError(UpstreamErrorKind.REJECTED_INPUT, str(error)) from error


def _kept_rehearsal(operation: Operation) -> Rehearsal:
    return Rehearsal.from_json(cast(JsonObject, operation.data["rehearsal"]))


def _trouble(kind: UpstreamErrorKind, *, is_final: bool = False) -> UpstreamError:
    return UpstreamError(kind, _MESSAGES[kind], is_final=is_final)
