"""The step that sends webhooks: signed, bounded, and fair, so that a dead receiver never holds up another's.

A destination has one place until it answers quickly, then twice as many with every quick answer; one that is slow or
silent is back to one place. Destinations take turns. Hints for a destination that already has many waiting are
dropped; the sweep brings them again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
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

TIMEOUT_SECONDS: Final = 15.0
LONGEST_RETRY_AFTER_SECONDS: Final = 5 * 3_600.0
"""The longest gap of the schedule. A receiver that asks for more is asked again then, not given up."""

_LEASE_SECONDS = 60.0
# Below the connections there are to strangers' addresses, so that downloads get some too.
_AT_ONCE = 200
_AT_ONCE_PER_DESTINATION = 8
_QUICK_SECONDS = 2.0
_WAITING_PER_DESTINATION = 1_000
_IN_HAND_LIMIT = 20_000
_ERROR_LIMIT = 400


@dataclass(slots=True)
class _Destination:
    """One receiver: what waits for it, how many attempts it has and may have at a time."""

    name: str
    waiting: deque[str] = field(default_factory=deque)
    busy: int = 0
    places: int = 1
    has_turn: bool = False


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
        waiting_per_destination: int = _WAITING_PER_DESTINATION,
    ) -> None:
        self._webhooks = webhooks
        self._accounts = accounts
        self._http = http
        self._clock = clock
        self._log = log
        self._owner = owner
        self._waiting_per_destination = waiting_per_destination
        self._destinations: dict[str, _Destination] = {}
        self._turns: deque[_Destination] = deque()
        self._in_hand: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    async def take(self, delivery_id: str) -> None:
        """Take in the delivery that a hint announced; the sending goes on after this returns."""
        if self._is_stopping or delivery_id in self._in_hand or len(self._in_hand) >= _IN_HAND_LIMIT:
            return
        delivery = await self._webhooks.find(delivery_id)
        if delivery is None or delivery.next_attempt_at is None or self._is_stopping or delivery_id in self._in_hand:
            return
        name = urlsplit(delivery.url).netloc
        destination = self._destinations.setdefault(name, _Destination(name))
        if len(destination.waiting) >= self._waiting_per_destination:
            return
        self._in_hand.add(delivery_id)
        destination.waiting.append(delivery_id)
        self._give_turn(destination)
        self._start_attempts()

    async def stop(self, seconds: float) -> None:
        """Take nothing more in, let attempts under way end for that many seconds, give the rest back."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            await self._webhooks.release_leases(self._owner)
        except Exception:  # noqa: BLE001  with the database away the leases run out by themselves
            self._log.exception("deliveries could not be given back")

    def _give_turn(self, destination: _Destination) -> None:
        if destination.waiting and destination.busy < destination.places and not destination.has_turn:
            destination.has_turn = True
            self._turns.append(destination)

    def _start_attempts(self) -> None:
        while self._turns and len(self._tasks) < _AT_ONCE and not self._is_stopping:
            destination = self._turns.popleft()
            destination.has_turn = False
            destination.busy += 1
            delivery_id = destination.waiting.popleft()
            task = asyncio.create_task(self._deliver(delivery_id, destination), name=f"deliver {delivery_id}")
            self._tasks.add(task)
            task.add_done_callback(self._forget)
            self._give_turn(destination)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start_attempts()

    async def _deliver(self, delivery_id: str, destination: _Destination) -> None:
        try:
            delivery = await self._webhooks.claim(delivery_id, self._owner, _LEASE_SECONDS)
            if delivery is not None:
                is_quick = await self._attempt(delivery)
                destination.places = min(2 * destination.places, _AT_ONCE_PER_DESTINATION) if is_quick else 1
        except Exception:  # noqa: BLE001  the row is still pending: its lease runs out and the sweep brings it again
            self._log.exception("delivery broke", delivery_id=delivery_id)
        finally:
            self._in_hand.discard(delivery_id)
            destination.busy -= 1
            self._give_turn(destination)
            if not destination.busy and not destination.waiting:
                self._destinations.pop(destination.name, None)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Send a delivery and record what came of it; say whether the receiver answered quickly."""
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
        header = None if answer is None else answer.headers.get("retry-after")
        retry_after = retry_after_seconds(header, self._clock.now())
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
        return answer is not None and seconds <= _QUICK_SECONDS


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date; None when there is none that can be read.

    Never more than `LONGEST_RETRY_AFTER_SECONDS`, never less than 0.
    """
    text = (value or "").strip()
    seconds = float(text) if text.isascii() and text.isdigit() else _seconds_until(text, now)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (OverflowError, TypeError, ValueError):
        return None
    # HTTP dates are UTC, also where an old form leaves the zone out.
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
