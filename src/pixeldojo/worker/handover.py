"""How an upstream gets the media inputs of a job: by a public address, as a `data:` URI, or uploaded beforehand.

Owns the choice. What an upload is on the wire belongs to the adapter; fetching and checking the inputs to `inputs`.
"""

import base64
from collections.abc import Mapping, Sequence
from enum import Enum

from pixeldojo.blobs import Blobs
from pixeldojo.jobs.inline_media import LARGEST_INLINE_BYTES
from pixeldojo.providers.contract import HttpClient, InputFile, Provider, TakesContent, TakesUploads


class MediaHandover:
    """Makes an address for each file that the upstream can use."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def obstacle(self, files: Sequence[InputFile], provider: Provider) -> str | None:
        """Return why an upstream cannot be handed the files, in words for whoever gave them; None where it can."""
        if isinstance(provider, TakesContent):
            return _too_much_together(files, provider.largest_media_bytes)
        told = (_too_large(file, _way_of(file, provider)) for file in files)
        return next(filter(None, told), None)

    async def addresses(
        self, files: Sequence[InputFile], provider: Provider, endpoint: str, http: HttpClient
    ) -> Mapping[tuple[str, int], str]:
        """Return, by parameter and index, what stands for each file in the request to an upstream without obstacle.

        Raises:
            UpstreamError: the upstream did not take an upload; nothing that costs has been asked for.
        """
        return {(file.parameter, file.index): await self._address(file, provider, endpoint, http) for file in files}

    async def _address(self, file: InputFile, provider: Provider, endpoint: str, http: HttpClient) -> str:
        way = _way_of(file, provider)
        if way == _Way.ADDRESS:
            return str(file.source_url)
        content = await self._blobs.read_whole(file.blob_key, max_bytes=file.size_bytes)
        if way == _Way.UPLOAD and isinstance(provider, TakesUploads):
            return await provider.upload(file, content, endpoint, http)
        return f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"


class _Way(Enum):
    """How an upstream gets a file, and how long one may be; of those by address it is the upstream's own affair."""

    ADDRESS = None
    UPLOAD = 100_000_000
    INSIDE = LARGEST_INLINE_BYTES


def _way_of(file: InputFile, provider: Provider) -> _Way:
    if isinstance(provider, TakesContent):
        return _Way.INSIDE
    # Plain http is accepted for private networks only, where no upstream can fetch.
    if file.source_url is not None and file.source_url.startswith("https://"):
        return _Way.ADDRESS
    return _Way.UPLOAD if isinstance(provider, TakesUploads) and provider.wants_upload(file) else _Way.INSIDE


def _too_much_together(files: Sequence[InputFile], max_bytes: int) -> str | None:
    size_bytes = sum(file.size_bytes for file in files)
    if size_bytes <= max_bytes:
        return None
    return (
        f"{', '.join(dict.fromkeys(file.parameter for file in files))}: the files have {size_bytes:,} bytes "
        f"together; the upstream takes up to {max_bytes:,} bytes in a request. Send smaller ones."
    )


def _too_large(file: InputFile, way: _Way) -> str | None:
    if way.value is None or file.size_bytes <= way.value:
        return None
    return (
        f"{file.parameter}: the file has {file.size_bytes:,} bytes and no public https address; the upstream takes up "
        f"to {way.value:,} bytes without one. Put it where anyone can fetch it over https."
    )
