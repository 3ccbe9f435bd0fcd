"""What a key may give to keys that it makes or changes: never more than it has itself. Pure.

Expiry, rate and spend cap are limits, and one that is missing is the widest. Three rules:

- A new key's scopes and limits lie within those of the key that makes it.
- A changed limit lies within the changing key's own, or within what it was before.
- A key with a spend cap makes no keys and widens no cap: with a cap each, several keys could spend together what it may
  not. So whoever holds such a key can never spend more than its cap, whatever they do.
"""

from dataclasses import dataclass
from datetime import datetime

from pixeldojo.accounts.keys import ApiKey, Scope, SpendCap, SpendCapPeriod
from pixeldojo.core.errors import Violation


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a caller says of a key: all of a new one, or what becomes of one that is changed.

    Attributes:
        rate_per_minute: None takes the server's default.
        spend_cap: None for no cap.
        expires_at: None for no end.
    """

    name: str
    scopes: frozenset[Scope]
    rate_per_minute: int | None
    spend_cap: SpendCap | None
    expires_at: datetime | None


def terms_of(key: ApiKey) -> KeyTerms:
    """Return the terms of a key as it stands."""
    return KeyTerms(key.name, key.scopes, key.rate_per_minute, key.spend_cap, key.expires_at)


def beyond_maker(own: ApiKey, wanted: KeyTerms, default_rate: int) -> list[Violation]:
    """Return in what a wanted new key would have more than the key `own` that makes it; nothing where it may.

    Args:
        default_rate: Requests a minute of keys that have no rate of their own.
    """
    found = []
    extra = sorted(wanted.scopes - own.scopes)
    if extra:
        has = ", ".join(sorted(own.scopes))
        found.append(Violation("scopes", f"the calling key has {has} itself, and can give no others"))
    if own.spend_cap is not None:
        reason = "the calling key has a spend cap, so it can make no keys: together they could spend more than it may"
        found.append(Violation("spendCap", reason))
    rate = _Rate(default_rate)
    if not rate.is_within(wanted.rate_per_minute, own.rate_per_minute):
        found.append(rate.violation(own.rate_per_minute))
    if not is_expiry_within(wanted.expires_at, own.expires_at):
        found.append(_lives_longer(own))
    return found


def beyond_changer(own: ApiKey, current: ApiKey, wanted: KeyTerms, default_rate: int) -> list[Violation]:
    """Return in what a change of the key `current` would give it more than the key `own` may; nothing where it may."""
    found = []
    if not wanted.scopes <= current.scopes:
        found.append(Violation("scopes", "a key never gets more scopes; make another key that has them"))
    if not is_cap_within(wanted.spend_cap, current.spend_cap) and own.spend_cap is not None:
        reason = "the calling key has a spend cap, so it can lower those of keys, and neither raise nor remove them"
        found.append(Violation("spendCap", reason))
    rate = _Rate(default_rate)
    if not any(rate.is_within(wanted.rate_per_minute, bound.rate_per_minute) for bound in (own, current)):
        found.append(rate.violation(own.rate_per_minute))
    if not any(is_expiry_within(wanted.expires_at, bound.expires_at) for bound in (own, current)):
        found.append(_lives_longer(own))
    return found


def is_cap_within(cap: SpendCap | None, bound: SpendCap | None) -> bool:
    """Whether a cap surely lets nothing through that `bound` would stop.

    What was spent in total was spent on days, so a total within a day's cap is stricter; the reverse never is.
    """
    if bound is None:
        return True
    if cap is None:
        return False
    return cap.amount <= bound.amount and cap.period in {bound.period, SpendCapPeriod.TOTAL}


def is_expiry_within(expires_at: datetime | None, bound: datetime | None) -> bool:
    """Whether a key ends no later than `bound`."""
    return bound is None or (expires_at is not None and expires_at <= bound)


@dataclass(frozen=True, slots=True)
class _Rate:
    default: int

    def is_within(self, rate: int | None, bound: int | None) -> bool:
        return (rate or self.default) <= (bound or self.default)

    def violation(self, bound: int | None) -> Violation:
        most = bound or self.default
        return Violation("ratePerMinute", f"the calling key has {most} requests a minute itself; that is the most")


def _lives_longer(own: ApiKey) -> Violation:
    return Violation("expiresAt", f"must not be later than the calling key's own, {own.expires_at:%Y-%m-%dT%H:%M:%SZ}")
