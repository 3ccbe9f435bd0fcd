"""The media processes: decoding, measuring and drawing happen there, so the event loop never waits and never dies.

A worker process has a bound on its address space and on its time; one that crashes, hangs or eats too much takes
only its own task with it. Workers are started on first use, by `spawn`, so nothing heavy is imported here: tasks are
named as `module:function` and imported by the worker.
"""

import asyncio
import ctypes
import importlib
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

_SET_PARENT_DEATH_SIGNAL = 1
_TASKS_PER_WORKER = 500
_TRIES = 2


class MediaProcessDied(Exception):
    """The process that worked on a file crashed or ran out of memory, twice: the file is to blame."""


class MediaTimeout(Exception):
    """The work on a file was not done in time; its process was ended."""


class MediaPool:
    """A few processes for work on media."""

    def __init__(self, *, max_workers: int, memory_bytes: int) -> None:
        """Take note of the bounds; processes start with the first task.

        Args:
            max_workers: Processes at most.
            memory_bytes: Address space of each.
        """
        self._max_workers = max_workers
        self._memory_bytes = memory_bytes
        self._executor: ProcessPoolExecutor | None = None
        self._places = asyncio.Semaphore(max_workers)

    async def run(self, task: str, *arguments: object, timeout_seconds: float) -> Any:
        """Run `module:function` with picklable arguments in a media process and return what it returns.

        Args:
            timeout_seconds: For the work itself; waiting for a free process does not count.

        Raises:
            MediaTimeout: it took longer.
            MediaProcessDied: its process died of it.
            Exception: whatever the function raised.
        """
        async with self._places:
            for attempt in range(1, _TRIES + 1):
                executor = self._started()
                try:
                    # A process that dies breaks its neighbours' tasks too, so a task gets a second try of its own.
                    async with asyncio.timeout(timeout_seconds):
                        return await asyncio.wrap_future(executor.submit(_run_task, task, arguments))
                except BrokenProcessPool as error:
                    self._discard(executor)
                    if attempt == _TRIES:
                        raise MediaProcessDied(
                            "the file could not be worked on: it crashes the decoder or needs too much memory"
                        ) from error
                except TimeoutError as error:
                    self._discard(executor)
                    raise MediaTimeout(f"the work on the file took more than {timeout_seconds:g} s") from error
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        """End every process."""
        executor, self._executor = self._executor, None
        if executor is not None:
            _kill(executor)
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._max_workers,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(self._memory_bytes, os.getpid()),
                max_tasks_per_child=_TASKS_PER_WORKER,
            )
        return self._executor

    def _discard(self, executor: ProcessPoolExecutor) -> None:
        if self._executor is executor:
            self._executor = None
        _kill(executor)
        executor.shutdown(wait=False, cancel_futures=True)


def _kill(executor: ProcessPoolExecutor) -> None:
    # No public way: a process that hangs in a decoder does not end by being asked.
    for process in dict(getattr(executor, "_processes", None) or {}).values():
        process.kill()


def _begin(memory_bytes: int, parent: int) -> None:
    """Prepare a fresh worker: bounded, deaf to Ctrl-C, and dead as soon as its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(ctypes, "CDLL") and os.name == "posix" and os.uname().sysname == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def _run_task(task: str, arguments: tuple[object, ...]) -> object:
    module, _, name = task.partition(":")
    function: Callable[..., object] = getattr(importlib.import_module(module), name)
    return function(*arguments)
