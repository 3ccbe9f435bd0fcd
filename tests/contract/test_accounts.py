"""Accounts, keys and webhook secrets, on both databases."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.clock import FakeClock
from tests.stores import SERVER_SECRET, Stores

from pixeldojo.accounts.keys import KeyMode, Scope, SpendCap, SpendCapPeriod, new_secret_key
from pixeldojo.accounts.service import MOST_SECRETS, AccountsService, Rotation
from pixeldojo.core.errors import Conflict, IdempotencyMismatch, NotFound, Unauthorized
from pixeldojo.db.engine import Database
from pixeldojo.db.tables import api_keys


@pytest.fixture
async def account_id(stores: Stores) -> str:
    return await stores.accounts.create_account("the account")


async def test_a_key_that_was_created_lets_its_bearer_in_as_created(stores: Stores, account_id: str) -> None:
    new = await stores.accounts.create_key(
        account_id,
        name="build server",
        mode=KeyMode.LIVE,
        scopes=frozenset({Scope.JOBS_READ, Scope.BILLING}),
        rate_per_minute=7,
        spend_cap=SpendCap(12_345, SpendCapPeriod.DAY),
        expires_at=stores.clock.now() + timedelta(days=1),
    )

    assert await stores.accounts.authenticate(new.secret) == new.key
    assert new.key.mode == KeyMode.LIVE
    assert await stores.accounts.list_keys(account_id) == [new.key]


async def test_the_secret_is_nowhere_in_the_database(stores: Stores, account_id: str) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)

    async with stores.database.read() as connection:
        row = (await connection.execute(select(api_keys))).one()

    hidden = new.secret.removeprefix(new.key.prefix)
    assert not any(hidden in str(value) for value in row)
    assert new.secret not in repr(new.key)


async def test_malformed_and_unknown_secrets_are_refused_with_what_to_check(stores: Stores) -> None:
    with pytest.raises(Unauthorized, match="copied whole"):
        await stores.accounts.authenticate("sk-1234")
    with pytest.raises(Unauthorized, match="belongs to this server"):
        await stores.accounts.authenticate(new_secret_key(KeyMode.TEST))


async def test_a_malformed_secret_costs_no_query(stores: Stores, statements: list[str]) -> None:
    with pytest.raises(Unauthorized):
        await stores.accounts.authenticate("pd_test_k7h2m9qd_" + "0" * 40)

    assert statements == []


async def test_a_key_of_another_servers_secret_is_unknown(stores: Stores, account_id: str) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    other = AccountsService(stores.database, stores.clock, b"another secret altogether")

    with pytest.raises(Unauthorized):
        await other.authenticate(new.secret)


async def test_a_key_stops_at_its_expiry_even_if_it_was_just_used(stores: Stores, account_id: str) -> None:
    expires_at = stores.clock.now() + timedelta(seconds=2)
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST, expires_at=expires_at)
    await stores.accounts.authenticate(new.secret)

    stores.clock.advance(2)

    with pytest.raises(Unauthorized, match=r"expired.*new one"):
        await stores.accounts.authenticate(new.secret)


@pytest.mark.parametrize("named_by", ["id", "prefix"])
async def test_a_revoked_key_stops_at_once_on_its_node(stores: Stores, account_id: str, named_by: str) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    other = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    await stores.accounts.authenticate(new.secret)

    assert await stores.accounts.revoke_key(str(getattr(new.key, named_by)))

    with pytest.raises(Unauthorized, match=rf"{new.key.prefix}… was revoked"):
        await stores.accounts.authenticate(new.secret)
    assert await stores.accounts.authenticate(other.secret) == other.key


async def test_a_revoked_key_stops_within_five_seconds_on_every_other_node(stores: Stores, account_id: str) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    other_node = AccountsService(stores.database, stores.clock, SERVER_SECRET)
    await other_node.authenticate(new.secret)
    await stores.accounts.revoke_key(new.key.id)

    stores.clock.advance(5)

    with pytest.raises(Unauthorized, match="revoked"):
        await other_node.authenticate(new.secret)


async def test_a_key_read_while_it_is_revoked_is_not_remembered(
    stores: Stores, clock: FakeClock, account_id: str
) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    slow = _SlowReads(stores.database)
    accounts = AccountsService(slow, clock, SERVER_SECRET)
    just_before = asyncio.create_task(accounts.authenticate(new.secret))
    await slow.has_read.wait()
    await accounts.revoke_key(new.key.id)
    slow.go_on.set()
    await just_before

    with pytest.raises(Unauthorized, match="revoked"):
        await accounts.authenticate(new.secret)


class _SlowReads(Database):
    """A database whose readers keep what they read to themselves until told to go on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.has_read, self.go_on = asyncio.Event(), asyncio.Event()
        self.write = database.write  # type: ignore[method-assign]  # writing is the real database's

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.read() as connection:
            yield connection
        self.has_read.set()
        await self.go_on.wait()


async def test_a_key_in_use_is_looked_up_once_in_three_seconds(
    stores: Stores, account_id: str, statements: list[str]
) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)
    statements.clear()

    for _ in range(50):
        await stores.accounts.authenticate(new.secret)
    assert len(statements) == 1
    stores.clock.advance(3)
    await stores.accounts.authenticate(new.secret)

    assert len(statements) == 2


async def test_revoking_says_whether_it_changed_anything(stores: Stores, account_id: str) -> None:
    new = await stores.accounts.create_key(account_id, name="", mode=KeyMode.TEST)

    assert await stores.accounts.revoke_key(new.key.id)
    assert not await stores.accounts.revoke_key(new.key.id)
    with pytest.raises(NotFound, match="id or its prefix"):
        await stores.accounts.revoke_key("key_unknown")


async def test_accounts_are_found_by_name_and_by_id(stores: Stores, account_id: str) -> None:
    assert await stores.accounts.find_account("the account") == account_id
    assert await stores.accounts.find_account(account_id) == account_id
    with pytest.raises(NotFound, match="'somebody'"):
        await stores.accounts.find_account("somebody")


async def test_an_account_asked_for_by_many_at_once_is_made_once(stores: Stores, account_id: str) -> None:
    """Two of one name, and grants would go to one of them and keys be of the other."""
    made = await asyncio.gather(*(stores.accounts.find_or_create_account("team blue") for _ in range(8)))

    assert len({*made}) == 1
    assert await stores.accounts.find_account("team blue") == made[0] != account_id
    assert len(await stores.accounts.webhook_secrets(made[0])) == 1
    assert await stores.accounts.find_or_create_account("the account") == account_id


async def test_keys_are_listed_for_one_account_or_for_all(stores: Stores, account_id: str) -> None:
    mine = await stores.new_key(account_id=account_id)
    stores.clock.advance(1)
    other = await stores.new_key()

    assert await stores.accounts.list_keys(account_id) == [mine]
    assert await stores.accounts.list_keys() == [mine, other]


async def test_an_account_begins_with_one_webhook_secret_of_the_standards_form(stores: Stores, account_id: str) -> None:
    (secret,) = await stores.accounts.webhook_secrets(account_id)

    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


async def test_an_old_webhook_secret_signs_beside_the_new_one_for_a_day(stores: Stores, account_id: str) -> None:
    (old,) = await stores.accounts.webhook_secrets(account_id)
    new = (await stores.accounts.rotate_webhook_secret(account_id)).secret

    assert await stores.accounts.webhook_secrets(account_id) == [new, old]
    stores.clock.advance(24 * 3_600 - 1)
    assert await stores.accounts.webhook_secrets(account_id) == [new, old]
    stores.clock.advance(1)
    assert await stores.accounts.webhook_secrets(account_id) == [new]


async def test_secrets_rotated_at_once_are_kept_up_to_the_most_and_one_is_left_in_the_end(
    stores: Stores, account_id: str
) -> None:
    (old,) = await stores.accounts.webhook_secrets(account_id)
    outcomes = await asyncio.gather(
        *(stores.accounts.rotate_webhook_secret(account_id) for _ in range(8)), return_exceptions=True
    )

    rotated = [outcome for outcome in outcomes if isinstance(outcome, Rotation)]
    assert sorted(outcome.active_count for outcome in rotated) == list(range(2, MOST_SECRETS + 1))
    assert all(isinstance(outcome, Rotation | Conflict) for outcome in outcomes)
    valid = await stores.accounts.webhook_secrets(account_id)
    assert set(valid) == {old, *(outcome.secret for outcome in rotated)}
    stores.clock.advance(24 * 3_600)
    assert await stores.accounts.webhook_secrets(account_id) == valid[:1]
    assert (await stores.accounts.rotate_webhook_secret(account_id)).active_count == 2


async def test_a_rotation_beyond_the_most_says_when_the_next_is_welcome(stores: Stores, account_id: str) -> None:
    for _ in range(MOST_SECRETS - 1):
        await stores.accounts.rotate_webhook_secret(account_id)
        stores.clock.advance(60)

    with pytest.raises(Conflict, match=r"5 secrets sign .* ends at 2026-05-05T12:00:00\.000Z; rotate again then"):
        await stores.accounts.rotate_webhook_secret(account_id, idempotency_key="k")

    stores.clock.advance(24 * 3_600 - 60 * (MOST_SECRETS - 1))
    rotated = await stores.accounts.rotate_webhook_secret(account_id, idempotency_key="k")
    assert (rotated.active_count, rotated.is_replay) == (MOST_SECRETS, False)


async def test_rotations_with_one_idempotency_key_are_one_rotation(stores: Stores, account_id: str) -> None:
    rotated = await asyncio.gather(
        *(stores.accounts.rotate_webhook_secret(account_id, idempotency_key="k") for _ in range(8))
    )
    later = (await stores.accounts.rotate_webhook_secret(account_id)).secret
    again = await stores.accounts.rotate_webhook_secret(account_id, idempotency_key="k")

    assert len({outcome.secret for outcome in [*rotated, again]}) == 1
    assert [outcome.is_replay for outcome in [*rotated, again]].count(False) == 1
    assert (again.active_count, again.secret == later) == (2, False)
    assert len(await stores.accounts.webhook_secrets(account_id)) == 3


async def test_an_idempotency_key_of_a_job_rotates_nothing(stores: Stores, account_id: str) -> None:
    key = await stores.new_key(account_id=account_id, granted=100_000)
    await stores.create(key, idempotency_key="k")

    with pytest.raises(IdempotencyMismatch, match="'k' was used for another request"):
        await stores.accounts.rotate_webhook_secret(account_id, idempotency_key="k")

    assert len(await stores.accounts.webhook_secrets(account_id)) == 1
