"""The step that sends webhooks: signed, bounded, and fair, so that a dead receiver never holds up another's.

Turns go round the hosts, an account's own each, and at a host round its addresses (without the query). An address has
one place until it answers quickly, then twice as many with every quick answer; one that is slow or silent is back to
one place. A host has a few more, so that a silent address there leaves room for its neighbours. Hints for a host that
already has many waiting, measured by the room that is left, are dropped; the sweep brings them again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import structlog
from structlog.typing import FilteringBoundLogger

from pixeldojo.accounts.service import AccountsService
from pixeldojo.core.clock import Clock
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.addresses import RefusedAddress
from pixeldojo.net.client import DeliveryFailed, OutboundClient
from pixeldojo.providers.contract import HttpAnswer
from pixeldojo.webhooks.service import WebhooksService
from pixeldojo.webhooks.signature import headers
from pixeldojo.webhooks.store import Attempt, Delivery
from pixeldojo.worker.outage import through_outage

TIMEOUT_SECONDS: Final = 15.0
LONGEST_RETRY_AFTER_SECONDS: Final = 5 * 3_600.0
"""The longest gap of the schedule. A receiver that asks for more is asked again then, not given up."""

_LEASE_SECONDS = 60.0
# Below the connections there are to strangers' addresses, so that downloads get some too.
_AT_ONCE = 200
_ADDRESS_PLACES = (1, 8)
_HOST_PLACES = (4, 16)
_QUICK_SECONDS = 2.0
_WAITING_PER_HOST = 1_000
_IN_HAND_LIMIT = 20_000
_SHARES = 20
_ERROR_LIMIT = 400
# A rotated secret signs so much later; its predecessor goes on for a day.
_SECRETS_SECONDS = 1.0


@dataclass(slots=True)
class _Places:
    """How many attempts may be under way at a time: few for the slow and silent, more for who answers quickly."""

    fewest: int
    most: int
    now: int
    busy: int = 0

    @property
    def is_one_free(self) -> bool:
        return self.busy < self.now

    def leave(self, is_quick: bool | None) -> None:
        """An attempt is over; None where it never reached the receiver."""
        self.busy -= 1
        if is_quick is not None:
            self.now = min(2 * self.now, self.most) if is_quick else self.fewest


def _address_places() -> _Places:
    return _Places(*_ADDRESS_PLACES, now=_ADDRESS_PLACES[0])


def _host_places() -> _Places:
    return _Places(*_HOST_PLACES, now=_HOST_PLACES[0])


@dataclass(slots=True, eq=False)
class _Address:
    """One receiver: what waits for it."""

    path: str
    waiting: deque[str] = field(default_factory=deque)
    places: _Places = field(default_factory=_address_places)
    has_turn: bool = False


@dataclass(slots=True, eq=False)
class _Host:
    """One account's receivers at one host and port."""

    key: tuple[str, str]
    addresses: dict[str, _Address] = field(default_factory=dict)
    turns: deque[_Address] = field(default_factory=deque)
    places: _Places = field(default_factory=_host_places)
    waiting_count: int = 0
    has_turn: bool = False

    def add(self, path: str, delivery_id: str) -> None:
        """Let a delivery wait for its address."""
        address = self.addresses.setdefault(path, _Address(path))
        address.waiting.append(delivery_id)
        self.waiting_count += 1
        self.give_turn(address)

    def take(self) -> tuple[_Address, str]:
        """Take a place at this host for the address whose turn it is, and its next delivery."""
        address = self.turns.popleft()
        address.has_turn = False
        self.waiting_count -= 1
        self.places.busy += 1
        address.places.busy += 1
        delivery_id = address.waiting.popleft()
        self.give_turn(address)
        return address, delivery_id

    def leave(self, address: _Address, is_quick: bool | None) -> None:
        """Give the place back."""
        self.places.leave(is_quick)
        address.places.leave(is_quick)
        self.give_turn(address)
        if not address.places.busy and not address.waiting:
            del self.addresses[address.path]

    def give_turn(self, address: _Address) -> None:
        """Put an address in line, where something waits for it and it has a place for it."""
        if address.waiting and address.places.is_one_free and not address.has_turn:
            address.has_turn = True
            self.turns.append(address)


@dataclass(frozen=True, slots=True)
class _Secrets:
    """An account's signing secrets, known or being looked up, and until when they may be used."""

    looking: asyncio.Future[Sequence[str]]
    until: float


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
        meters: Meters,
        owner: str,
        waiting_per_host: int = _WAITING_PER_HOST,
        in_hand_limit: int = _IN_HAND_LIMIT,
    ) -> None:
        self._webhooks = webhooks
        self._accounts = accounts
        self._http = http
        self._clock = clock
        self._log = log
        self._meters = meters
        self._owner = owner
        self._waiting_per_host = waiting_per_host
        self._in_hand_limit = in_hand_limit
        self._hosts: dict[tuple[str, str], _Host] = {}
        self._turns: deque[_Host] = deque()
        self._in_hand: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._secrets: dict[str, _Secrets] = {}
        self._is_stopping = False

    async def take(self, delivery_id: str) -> None:
        """Take in the delivery that a hint announced; the sending goes on after this returns."""
        if self._is_stopping or delivery_id in self._in_hand or len(self._in_hand) >= self._in_hand_limit:
            return
        delivery = await self._webhooks.find(delivery_id)
        if delivery is None or delivery.next_attempt_at is None or self._is_stopping or delivery_id in self._in_hand:
            return
        url = urlsplit(delivery.url)
        key = (delivery.account_id, url.netloc)
        host = self._hosts.setdefault(key, _Host(key))
        if host.waiting_count >= self._most_waiting:
            return
        self._in_hand.add(delivery_id)
        host.add(url.path, delivery_id)
        self._give_turn(host)
        self._start_attempts()

    async def stop(self, seconds: float) -> None:
        """Take nothing more in, let attempts under way end for that many seconds, give the rest back."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for secrets in self._secrets.values():
            secrets.looking.cancel()
        try:
            await self._webhooks.release_leases(self._owner)
        except Exception:  # noqa: BLE001  with the database away the leases run out by themselves
            self._log.exception("deliveries could not be given back")

    @property
    def _most_waiting(self) -> int:
        """How many may wait for a host: a share of the room that is left, so that some is always left for others."""
        free = self._in_hand_limit - len(self._in_hand)
        return min(self._waiting_per_host, 1 + free // _SHARES)

    def _give_turn(self, host: _Host) -> None:
        if host.turns and host.places.is_one_free and not host.has_turn:
            host.has_turn = True
            self._turns.append(host)

    def _start_attempts(self) -> None:
        while self._turns and len(self._tasks) < _AT_ONCE and not self._is_stopping:
            host = self._turns.popleft()
            host.has_turn = False
            address, delivery_id = host.take()
            task = asyncio.create_task(self._deliver(delivery_id, host, address), name=f"deliver {delivery_id}")
            self._tasks.add(task)
            task.add_done_callback(self._forget)
            self._give_turn(host)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start_attempts()

    async def _deliver(self, delivery_id: str, host: _Host, address: _Address) -> None:
        is_quick: bool | None = None
        # Whose request or job this task happened to begin in says nothing of the delivery.
        structlog.contextvars.clear_contextvars()
        try:
            delivery = await self._webhooks.claim(delivery_id, self._owner, _LEASE_SECONDS)
            if delivery is not None:
                is_quick = await self._attempt(delivery)
        except Exception:  # noqa: BLE001  the row is still pending: its lease runs out and the sweep brings it again
            self._log.exception("delivery broke", delivery_id=delivery_id)
        finally:
            self._in_hand.discard(delivery_id)
            host.leave(address, is_quick)
            self._give_turn(host)
            if not host.addresses:
                self._hosts.pop(host.key, None)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Send a delivery and record what came of it; say whether the receiver answered quickly."""
        secrets = await self._secrets_of(delivery.account_id)
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
        # Whoever gives up while the database is away for a moment leaves the delivery to its lease.
        outcome = await through_outage(self._clock, lambda: self._webhooks.record(delivery, attempt, retry_after))
        due_at = delivery.next_attempt_at or started_at
        self._meters.webhook_attempted(outcome, seconds, (started_at - due_at).total_seconds())
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

    async def _secrets_of(self, account_id: str) -> Sequence[str]:
        """Return what to sign with; of attempts that begin together, only the first looks it up."""
        now = self._clock.monotonic()
        kept = self._secrets.get(account_id)
        if kept is None or kept.until <= now:
            self._secrets = {account: one for account, one in self._secrets.items() if one.until > now}
            looking = through_outage(self._clock, lambda: self._accounts.webhook_secrets(account_id))
            kept = self._secrets[account_id] = _Secrets(asyncio.ensure_future(looking), now + _SECRETS_SECONDS)
        return await asyncio.shield(kept.looking)


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
