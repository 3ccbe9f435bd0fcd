"""Accounts, their API keys and their webhook secrets: creating, checking, revoking."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts import store
from pixeldojo.accounts.keys import (
    ApiKey,
    KeyMode,
    Scope,
    SpendCap,
    hash_key,
    is_well_formed,
    new_secret_key,
    public_prefix,
)
from pixeldojo.core.clock import Clock, iso_utc
from pixeldojo.core.errors import Conflict, IdempotencyMismatch, NotFound, Unauthorized
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.json_types import JsonObject
from pixeldojo.core.secrets import new_webhook_secret
from pixeldojo.db.answers import KeptAnswer, keep_answer, reserve_answer
from pixeldojo.db.dialect import one_at_a_time
from pixeldojo.db.engine import Database

# A revoked key stops working at once on the node that revoked it and within this time on every other.
_CACHE_SECONDS = 3.0
_CACHE_SIZE = 10_000
SECRET_OVERLAP = timedelta(hours=24)
MOST_SECRETS = 5
"""How many secrets of an account sign at a time: each adds a signature to every webhook."""
# What is kept under an idempotency key of a rotation, which has no body to tell one from another.
_ROTATION = "rotate the webhook secret"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is the whole key, shown this once."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """A webhook secret just made, how many signed once it was, and whether an earlier request made it."""

    secret: str
    active_count: int
    is_replay: bool


class AccountsService:
    """Who may call, and as whom."""

    def __init__(self, database: Database, clock: Clock, server_secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._server_secret = server_secret
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._changes = 0

    async def create_account(self, name: str) -> str:
        """Create an account with its first webhook secret; return its id."""
        return await self._database.write(lambda connection: self._create_account(connection, name))

    async def find_or_create_account(self, name: str) -> str:
        """Return the id of the account with that name or id, which is made if there is none; of many at once by one."""

        async def work(connection: AsyncConnection) -> str:
            await one_at_a_time(connection, "accounts")
            return await store.find_account(connection, name) or await self._create_account(connection, name)

        return await self._database.write(work)

    async def _create_account(self, connection: AsyncConnection, name: str) -> str:
        now = self._clock.now()
        account_id = new_id(IdKind.ACCOUNT, now)
        await store.insert_account(connection, account_id, name, now)
        await store.insert_secret(connection, account_id, 1, new_webhook_secret(), now)
        return account_id

    async def find_account(self, name: str) -> str:
        """Return the id of the account with that name or id.

        Raises:
            NotFound: if there is none.
        """
        async with self._database.read() as connection:
            account_id = await store.find_account(connection, name)
        if account_id is None:
            raise NotFound(f"There is no account {name!r}.")
        return account_id

    async def create_key(
        self,
        account_id: str,
        *,
        name: str,
        mode: KeyMode,
        scopes: frozenset[Scope] = frozenset(Scope),
        rate_per_minute: int | None = None,
        spend_cap: SpendCap | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Create a key of an account; the secret in the answer is not to be had again."""
        now = self._clock.now()
        secret = new_secret_key(mode)
        key = ApiKey(
            id=new_id(IdKind.KEY, now),
            account_id=account_id,
            name=name,
            mode=mode,
            prefix=public_prefix(secret),
            scopes=scopes,
            rate_per_minute=rate_per_minute,
            spend_cap=spend_cap,
            created_at=now,
            expires_at=expires_at,
        )
        key_hash = hash_key(secret, self._server_secret)
        await self._database.write(lambda connection: store.insert_key(connection, key, key_hash))
        return NewKey(key, secret)

    async def authenticate(self, secret: str) -> ApiKey:
        """Return the key behind a secret.

        Raises:
            Unauthorized: if it is unknown, malformed, revoked or expired.
        """
        if not is_well_formed(secret):
            raise Unauthorized(
                "This is not a PixelDojo API key. Keys begin with pd_test_ or pd_live_ and are sent as "
                "'Authorization: Bearer <key>'; check that it was copied whole."
            )
        key = await self._find_key(hash_key(secret, self._server_secret))
        if key is None:
            raise Unauthorized("This API key is not known here. Check that it belongs to this server.")
        if key.revoked_at is not None:
            raise Unauthorized(f"The API key {key.prefix}… was revoked. Create a new one.")
        if not key.is_valid(self._clock.now()):
            raise Unauthorized(f"The API key {key.prefix}… has expired. Create a new one.")
        return key

    async def list_keys(self, account_id: str | None = None) -> list[ApiKey]:
        """Return the keys of one account, or of all."""
        async with self._database.read() as connection:
            return await store.list_keys(connection, account_id)

    async def revoke_key(self, key: str) -> bool:
        """Revoke the key with that id or prefix; return False when it was revoked before.

        Raises:
            NotFound: if there is no such key.
        """
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> bool:
            if await store.count_keys(connection, key) == 0:
                raise NotFound(f"There is no API key {key!r}; name it by its id or its prefix.")
            return await store.revoke_key(connection, key, now) > 0

        revoked = await self._database.write(work)
        self.forget_keys()
        return revoked

    def forget_keys(self) -> None:
        """Look every key up again, because one was changed."""
        self._changes += 1
        self._cache.clear()

    async def webhook_secrets(self, account_id: str) -> Sequence[str]:
        """Return the webhook secrets in force, newest first; webhooks are signed with each of them."""
        async with self._database.read() as connection:
            return await store.valid_secrets(connection, account_id, self._clock.now())

    async def rotate_webhook_secret(self, account_id: str, *, idempotency_key: str | None = None) -> Rotation:
        """Make a new webhook secret; the old ones sign beside it for another 24 hours.

        Raises:
            Conflict: as many secrets sign already as may; nothing changed, and the idempotency key is still free.
            IdempotencyMismatch: the key was used for something else.
        """
        now = self._clock.now()
        return await self._database.write(lambda connection: self._rotate(connection, account_id, idempotency_key, now))

    async def _rotate(
        self, connection: AsyncConnection, account_id: str, idempotency_key: str | None, now: datetime
    ) -> Rotation:
        await store.lock_account(connection, account_id)
        ends_at = now + SECRET_OVERLAP
        if idempotency_key is not None:
            kept = await reserve_answer(
                connection,
                account_id=account_id,
                key=idempotency_key,
                fingerprint=_ROTATION,
                resource_id=account_id,
                now=now,
                expires_at=ends_at,
            )
            if kept is not None:
                return await _rotated_before(connection, account_id, idempotency_key, kept)
        active = len(await store.valid_secrets(connection, account_id, now)) + 1
        if active > MOST_SECRETS:
            next_at = await store.next_secret_end(connection, account_id, now)
            raise Conflict(
                f"{MOST_SECRETS} secrets sign webhooks already, which is the most. The oldest ends at "
                f"{iso_utc(next_at)}; rotate again then."
            )
        version = await store.newest_secret_version(connection, account_id) + 1
        secret = new_webhook_secret()
        await store.retire_secrets(connection, account_id, ends_at)
        await store.insert_secret(connection, account_id, version, secret, now)
        if idempotency_key is not None:
            # The secret itself stays in its own table.
            answer: JsonObject = {"version": version, "active": active}
            await keep_answer(connection, account_id, idempotency_key, 201, answer)
        return Rotation(secret, active, is_replay=False)

    async def _find_key(self, key_hash: str) -> ApiKey | None:
        now = self._clock.monotonic()
        cached = self._cache.get(key_hash)
        if cached is not None and cached[0] > now:
            return cached[1]
        changes = self._changes
        async with self._database.read() as connection:
            key = await store.find_key_by_hash(connection, key_hash)
        # What was read before a change must not outlive it here.
        if key is not None and changes == self._changes:
            self._cache[key_hash] = (now + _CACHE_SECONDS, key)
            self._cache.move_to_end(key_hash)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return key


async def _rotated_before(connection: AsyncConnection, account_id: str, key: str, kept: KeptAnswer) -> Rotation:
    if kept.fingerprint != _ROTATION:
        raise IdempotencyMismatch(f"The Idempotency-Key {key!r} was used for another request. Send a new key.")
    version, active = (int(str(kept.answer[name])) for name in ("version", "active"))
    return Rotation(await store.secret_of(connection, account_id, version), active, is_replay=True)
