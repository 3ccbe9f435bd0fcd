"""All SQL on assets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.db.tables import assets

_COLUMNS = [column for column in assets.c if column.name != "created_at"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One output file of a job, kept in our blobs until `expires_at`."""

    id: str
    job_id: str
    account_id: str
    position: int
    kind: str
    content_type: str
    extension: str
    size_bytes: int
    sha256: str
    width: int | None
    height: int | None
    duration_seconds: float | None
    blob_key: str
    expires_at: datetime
    is_deleted: bool = False

    @property
    def file_name(self) -> str:
        """The last part of its address: its id and what kind of file it is."""
        return f"{self.id}.{self.extension}"


async def insert_assets(connection: AsyncConnection, new: Sequence[Asset], now: datetime) -> None:
    """Add a job's assets."""
    rows = [{column.name: getattr(asset, column.name) for column in _COLUMNS} | {"created_at": now} for asset in new]
    await connection.execute(insert(assets), rows)


async def find_asset(connection: AsyncConnection, asset_id: str) -> Asset | None:
    """Return an asset, deleted ones too."""
    row = (await connection.execute(select(*_COLUMNS).where(assets.c.id == asset_id))).one_or_none()
    return None if row is None else _asset(row)


async def list_assets(connection: AsyncConnection, job_ids: Sequence[str]) -> dict[str, list[Asset]]:
    """Return the assets of several jobs, each job's in output order."""
    found: dict[str, list[Asset]] = {job_id: [] for job_id in job_ids}
    query = select(*_COLUMNS).where(assets.c.job_id.in_(job_ids)).order_by(assets.c.job_id, assets.c.position)
    for row in await connection.execute(query):
        found[row.job_id].append(_asset(row))
    return found


async def mark_deleted(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Note that the files of these jobs are gone."""
    await connection.execute(update(assets).where(assets.c.job_id.in_(job_ids)).values(is_deleted=True))


def _asset(row: Row[tuple[object, ...]]) -> Asset:
    return Asset(**row._mapping)
