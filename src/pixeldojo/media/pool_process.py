"""The inside of a media process: limits first, then one task after another until the pool lets go.

Owns reading requests, running them and answering. Leaves the life of processes to `pool`.
"""

import os
import pickle
import queue
import resource
import signal
import sys
import threading
from typing import BinaryIO

_LENGTH_BYTES = 8
_NICENESS = 5
_SHARED_MODULES = {"builtins", "pixeldojo.media.facts"}


def main() -> None:
    """Serve requests from standard input; `sys.argv[2]` is the address space allowed, in bytes."""
    _limit(int(sys.argv[2]))
    # Whatever a library prints must not reach the pipe that answers go through.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        answer = _answer(requests.get())
        answers.write(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
        answers.flush()


def _limit(memory_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    allowed = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The server decides when to stop; a Ctrl-C in its terminal reaches this process too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)


def _read(source: BinaryIO, requests: "queue.SimpleQueue[bytes]") -> None:
    """Read requests in a thread, so that the end of the pool ends this process in the middle of a task too."""
    while True:
        head = source.read(_LENGTH_BYTES)
        request = source.read(int.from_bytes(head, "big"))
        if len(head) < _LENGTH_BYTES:
            os._exit(0)
        requests.put(request)


def _answer(request: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(request)  # noqa: S301 (from the pool that started us)
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets it)
        return _dump_error(error)


def _dump_error(error: Exception) -> bytes:
    """An error of a class that only this process knows goes as a RuntimeError with its text."""
    plain = error if type(error).__module__ in _SHARED_MODULES else RuntimeError(f"{type(error).__name__}: {error}")
    try:
        return pickle.dumps((False, plain))
    except (pickle.PicklingError, TypeError, AttributeError):
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
