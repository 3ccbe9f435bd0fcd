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
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import NotFound, Unauthorized
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.secrets import new_webhook_secret
from pixeldojo.db.engine import Database

# A revoked key stops working at once on the node that revoked it and within this time on every other.
_CACHE_SECONDS = 3.0
_CACHE_SIZE = 10_000
SECRET_OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is the whole key, shown this once."""

    key: ApiKey
    secret: str


class AccountsService:
    """Who may call, and as whom."""

    def __init__(self, database: Database, clock: Clock, server_secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._server_secret = server_secret
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._revocations = 0

    async def create_account(self, name: str) -> str:
        """Create an account with its first webhook secret; return its id."""
        now = self._clock.now()
        account_id = new_id(IdKind.ACCOUNT, now)

        async def work(connection: AsyncConnection) -> None:
            await store.insert_account(connection, account_id, name, now)
            await store.insert_secret(connection, account_id, 1, new_webhook_secret(), now)

        await self._database.write(work)
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
        self._revocations += 1
        self._cache.clear()
        return revoked

    async def webhook_secrets(self, account_id: str) -> Sequence[str]:
        """Return the webhook secrets in force, newest first; webhooks are signed with each of them."""
        async with self._database.read() as connection:
            return await store.valid_secrets(connection, account_id, self._clock.now())

    async def rotate_webhook_secret(self, account_id: str) -> str:
        """Make a new webhook secret and return it; the old ones sign beside it for another 24 hours."""
        now = self._clock.now()
        secret = new_webhook_secret()

        async def work(connection: AsyncConnection) -> None:
            await store.lock_account(connection, account_id)
            version = await store.newest_secret_version(connection, account_id) + 1
            await store.retire_secrets(connection, account_id, now + SECRET_OVERLAP)
            await store.insert_secret(connection, account_id, version, secret, now)

        await self._database.write(work)
        return secret

    async def _find_key(self, key_hash: str) -> ApiKey | None:
        now = self._clock.monotonic()
        cached = self._cache.get(key_hash)
        if cached is not None and cached[0] > now:
            return cached[1]
        revocations = self._revocations
        async with self._database.read() as connection:
            key = await store.find_key_by_hash(connection, key_hash)
        # What was read before a revocation must not outlive it here.
        if key is not None and revocations == self._revocations:
            self._cache[key_hash] = (now + _CACHE_SECONDS, key)
            self._cache.move_to_end(key_hash)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return key
