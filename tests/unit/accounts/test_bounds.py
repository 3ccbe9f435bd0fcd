"""No key ever gives more than it has: over any keys, any wishes, and any chain of makings and changes."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.accounts.bounds import (
    KeyTerms,
    beyond_changer,
    beyond_maker,
    is_cap_within,
    is_expiry_within,
    terms_of,
)
from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope, SpendCap, SpendCapPeriod

NOW: Final = datetime(2026, 5, 4, tzinfo=UTC)
RATE: Final = 60

# Few values, so that equal ones and neighbours meet often.
caps = st.none() | st.builds(SpendCap, st.sampled_from([1, 999, 1_000, 1_001]), st.sampled_from(SpendCapPeriod))
rates = st.none() | st.sampled_from([1, RATE - 1, RATE, RATE + 1])
expiries = st.none() | st.sampled_from([1, 2, 3]).map(lambda days: NOW + timedelta(days=days))
terms = st.builds(KeyTerms, st.just("a"), st.frozensets(st.sampled_from(Scope), min_size=1), rates, caps, expiries)


def key_of(wanted: KeyTerms, number: int = 0) -> ApiKey:
    return ApiKey(
        id=f"key_{number}",
        account_id="acct_1",
        name=wanted.name,
        mode=KeyMode.TEST,
        prefix="pd_test_aaaaaaaa",
        scopes=wanted.scopes,
        rate_per_minute=wanted.rate_per_minute,
        spend_cap=wanted.spend_cap,
        created_at=NOW,
        expires_at=wanted.expires_at,
    )


keys = terms.map(key_of)


def rate(of: ApiKey | KeyTerms) -> int:
    return of.rate_per_minute or RATE


@given(own=keys, wanted=terms)
def test_a_new_key_has_nothing_that_its_maker_has_not(own: ApiKey, wanted: KeyTerms) -> None:
    if not beyond_maker(own, wanted, RATE):
        assert wanted.scopes <= own.scopes
        assert rate(wanted) <= rate(own)
        assert own.expires_at is None or (wanted.expires_at is not None and wanted.expires_at <= own.expires_at)
        assert own.spend_cap is None


@given(own=keys.filter(lambda key: key.spend_cap is None), data=st.data())
def test_a_key_without_a_cap_may_make_its_like_and_any_lesser(own: ApiKey, data: st.DataObject) -> None:
    assert beyond_maker(own, terms_of(own), RATE) == []
    lesser = KeyTerms(
        "a",
        data.draw(st.frozensets(st.sampled_from(sorted(own.scopes)), min_size=1)),
        data.draw(st.integers(1, rate(own))),
        data.draw(caps),
        own.expires_at and own.expires_at - timedelta(hours=data.draw(st.integers(0, 10))),
    )
    assert beyond_maker(own, lesser, RATE) == []


@given(own=keys, current=keys, wanted=terms)
def test_a_changed_key_has_nothing_that_neither_it_nor_its_changer_had(
    own: ApiKey, current: ApiKey, wanted: KeyTerms
) -> None:
    if beyond_changer(own, current, wanted, RATE):
        return
    assert wanted.scopes <= current.scopes
    assert rate(wanted) <= max(rate(own), rate(current))
    assert is_expiry_within(wanted.expires_at, current.expires_at) or is_expiry_within(
        wanted.expires_at, own.expires_at
    )
    assert own.spend_cap is None or is_cap_within(wanted.spend_cap, current.spend_cap)


@given(own=keys, current=keys, wanted=terms)
def test_whatever_is_taken_from_a_key_may_be_taken(own: ApiKey, current: ApiKey, wanted: KeyTerms) -> None:
    is_less = (
        wanted.scopes <= current.scopes
        and rate(wanted) <= rate(current)
        and is_expiry_within(wanted.expires_at, current.expires_at)
        and is_cap_within(wanted.spend_cap, current.spend_cap)
    )
    if is_less:
        assert beyond_changer(own, current, wanted, RATE) == []


@given(key=keys, wanted=terms)
def test_a_key_never_gets_more_by_changing_itself(key: ApiKey, wanted: KeyTerms) -> None:
    if not beyond_changer(key, key, wanted, RATE):
        assert wanted.scopes <= key.scopes
        assert rate(wanted) <= rate(key)
        assert is_expiry_within(wanted.expires_at, key.expires_at)
        assert is_cap_within(wanted.spend_cap, key.spend_cap) or key.spend_cap is None


@given(cap=caps, bound=caps, spent=st.lists(st.integers(0, 600), max_size=6))
def test_a_cap_within_another_lets_nothing_through_that_the_other_stops(
    cap: SpendCap | None, bound: SpendCap | None, spent: list[int]
) -> None:
    """Over any days: what the stricter allows each day, and in all, the wider allows too."""

    def allows(limit: SpendCap | None) -> bool:
        if limit is None:
            return True
        return (sum(spent) if limit.period == SpendCapPeriod.TOTAL else max(spent, default=0)) <= limit.amount

    if is_cap_within(cap, bound):
        assert not allows(cap) or allows(bound)


@dataclass(frozen=True, slots=True)
class Wish:
    """One request of a thief: with one of the keys that it has, make a key or change one."""

    by: int
    at: int | None
    wanted: KeyTerms


wishes = st.lists(st.builds(Wish, st.integers(0, 9), st.none() | st.integers(0, 9), terms), max_size=25)


@given(stolen=keys, theirs=wishes)
def test_a_stolen_key_is_worth_no_more_however_it_is_used(stolen: ApiKey, theirs: list[Wish]) -> None:
    """A thief makes and changes keys with all that it gets: none ever has more than the one that was stolen."""
    have = [stolen]
    for wish in theirs:
        own = have[wish.by % len(have)]
        if wish.at is None:
            if not beyond_maker(own, wish.wanted, RATE):
                have.append(key_of(wish.wanted, len(have)))
            continue
        place = wish.at % len(have)
        if not beyond_changer(own, have[place], wish.wanted, RATE):
            changed = key_of(wish.wanted, place)
            have[place] = replace(changed, id=have[place].id)
    for key in have:
        assert key.scopes <= stolen.scopes
        assert rate(key) <= rate(stolen)
        assert is_expiry_within(key.expires_at, stolen.expires_at)
    if stolen.spend_cap is not None:
        assert len(have) == 1, "each would have a cap of its own"
        assert is_cap_within(have[0].spend_cap, stolen.spend_cap)
