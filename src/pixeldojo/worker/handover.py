"""How an upstream gets the media inputs of a job: by a public address, as a `data:` URI, or uploaded beforehand.

Owns the choice. What an upload is on the wire belongs to the adapter; fetching and checking the inputs to `inputs`.
"""

import base64
from collections.abc import Mapping, Sequence

from pixeldojo.blobs import Blobs
from pixeldojo.jobs.inline_media import LARGEST_INLINE_BYTES
from pixeldojo.providers.contract import HttpClient, InputFile, Provider, TakesContent, TakesUploads
from pixeldojo.worker.inputs import UnusableInput

_LARGEST_UPLOAD_BYTES = 100_000_000


class MediaHandover:
    """Makes an address for each file that the upstream can use."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def addresses(
        self, files: Sequence[InputFile], provider: Provider, endpoint: str, http: HttpClient
    ) -> Mapping[tuple[str, int], str]:
        """Return, by parameter and index, what stands for each file in the request.

        Raises:
            UnusableInput: a file without a public address, or the files together, are too large to be handed over.
            UpstreamError: the upstream did not take an upload; nothing that costs has been asked for.
        """
        if isinstance(provider, TakesContent):
            return await self._contents(files, provider.largest_media_bytes)
        return {(file.parameter, file.index): await self._address(file, provider, endpoint, http) for file in files}

    async def _contents(self, files: Sequence[InputFile], max_bytes: int) -> Mapping[tuple[str, int], str]:
        size_bytes = sum(file.size_bytes for file in files)
        if size_bytes > max_bytes:
            raise UnusableInput(
                f"{', '.join(dict.fromkeys(file.parameter for file in files))}: the files have {size_bytes:,} bytes "
                f"together; the upstream takes up to {max_bytes:,} bytes in a request. Send smaller ones."
            )
        return {(file.parameter, file.index): await self._data_uri(file, max_bytes) for file in files}

    async def _address(self, file: InputFile, provider: Provider, endpoint: str, http: HttpClient) -> str:
        # Plain http is accepted for private networks only, where no upstream can fetch.
        if file.source_url is not None and file.source_url.startswith("https://"):
            return file.source_url
        if isinstance(provider, TakesUploads) and provider.wants_upload(file):
            content = await self._read(file, _LARGEST_UPLOAD_BYTES)
            return await provider.upload(file, content, endpoint, http)
        return await self._data_uri(file, LARGEST_INLINE_BYTES)

    async def _data_uri(self, file: InputFile, max_bytes: int) -> str:
        content = await self._read(file, max_bytes)
        return f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"

    async def _read(self, file: InputFile, max_bytes: int) -> bytes:
        if file.size_bytes > max_bytes:
            raise UnusableInput(
                f"{file.parameter}: the file has {file.size_bytes:,} bytes and no public https address; the upstream "
                f"takes up to {max_bytes:,} bytes inside a request. Put it where anyone can fetch it over https."
            )
        return await self._blobs.read_whole(file.blob_key, max_bytes=max_bytes)
