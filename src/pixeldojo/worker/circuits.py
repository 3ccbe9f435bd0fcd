"""Upstreams that fail are left alone for a while: a circuit for each endpoint of one, and one for the whole account.

In this process only, and forgotten with it: each worker finds out for itself, at the cost of a few failed submits.
Pure but for the log; what counts as a failure is for `submit`, where else to go for `gate`.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock

FAILURES: Final = 8
"""In a row, within the window; more than one job makes by itself."""
WINDOW_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 120.0
PROBE_SECONDS: Final = 3.0
"""How long others wait while one job tries."""
# A single endpoint that fails, say one that was taken down, is no reason to leave the account alone.
_ENDPOINTS_OF_AN_ACCOUNT: Final = 2


@dataclass(slots=True)
class _Circuit:
    """Closed; open until a time; and then half open: one job tries, and what becomes of it decides."""

    least_endpoints: int
    failures: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=FAILURES))
    openings: int = 0
    open_until: float = 0.0
    trying: str | None = None

    def seconds_left(self, now: float) -> float:
        """Return how long to leave it alone; 0 for whoever may go on, or try."""
        if not self.openings:
            return 0.0
        if now < self.open_until:
            return self.open_until - now
        return 0.0 if self.trying is None else PROBE_SECONDS

    def fail(self, now: float, endpoint: str, job_id: str) -> bool:
        """Note a failure; say whether it opened the circuit."""
        if self.openings and self.trying != job_id:
            return False  # it was under way when the circuit opened
        self.failures.append((now, endpoint))
        recent = [name for at, name in self.failures if now - at <= WINDOW_SECONDS]
        if not self.openings and (len(recent) < FAILURES or len(set(recent)) < self.least_endpoints):
            return False
        self.open_until = now + min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self.openings)
        self.openings += 1
        self.trying = None
        return True

    def close(self) -> bool:
        """Forget the failures; say whether it was open."""
        was_open = bool(self.openings)
        self.failures.clear()
        self.openings, self.open_until, self.trying = 0, 0.0, None
        return was_open


class Circuits:
    """Who may call which upstream just now."""

    def __init__(self, clock: Clock, log: FilteringBoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._circuits: dict[tuple[str, str | None], _Circuit] = {}

    def seconds_left(self, provider: str, endpoint: str) -> float:
        """Return how long to leave an endpoint alone; 0 where it may be called."""
        now = self._clock.monotonic()
        return max(circuit.seconds_left(now) for circuit in self._of(provider, endpoint))

    def enter(self, provider: str, endpoint: str, job_id: str) -> None:
        """Note that a job is going to call; where circuits are half open, it is the one that tries."""
        for circuit in self._of(provider, endpoint):
            if circuit.openings:
                circuit.trying = job_id

    def leave(self, provider: str, endpoint: str, job_id: str) -> None:
        """Note that a job is done calling, or did not come to it."""
        for circuit in self._of(provider, endpoint):
            if circuit.trying == job_id:
                circuit.trying = None

    def worked(self, provider: str, endpoint: str) -> None:
        """Note that the upstream answered as it should, be it with a refusal of the input."""
        account, own = self._of(provider, endpoint)
        was_left_alone = (account.close(), own.close())
        if any(was_left_alone):
            self._log.info("upstream is back", provider=provider, endpoint=endpoint)

    def failed(self, provider: str, endpoint: str, job_id: str) -> None:
        """Note that it did not."""
        now = self._clock.monotonic()
        account, own = self._of(provider, endpoint)
        for circuit, name in ((account, "all"), (own, endpoint)):
            if circuit.fail(now, endpoint, job_id):
                seconds = round(circuit.open_until - now, 1)
                self._log.warning("upstream is left alone", provider=provider, endpoint=name, seconds=seconds)

    def open_counts(self) -> dict[str, int]:
        """Return, by provider, how many of its circuits are open or being tried."""
        counts: dict[str, int] = {}
        for (provider, _), circuit in list(self._circuits.items()):
            counts[provider] = counts.get(provider, 0) + bool(circuit.openings)
        return counts

    def _of(self, provider: str, endpoint: str) -> tuple[_Circuit, _Circuit]:
        """Return the account's circuit and the endpoint's; there are as many as the catalog names."""
        return (
            self._circuits.setdefault((provider, None), _Circuit(_ENDPOINTS_OF_AN_ACCOUNT)),
            self._circuits.setdefault((provider, endpoint), _Circuit(1)),
        )
