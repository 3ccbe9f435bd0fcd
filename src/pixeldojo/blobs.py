"""The media address: bytes under keys, in a local folder, in memory, or in an object store.

Owns the meaning of the address, the rules for keys and the translation of the store's errors. obstore does the
work: it writes whole or not at all, so a reader never meets half a file. What a key means, how long it lives and
who may read it is for `assets`.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.ids import new_token

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, ObjectStore, RetryConfig, S3Config

READ_CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 5 * 1024 * 1024
"""Uploads up to this size are one request, longer ones are sent in parts of it (S3 takes none smaller)."""

_PARTS_AT_ONCE: Final = 4
_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
_KEY_LIMIT: Final = 512
_OPTIONS: Final = {
    "s3": {"endpoint": "endpoint", "region": "region"},
    "gs": {"endpoint": "base_url"},
    "az": {"endpoint": "endpoint", "account": "account_name"},
}
"""What an address may carry after `?`, in our word and in obstore's."""

_ADDRESS_HELP = (
    "give a folder (./media or file:///srv/media), memory://, s3://bucket/prefix, gs://bucket/prefix or"
    " az://container/prefix"
)


class BlobMissing(Exception):
    """Nothing lies under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no blob under {key!r}")
        self.key = key


class BlobsUnavailable(Exception):
    """The store did not do it; the message is for the operator's log, not for callers."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What the store knows of a blob without reading it.

    Attributes:
        key: Where it lies.
        size_bytes: Its length.
        etag: The store's own tag of this version, quoted as in an HTTP header; None where it has none.
        modified_at: When it was written, aware.
    """

    key: str
    size_bytes: int
    etag: str | None
    modified_at: datetime


class Blobs:
    """Blobs under keys such as `assets/job_…/0.png`.

    Keys are relative paths of letters, digits, `.`, `_` and `-`; no segment is empty or starts with a dot, so no
    key can leave the store's folder. A key that breaks this is a `ValueError`: keys are made by us.
    Every method but `put` of a broken source raises nothing beyond `BlobMissing`, `BlobsUnavailable` and that.
    """

    def __init__(self, store: "ObjectStore", *, folder: Path | None = None, scratch: Path | None = None) -> None:
        """Wrap a store.

        Args:
            store: The obstore store.
            folder: The folder under a local store; lets `local_path` skip the copy.
            scratch: Where `local_path` puts copies of remote blobs; the system's temporary folder when None.
        """
        self._store = store
        self._folder = folder
        self._scratch = scratch

    async def put(self, key: str, content: bytes | Path | AsyncIterable[bytes]) -> None:
        """Write a blob, replacing what was there; readers meet the old one or the new one, whole.

        A source that raises leaves nothing behind, and its own exception comes out. Memory stays within a few
        parts of `PART_BYTES`, however long the content.
        """
        check_key(key)
        if isinstance(content, bytes | Path):
            await self._put(key, content)
            return
        async with aclosing(_stream(content)) as chunks:
            head = bytearray()
            async for chunk in chunks:
                head += chunk
                if len(head) > PART_BYTES:
                    break
            else:
                await self._put(key, bytes(head))
                return
            async with aclosing(_continued(bytes(head), chunks)) as whole:
                await self._put(key, whole)

    async def create(self, key: str, content: bytes) -> bool:
        """Write a blob unless one is there; say whether it was written. Of many at once exactly one wins."""
        check_key(key)
        with _write_errors(key):
            try:
                await obstore.put_async(self._store, key, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def copy(self, key: str, to: str) -> None:
        """Write a blob again under another key, replacing what was there; no byte of it passes through us."""
        check_key(key)
        check_key(to)
        with _read_errors(key):
            if self._folder is None:
                await obstore.copy_async(self._store, key, to)
            else:
                # obstore would link the two, which not every file system that may be mounted here can do.
                await obstore.put_async(self._store, to, self._folder / key)

    async def head(self, key: str) -> BlobInfo:
        """Return size, tag and time of a blob."""
        check_key(key)
        with _read_errors(key):
            meta = await obstore.head_async(self._store, key)
        return BlobInfo(key, meta["size"], meta["e_tag"], meta["last_modified"])

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, in chunks of about `READ_CHUNK_BYTES`.

        Offsets past the end are treated as a slice treats them. The first chunk asked for is when a missing blob
        shows; the store is asked for no more than the caller takes.
        """
        check_key(key)
        if start < 0 or (end is not None and end < start):
            raise ValueError(f"bytes {start} to {end} are no range; 0 <= start <= end")
        if start == end:
            return
        with _read_errors(key):
            try:
                result = await obstore.get_async(self._store, key, options=_range(start, end))
            except GenericError:
                if (await self.head(key)).size_bytes <= start:
                    return
                raise
            async for chunk in result.stream(min_chunk_size=READ_CHUNK_BYTES):
                yield bytes(chunk)

    async def read_whole(self, key: str, *, max_bytes: int) -> bytes:
        """Return a whole blob that is known to be small; a `ValueError` if it is over `max_bytes`."""
        content = bytearray()
        async for chunk in self.read(key, 0, max_bytes + 1):
            content += chunk
        if len(content) > max_bytes:
            raise ValueError(f"{key} is over {max_bytes:,} bytes")
        return bytes(content)

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete blobs; those already gone are no error."""
        wanted = [check_key(key) for key in keys]
        if not wanted:
            return
        with _write_errors(wanted[0]):
            try:
                await obstore.delete_async(self._store, wanted)
            except FileNotFoundError:
                # Some stores stop at the first key that is gone, and leave the rest.
                for key in wanted:
                    await self._delete_one(key)

    async def list_blobs(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """Yield what lies under `prefix`, whole segments (`a/b` covers `a/b/c`, not `a/bc`), in no set order."""
        pages = obstore.list(self._store, check_key(prefix.rstrip("/")) if prefix else None, chunk_size=500)
        with _read_errors(prefix):
            async for page in pages:
                for meta in page:
                    yield BlobInfo(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])

    @asynccontextmanager
    async def local_path(self, key: str) -> AsyncIterator[Path]:
        """Give a path on this machine to read the blob from, until the block ends.

        A local store gives the blob's own file, which must not be changed; others a temporary copy.
        """
        if self._folder is not None:
            await self.head(key)
            yield self._folder / key
            return
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="blob-", suffix=Path(key).suffix) as file:
            async for chunk in self.read(key):
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            yield Path(file.name)

    async def check(self, *, timeout_seconds: float = 5.0) -> None:
        """Write, read back and delete a small blob: raises `BlobsUnavailable` with the reason if that fails."""
        key = f"check/{new_token(120)}"
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.put(key, key.encode())
                found = await self.read_whole(key, max_bytes=len(key))
                await self.delete([key])
        except TimeoutError as error:
            raise BlobsUnavailable(f"no answer from the media store within {timeout_seconds:g} s") from error
        except (BlobMissing, ValueError) as error:
            raise BlobsUnavailable("the media store lost a blob it had just taken") from error
        if found != key.encode():
            raise BlobsUnavailable("the media store gave back other bytes than it had taken")

    async def _put(self, key: str, content: bytes | Path | AsyncIterator[bytes]) -> None:
        if isinstance(content, Path):
            await asyncio.to_thread(content.stat)  # a missing source is the caller's error, not the store's
        with _write_errors(key):
            await obstore.put_async(self._store, key, content, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    async def _delete_one(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return


def open_blobs(address: str, *, scratch: Path | None = None) -> Blobs:
    """Open the store that an address names; nothing is contacted yet (`Blobs.check` does that).

    Args:
        address: A folder (a path, or `file:///…`; made if it is missing), `memory://`,
            `s3://bucket/prefix?endpoint=…&region=…`, `gs://bucket/prefix`, or `az://container/prefix?account=…`.
            Credentials come from the store's usual environment variables or the machine's role.
        scratch: Where copies for `Blobs.local_path` go.

    Raises:
        ConfigurationError: if the address names no store we know, or a folder that cannot be made.
    """
    parts = urlsplit(address)
    if parts.scheme in {"", "file"}:
        return _open_folder(_folder_of(address, parts), scratch)
    try:
        store = _open_remote(parts)
    except (BaseError, ValueError) as error:
        raise ConfigurationError(f"{_shown(parts)}: {_reason(error)}") from error
    return Blobs(store, scratch=scratch)


def check_key(key: str) -> str:
    """Return the key, or raise `ValueError` if it is not a plain relative path (see `Blobs`)."""
    if len(key) > _KEY_LIMIT or _KEY.fullmatch(key) is None:
        raise ValueError(
            f"{key!r} is no blob key; segments of letters, digits, '.', '_' and '-', not starting with a dot,"
            f" joined by '/', {_KEY_LIMIT} characters at most"
        )
    return key


def _folder_of(address: str, parts: SplitResult) -> Path:
    if parts.scheme == "":
        if not address:
            raise ConfigurationError(f"the media address is empty; {_ADDRESS_HELP}")
        return Path(address).expanduser()
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigurationError(f"{address}: a file address has three slashes, as in file:///srv/media")
    return Path(unquote(parts.path))


def _open_folder(folder: Path, scratch: Path | None) -> Blobs:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve(strict=True)
        store = LocalStore(folder, automatic_cleanup=True)
    except (OSError, BaseError) as error:
        raise ConfigurationError(f"the media folder {folder} cannot be used: {_reason(error)}") from error
    return Blobs(store, folder=folder, scratch=scratch)


def _open_remote(parts: SplitResult) -> "ObjectStore":
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme not in _OPTIONS:
        raise ConfigurationError(f"{parts.scheme}:// is not a media address; {_ADDRESS_HELP}")
    if not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(f"{_shown(parts)}: only the bucket's name belongs there; {_ADDRESS_HELP}")
    names = _OPTIONS[parts.scheme]
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := given.keys() - names.keys():
        raise ConfigurationError(
            f"{_shown(parts)}: {', '.join(sorted(unknown))} cannot be given in the address, only"
            f" {', '.join(sorted(names))}; credentials belong in the store's own environment variables"
        )
    config = {names[name]: value for name, value in given.items()}
    bucket, prefix, client = parts.netloc, unquote(parts.path).strip("/") or None, _client(given)
    if parts.scheme == "s3":
        return S3Store(
            bucket, prefix=prefix, config=cast("S3Config", config), client_options=client, retry_config=_retries()
        )
    if parts.scheme == "gs":
        return GCSStore(
            bucket, prefix=prefix, config=cast("GCSConfig", config), client_options=client, retry_config=_retries()
        )
    return AzureStore(
        bucket, prefix=prefix, config=cast("AzureConfig", config), client_options=client, retry_config=_retries()
    )


def _client(options: dict[str, str]) -> "ClientConfig":
    # The whole-request limit also covers a body read at the pace of our own caller, so it is wide; a store that
    # says nothing is caught by the read limit.
    return {
        "allow_http": options.get("endpoint", "").startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(minutes=30),
    }


def _retries() -> "RetryConfig":
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def _range(start: int, end: int | None) -> "GetOptions":
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else {}


async def _stream(source: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    async for chunk in source:
        yield chunk


async def _continued(head: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield head
    async for chunk in rest:
        yield chunk


@contextmanager
def _read_errors(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing(key) from error
    except (BaseError, OSError) as error:
        raise BlobsUnavailable(f"reading {key} failed: {_reason(error)}") from error


@contextmanager
def _write_errors(key: str) -> Iterator[None]:
    # Other OSErrors are left alone: they come from the caller's own source.
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise BlobsUnavailable(f"writing {key} failed: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line: obstore adds a dump of its insides below it."""
    return str(error).partition("\n")[0]


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
