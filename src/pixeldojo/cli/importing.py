"""Importing much code in one go, without the collector looking for garbage in it again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_much() -> Iterator[None]:
    """Let the garbage collector rest meanwhile, and leave what was imported out of its rounds for good.

    Modules make hundreds of thousands of objects and hardly any garbage: looking at all of them took a tenth of a
    start, and would take tens of milliseconds in every full round of a running server.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
