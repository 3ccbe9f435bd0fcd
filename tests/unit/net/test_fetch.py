"""Downloads from strangers: whole or an error, bounded in every direction."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.net.loopback import (
    CLOSED,
    FakeResolver,
    Script,
    answer,
    answering,
    closed_port,
    hang,
    make_tls,
    outbound,
    reset,
    serving,
)

from pixeldojo.net.client import OutboundClient
from pixeldojo.net.fetch import CHUNK_BYTES, FetchedFile, Fetcher, FetchErrorKind, FetchFailed

PICTURE = bytes(range(256)) * 4_000  # about a megabyte


class Bucket:
    """A sink that keeps what it got."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def __call__(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks)


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    async with outbound() as client:
        yield client


@pytest.fixture
def fetcher(client: OutboundClient) -> Fetcher:
    return Fetcher(client)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def refusal(fetcher: Fetcher, url: str, sink: Bucket | Path | None = None, **limits: float) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await fetcher.fetch_to(
            url,
            sink or Bucket(),
            max_bytes=int(limits.get("max_bytes", 10_000_000)),
            timeout_seconds=limits.get("timeout_seconds", 5),
            stall_seconds=limits.get("stall_seconds", 5),
        )
    return caught.value


async def test_a_file_comes_whole_in_bounded_chunks(fetcher: Fetcher) -> None:
    bucket = Bucket()
    async with serving(answering(answer(200, PICTURE, content_type="Image/PNG; x=y"))) as server:
        got = await fetcher.fetch_to(server.url("/a.png"), bucket, max_bytes=len(PICTURE), timeout_seconds=5)
    assert got == FetchedFile(len(PICTURE), hashlib.sha256(PICTURE).hexdigest(), "image/png")
    assert bucket.content == PICTURE
    assert {len(chunk) for chunk in bucket.chunks[:-1]} == {CHUNK_BYTES}
    [request] = server.requests
    assert request.startswith(b"GET /a.png HTTP/1.1\r\n")
    assert b"Accept-Encoding: identity\r\n" in request
    assert b"authorization" not in request.lower()


async def test_a_path_gets_the_file(fetcher: Fetcher, tmp_path: Path) -> None:
    async with serving(answering(answer(200, PICTURE))) as server:
        got = await fetcher.fetch_to(server.url(), tmp_path / "a", max_bytes=2_000_000, timeout_seconds=5)
    assert (tmp_path / "a").read_bytes() == PICTURE
    assert got.content_type is None


@pytest.mark.parametrize(
    ("sent", "declared"),
    [("image/png", "image/png"), (" Video/MP4 ;a=b", "video/mp4"), ("nonsense", None), ("a/b/c", None), ("/", None)],
)
async def test_the_declared_type_is_a_media_type_or_none(fetcher: Fetcher, sent: str, declared: str | None) -> None:
    async with serving(answering(answer(200, b"x", content_type=sent))) as server:
        got = await fetcher.fetch_to(server.url(), Bucket(), max_bytes=10, timeout_seconds=5)
    assert got.content_type == declared


async def test_an_empty_file_and_an_unannounced_length_are_fine(fetcher: Fetcher) -> None:
    for body in (b"", b"abc"):
        async with serving(answering(answer(200, body, content_length=""))) as server:
            got = await fetcher.fetch_to(server.url(), Bucket(), max_bytes=10, timeout_seconds=5)
        assert got.size_bytes == len(body)


FAILING: list[tuple[str, Script, FetchErrorKind, str]] = [
    ("not found", answering(answer(404)), FetchErrorKind.HTTP_STATUS, "the server answered 404"),
    ("part", answering(answer(206, b"x")), FetchErrorKind.HTTP_STATUS, "206"),
    ("nothing", answering(answer(204, content_length="")), FetchErrorKind.HTTP_STATUS, "204"),
    ("no place", answering(answer(302)), FetchErrorKind.HTTP_STATUS, "without a valid Location"),
    ("bad place", answering(answer(302, location="http://[")), FetchErrorKind.HTTP_STATUS, "without a valid Location"),
    ("gzip", answering(answer(200, b"x", content_encoding="gzip")), FetchErrorKind.NETWORK, "Content-Encoding"),
    ("short", answering(answer(200, b"half", content_length="10")), FetchErrorKind.NETWORK, "in the middle"),
    ("cut chunk", answering(answer(200, b"9\r\nab", content_length="", transfer_encoding="chunked")),
     FetchErrorKind.NETWORK, "in the middle"),
    ("reset", reset, FetchErrorKind.NETWORK, "without an answer"),
    ("no http", answering(b"hello\r\n\r\n"), FetchErrorKind.NETWORK, "not valid HTTP"),
    ("announced", answering(answer(200, content_length="999999999"), close=False), FetchErrorKind.TOO_LARGE, "limit"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "kind", "told"), [case[1:] for case in FAILING], ids=[case[0] for case in FAILING])
async def test_what_is_not_a_whole_file_is_an_error(
    fetcher: Fetcher, tmp_path: Path, script: Script, kind: FetchErrorKind, told: str
) -> None:
    async with serving(script) as server:
        error = await refusal(fetcher, server.url(), tmp_path / "file")
    assert error.kind is kind
    assert told in error.message
    assert "127.0.0.1" not in error.message
    assert files_in(tmp_path) == [], "no half file is left"


async def test_the_size_limit_counts_what_comes_not_what_was_said(fetcher: Fetcher) -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, content_length="", transfer_encoding="chunked"))
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()

    bucket = Bucket()
    async with serving(endless) as server:
        error = await refusal(fetcher, server.url(), bucket, max_bytes=300_000)
    assert error.kind is FetchErrorKind.TOO_LARGE
    assert "300,000" in error.message
    assert len(bucket.content) <= 300_000


async def test_a_server_that_stalls_is_given_up(fetcher: Fetcher) -> None:
    async with serving(answering(answer(200, b"start", content_length="100"), close=False)) as server:
        error = await refusal(fetcher, server.url(), stall_seconds=0.05)
    assert error.kind is FetchErrorKind.TIMEOUT
    assert "sent nothing" in error.message
    async with serving(hang) as server:
        assert (await refusal(fetcher, server.url(), stall_seconds=0.05)).kind is FetchErrorKind.TIMEOUT


async def test_a_server_that_drips_meets_the_deadline(fetcher: Fetcher) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, content_length="1000000"))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(drip) as server:
        error = await refusal(fetcher, server.url(), timeout_seconds=0.15, stall_seconds=0.1)
    assert error.kind is FetchErrorKind.TIMEOUT
    assert "0.15 s" in error.message


async def test_redirects_are_followed_three_times_and_no_more(fetcher: Fetcher) -> None:
    async def hop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = int(server.requests[-1].split(b" ")[1].strip(b"/"))
        raw = answer(302, location=f"/{number - 1}") if number else answer(200, b"here")
        await answering(raw)(reader, writer)

    async with serving(hop) as server:
        bucket = Bucket()
        await fetcher.fetch_to(server.url("/3"), bucket, max_bytes=10, timeout_seconds=5)
        assert bucket.content == b"here"
        error = await refusal(fetcher, server.url("/4"))
    assert error.kind is FetchErrorKind.REFUSED
    assert "more than 3 times" in error.message
    assert len(server.requests) == 8


async def test_headers_go_to_the_first_origin_and_not_to_where_it_redirects(fetcher: Fetcher) -> None:
    async with serving(answering(answer(200, b"here"))) as other:

        async def hop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            is_first = server.requests[-1].startswith(b"GET /1 ")
            place = "/2" if is_first else other.url("/3")
            await answering(answer(302, location=place))(reader, writer)

        async with serving(hop) as server:
            bucket = Bucket()
            await fetcher.fetch_to(
                server.url("/1"), bucket, max_bytes=10, timeout_seconds=5, headers={"x-key": "s3cret"}
            )
    assert bucket.content == b"here"
    assert [b"x-key: s3cret" in request for request in server.requests] == [True, True]
    assert [b"s3cret" in request for request in other.requests] == [False]


async def test_what_comes_with_headers_is_the_operators_own_wherever_it_is_and_what_it_redirects_to_is_not() -> None:
    async with serving(answering(answer(200, b"secret"))) as inside:

        async def hop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            path = server.requests[-1].split(b" ")[1]
            places = {b"/1": "/2", b"/3": inside.url()}
            raw = answer(302, location=places[path]) if path in places else answer(200, b"here")
            await answering(raw)(reader, writer)

        async with serving(hop) as server, outbound(CLOSED) as client:
            bucket, fetcher = Bucket(), Fetcher(client)
            key = {"x-key": "s3cret"}
            await fetcher.fetch_to(server.url("/1"), bucket, max_bytes=10, timeout_seconds=5, headers=key)
            assert bucket.content == b"here"
            for url, headers in ((server.url("/1"), {}), (server.url("/3"), key)):
                with pytest.raises(FetchFailed) as caught:
                    await fetcher.fetch_to(url, Bucket(), max_bytes=10, timeout_seconds=5, headers=headers)
                assert caught.value.kind is FetchErrorKind.REFUSED
    assert [request.split(b" ")[1] for request in server.requests] == [b"/1", b"/2", b"/3"]
    assert inside.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
async def test_a_redirect_inside_is_refused(status: int) -> None:
    resolver = FakeResolver(evil_example=[["127.0.0.2"]])
    async with serving(answering(answer(200, b"secret")), host="127.0.0.2") as inside, outbound(resolver=resolver) as c:
        for place in (
            inside.url(host="127.0.0.2"),
            inside.url(host="evil.example"),
            inside.url(host="2130706434"),
            inside.url(host="[::ffff:127.0.0.2]"),
            f"//127.0.0.2:{inside.port}/",
            "http://user:pw@127.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
        ):
            async with serving(answering(answer(status, location=place))) as server:
                error = await refusal(Fetcher(c), server.url())
            assert error.kind in {FetchErrorKind.REFUSED, FetchErrorKind.HTTP_STATUS}, place
    assert inside.connections == 0


async def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    server_tls, client_tls = make_tls(tmp_path, "files.example")
    resolver = FakeResolver(files_example=[["127.0.0.1"]])
    async with serving(answering(answer(200, b"plain"))) as plain:
        redirecting = answering(answer(302, location=plain.url()))
        async with (
            serving(redirecting, tls=server_tls) as server,
            outbound(resolver=resolver, tls=client_tls) as client,
        ):
            url = server.url(host="files.example", scheme="https")
            error = await refusal(Fetcher(client), url)
    assert error.kind is FetchErrorKind.REFUSED
    assert "from https" in error.message
    assert plain.connections == 0


async def test_no_connection_is_a_network_error(fetcher: Fetcher) -> None:
    for url in (f"http://127.0.0.1:{closed_port()}/", "https://absent.example/"):
        assert (await refusal(fetcher, url)).kind is FetchErrorKind.NETWORK


async def test_the_sinks_own_error_comes_out_as_it_is(fetcher: Fetcher) -> None:
    async def full(_chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def late(_chunk: bytes) -> None:
        raise TimeoutError("the sink's own")

    async with serving(answering(answer(200, PICTURE))) as server:
        with pytest.raises(OSError, match="No space left"):
            await fetcher.fetch_to(server.url(), full, max_bytes=2_000_000, timeout_seconds=5)
        with pytest.raises(TimeoutError, match="the sink's own"):
            await fetcher.fetch_to(server.url(), late, max_bytes=2_000_000, timeout_seconds=5)


async def test_a_slow_sink_slows_the_server_down_and_is_no_stall(fetcher: Fetcher) -> None:
    taken = asyncio.Event()
    seen: list[int] = []

    async def slow(chunk: bytes) -> None:
        seen.append(len(chunk))
        if len(seen) == 1:
            await asyncio.sleep(0.1)
            taken.set()

    async with serving(answering(answer(200, PICTURE * 4))) as server:
        got = await fetcher.fetch_to(server.url(), slow, max_bytes=10_000_000, timeout_seconds=5, stall_seconds=0.05)
    assert taken.is_set()
    assert got.size_bytes == sum(seen) == 4 * len(PICTURE)


async def test_a_cancelled_download_leaves_no_file(fetcher: Fetcher, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(answer(200, PICTURE, content_length="9999999"), close=False)(reader, writer)
        begun.set()

    async with serving(begin) as server:
        task = asyncio.create_task(
            fetcher.fetch_to(server.url(), tmp_path / "a", max_bytes=10_000_000, timeout_seconds=5)
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert files_in(tmp_path) == []
