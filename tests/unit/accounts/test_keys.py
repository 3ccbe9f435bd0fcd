"""API keys: what they look like, what gives them away as noise, what is kept of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pixeldojo.accounts.keys import (
    ApiKey,
    KeyMode,
    Scope,
    hash_key,
    is_well_formed,
    new_secret_key,
    public_prefix,
)

NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.mark.parametrize("mode", KeyMode)
def test_a_new_key_says_its_mode_and_is_well_formed(mode: KeyMode) -> None:
    secret = new_secret_key(mode)

    assert secret.startswith(f"pd_{mode}_")
    assert is_well_formed(secret)


def test_keys_never_repeat() -> None:
    assert len({new_secret_key(KeyMode.TEST) for _ in range(1_000)}) == 1_000


def test_the_prefix_is_the_start_of_the_key_and_holds_none_of_its_160_secret_bits() -> None:
    secret = new_secret_key(KeyMode.LIVE)
    prefix = public_prefix(secret)

    assert secret.startswith(prefix + "_")
    assert len(prefix) == len("pd_live_xxxxxxxx")
    assert len(secret) - len(prefix) - 1 == 32 + 8


@given(position=st.integers(0, 56), character=st.sampled_from("0123456789abcdefghijklmnopqrstuvwxyzABC_- "))
def test_one_wrong_character_is_noticed_without_a_database(position: int, character: str) -> None:
    secret = new_secret_key(KeyMode.TEST)
    assume(secret[position] != character)

    assert not is_well_formed(secret[:position] + character + secret[position + 1 :])


@given(st.text(max_size=80))
def test_noise_is_not_a_key(noise: str) -> None:
    assert not is_well_formed(noise)


@pytest.mark.parametrize("change", [" {}", "{} ", "{}\n", "x{}", "{}0"])
def test_a_key_with_something_around_it_is_not_a_key(change: str) -> None:
    assert not is_well_formed(change.format(new_secret_key(KeyMode.TEST)))


def test_the_stored_hash_depends_on_the_servers_secret_and_the_whole_key() -> None:
    secret = new_secret_key(KeyMode.TEST)
    hashed = hash_key(secret, b"one server")

    assert hashed == hash_key(secret, b"one server")
    assert hashed != hash_key(secret, b"another server")
    assert hashed != hash_key(secret[:-1], b"one server")
    assert secret not in hashed
    assert len(bytes.fromhex(hashed)) == 32


def test_a_key_is_valid_until_it_is_revoked_or_its_expiry_comes() -> None:
    def key(expires_at: datetime | None = None, revoked_at: datetime | None = None) -> ApiKey:
        return ApiKey(
            id="key_1",
            account_id="acct_1",
            name="",
            mode=KeyMode.TEST,
            prefix="pd_test_xxxxxxxx",
            scopes=frozenset(Scope),
            rate_per_minute=None,
            spend_cap=None,
            created_at=NOW,
            expires_at=expires_at,
            revoked_at=revoked_at,
        )

    moment = timedelta(microseconds=1)
    assert key().is_valid(NOW)
    assert key(expires_at=NOW + moment).is_valid(NOW)
    assert not key(expires_at=NOW).is_valid(NOW)
    assert not key(revoked_at=NOW - moment).is_valid(NOW)
