"""Files on their way through a worker: fetched from outside, measured in the media processes, kept as blobs."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from pixeldojo.blobs import Blobs
from pixeldojo.media.facts import MediaFacts
from pixeldojo.media.pool import MediaPool
from pixeldojo.media.probe import probe_media, probe_output
from pixeldojo.net.fetch import Fetcher

_MEASURE_SECONDS = 60.0
_FETCH_SECONDS = 600.0


class MediaFiles:
    """Moves files between addresses, a scratch folder and the blobs, in bounded memory."""

    def __init__(self, *, fetcher: Fetcher, pool: MediaPool, blobs: Blobs, scratch: Path, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._pool = pool
        self._blobs = blobs
        self._scratch = scratch
        self._max_bytes = max_bytes

    @property
    def blobs(self) -> Blobs:
        """Where files are kept."""
        return self._blobs

    @asynccontextmanager
    async def scratch_folder(self) -> AsyncIterator[Path]:
        """Give a folder of its own that is deleted with all it holds."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._scratch))
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def fetch(self, url: str, path: Path, headers: Mapping[str, str] | None = None) -> str:
        """Download an address that somebody else named, or one that is the upstream's own with what it wants to see.

        Returns the SHA-256 of the file.

        Raises:
            FetchFailed: with a message that may be shown.
        """
        fetched = await self._fetcher.fetch_to(
            url, path, max_bytes=self._max_bytes, timeout_seconds=_FETCH_SECONDS, headers=headers
        )
        return fetched.sha256

    async def measure(self, path: Path) -> MediaFacts:
        """Decode a file in a media process and say what it is.

        Raises:
            UnreadableMedia: if it is broken, unknown or too large to decode.
        """
        return await self._pool.run(probe_media, path, timeout_seconds=_MEASURE_SECONDS)

    async def measure_output(self, path: Path) -> MediaFacts:
        """Say in a media process what a file of an upstream is; an image is decoded only where it has to be.

        Raises:
            UnreadableMedia: if it is broken, unknown or too large to decode.
        """
        return await self._pool.run(probe_output, path, timeout_seconds=_MEASURE_SECONDS)

    async def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file."""
        return await asyncio.to_thread(_sha256, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
