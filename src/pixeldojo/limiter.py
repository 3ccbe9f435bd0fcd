"""Rate limits: how many requests a key or an address may make a minute, counted here or for all nodes."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from pixeldojo.core.errors import ConfigurationError

_CONNECTIONS = 64
_WAIT_SECONDS = 2.0
_AWAY = "the store of the rate limits does not answer"


@dataclass(frozen=True, slots=True)
class RateStatus:
    """Where a caller stands after a request.

    Attributes:
        reset_at: Unix seconds at which the window ends and the whole limit is free again.
        retry_after_seconds: How long that is from now, at least 1.
    """

    is_allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after_seconds: int


class Limiter:
    """Counts requests in windows of one minute that begin with a subject's first request."""

    def __init__(self, storage: Storage, close: Callable[[], Awaitable[None]] | None = None) -> None:
        """Count in a storage; `close` is what ends its connections, where it has some."""
        self._storage = storage
        self._close = close
        self._strategy = FixedWindowRateLimiter(storage)

    async def hit(self, subject: str, per_minute: int) -> RateStatus:
        """Count one request of a subject, such as a key's id, unless its limit is reached.

        Raises:
            ConnectionError: if the store does not answer.
        """
        item = RateLimitItemPerMinute(per_minute)
        try:
            is_allowed = await self._strategy.hit(item, subject)
            window = await self._strategy.get_window_stats(item, subject)
        except StorageError as error:
            raise ConnectionError(_AWAY) from error
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        return RateStatus(is_allowed, per_minute, window.remaining, math.ceil(window.reset_time), seconds)

    async def check(self) -> None:
        """Return when counting works; raise what went wrong otherwise."""
        if not await self._storage.check():
            raise ConnectionError(_AWAY)

    async def close(self) -> None:
        """Disconnect."""
        if self._close is not None:
            await self._close()


def open_limiter(address: str | None) -> Limiter:
    """Open the limiter: in this process without an address, else on the Valkey or Redis at `redis://…`."""
    if address is None:
        return Limiter(MemoryStorage())
    if not address.startswith(("redis://", "rediss://", "valkey://")):
        raise ConfigurationError("PIXELDOJO_LIMITER_URL must be redis://host:port of a Valkey or Redis.")
    url = address.replace("valkey://", "redis://", 1)
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415  only a scaled-out set-up pays for the import

    # Every request passes here: one that cannot be counted soon is refused, not kept waiting.
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_WAIT_SECONDS,
        socket_timeout=_WAIT_SECONDS,
        socket_connect_timeout=_WAIT_SECONDS,
    )
    storage = RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        connection_pool=pool,  # type: ignore[arg-type]  # documented, and left out of its types
    )
    return Limiter(storage, pool.aclose)
