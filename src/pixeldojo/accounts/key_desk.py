"""What keys do with keys: list, make, change, revoke those of their own account and mode.

`bounds.py` has the rule that a key never gives more than it has; here it is held against the rows as they stand, in the
transaction of the change: a key that was just revoked elsewhere, and is still remembered here, makes nothing any more.
Operators' commands, which may do all, use `service.py`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts import store
from pixeldojo.accounts.bounds import KeyTerms, beyond_changer, beyond_maker, terms_of
from pixeldojo.accounts.keys import ApiKey, derived_secret_key, hash_key, new_secret_key, public_prefix
from pixeldojo.accounts.service import AccountsService, NewKey
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Conflict, Forbidden, IdempotencyMismatch, NotFound, Unauthorized, Violation
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.db.answers import keep_answer, reserve_answer
from pixeldojo.db.engine import Database

MOST_KEYS = 1_000
"""How many keys of an account may be valid at a time."""
# For this long the request that made a key can be sent again for the same answer.
_REPEATABLE = timedelta(hours=24)
_CREATED = 201
_TOO_MUCH = "The new key would have more than the calling key has"

Change = Callable[[KeyTerms], KeyTerms]
"""What a caller wants changed: from the terms of a key as they stand to what they shall be."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key with its secret, and whether an earlier request made it."""

    new: NewKey
    is_replay: bool


class KeyDesk:
    """Serves callers; `own` is always the key that the request was made with."""

    def __init__(
        self, database: Database, clock: Clock, server_secret: bytes, accounts: AccountsService, *, default_rate: int
    ) -> None:
        """Make the desk.

        Args:
            accounts: Told of each change, so that nothing old is remembered on this node.
            default_rate: Requests a minute of keys that have no rate of their own.
        """
        self._database = database
        self._clock = clock
        self._server_secret = server_secret
        self._accounts = accounts
        self._default_rate = default_rate

    async def list_page(self, own: ApiKey, limit: int, cursor: str | None) -> tuple[list[ApiKey], str | None]:
        """Return one page of keys, newest first, revoked and expired ones too, and the next page's cursor."""
        async with self._database.read() as connection:
            found = await store.list_key_page(connection, own.account_id, own.mode, limit, cursor)
        page = found[:limit]
        return page, page[-1].id if len(found) > limit else None

    async def get(self, own: ApiKey, key_id: str) -> ApiKey:
        """Return a key.

        Raises:
            NotFound: if there is none, or it is another account's or mode's.
        """
        async with self._database.read() as connection:
            return await _find(connection, own, key_id)

    async def make(self, own: ApiKey, wanted: KeyTerms, idempotency_key: str | None) -> MadeKey:
        """Make a key in the calling key's account and mode.

        Of the secret nothing is kept but its hash. With an idempotency key it is derived from that, the new key's id
        and the server's secret, so that the same request gets the same answer without the secret lying anywhere.

        Raises:
            Forbidden: it would have more than the calling key.
            Unauthorized: the calling key was revoked or has expired meanwhile.
            Conflict: the account has as many keys as it may.
            IdempotencyMismatch: the idempotency key was used for something else.
        """
        now = self._clock.now()
        return await self._database.write(lambda connection: self._make(connection, own, wanted, idempotency_key, now))

    async def _make(
        self, connection: AsyncConnection, own: ApiKey, wanted: KeyTerms, idempotency_key: str | None, now: datetime
    ) -> MadeKey:
        own = await _still_valid(connection, own, now)
        _refuse(beyond_maker(own, wanted, self._default_rate), _TOO_MUCH)
        await store.lock_account(connection, own.account_id)
        key_id = new_id(IdKind.KEY, now)
        if idempotency_key is not None:
            kept = await reserve_answer(
                connection,
                account_id=own.account_id,
                key=idempotency_key,
                fingerprint=_fingerprint(own, wanted),
                resource_id=key_id,
                now=now,
                expires_at=now + _REPEATABLE,
            )
            if kept is not None and kept.fingerprint != _fingerprint(own, wanted):
                raise IdempotencyMismatch(
                    f"The Idempotency-Key {idempotency_key!r} was used for another request. Send a new key."
                )
            if kept is not None:
                made = await _find(connection, own, kept.resource_id)
                # It may have been given more since it was made.
                _refuse(beyond_maker(own, terms_of(made), self._default_rate), _TOO_MUCH)
                again = self._new_key(own, wanted, idempotency_key, made.id, made.created_at)
                return MadeKey(again, is_replay=True)
        if await store.count_valid_keys(connection, own.account_id, now) >= MOST_KEYS:
            raise Conflict(f"This account has {MOST_KEYS:,} valid keys, which is the most. Revoke those not in use.")
        new = self._new_key(own, wanted, idempotency_key, key_id, now)
        await store.insert_key(connection, new.key, hash_key(new.secret, self._server_secret))
        if idempotency_key is not None:
            await keep_answer(connection, own.account_id, idempotency_key, _CREATED, {"keyId": key_id})
        return MadeKey(new, is_replay=False)

    def _new_key(
        self, own: ApiKey, wanted: KeyTerms, idempotency_key: str | None, key_id: str, created_at: datetime
    ) -> NewKey:
        if idempotency_key is None:
            secret = new_secret_key(own.mode)
        else:
            secret = derived_secret_key(own.mode, self._server_secret, own.account_id, idempotency_key, key_id)
        key = ApiKey(
            id=key_id,
            account_id=own.account_id,
            name=wanted.name,
            mode=own.mode,
            prefix=public_prefix(secret),
            scopes=wanted.scopes,
            rate_per_minute=wanted.rate_per_minute,
            spend_cap=wanted.spend_cap,
            created_at=created_at,
            expires_at=wanted.expires_at,
        )
        return NewKey(key, secret)

    async def change(self, own: ApiKey, key_id: str, change: Change) -> ApiKey:
        """Change a key that is still valid; within seconds every node knows.

        Raises:
            NotFound: as `get`.
            Forbidden: it would get more than it had and the calling key has.
            Unauthorized: the calling key was revoked or has expired meanwhile.
            Conflict: the key was revoked or has expired.
        """
        now = self._clock.now()

        async def work(connection: AsyncConnection) -> ApiKey:
            # In one order, whoever changes whom: two keys that change one another must not wait for one another.
            for one in sorted({own.id, key_id}):
                await store.find_key(connection, one, own.account_id, own.mode, for_change=True)
            current = await _find(connection, own, key_id)
            asking = await _still_valid(connection, own, now)
            if not current.is_valid(now):
                raise Conflict(f"The API key {current.prefix}… {_end_of(current)} and stays so. Make a new one.")
            wanted = change(terms_of(current))
            found = beyond_changer(asking, current, wanted, self._default_rate)
            _refuse(found, "The key would get more than it had and the calling key has")
            changed = replace(
                current,
                name=wanted.name,
                scopes=wanted.scopes,
                rate_per_minute=wanted.rate_per_minute,
                spend_cap=wanted.spend_cap,
                expires_at=wanted.expires_at,
            )
            await store.update_key(connection, changed)
            return changed

        changed = await self._database.write(work)
        self._accounts.forget_keys()
        return changed

    async def revoke(self, own: ApiKey, key_id: str) -> None:
        """Revoke a key, be it the calling one; one that was revoked before stays so.

        Raises:
            NotFound: as `get`.
        """
        key = await self.get(own, key_id)
        await self._accounts.revoke_key(key.id)


async def _find(connection: AsyncConnection, own: ApiKey, key_id: str) -> ApiKey:
    key = await store.find_key(connection, key_id, own.account_id, own.mode)
    if key is None:
        raise NotFound(f"There is no such key in this account's {own.mode} mode. Its id begins with key_.")
    return key


async def _still_valid(connection: AsyncConnection, own: ApiKey, now: datetime) -> ApiKey:
    """Return the calling key as it stands now, and keep it from being revoked before this is done."""
    key = await store.find_key(connection, own.id, own.account_id, own.mode, for_change=True)
    if key is None or not key.is_valid(now):
        raise Unauthorized(f"The API key {own.prefix}… is not valid any more. Use another one.")
    return key


def _refuse(found: list[Violation], why: str) -> None:
    if found:
        said = "; ".join(f"{one.path}: {one.message}" for one in found)
        raise Forbidden(f"{why}. {said}.", details=found)


def _end_of(key: ApiKey) -> str:
    return "has expired" if key.revoked_at is None else "was revoked"


def _fingerprint(own: ApiKey, wanted: KeyTerms) -> str:
    cap = wanted.spend_cap
    parts = (
        "make a key",
        own.mode,
        wanted.name,
        sorted(wanted.scopes),
        wanted.rate_per_minute,
        None if cap is None else [cap.amount, cap.period],
        None if wanted.expires_at is None else wanted.expires_at.isoformat(),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
