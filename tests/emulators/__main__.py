"""`make emulators`: every emulator on a port of its own, and the settings that lead a server to them, until Ctrl-C."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Final

from tests.providers.pairs import PAIRS

from pixeldojo.core.settings import variable_of

FIRST_PORT: Final = 8701
WORK_SECONDS: Final = 1.5


async def _serve() -> None:
    async with AsyncExitStack() as stack:
        lines = []
        for port, pair in enumerate(PAIRS, FIRST_PORT):
            emulator = pair.open_emulator(work_seconds=WORK_SECONDS)
            stack.push_async_callback(emulator.close)
            await emulator.start(port)
            lines += [f"export {variable_of(name)}={value}" for name, value in pair.settings(emulator).items()]
        sys.stdout.write("\n".join(["# The emulators run; Ctrl-C ends them. In another terminal:", *lines, ""]) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_serve())
    except KeyboardInterrupt:
        sys.stdout.write("\n")
