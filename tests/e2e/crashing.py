"""Runs `pixeldojo-server up` and kills it, as kill -9 does, before or after one call of one method.

Used as `python -m tests.e2e.crashing MODULE:CLASS.METHOD before|after NUMBER`: the product knows nothing of it.
"""

import functools
import importlib
import os
import signal
import sys
from typing import Any


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(target: str, moment: str, number: int) -> None:
    """Make the `number`-th call of a coroutine method fatal, before it begins or after it has returned."""
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
            _die()
        result = await original(*arguments, **options)
        if moment == "after" and mine == number:
            _die()
        return result

    setattr(owner, method_name, fatal)


if __name__ == "__main__":
    plant(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv = ["pixeldojo-server", "up"]
    from pixeldojo.cli.main import main

    main()
