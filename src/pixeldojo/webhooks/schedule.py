"""When the next attempt of a delivery comes. Pure.

Attempts at 0 s, 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 5 h and 10 h after the first (contract, section 6), each
moved by up to a tenth so that a receiver that comes back is not met by everybody at once; a receiver's
`Retry-After` can only make it later; none after the job's expiry.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

ATTEMPT_OFFSETS_SECONDS = (0, 5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000)
_JITTER = 0.1


def next_attempt_at(
    *,
    attempts_made: int,
    now: datetime,
    expires_at: datetime,
    retry_after_seconds: float | None,
    random: Callable[[], float],
) -> datetime | None:
    """Return when to try again after `attempts_made` failed attempts of the schedule; None for never.

    Args:
        random: Gives numbers from 0 to 1; handed in so that tests can know the answer.
    """
    if attempts_made >= len(ATTEMPT_OFFSETS_SECONDS):
        return None
    gap = ATTEMPT_OFFSETS_SECONDS[attempts_made] - ATTEMPT_OFFSETS_SECONDS[attempts_made - 1]
    delay = max(gap * (1 + _JITTER * random()), retry_after_seconds or 0.0)
    if delay >= (expires_at - now).total_seconds():
        return None
    moment = now + timedelta(seconds=delay)
    return moment if moment < expires_at else None
