"""The sandbox as an adapter: takes a call, waits as an upstream would, then has the files drawn.

Everything `check` needs stands in the operation, so any worker can go on after a crash; drawing is deterministic, so
doing it again gives the same bytes. Each call taken is recorded once per attempt: a repeated submit is the same call.
What to draw is `plan`'s, trouble on request `rehearsal`'s; drawing itself is handed in.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

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
from pixeldojo.providers.sandbox.plan import plan_order
from pixeldojo.providers.sandbox.rehearsal import Rehearsal, find_rehearsal

_LATENCY_SECONDS = {"image": 0.05, "video": 0.2, "audio": 0.1, "model3d": 0.1}
_HANGING_POLL_SECONDS = 5.0
_MESSAGES = {
    UpstreamErrorKind.REJECTED_INPUT: "The sandbox rejects this input, as it was asked to.",
    UpstreamErrorKind.REFUSED_CONTENT: "The sandbox's moderation refuses this content, as it was asked to.",
    UpstreamErrorKind.OVER_LIMIT: "The sandbox is over its limit, as it was asked to be.",
    UpstreamErrorKind.UNAUTHORIZED: "The sandbox does not accept the credentials, as it was asked not to.",
    UpstreamErrorKind.UNAVAILABLE: "The sandbox is unavailable, as it was asked to be.",
    UpstreamErrorKind.UNKNOWN: "The sandbox's answer was lost, as it was asked to be.",
}


class Draw(Protocol):
    """Makes the files of an order, elsewhere: the caller's event loop does not wait on it."""

    async def __call__(self, order: JsonObject, input_paths: Sequence[Path]) -> tuple[Path, ...]: ...


class OpenInput(Protocol):
    """Gives an input file as a path to read, for as long as the context is open."""

    def __call__(self, blob_key: str) -> AbstractAsyncContextManager[Path]: ...


class CallRecord(Protocol):
    """The sandbox's own durable books."""

    async def record(self, attempt_id: str, content: bytes) -> bool:
        """Note something once; False when it was noted before."""
        ...


class SandboxProvider:
    """An upstream that needs no key and no network."""

    name = "sandbox"
    is_resubmit_safe = True

    def __init__(self, *, draw: Draw, open_input: OpenInput, calls: CallRecord, clock: Clock) -> None:
        self._draw = draw
        self._open_input = open_input
        self._calls = calls
        self._clock = clock

    async def submit(self, call: Call, http: HttpClient) -> Operation:  # noqa: ARG002  there is nobody to call
        """Take the work, unless trouble is to be rehearsed."""
        rehearsal = find_rehearsal(call.rehearsal, call.input)
        await self._refuse(call, rehearsal)
        try:
            order = plan_order(call)
        except ValueError as error:
            raise UpstreamError(UpstreamErrorKind.REJECTED_INPUT, str(error)) from error
        noted = json.dumps({"job": call.job_id, "model": call.model_id}).encode()
        is_first = await self._calls.record(call.attempt_id, noted)
        if rehearsal.never_answers or (rehearsal.loses_answer and is_first):
            raise _rehearsed(UpstreamErrorKind.UNKNOWN)
        seconds = max(_LATENCY_SECONDS.get(str(order["kind"]), 0.1), rehearsal.slow_seconds)
        data: JsonObject = {
            "order": order,
            "inputs": [file.blob_key for file in call.files],
            "started_at": self._clock.now().timestamp(),
            "seconds": seconds,
            "rehearsal": asdict(rehearsal),
        }
        return Operation(id=call.attempt_id, data=data, can_cancel=True, poll_after_seconds=seconds)

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:  # noqa: ARG002  as above
        """Answer as an upstream at work does; draw once the time has come."""
        told = operation.data["rehearsal"]
        assert isinstance(told, dict)
        rehearsal = Rehearsal(**told)
        if rehearsal.hangs:
            return Running(progress=0.5, poll_after_seconds=_HANGING_POLL_SECONDS)
        started_at, seconds = operation.data["started_at"], operation.data["seconds"]
        assert isinstance(started_at, float | int)
        assert isinstance(seconds, float | int)
        left = started_at + seconds - self._clock.now().timestamp()
        if left > 0:
            return Running(progress=max(0.0, round(1 - left / seconds, 2)), poll_after_seconds=min(left, 1.0))
        if rehearsal.fail_later is not None:
            kind = UpstreamErrorKind(rehearsal.fail_later)
            raise UpstreamError(kind, _MESSAGES[kind], is_final=True)
        return Finished(await self._outputs(operation, rehearsal), upstream_cost="0")

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:  # noqa: ARG002  as above
        """Stop the work; there is nothing to undo."""
        return CancelOutcome.CANCELED

    async def _refuse(self, call: Call, rehearsal: Rehearsal) -> None:
        for number in range(1, rehearsal.flaky + 1):
            if await self._calls.record(f"{call.job_id}-refused-{number}", b"{}"):
                raise _rehearsed(UpstreamErrorKind.UNAVAILABLE)
        if rehearsal.fail is not None:
            raise _rehearsed(rehearsal.fail)

    async def _outputs(self, operation: Operation, rehearsal: Rehearsal) -> tuple[OutputFile, ...]:
        if rehearsal.output == "wrong-type":
            return (OutputFile(content=b"<!doctype html><title>502 Bad Gateway</title>"),)
        order, keys = operation.data["order"], operation.data["inputs"]
        assert isinstance(order, dict)
        assert isinstance(keys, list | tuple)
        async with AsyncExitStack() as stack:
            inputs = [await stack.enter_async_context(self._open_input(str(key))) for key in keys]
            paths = await self._draw(order, inputs)
        if rehearsal.output == "broken":
            return tuple(_cut_short(path) for path in paths)
        outputs = tuple(OutputFile(path=path) for path in paths)
        return outputs + tuple(_copy(path) for path in paths) if rehearsal.answers_twice else outputs


def _rehearsed(kind: UpstreamErrorKind) -> UpstreamError:
    return UpstreamError(kind, _MESSAGES[kind])


def _copy(path: Path) -> OutputFile:
    return OutputFile(content=path.read_bytes())


def _cut_short(path: Path) -> OutputFile:
    """Return the first third of a file, as a connection that broke would leave it."""
    whole = path.read_bytes()
    path.unlink()
    return OutputFile(content=whole[: len(whole) // 3])
