"""How an upstream gets the media inputs of a job: by a public address, as a `data:` URI, or uploaded beforehand.

Owns the choice. What an upload is on the wire belongs to the adapter; fetching and checking the inputs to `inputs`.
"""

import base64
from collections.abc import Mapping, Sequence

from pixeldojo.blobs import Blobs
from pixeldojo.jobs.inline_media import LARGEST_INLINE_BYTES
from pixeldojo.providers.contract import HttpClient, InputFile, Provider, TakesUploads
from pixeldojo.worker.inputs import UnusableInput

_LARGEST_UPLOAD_BYTES = 100_000_000


class MediaHandover:
    """Makes an address for each file that the upstream can use."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def addresses(
        self, files: Sequence[InputFile], provider: Provider, http: HttpClient
    ) -> Mapping[tuple[str, int], str]:
        """Return, by parameter and index, what stands for each file in the request.

        Raises:
            UnusableInput: a file without a public address is too large to be handed over.
            UpstreamError: the upstream did not take an upload; nothing that costs has been asked for.
        """
        return {(file.parameter, file.index): await self._address(file, provider, http) for file in files}

    async def _address(self, file: InputFile, provider: Provider, http: HttpClient) -> str:
        # Plain http is accepted for private networks only, where no upstream can fetch.
        if file.source_url is not None and file.source_url.startswith("https://"):
            return file.source_url
        if isinstance(provider, TakesUploads) and provider.wants_upload(file):
            return await provider.upload(file, await self._read(file, _LARGEST_UPLOAD_BYTES), http)
        content = await self._read(file, LARGEST_INLINE_BYTES)
        return f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"

    async def _read(self, file: InputFile, max_bytes: int) -> bytes:
        if file.size_bytes > max_bytes:
            raise UnusableInput(
                f"{file.parameter}: the file has {file.size_bytes:,} bytes and no public https address; the upstream "
                f"takes up to {max_bytes:,} bytes inside a request. Put it where anyone can fetch it over https."
            )
        return await self._blobs.read_whole(file.blob_key, max_bytes=max_bytes)
