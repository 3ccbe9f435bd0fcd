"""Uploaded files: taken in as they come, judged by their content, kept under addresses that cannot be guessed and
that end.

Owns what may be uploaded and how much of it. Leaves the forms of a request to the API, and whether a file is whole to
the job that uses it. Whose file it is plays no part in its use: like an asset's, its address is the permission.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from pixeldojo.accounts.store import lock_account
from pixeldojo.blobs import Blobs
from pixeldojo.core.clock import Clock, iso_utc
from pixeldojo.core.errors import (
    Conflict,
    Expired,
    IdempotencyMismatch,
    NotFound,
    PayloadTooLarge,
    PixelDojoError,
    UnsupportedMediaType,
    ValidationError,
)
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.core.json_types import JsonObject
from pixeldojo.db.answers import KeptAnswer, find_answer, keep_answer, reserve_answer
from pixeldojo.db.engine import Database
from pixeldojo.files import store
from pixeldojo.files.store import File
from pixeldojo.media.facts import EXTENSIONS, UnreadableMedia
from pixeldojo.media.sniff import HEAD_BYTES, KNOWN, sniff

_FOLDER = "files"
_KINDS = frozenset({"image", "video", "audio"})
# No upload takes as long: what has no row by then never gets one.
_STRAY_AFTER = timedelta(hours=2)
_STRAY_BATCH = 500


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The answer to an upload, and whether it was given before."""

    answer: JsonObject
    is_replay: bool


class FilesService:
    """Takes files in, gives them out, and ends them."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        base_url: str,
        retention: timedelta,
        linger: timedelta,
        max_file_bytes: int,
        max_account_bytes: int,
    ) -> None:
        """Make the service.

        Args:
            retention: How long a file can be had after its upload.
            linger: How much longer its bytes stay for jobs that were submitted before: as long as such a job may take.
            max_account_bytes: What all files of an account may have together.
        """
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._base_url = base_url
        self._retention = retention
        self._linger = linger
        self._max_file_bytes = max_file_bytes
        self._max_account_bytes = max_account_bytes

    async def take_in(
        self, account_id: str, content: AsyncIterator[bytes], idempotency_key: str | None = None
    ) -> TakenIn:
        """Keep a file, however long, in bounded memory.

        Raises:
            ValidationError: it is empty.
            UnsupportedMediaType: it is no image, video or audio that is known here.
            PayloadTooLarge: it is longer than a file may be.
            Conflict: the account has no room for it.
            IdempotencyMismatch: the key was used for something else.
            BlobsUnavailable: the media store did not take it.
        """
        incoming = _Incoming(content, self._max_file_bytes)
        async with self._database.read() as connection:
            now = self._clock.now()
            kept = await find_answer(connection, account_id, idempotency_key, now) if idempotency_key else None
            if kept is None:
                await self._refuse_full(connection, account_id, 1, now)
        if kept is not None:
            return _replayed(kept, idempotency_key, await incoming.read_away())
        file_id = new_id(IdKind.FILE, now)
        content_type = _content_type(await incoming.head())
        extension = EXTENSIONS[content_type]
        blob_key = f"{_FOLDER}/{file_id}.{extension}"
        await self._blobs.put(blob_key, incoming.whole())
        now = self._clock.now()
        file = File(
            id=file_id,
            account_id=account_id,
            content_type=content_type,
            extension=extension,
            size_bytes=incoming.size_bytes,
            sha256=incoming.sha256,
            blob_key=blob_key,
            created_at=now,
            expires_at=now + self._retention,
        )
        try:
            taken = await self._database.write(lambda connection: self._keep(connection, file, idempotency_key))
        except PixelDojoError:
            # Only where there is surely no row; what any other failure leaves behind is found among the strays.
            await self._blobs.delete([blob_key])
            raise
        if taken.is_replay:
            await self._blobs.delete([blob_key])
        return taken

    async def _keep(self, connection: AsyncConnection, file: File, idempotency_key: str | None) -> TakenIn:
        # One upload of an account at a time from here on, so that together they stay within its bound.
        await lock_account(connection, file.account_id)
        if idempotency_key is not None:
            kept = await reserve_answer(
                connection,
                account_id=file.account_id,
                key=idempotency_key,
                fingerprint=_fingerprint(file.sha256),
                resource_id=file.id,
                now=file.created_at,
                expires_at=file.expires_at,
            )
            if kept is not None:
                return _replayed(kept, idempotency_key, file.sha256)
        await self._refuse_full(connection, file.account_id, file.size_bytes, file.created_at)
        await store.insert_file(connection, file)
        answer: JsonObject = {
            "fileId": file.id,
            "url": self.url(file),
            "contentType": file.content_type,
            "sizeBytes": file.size_bytes,
            "expiresAt": iso_utc(file.expires_at),
        }
        if idempotency_key is not None:
            await keep_answer(connection, file.account_id, idempotency_key, 201, answer)
        return TakenIn(answer, is_replay=False)

    async def _refuse_full(self, connection: AsyncConnection, account_id: str, size_bytes: int, now: datetime) -> None:
        used, first_end = await store.account_use(connection, account_id, now)
        if used + size_bytes <= self._max_account_bytes:
            return
        until = "" if first_end is None else f" The first of them expires at {iso_utc(first_end)}."
        raise Conflict(
            f"There is no room for this file: this account's uploads have {used:,} bytes, and may have "
            f"{self._max_account_bytes:,}.{until} Until then, give a public https address instead of a file."
        )

    def url(self, file: File) -> str:
        """Return the address under which anyone who knows it can fetch the file until it expires."""
        return f"{self._base_url}/files/{file.file_name}"

    def own_file_name(self, url: str) -> str | None:
        """Return the file name when the address is that of an upload; None otherwise."""
        prefix = f"{self._base_url}/files/"
        return url.removeprefix(prefix) if url.startswith(prefix) else None

    async def open_file(self, file_name: str, *, at: datetime | None = None) -> File:
        """Return the file behind the last part of its address.

        Args:
            at: When it must not have expired; now when None. A job that waited in line has the files that were there
                when it was submitted.

        Raises:
            NotFound: if there never was one.
            Expired: if its time was over.
        """
        file_id, _, extension = file_name.partition(".")
        async with self._database.read() as connection:
            file = await store.find_file(connection, file_id)
        if file is None or file.extension != extension:
            raise NotFound("There is no such file. The answer to an upload has its address in `url`.")
        if file.is_deleted or file.expires_at <= (at or self._clock.now()):
            raise Expired("This file has expired and was deleted. Upload it again to get a new address.")
        return file

    async def purge_expired(self, limit: int) -> int:
        """Delete files whose time is over, and that no job can still be waiting for; return how many."""
        async with self._database.read() as connection:
            expired = await store.expired_files(connection, self._clock.now() - self._linger, limit)
        if expired:
            # Blobs first: if we die in between, the next sweep finds the rows again.
            await self._blobs.delete([file.blob_key for file in expired])
            file_ids = [file.id for file in expired]
            await self._database.write(lambda connection: store.mark_deleted(connection, file_ids))
        return len(expired)

    async def delete_strays(self) -> int:
        """Delete blobs of uploads that never became a file, or that is deleted; return how many.

        A process that dies between writing a blob and its row leaves such blobs.
        """
        count = 0
        oldest_kept = self._clock.now() - _STRAY_AFTER
        batch: list[str] = []
        async for blob in self._blobs.list_blobs(_FOLDER):
            if blob.modified_at < oldest_kept:
                batch.append(blob.key)
            if len(batch) == _STRAY_BATCH:
                count += await self._delete_strays_of(batch)
                batch = []
        return count + await self._delete_strays_of(batch)

    async def _delete_strays_of(self, blob_keys: list[str]) -> int:
        if not blob_keys:
            return 0
        async with self._database.read() as connection:
            strays = set(blob_keys) - await store.kept_keys(connection, blob_keys)
        await self._blobs.delete(sorted(strays))
        return len(strays)


def too_large(max_bytes: int) -> str:
    """Return what is said of a file over the limit."""
    return (
        f"The file is larger than {max_bytes:,} bytes, the most that is taken. Put it where anyone can fetch it over "
        "https, and give that address as the input."
    )


class _Incoming:
    """A file on its way in, which can be read once: how much has come so far, and its digest."""

    def __init__(self, content: AsyncIterator[bytes], max_bytes: int) -> None:
        self._content = content
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._head = b""
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """The digest, in lower-case hexadecimal."""
        return self._digest.hexdigest()

    async def head(self) -> bytes:
        """Return enough of the beginning to tell what it is; all of a file that is shorter."""
        while len(self._head) < HEAD_BYTES:
            chunk = await self._next()
            if chunk is None:
                break
            self._head += chunk
        return self._head[:HEAD_BYTES]

    async def whole(self) -> AsyncGenerator[bytes, None]:
        """Yield all of it, the head too.

        Raises:
            PayloadTooLarge: when it turns out to be longer than it may be.
        """
        chunk: bytes | None = self._head
        while chunk is not None:
            if self.size_bytes > self._max_bytes:
                raise PayloadTooLarge(too_large(self._max_bytes))
            yield chunk
            chunk = await self._next()

    async def read_away(self) -> str:
        """Read all of it, keep nothing, and return the digest."""
        async with aclosing(self.whole()) as chunks:
            async for _ in chunks:
                """Only the digest is wanted."""
        return self.sha256

    async def _next(self) -> bytes | None:
        chunk = await anext(self._content, None)
        if chunk is None:
            return None
        self.size_bytes += len(chunk)
        self._digest.update(chunk)
        return chunk


def _content_type(head: bytes) -> str:
    if not head:
        raise ValidationError("The upload is empty; send the bytes of an image, a video or audio.")
    try:
        content_type = sniff(head)
    except UnreadableMedia as error:
        raise UnsupportedMediaType(f"The upload cannot be an input: {error}.") from error
    if content_type.partition("/")[0] not in _KINDS:
        raise UnsupportedMediaType(f"The upload cannot be an input: the file is {content_type}; send one of {KNOWN}.")
    return content_type


def _replayed(kept: KeptAnswer, key: str | None, sha256: str) -> TakenIn:
    if kept.fingerprint != _fingerprint(sha256):
        raise IdempotencyMismatch(
            f"The Idempotency-Key {key!r} was used for another request. Send the same file, or a new key."
        )
    return TakenIn(kept.answer, is_replay=True)


def _fingerprint(sha256: str) -> str:
    """Nothing but the content counts; the words keep a file from being taken for another kind of request."""
    return hashlib.sha256(f"upload {sha256}".encode()).hexdigest()
