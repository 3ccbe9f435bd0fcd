"""What `Blobs` promises, held to on memory, a local folder and S3."""

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer

from pixeldojo.blobs import (
    PART_BYTES,
    READ_CHUNK_BYTES,
    BlobMissing,
    Blobs,
    BlobsUnavailable,
    check_key,
    open_blobs,
)
from pixeldojo.core.errors import ConfigurationError

BIG = PART_BYTES * 2 + 12_345


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server on loopback, with the bucket `media`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    requests.put(f"{endpoint}/media", timeout=10).raise_for_status()
    yield endpoint
    server.stop()


@pytest.fixture
def s3_address(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of its own for each test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return f"s3://media/{uuid.uuid4()}/deep?endpoint={s3_endpoint}&region=us-east-1"


@pytest.fixture(params=["memory", "folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return open_blobs("memory://", scratch=tmp_path)
    if request.param == "folder":
        return open_blobs(str(tmp_path / "media"))
    return open_blobs(request.getfixturevalue("s3_address"), scratch=tmp_path)


async def collect(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def copies_in(scratch: Path) -> list[Path]:
    return list(scratch.glob("blob-*"))


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_bytes_come_back_with_their_size_and_a_tag(blobs: Blobs) -> None:
    await blobs.put("assets/a/0.png", b"picture")
    info = await blobs.head("assets/a/0.png")
    assert (info.key, info.size_bytes) == ("assets/a/0.png", 7)
    assert info.etag
    assert info.modified_at.tzinfo is not None
    assert await collect(blobs.read("assets/a/0.png")) == b"picture"


async def test_put_replaces(blobs: Blobs) -> None:
    await blobs.put("a", b"old and longer")
    await blobs.put("a", b"new")
    assert await blobs.read_whole("a", max_bytes=100) == b"new"


@pytest.mark.parametrize("size", [0, 1, BIG])
async def test_a_copy_is_a_blob_of_its_own(blobs: Blobs, size: int) -> None:
    await blobs.put("a/original", bytes(size))
    await blobs.put("b/copy", b"what was there before")
    await blobs.copy("a/original", "b/copy")
    await blobs.put("a/original", b"something else")
    assert await collect(blobs.read("b/copy")) == bytes(size)
    await blobs.delete(["a/original"])
    assert (await blobs.head("b/copy")).size_bytes == size


async def test_a_copy_of_what_is_not_there_is_missing_and_no_blob(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        await blobs.copy("a/original", "b/copy")
    with pytest.raises(ValueError, match="no blob key"):
        await blobs.copy("a/original", "../copy")
    assert [info async for info in blobs.list_blobs()] == []


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, BIG])
async def test_a_stream_of_any_length_is_stored_whole(blobs: Blobs, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    await blobs.put("streamed", pieces(content, 1_000_003))
    assert (await blobs.head("streamed")).size_bytes == size
    assert await collect(blobs.read("streamed")) == content


async def test_a_file_is_stored_whole(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"ab" * (BIG // 2))
    await blobs.put("from/file.bin", source)
    assert await collect(blobs.read("from/file.bin")) == source.read_bytes()


async def test_a_missing_source_file_is_the_callers_error(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.put("a", tmp_path / "absent")


@pytest.mark.parametrize("size", [10, BIG])
async def test_a_source_that_breaks_leaves_nothing_and_its_own_error(blobs: Blobs, size: int) -> None:
    closed = []

    async def breaking() -> AsyncIterator[bytes]:
        try:
            async for chunk in pieces(b"x" * size, 1_000_000):
                yield chunk
            raise ConnectionResetError("the sender went away")
        finally:
            closed.append(True)

    with pytest.raises(ConnectionResetError):
        await blobs.put("half", breaking())
    assert closed
    with pytest.raises(BlobMissing):
        await blobs.head("half")
    assert [info async for info in blobs.list_blobs()] == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (0, 4), (3, 7), (3, None), (8, 500), (0, 0), (5, 5), (10, 12), (50, 60), (99, None)],
)
async def test_a_range_is_what_a_slice_gives(blobs: Blobs, start: int, end: int | None) -> None:
    await blobs.put("digits", b"0123456789")
    assert await collect(blobs.read("digits", start, end)) == b"0123456789"[start:end]


async def test_a_range_of_nothing_is_nothing(blobs: Blobs) -> None:
    await blobs.put("empty", b"")
    assert await collect(blobs.read("empty")) == b""
    assert await collect(blobs.read("empty", 0, 5)) == b""


async def test_an_impossible_range_is_refused(blobs: Blobs) -> None:
    with pytest.raises(ValueError, match="no range"):
        await collect(blobs.read("a", 5, 4))
    with pytest.raises(ValueError, match="no range"):
        await collect(blobs.read("a", -1))


async def test_a_long_blob_is_read_in_chunks(tmp_path: Path) -> None:
    folder = open_blobs(str(tmp_path))
    await folder.put("long", bytes(BIG))
    sizes = [len(chunk) async for chunk in folder.read("long")]
    assert sum(sizes) == BIG
    assert max(sizes) <= 2 * READ_CHUNK_BYTES


async def test_reading_what_is_not_there(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing, match="assets/none"):
        await blobs.head("assets/none")
    with pytest.raises(BlobMissing):
        await collect(blobs.read("assets/none"))
    with pytest.raises(BlobMissing):
        await collect(blobs.read("assets/none", 5, 9))
    with pytest.raises(BlobMissing):
        async with blobs.local_path("assets/none"):
            pass


async def test_read_whole_keeps_its_bound(blobs: Blobs) -> None:
    await blobs.put("a", b"12345")
    assert await blobs.read_whole("a", max_bytes=5) == b"12345"
    with pytest.raises(ValueError, match="over 4 bytes"):
        await blobs.read_whole("a", max_bytes=4)


async def test_create_is_won_once(blobs: Blobs) -> None:
    won = await asyncio.gather(*(blobs.create("first", str(number).encode()) for number in range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert await blobs.read_whole("first", max_bytes=9) == str(won.index(True)).encode()
    assert not await blobs.create("first", b"late")


async def test_delete_takes_all_of_them_and_does_not_mind_the_missing(blobs: Blobs) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        await blobs.put(name, b"x")
    await blobs.delete(["a/absent", "a/1", "a/2", "other/absent", "a/3"])
    await blobs.delete(["a/1"])
    await blobs.delete([])
    assert [info.key async for info in blobs.list_blobs()] == ["b/1"]


async def test_list_takes_whole_segments(blobs: Blobs) -> None:
    for name in ("a/b/1", "a/b/c/2", "a/bc/3", "d"):
        await blobs.put(name, b"xy")
    assert {info.key async for info in blobs.list_blobs("a/b")} == {"a/b/1", "a/b/c/2"}
    assert {info.key async for info in blobs.list_blobs("a/b/")} == {"a/b/1", "a/b/c/2"}
    assert {info.size_bytes async for info in blobs.list_blobs()} == {2}
    assert [info async for info in blobs.list_blobs("none")] == []


async def test_local_path_gives_a_readable_file(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("videos/clip.mp4", b"v" * 700_000)
    async with blobs.local_path("videos/clip.mp4") as path:
        assert path.read_bytes() == b"v" * 700_000
        assert path.suffix == ".mp4"
    assert copies_in(tmp_path) == []
    assert (await blobs.head("videos/clip.mp4")).size_bytes == 700_000


async def test_check_passes_and_leaves_nothing(blobs: Blobs) -> None:
    await blobs.check()
    assert [info async for info in blobs.list_blobs()] == []


HOSTILE = [
    "", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".hidden", "a/.hidden", "a/./b", "a b", "a\\b", "a\n", "é",
    "a#1", "a%2e%2e", "a\x00b", "x" * 513,
]  # fmt: skip


def test_a_file_address_may_name_its_host_and_be_escaped(tmp_path: Path) -> None:
    open_blobs(f"file://localhost{tmp_path}/with%20space")
    assert (tmp_path / "with space").is_dir()


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_key_that_could_leave_its_place_is_refused(blobs: Blobs, key: str) -> None:
    for attempt in (blobs.put(key, b"x"), blobs.create(key, b"x"), blobs.head(key), blobs.delete([key])):
        with pytest.raises(ValueError, match="no blob key"):
            await attempt
    with pytest.raises(ValueError, match="no blob key"):
        await collect(blobs.read(key))


def test_plain_keys_pass() -> None:
    for key in ("a", "assets/job_0/0.png", "a-b_c.d/E", "x" * 512):
        assert check_key(key) == key


async def test_two_prefixes_of_one_bucket_do_not_meet(s3_address: str) -> None:
    left, right = open_blobs(s3_address), open_blobs(s3_address.replace("/deep?", "/deeper?"))
    await left.put("a", b"left")
    assert [info async for info in right.list_blobs()] == []
    with pytest.raises(BlobMissing):
        await right.head("a")


async def test_check_names_a_bucket_that_is_not_there(s3_address: str) -> None:
    with pytest.raises(BlobsUnavailable):
        await open_blobs(s3_address.replace("s3://media", "s3://absent")).check()


async def test_check_does_not_wait_for_a_store_that_is_silent(s3_address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(BlobsUnavailable, match=r"within 0\.1 s"):
            await open_blobs(f"s3://media?endpoint=http://127.0.0.1:{port}").check(timeout_seconds=0.1)


async def test_a_folder_that_went_away_is_made_again(tmp_path: Path) -> None:
    blobs = open_blobs(f"file://{tmp_path}/deep/media")
    (tmp_path / "deep" / "media").rmdir()
    await blobs.check()


async def test_emptied_folders_are_removed(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "media"))
    await blobs.put("assets/job/0.png", b"x")
    await blobs.delete(["assets/job/0.png"])
    assert list((tmp_path / "media").iterdir()) == []


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "empty"),
        ("ftp://host/x", "ftp:// is not a media address"),
        ("file://host/x", "three slashes"),
        ("s3://", "bucket"),
        ("s3://key:secret@bucket", "bucket"),
        ("s3://bucket?secret_access_key=hunter2", "secret_access_key cannot be given"),
        ("gs://bucket?region=x", "region cannot be given"),
    ],
)
def test_a_wrong_address_is_told_with_what_is_right(address: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_blobs(address)
    assert "hunter2" not in str(caught.value)
    assert "key:secret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        open_blobs(str(tmp_path / "file" / "media"))


@pytest.mark.parametrize(
    "address",
    ["gs://bucket/a/b", "gs://bucket?endpoint=http://127.0.0.1:9", "az://container/a?account=x", "s3://bucket"],
)
def test_the_other_stores_open(address: str) -> None:
    assert isinstance(open_blobs(address), Blobs)
