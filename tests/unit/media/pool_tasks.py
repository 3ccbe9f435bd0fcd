"""What the pool tests run inside a media process, where functions are found by their module's name."""

import functools
import os
import signal
from pathlib import Path

from pixeldojo.media.facts import MediaFacts, UnreadableMedia


def add(one: int, other: int) -> int:
    return one + other


def process_id() -> int:
    return os.getpid()


def environment() -> dict[str, str]:
    return dict(os.environ)


def facts() -> MediaFacts:
    return MediaFacts("image", "image/png", 5, 1, 1)


def fail_reading() -> None:
    raise UnreadableMedia("the image is broken")


def fail_with(message: str) -> None:
    raise ValueError(message)


def fail_with_own_error() -> None:
    class PrivateError(Exception):
        pass

    raise PrivateError("only known here")


def smuggle_code() -> object:
    return functools.partial(os.system, "true")


def take_memory(count: int) -> int:
    return len(bytearray(count))


def read_pipe(path: str) -> str:
    """Return what somebody writes into a named pipe; waits until they do."""
    return Path(path).read_text(encoding="utf-8")


def write_pipe(path: str, text: str) -> None:
    """Write into a named pipe; waits until somebody reads."""
    Path(path).write_text(text, encoding="utf-8")


def die_after_noting(path: str) -> None:
    """Leave a mark in a file, then die as a crashing decoder does."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGSEGV)


def die_the_first_time(path: str) -> str:
    mark = Path(path)
    if mark.exists():
        return "second time"
    mark.touch()
    os._exit(9)


def print_noise() -> str:
    """Print as libraries do, past Python too."""
    print("noise on standard output")  # noqa: T201 (the point of it)
    os.write(1, b"more noise\n")
    return "quiet"
