"""Assets: the files a job gave, their public addresses, their end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.assets import store
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import Blobs, BlobsUnavailable
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Expired, NotFound
from pixeldojo.db.engine import Database

_FOLDERS = ("assets", "inputs", "sandbox")
# Jobs whose files are deleted at a time: a store far away takes several calls for each.
_DELETED_AT_ONCE = 16


def assets_folder(job_id: str) -> str:
    """Return where the blobs of a job's outputs lie."""
    return f"{_FOLDERS[0]}/{job_id}"


def inputs_folder(job_id: str) -> str:
    """Return where our copies of a job's media inputs lie."""
    return f"{_FOLDERS[1]}/{job_id}"


def sandbox_folder(job_id: str) -> str:
    """Return where the sandbox's own books on a job lie."""
    return f"{_FOLDERS[2]}/{job_id}"


def inline_blob_key(job_id: str, digest: str) -> str:
    """Return where media that came inside a request lies, by its SHA-256."""
    return f"{inputs_folder(job_id)}/inline-{digest}"


class AssetsService:
    """Keeps files under addresses that cannot be guessed and that end."""

    def __init__(self, database: Database, blobs: Blobs, clock: Clock, base_url: str) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._base_url = base_url

    def url(self, asset: Asset) -> str:
        """Return the address under which anyone who knows it can fetch the file until it expires."""
        return f"{self._base_url}/assets/{asset.file_name}"

    async def register(self, connection: AsyncConnection, new: Sequence[Asset], now: datetime) -> None:
        """Add the files of a job, as part of the transaction that completes it."""
        if new:
            await store.insert_assets(connection, new, now)

    async def list_assets(self, job_ids: Sequence[str]) -> dict[str, list[Asset]]:
        """Return the assets of several jobs, each in output order."""
        if not job_ids:
            return {}
        async with self._database.read() as connection:
            return await store.list_assets(connection, job_ids)

    async def open_asset(self, file_name: str) -> Asset:
        """Return the asset behind the last part of its address.

        Raises:
            NotFound: if there never was one.
            Expired: if its time is over.
        """
        asset_id, _, extension = file_name.partition(".")
        async with self._database.read() as connection:
            asset = await store.find_asset(connection, asset_id)
        if asset is None or asset.extension != extension:
            raise NotFound("There is no such asset. Asset addresses are in the job's `output` and `assets`.")
        if asset.is_deleted or asset.expires_at <= self._clock.now():
            raise Expired("This asset has expired or was deleted. Run the job again to get a new one.")
        return asset

    async def keep_inline_files(self, job_id: str, files: Mapping[str, bytes]) -> None:
        """Keep media that came inside a request, by SHA-256, for the worker to find."""
        for digest, content in files.items():
            await self._blobs.put(inline_blob_key(job_id, digest), content)

    def own_file_name(self, url: str) -> str | None:
        """Return the file name when the address is one of our own assets; None otherwise."""
        prefix = f"{self._base_url}/assets/"
        return url.removeprefix(prefix) if url.startswith(prefix) else None

    async def delete_files(self, job_ids: Sequence[str]) -> Mapping[str, BlobsUnavailable]:
        """Delete the files of jobs whose time is over: outputs, the copies of inputs, the sandbox's books.

        Returns the jobs of which some may be left, each with what the media store said; files of others are deleted.
        """
        places = asyncio.Semaphore(_DELETED_AT_ONCE)

        async def delete(job_id: str) -> BlobsUnavailable | None:
            async with places:
                try:
                    for folder in _FOLDERS:
                        files = [blob.key async for blob in self._blobs.list_blobs(f"{folder}/{job_id}")]
                        await self._blobs.delete(files)
                except BlobsUnavailable as error:
                    return error
            return None

        outcomes = await asyncio.gather(*map(delete, job_ids))
        return {job_id: error for job_id, error in zip(job_ids, outcomes, strict=True) if error is not None}

    async def files_older_than(self, moment: datetime, batch: int) -> AsyncIterator[set[str]]:
        """Yield the jobs that have a file written before `moment`, in batches; a job may come in several."""
        job_ids: set[str] = set()
        for folder in _FOLDERS:
            async for blob in self._blobs.list_blobs(folder):
                if blob.modified_at < moment:
                    job_ids.add(blob.key.split("/")[1])
                if len(job_ids) >= batch:
                    yield job_ids
                    job_ids = set()
        if job_ids:
            yield job_ids

    async def mark_deleted(self, connection: AsyncConnection, job_ids: Sequence[str]) -> None:
        """Note that the files are gone."""
        await store.mark_deleted(connection, job_ids)
