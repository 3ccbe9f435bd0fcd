"""All SQL on accounts, API keys and webhook secrets."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts.keys import ApiKey, KeyMode, Scope, SpendCap, SpendCapPeriod
from pixeldojo.db.tables import accounts, api_keys, webhook_secrets


async def insert_account(connection: AsyncConnection, account_id: str, name: str, now: datetime) -> None:
    """Add an account."""
    await connection.execute(insert(accounts).values(id=account_id, name=name, created_at=now))


async def find_account(connection: AsyncConnection, name: str) -> str | None:
    """Return the id of the oldest account with that name or id."""
    query = select(accounts.c.id).where((accounts.c.name == name) | (accounts.c.id == name)).order_by(accounts.c.id)
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def insert_key(connection: AsyncConnection, key: ApiKey, key_hash: str) -> None:
    """Add an API key, of which only the keyed hash is stored."""
    await connection.execute(
        insert(api_keys).values(
            id=key.id,
            account_id=key.account_id,
            name=key.name,
            mode=key.mode,
            prefix=key.prefix,
            hash=key_hash,
            scopes=sorted(key.scopes),
            rate_per_minute=key.rate_per_minute,
            spend_cap=key.spend_cap.amount if key.spend_cap else None,
            spend_cap_period=key.spend_cap.period if key.spend_cap else None,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )
    )


async def find_key_by_hash(connection: AsyncConnection, key_hash: str) -> ApiKey | None:
    """Return the key with that hash, revoked and expired ones too."""
    row = (await connection.execute(select(api_keys).where(api_keys.c.hash == key_hash))).one_or_none()
    return None if row is None else _key(row)


async def list_keys(connection: AsyncConnection, account_id: str | None) -> list[ApiKey]:
    """Return the keys of an account, or of all accounts, oldest first."""
    query = select(api_keys).order_by(api_keys.c.id)
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    return [_key(row) for row in await connection.execute(query)]


async def list_key_page(
    connection: AsyncConnection, account_id: str, mode: str, limit: int, cursor: str | None
) -> list[ApiKey]:
    """Return one page of the keys of an account and mode, and one key more, newest first, revoked and expired too."""
    query = select(api_keys).where(api_keys.c.account_id == account_id, api_keys.c.mode == mode)
    if cursor is not None:
        query = query.where(api_keys.c.id < cursor)
    found = await connection.execute(query.order_by(api_keys.c.id.desc()).limit(limit + 1))
    return [_key(row) for row in found]


async def find_key(
    connection: AsyncConnection, key_id: str, account_id: str, mode: str, *, for_change: bool = False
) -> ApiKey | None:
    """Return a key of an account and mode.

    `for_change` keeps others from changing or revoking it before the transaction ends; they may go on using it.
    """
    query = select(api_keys).where(
        api_keys.c.id == key_id, api_keys.c.account_id == account_id, api_keys.c.mode == mode
    )
    row = (await connection.execute(query.with_for_update(key_share=True) if for_change else query)).one_or_none()
    return None if row is None else _key(row)


async def count_valid_keys(connection: AsyncConnection, account_id: str, now: datetime) -> int:
    """Return how many keys of an account are neither revoked nor past their expiry."""
    query = select(func.count()).where(
        api_keys.c.account_id == account_id,
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > now),
    )
    return (await connection.execute(query)).scalar_one()


async def update_key(connection: AsyncConnection, key: ApiKey) -> None:
    """Give a key the name, the scopes and the limits that it now has."""
    cap = key.spend_cap
    await connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key.id)
        .values(
            name=key.name,
            scopes=sorted(key.scopes),
            rate_per_minute=key.rate_per_minute,
            spend_cap=None if cap is None else cap.amount,
            spend_cap_period=None if cap is None else cap.period,
            expires_at=key.expires_at,
        )
    )


async def revoke_key(connection: AsyncConnection, key: str, now: datetime) -> int:
    """Revoke the key with that id or prefix; return how many were revoked now."""
    matches = (api_keys.c.id == key) | (api_keys.c.prefix == key)
    result = await connection.execute(
        update(api_keys).where(matches, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return result.rowcount


async def count_keys(connection: AsyncConnection, key: str) -> int:
    """Return how many keys have that id or prefix."""
    query = select(func.count()).where((api_keys.c.id == key) | (api_keys.c.prefix == key))
    return (await connection.execute(query)).scalar_one()


async def insert_secret(connection: AsyncConnection, account_id: str, version: int, secret: str, now: datetime) -> None:
    """Add a webhook secret."""
    await connection.execute(
        insert(webhook_secrets).values(account_id=account_id, version=version, secret=secret, created_at=now)
    )


async def lock_account(connection: AsyncConnection, account_id: str) -> None:
    """Let one transaction at a time go on from here for an account; those that merely name it, as jobs do, go on."""
    one = select(accounts.c.id).where(accounts.c.id == account_id)
    await connection.execute(one.with_for_update(key_share=True))


async def retire_secrets(connection: AsyncConnection, account_id: str, expires_at: datetime) -> None:
    """Let every secret that has no end yet end at `expires_at`."""
    await connection.execute(
        update(webhook_secrets)
        .where(webhook_secrets.c.account_id == account_id, webhook_secrets.c.expires_at.is_(None))
        .values(expires_at=expires_at)
    )


async def newest_secret_version(connection: AsyncConnection, account_id: str) -> int:
    """Return the newest version number; 0 when the account has none."""
    query = select(func.max(webhook_secrets.c.version)).where(webhook_secrets.c.account_id == account_id)
    return (await connection.execute(query)).scalar_one() or 0


async def valid_secrets(connection: AsyncConnection, account_id: str, now: datetime) -> Sequence[str]:
    """Return the secrets in force, newest first."""
    query = (
        select(webhook_secrets.c.secret)
        .where(
            webhook_secrets.c.account_id == account_id,
            webhook_secrets.c.expires_at.is_(None) | (webhook_secrets.c.expires_at > now),
        )
        .order_by(webhook_secrets.c.version.desc())
    )
    return (await connection.execute(query)).scalars().all()


async def secret_of(connection: AsyncConnection, account_id: str, version: int) -> str:
    """Return the secret of that version, in force or not."""
    query = select(webhook_secrets.c.secret).where(
        webhook_secrets.c.account_id == account_id, webhook_secrets.c.version == version
    )
    secret: str = (await connection.execute(query)).scalar_one()
    return secret


async def next_secret_end(connection: AsyncConnection, account_id: str, now: datetime) -> datetime:
    """Return when the first of the secrets ends that sign beside the newest; there must be one."""
    query = select(func.min(webhook_secrets.c.expires_at)).where(
        webhook_secrets.c.account_id == account_id, webhook_secrets.c.expires_at > now
    )
    end: datetime = (await connection.execute(query)).scalar_one()
    return end


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    columns = row._mapping
    cap = columns[api_keys.c.spend_cap]
    return ApiKey(
        id=columns[api_keys.c.id],
        account_id=columns[api_keys.c.account_id],
        name=columns[api_keys.c.name],
        mode=KeyMode(columns[api_keys.c.mode]),
        prefix=columns[api_keys.c.prefix],
        scopes=frozenset(Scope(scope) for scope in columns[api_keys.c.scopes]),
        rate_per_minute=columns[api_keys.c.rate_per_minute],
        spend_cap=None if cap is None else SpendCap(cap, SpendCapPeriod(columns[api_keys.c.spend_cap_period])),
        created_at=columns[api_keys.c.created_at],
        expires_at=columns[api_keys.c.expires_at],
        revoked_at=columns[api_keys.c.revoked_at],
    )
