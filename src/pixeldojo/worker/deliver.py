"""The step that sends webhooks: signed, bounded, and fair, so that a dead receiver never holds up another's.

Each destination has a few places of its own, and only what has one may take one of the places all share. Hints for a
destination that already has many waiting are dropped; the sweep brings them again.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.service import AccountsService
from pixeldojo.core.clock import Clock
from pixeldojo.net.addresses import RefusedAddress
from pixeldojo.net.client import DeliveryFailed, OutboundClient
from pixeldojo.providers.contract import HttpAnswer
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.webhooks.signature import headers
from pixeldojo.webhooks.store import Attempt, Delivery

TIMEOUT_SECONDS = 15.0
_LEASE_SECONDS = 60.0
_AT_ONCE = 256
_AT_ONCE_PER_DESTINATION = 8
_WAITING_PER_DESTINATION = 1_000
_ERROR_LIMIT = 400


@dataclass(slots=True)
class _Destination:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE_PER_DESTINATION))
    waiting: int = 0


class Deliverer:
    """Claims deliveries that are due, sends them, records what came of it."""

    def __init__(
        self,
        *,
        webhooks: WebhooksService,
        accounts: AccountsService,
        http: OutboundClient,
        clock: Clock,
        log: FilteringBoundLogger,
        owner: str,
    ) -> None:
        self._webhooks = webhooks
        self._accounts = accounts
        self._http = http
        self._clock = clock
        self._log = log
        self._owner = owner
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._destinations: dict[str, _Destination] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    async def take(self, delivery_id: str) -> None:
        """Take in the delivery that a hint announced; the sending goes on after this returns."""
        if self._is_stopping:
            return
        delivery = await self._webhooks.find(delivery_id)
        if delivery is None or delivery.next_attempt_at is None:
            return
        destination = urlsplit(delivery.url).netloc
        if self._waiting(destination) >= _WAITING_PER_DESTINATION:
            return
        task = asyncio.create_task(self._deliver(delivery_id, destination), name=f"deliver {delivery_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, seconds: float) -> None:
        """Take nothing more in, let attempts under way end for that many seconds, give the rest back."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._webhooks.release_leases(self._owner)

    def _waiting(self, destination: str) -> int:
        known = self._destinations.get(destination)
        return known.waiting if known else 0

    async def _deliver(self, delivery_id: str, destination: str) -> None:
        try:
            with self._place_of(destination) as place:
                async with place.places, self._places:
                    if self._is_stopping:
                        return
                    delivery = await self._webhooks.claim(delivery_id, self._owner, _LEASE_SECONDS)
                    if delivery is not None:
                        await self._attempt(delivery)
        except Exception:  # noqa: BLE001  the row is still pending: its lease runs out and the sweep brings it again
            self._log.exception("delivery broke", delivery_id=delivery_id)

    @contextmanager
    def _place_of(self, destination: str) -> Iterator[_Destination]:
        place = self._destinations.setdefault(destination, _Destination())
        place.waiting += 1
        try:
            yield place
        finally:
            place.waiting -= 1
            if place.waiting == 0:
                self._destinations.pop(destination, None)

    async def _attempt(self, delivery: Delivery) -> None:
        secrets = await self._accounts.webhook_secrets(delivery.account_id)
        started_at, started = self._clock.now(), self._clock.monotonic()
        body = delivery.body.encode()
        answer: HttpAnswer | None = None
        error: str | None = None
        try:
            signed = headers(secrets, delivery.id, started_at, body)
            answer = await self._http.post(delivery.url, body, signed, TIMEOUT_SECONDS)
        except (DeliveryFailed, RefusedAddress) as failure:
            error = str(failure)[:_ERROR_LIMIT]
        seconds = self._clock.monotonic() - started
        status = None if answer is None else answer.status
        attempt = Attempt(delivery.attempt_count + 1, started_at, seconds, status, error)
        retry_after = None if answer is None else retry_after_seconds(answer.headers.get("retry-after"))
        outcome = await self._webhooks.record(delivery, attempt, retry_after)
        self._log.info(
            "webhook attempt",
            delivery_id=delivery.id,
            job_id=delivery.job_id,
            attempt=attempt.number,
            status=status,
            error=error,
            outcome=outcome,
            seconds=round(seconds, 3),
        )


def retry_after_seconds(value: str | None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date; None when there is none that can be read."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
