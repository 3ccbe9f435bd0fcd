"""Rate limits: how many requests a key or an address may make a minute, counted here or for all nodes."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from pixeldojo.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RateStatus:
    """Where a caller stands after a request.

    Attributes:
        reset_at: Unix seconds at which the window ends and the whole limit is free again.
    """

    is_allowed: bool
    limit: int
    remaining: int
    reset_at: int

    @property
    def retry_after_seconds(self) -> int:
        """Whole seconds until the next request is welcome."""
        return max(1, self.reset_at - math.floor(time.time()))


class Limiter:
    """Counts requests in windows of one minute that begin with a subject's first request."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._strategy = FixedWindowRateLimiter(storage)

    async def hit(self, subject: str, per_minute: int) -> RateStatus:
        """Count one request of a subject, such as a key's id, unless its limit is reached."""
        item = RateLimitItemPerMinute(per_minute)
        is_allowed = await self._strategy.hit(item, subject)
        window = await self._strategy.get_window_stats(item, subject)
        return RateStatus(is_allowed, per_minute, window.remaining, math.ceil(window.reset_time))

    async def check(self) -> None:
        """Return when counting works; raise what went wrong otherwise."""
        if not await self._storage.check():
            raise ConnectionError("the store of the rate limits does not answer")


def open_limiter(address: str | None) -> Limiter:
    """Open the limiter: in this process without an address, else on the Valkey or Redis at `redis://…`."""
    if address is None:
        return Limiter(MemoryStorage())
    if not address.startswith(("redis://", "rediss://", "valkey://")):
        raise ConfigurationError("PIXELDOJO_LIMITER_URL must be redis://host:port of a Valkey or Redis.")
    url = address.replace("valkey://", "redis://", 1)
    return Limiter(RedisStorage(f"async+{url}", implementation="redispy"))
