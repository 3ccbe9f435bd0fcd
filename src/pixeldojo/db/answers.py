"""Answers kept under an idempotency key: a primary key that two transactions cannot both insert."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.core.json_types import JsonObject
from pixeldojo.db.dialect import insert_for
from pixeldojo.db.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered to the first request with a key."""

    fingerprint: str
    resource_id: str
    status: int
    answer: JsonObject


async def reserve_answer(
    connection: AsyncConnection,
    *,
    account_id: str,
    key: str,
    fingerprint: str,
    resource_id: str,
    now: datetime,
    expires_at: datetime,
) -> KeptAnswer | None:
    """Take a key for this transaction; return None, or the answer kept under it when it was taken before."""
    await connection.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.account_id == account_id,
            idempotency_keys.c.key == key,
            idempotency_keys.c.expires_at <= now,
        )
    )
    result = await connection.execute(
        insert_for(connection, idempotency_keys)
        .values(
            account_id=account_id,
            key=key,
            fingerprint=fingerprint,
            resource_id=resource_id,
            status=0,
            answer={},
            created_at=now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
    )
    if result.rowcount == 1:
        return None
    return await find_answer(connection, account_id, key, now)


async def find_answer(connection: AsyncConnection, account_id: str, key: str, now: datetime) -> KeptAnswer | None:
    """Return the answer kept under a key, unless its time is over."""
    query = select(
        idempotency_keys.c.fingerprint,
        idempotency_keys.c.resource_id,
        idempotency_keys.c.status,
        idempotency_keys.c.answer,
    ).where(
        idempotency_keys.c.account_id == account_id,
        idempotency_keys.c.key == key,
        idempotency_keys.c.expires_at > now,
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else KeptAnswer(*row)


async def keep_answer(connection: AsyncConnection, account_id: str, key: str, status: int, answer: JsonObject) -> None:
    """Keep the answer under a key that `reserve_answer` took in this transaction."""
    await connection.execute(
        update(idempotency_keys)
        .where(idempotency_keys.c.account_id == account_id, idempotency_keys.c.key == key)
        .values(status=status, answer=answer)
    )


async def extend_answers(connection: AsyncConnection, resource_id: str, expires_at: datetime) -> None:
    """Keep the answers that name a resource until the resource itself expires."""
    await connection.execute(
        update(idempotency_keys).where(idempotency_keys.c.resource_id == resource_id).values(expires_at=expires_at)
    )


async def forget_answers(connection: AsyncConnection, now: datetime) -> None:
    """Delete answers whose time is over."""
    await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= now))
