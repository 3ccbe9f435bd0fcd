"""Writes that must not be lost because the database is away for a moment: what they say is already paid for."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pixeldojo.core.clock import Clock
from pixeldojo.db.engine import is_away

_Result = TypeVar("_Result")

# All of them together are shorter than a lease.
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)


async def through_outage(clock: Clock, write: Callable[[], Awaitable[_Result]]) -> _Result:
    """Return what `write` returns, trying again for some seconds while the database is away.

    A try whose answer was lost may have been kept, so `write` has to be harmless to repeat.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return await write()
        except Exception as error:
            if not is_away(error):
                raise
        await clock.sleep(pause)
    return await write()
