"""News over Valkey or Redis: one publish/subscribe channel that every process hears."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis

_CHANNEL = "pixeldojo:news"
_CONNECT_SECONDS = 2.0
_SILENT_SECONDS = 10.0


class RedisWire:
    """One connection to send on and one to hear on; a lost one is the caller's to come back with."""

    def __init__(self, url: str) -> None:
        self._client: Redis = Redis.from_url(
            url, decode_responses=True, socket_connect_timeout=_CONNECT_SECONDS, socket_keepalive=True
        )

    async def publish(self, message: str) -> None:
        """Send a message to whoever listens now."""
        await self._client.publish(_CHANNEL, message)

    async def messages(self) -> AsyncIterator[str | None]:
        """Yield None once the subscription stands and whenever nothing came for a while, then each message."""
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(_CHANNEL)
            while True:
                received = await subscription.get_message(timeout=_SILENT_SECONDS)
                if received is None:
                    # A connection that died without a word is found by asking.
                    await subscription.ping()
                    yield None
                elif received["type"] == "message":
                    yield received["data"]
                else:
                    yield None

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
