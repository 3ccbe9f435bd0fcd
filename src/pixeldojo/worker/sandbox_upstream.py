"""What the sandbox adapter needs of the machine: media processes that draw, input files, and a durable count of calls.

The adapter itself only translates, as every adapter does; these are the parts an upstream would have on its side.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pixeldojo.assets.service import sandbox_folder
from pixeldojo.blobs import Blobs
from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.pool import MediaPool
from pixeldojo.media.render import render
from pixeldojo.providers.sandbox import DrawingFailed

_DRAWING_SECONDS = 900.0


class SandboxStudio:
    """Draws in the media processes; finished files belong to whoever asked."""

    def __init__(self, *, pool: MediaPool, blobs: Blobs, scratch: Path) -> None:
        self._pool = pool
        self._blobs = blobs
        self._scratch = scratch

    async def draw(self, order: JsonObject, input_paths: Sequence[Path]) -> tuple[Path, ...]:
        """Make what an order asks for; return the files, in order.

        Raises:
            DrawingFailed: if it cannot be drawn, whose message may be shown.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        try:
            made = await self._pool.run(
                render,
                dict(order),
                [str(path) for path in input_paths],
                str(self._scratch),
                timeout_seconds=_DRAWING_SECONDS,
            )
        except (UnreadableMedia, ValueError) as error:
            raise DrawingFailed(str(error)) from error
        return tuple(Path(path) for path in made)

    def open_input(self, blob_key: str) -> AbstractAsyncContextManager[Path]:
        """Give an input file of the job as a path to read."""
        return self._blobs.local_path(blob_key)


class SandboxLedger:
    """The sandbox's own books: one blob an entry, so that nobody has to believe ours; deleted with the job."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def record(self, job_id: str, name: str, content: bytes) -> bool:
        """Write an entry on a job unless it is there already; say whether it was written."""
        return await self._blobs.create(f"{sandbox_folder(job_id)}/{name}", content)
