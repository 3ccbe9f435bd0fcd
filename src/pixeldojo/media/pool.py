"""Processes that decode, measure and draw, apart from the event loop and from one another.

Owns their life: started when first needed, one task at a time each, killed at a deadline, replaced when they die.
Leaves what they run to whoever calls `run`, and the inside of a process to `pool_process`. Imports nothing heavy: the
media libraries are loaded in the processes only.

A process gets an environment of its own making, without the server's secrets, because it decodes strangers' files;
for the same reason its answers are unpickled with a short list of allowed classes.
"""

import asyncio
import dataclasses
import io
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Self, TypeVar, cast

from pixeldojo.media.facts import UnreadableMedia

_Result = TypeVar("_Result")

_LENGTH_BYTES = 8
_LARGEST_ANSWER_BYTES = 64 * 1024**2
_GOODBYE_SECONDS = 2.0
_TRIES = 2

# Freed memory stays with the process: fetching it again from the kernel took a third of the time of a picture.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1024**3),
    "MALLOC_TRIM_THRESHOLD_": str(1024**3),
    "MALLOC_TOP_PAD_": str(64 * 1024**2),
    "MALLOC_ARENA_MAX": "2",
    "PILLOW_BLOCKS_MAX": "64",
}
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from pixeldojo.media.pool_process import main; main()"
)


class MediaTaskFailed(UnreadableMedia):
    """A task took too long, too much memory, or killed its process: its file is to blame until proven otherwise."""


class MediaPoolClosed(Exception):
    """The server is stopping: the task was not done, and somebody else has to do it."""


class MediaPool:
    """A fixed number of media processes.

    Use it from one event loop. Everything handed to `run` must be importable by name and picklable.
    """

    def __init__(self, *, max_workers: int, memory_bytes: int = 4 * 1024**3) -> None:
        """Make a pool; no process starts before the first task.

        Args:
            max_workers: How many tasks run at a time; more wait their turn.
            memory_bytes: Address space one process may take; a task that needs more fails.
        """
        self._free = asyncio.Semaphore(max_workers)
        self._max_workers = max_workers
        self._memory_bytes = memory_bytes
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._task_count = 0
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, function: Callable[..., _Result], *arguments: object, timeout_seconds: float) -> _Result:
        """Call a top-level function in a media process and return what it returns, or raise what it raises.

        A process that dies is replaced and the task tried once more: the machine may have killed it for reasons of
        its own. Functions therefore have to be repeatable.

        Args:
            function: A function of a module, found by its name.
            *arguments: Its arguments.
            timeout_seconds: From its start, not counting the wait for a free process.

        Raises:
            MediaTaskFailed: if it ran past its time, out of memory, or its process died twice.
            MediaPoolClosed: if the pool is closed.
        """
        request = pickle.dumps((function, arguments))
        self._task_count += 1
        try:
            async with self._free:
                answer = await self._ask_until_answered(request, timeout_seconds)
        finally:
            self._task_count -= 1
        if answer.error is not None:
            raise answer.error
        return cast(_Result, answer.value)

    async def warm_up(self, function: Callable[[], object], *, timeout_seconds: float = 60.0) -> None:
        """Start every process and run `function` once in each, so that the first task need not wait for imports."""
        tasks = (self.run(function, timeout_seconds=timeout_seconds) for _ in range(self._max_workers))
        await asyncio.gather(*tasks)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes there are now, for the operator."""
        return tuple(sorted(worker.process_id for worker in (*self._idle, *self._busy)))

    @property
    def busy_count(self) -> int:
        """How many processes work on a task now."""
        return len(self._busy)

    @property
    def waiting_count(self) -> int:
        """How many tasks wait for a free process now."""
        return max(0, self._task_count - len(self._busy))

    async def close(self) -> None:
        """End every process, the working ones too; returns when none is left."""
        self._is_closed = True
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(*(worker.end() for worker in workers))

    async def _ask_until_answered(self, request: bytes, timeout_seconds: float) -> "_Answer":
        for _ in range(_TRIES):
            answer = await self._ask(request, timeout_seconds)
            if answer is not None:
                return answer
        raise MediaTaskFailed("the file made the program that reads it fail; send another one")

    async def _ask(self, request: bytes, timeout_seconds: float) -> "_Answer | None":
        """Return a process's answer; None if it died."""
        worker = await self._take()
        is_reusable = False
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await worker.ask(request)
            is_reusable = not isinstance(answer.error, MemoryError)
        except TimeoutError:
            raise MediaTaskFailed(f"the file took longer than {timeout_seconds:g} seconds to work on") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            if self._is_closed:
                raise MediaPoolClosed("the media pool was closed while the task ran") from None
            return None
        finally:
            await self._give_back(worker, is_reusable=is_reusable)
        if isinstance(answer.error, MemoryError):
            raise MediaTaskFailed("the file needs more memory than one task may take; send a smaller one")
        return answer

    async def _take(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                self._busy.add(worker)
                return worker
            await worker.kill()
        self._refuse_when_closed()
        worker = await _Worker.start(self._memory_bytes)
        try:
            self._refuse_when_closed()  # it may have been closed while the process started
        except MediaPoolClosed:
            await worker.kill()
            raise
        self._busy.add(worker)
        return worker

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise MediaPoolClosed("the media pool is closed")

    async def _give_back(self, worker: "_Worker", *, is_reusable: bool) -> None:
        self._busy.discard(worker)
        if is_reusable and not self._is_closed:
            self._idle.append(worker)
        else:
            await worker.kill()


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """What came back: a value, or the error that the function raised."""

    value: object = None
    error: Exception | None = None


class _Worker:
    """One media process and the pipes to it. It ends when its standard input does, so it cannot outlive us."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = process.stdout

    @classmethod
    async def start(cls, memory_bytes: int) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _START,
            json.dumps(sys.path),
            str(memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
        )
        return cls(process)

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: bytes) -> "_Answer":
        """Send a request and return the answer.

        Raises:
            asyncio.IncompleteReadError, ConnectionError: if the process died.
        """
        self._requests.write(len(request).to_bytes(_LENGTH_BYTES, "big") + request)
        await self._requests.drain()
        length = int.from_bytes(await self._answers.readexactly(_LENGTH_BYTES), "big")
        if length > _LARGEST_ANSWER_BYTES:
            raise ConnectionError("the media process answered nonsense")
        return _read_answer(await self._answers.readexactly(length))

    async def end(self) -> None:
        """Ask it to go; insist where it does not."""
        self._requests.close()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        if self.is_alive:
            self._process.kill()
        self._requests.close()
        await self._process.wait()


class _AnswerReader(pickle.Unpickler):
    """Unpickles data, errors and nothing that could run code of a process's choosing."""

    def find_class(self, module: str, name: str) -> object:
        found = getattr(sys.modules.get(module), name, None) if "." not in name else None
        if isinstance(found, type) and (dataclasses.is_dataclass(found) or issubclass(found, BaseException | PurePath)):
            return found
        raise pickle.UnpicklingError(f"an answer of a media process may not hold {module}.{name}")


def _read_answer(content: bytes) -> _Answer:
    try:
        is_good, value = _AnswerReader(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, TypeError, ValueError) as error:
        raise ConnectionError(f"the media process answered nonsense: {error}") from error
    if is_good:
        return _Answer(value=value)
    return _Answer(error=value if isinstance(value, Exception) else RuntimeError("the media process failed"))
