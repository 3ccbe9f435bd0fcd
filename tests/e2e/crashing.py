"""Runs a server and kills it, as kill -9 does, or suspends it, before or after one call of one method.

Used as `python -m tests.e2e.crashing MODULE:CLASS.METHOD before|after NUMBER [SIGNAL [COMMAND]]`; SIGNAL is SIGKILL
and COMMAND is `up` where they are left out. The product knows nothing of it.
"""

import functools
import importlib
import os
import signal
import sys
from typing import Any


def plant(target: str, moment: str, number: int, which: signal.Signals) -> None:
    """Let the `number`-th call of a coroutine method send this process a signal, before it begins or once it is over.

    One that suspends the process lets the call go on where it was when the process is woken.
    """
    module_name, _, path = target.partition(":")
    class_name, _, method_name = path.partition(".")
    owner = getattr(importlib.import_module(module_name), class_name)
    original = getattr(owner, method_name)
    calls = 0

    @functools.wraps(original)
    async def fatal(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        if moment == "before" and mine == number:
            os.kill(os.getpid(), which)
        result = await original(*arguments, **options)
        if moment == "after" and mine == number:
            os.kill(os.getpid(), which)
        return result

    setattr(owner, method_name, fatal)


if __name__ == "__main__":
    target, moment, number, *rest = sys.argv[1:]
    plant(target, moment, int(number), signal.Signals[rest[0] if rest else "SIGKILL"])
    sys.argv = ["pixeldojo-server", *(rest[1:] or ["up"])]
    from pixeldojo.cli.main import main

    main()
