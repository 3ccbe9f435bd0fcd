"""All SQL on uploaded files."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.tables import files


@dataclass(frozen=True, slots=True)
class File:
    """A file that a caller uploaded: anyone who knows its address may have it until `expires_at`."""

    id: str
    account_id: str
    content_type: str
    extension: str
    size_bytes: int
    sha256: str
    blob_key: str
    created_at: datetime
    expires_at: datetime
    is_deleted: bool = False

    @property
    def file_name(self) -> str:
        """The last part of its address: its id and what kind of file it is."""
        return f"{self.id}.{self.extension}"


async def insert_file(connection: AsyncConnection, file: File) -> None:
    """Add a file."""
    await connection.execute(insert(files).values({field.name: getattr(file, field.name) for field in fields(file)}))


async def find_file(connection: AsyncConnection, file_id: str) -> File | None:
    """Return a file, deleted ones too."""
    row = (await connection.execute(select(files).where(files.c.id == file_id))).one_or_none()
    return None if row is None else _file(row)


async def account_use(connection: AsyncConnection, account_id: str, now: datetime) -> tuple[int, datetime | None]:
    """Return how many bytes an account's files have, and when the first of them expires; None where there is none."""
    query = select(func.sum(files.c.size_bytes), func.min(files.c.expires_at)).where(
        files.c.account_id == account_id, files.c.expires_at > now
    )
    size_bytes, first_end = (await connection.execute(query)).one()
    return int(size_bytes or 0), first_end


async def expired_files(connection: AsyncConnection, moment: datetime, limit: int) -> list[File]:
    """Return files that expired before `moment` and still lie in the media store, the oldest first."""
    query = (
        select(files)
        .where(files.c.is_deleted.is_(False), files.c.expires_at <= moment)
        .order_by(files.c.expires_at)
        .limit(limit)
    )
    return [_file(row) for row in await connection.execute(query)]


async def mark_deleted(connection: AsyncConnection, file_ids: Sequence[str]) -> None:
    """Note that files are gone; their rows stay, so that their addresses say so."""
    await connection.execute(update(files).where(files.c.id.in_(file_ids)).values(is_deleted=True))


async def kept_keys(connection: AsyncConnection, blob_keys: Collection[str]) -> set[str]:
    """Return those of the keys under which a file lies that is still to be kept."""
    query = select(files.c.blob_key).where(files.c.blob_key.in_(blob_keys), files.c.is_deleted.is_(False))
    return set((await connection.execute(query)).scalars())


def _file(row: Row[tuple[object, ...]]) -> File:
    return File(**row._mapping)
