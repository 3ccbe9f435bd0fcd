"""How slowly the body of a request may come before nobody waits for it any longer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Slow lines are fine, silence and trickles are not.

    Attributes:
        silence_seconds: The longest wait for the next bytes.
        grace_seconds: How long all waits may take together, however little came; and a second more for every
            `bytes_per_second` that did come.
    """

    silence_seconds: float = 20.0
    grace_seconds: float = 30.0
    bytes_per_second: float = 1_000.0

    def patience(self, waited_seconds: float, seen_bytes: int) -> float:
        """Return for how many seconds the next bytes are waited for; none or less when there is no more patience."""
        left = self.grace_seconds + seen_bytes / self.bytes_per_second - waited_seconds
        return min(self.silence_seconds, left)
