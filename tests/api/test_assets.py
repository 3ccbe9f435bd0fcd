"""GET and HEAD /assets/{fileName}: whole files, parts of them, what browsers may do with them, and their end."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import pytest
from tests.api.asgi import Reply
from tests.api.dojo import PNG, Caller, Dojo

from pixeldojo.blobs import Blobs

CONTENT = bytes(range(256)) * 4


@pytest.fixture
async def target(dojo: Dojo, caller: Caller) -> str:
    """The address, without the host, of a stored file of 1,024 bytes."""
    return (await stored(dojo, caller, {"image.png": CONTENT}))[0]


async def stored(dojo: Dojo, caller: Caller, contents: dict[str, bytes]) -> list[str]:
    job_id = await caller.run()
    await dojo.completed(job_id, contents)
    assets = (await caller.get(f"/api/v1/jobs/{job_id}")).json["assets"]
    return [asset["url"].removeprefix("http://dojo.test") for asset in assets]


def is_whole(reply: Reply) -> bool:
    return (reply.status, reply.body, reply.header("content-range")) == (200, CONTENT, None)


async def test_a_file_comes_whole_without_a_key_and_with_what_browsers_need(dojo: Dojo, target: str) -> None:
    reply = await dojo.stranger.get(target)
    assert is_whole(reply)
    name = target.rpartition("/")[2]
    expected = {
        "content-type": "image/png",
        "content-length": "1024",
        "content-disposition": f'inline; filename="{name}"',
        "accept-ranges": "bytes",
        "etag": f'"{0:064x}"',
        "cache-control": "private, max-age=86400, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
    }
    assert {name: reply.header(name) for name in expected} == expected
    assert (parsedate_to_datetime(reply.header("expires") or "") - dojo.clock.now()).total_seconds() == 86_400
    assert reply.header("x-ratelimit-limit") == "600"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("image.webp", "image/webp"),
        ("video.mp4", "video/mp4"),
        ("audio.mp3", "audio/mpeg"),
        ("model3d.glb", "model/gltf-binary"),
    ],
)
async def test_every_kind_of_file_has_its_type_and_its_ending(
    dojo: Dojo, caller: Caller, name: str, content_type: str
) -> None:
    (target,) = await stored(dojo, caller, {name: PNG})
    assert target.endswith(name.partition(".")[1] + name.partition(".")[2])
    reply = await dojo.stranger.get(target)
    assert (reply.header("content-type"), reply.body) == (content_type, PNG)


async def test_head_tells_everything_and_reads_nothing(dojo: Dojo, target: str) -> None:
    got = await dojo.stranger.get(target)

    class Unread(Blobs):
        def __init__(self) -> None:
            """It has nothing behind it."""

    dojo.build(blobs=Unread())
    reply = await dojo.stranger.head(target)
    assert (reply.status, reply.sent_bytes) == (200, 0)
    varying = {"x-request-id", "x-ratelimit-remaining"}
    assert dict(reply.headers).keys() == dict(got.headers).keys()
    assert {pair for pair in reply.headers if pair[0] not in varying} == {
        pair for pair in got.headers if pair[0] not in varying
    }


async def test_head_leaves_ranges_alone(dojo: Dojo, target: str) -> None:
    for asked in ("bytes=0-9", "bytes=5000-"):
        reply = await dojo.stranger.head(target, range=asked)
        assert (reply.status, reply.header("content-length")) == (200, "1024")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, 1024),
        ("bytes=0-1023", 0, 1024),
        ("bytes=0-0", 0, 1),
        ("bytes=0-1", 0, 2),
        ("bytes=1-", 1, 1024),
        ("bytes=100-199", 100, 200),
        ("bytes=1023-1023", 1023, 1024),
        ("bytes=1000-999999", 1000, 1024),
        ("bytes=1000-" + "9" * 5_000, 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-1024", 0, 1024),
        ("bytes=-999999", 0, 1024),
        ("bytes= 3 - 5 ", 3, 6),
        ("BYTES=3-5", 3, 6),
        ("bytes=003-005", 3, 6),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_range_gives_those_bytes(dojo: Dojo, target: str, asked: str, start: int, end: int) -> None:
    reply = await dojo.stranger.get(target, range=asked)
    assert (reply.status, reply.body) == (206, CONTENT[start:end])
    assert reply.header("content-range") == f"bytes {start}-{end - 1}/1024"
    assert reply.header("content-length") == str(end - start)
    assert reply.header("content-type") == "image/png"


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=9-3",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=0x0-0x9",
        "bytes=-5 garbage",
        "items=0-5",
        "bytes:0-5",
        "bytes=\xb2-\xb3",
    ],
)
async def test_a_range_that_cannot_be_read_or_that_is_several_gives_the_whole_file(
    dojo: Dojo, target: str, asked: str
) -> None:
    assert is_whole(await dojo.stranger.get(target, range=asked))


@pytest.mark.parametrize(
    "asked",
    ["bytes=1024-", "bytes=1024-2000", "bytes=-0", "bytes=5000-6000", "bytes=" + "9" * 5_000 + "-"],
    ids=lambda value: value[:24],
)
async def test_a_range_outside_the_file_is_416_and_says_how_long_it_is(dojo: Dojo, target: str, asked: str) -> None:
    reply = await dojo.stranger.get(target, range=asked)
    assert (reply.status, reply.body, reply.header("content-range")) == (416, b"", "bytes */1024")
    assert reply.header("content-type") is None


async def test_parts_put_together_are_the_file(dojo: Dojo, target: str) -> None:
    parts = [await dojo.stranger.get(target, range=f"bytes={start}-{start + 99}") for start in range(0, 1024, 100)]
    assert b"".join(part.body for part in parts) == CONTENT
    assert len({part.header("etag") for part in parts}) == 1


@pytest.mark.parametrize("condition", ["{tag}", "W/{tag}", '"other", {tag}', '{tag},"other"', "*"])
async def test_who_has_the_file_already_gets_304(dojo: Dojo, target: str, condition: str) -> None:
    tag = (await dojo.stranger.head(target)).header("etag") or ""
    for method in ("GET", "HEAD"):
        reply = await dojo.stranger.send(
            method, target, headers={"if-none-match": condition.format(tag=tag), "range": "bytes=0-1"}
        )
        assert (reply.status, reply.sent_bytes, reply.header("etag")) == (304, 0, tag)
        assert reply.header("cache-control") is not None


@pytest.mark.parametrize("condition", ["", '"other"', "0" * 64, "W/", "garbage"])
async def test_who_has_another_file_gets_this_one(dojo: Dojo, target: str, condition: str) -> None:
    assert is_whole(await dojo.stranger.get(target, if_none_match=condition))


async def test_a_part_is_given_only_of_the_very_file_that_was_begun(dojo: Dojo, target: str) -> None:
    tag = (await dojo.stranger.head(target)).header("etag") or ""
    assert (await dojo.stranger.get(target, range="bytes=0-1", if_range=tag)).status == 206
    for other in ('"other"', f"W/{tag}", "Mon, 04 May 2026 12:00:00 GMT", "", tag.strip('"')):
        assert is_whole(await dojo.stranger.get(target, range="bytes=0-1", if_range=other))
    assert is_whole(await dojo.stranger.get(target, range="bytes=5000-", if_range='"other"'))


@pytest.mark.parametrize(
    "name",
    [
        "asset_1.png",
        "..",
        "..%2f..%2fpixeldojo.db",
        "%2e%2e%2fpixeldojo.db",
        "%2e%2e/pixeldojo.db",
        "..\\..\\etc\\passwd".replace("\\", "%5c"),
        "%00.png",
        "%ff%fe.png",
        ".png",
        "%27%20OR%201=1--.png",
        "x" * 5_000,
    ],
)
async def test_a_name_that_is_no_asset_is_404(dojo: Dojo, target: str, name: str) -> None:
    for method in ("GET", "HEAD"):
        reply = await dojo.stranger.send(method, f"/assets/{name}")
        assert reply.status == 404
    assert (await dojo.stranger.get(f"/assets/{name}")).error["code"] == "not_found"


@pytest.mark.parametrize(
    "change", ["{id}.html", "{id}", "{id}.", "{id}.png.html", "{id}.PNG", "{id}.png/", "{id}.png%00"]
)
async def test_a_file_has_its_own_ending_only(dojo: Dojo, target: str, change: str) -> None:
    own = target.rpartition("/")[2].partition(".")[0]
    assert (await dojo.stranger.get(f"/assets/{change.format(id=own)}")).status == 404


async def test_the_blobs_of_inputs_cannot_be_had(dojo: Dojo, caller: Caller) -> None:
    uri = "data:image/png;base64,iVBORw0KGgo="
    job_id = await caller.run({"prompt": "a", "image_url": uri})
    (blob,) = [blob.key async for blob in dojo.stores.blobs.list_blobs("inputs")]
    digest = blob.rpartition("/")[2]
    for name in (blob.replace("/", "%2f"), digest, f"{digest}.png", job_id, f"{job_id}.png"):
        assert (await dojo.stranger.get(f"/assets/{name}")).status == 404


async def test_at_its_expiry_a_file_is_410_before_and_after_the_sweep(dojo: Dojo, target: str) -> None:
    dojo.clock.advance(86_399)
    reply = await dojo.stranger.get(target)
    assert (reply.status, reply.header("cache-control")) == (200, "private, max-age=1, immutable")
    dojo.clock.advance(1)
    for _ in range(2):
        reply = await dojo.stranger.get(target)
        assert (reply.status, reply.error["code"]) == (410, "expired")
        assert "Run the job again to get a new one" in reply.error["message"]
        assert (await dojo.stranger.head(target)).status == 410
        assert (await dojo.stranger.get(target, if_none_match="*")).status == 410
        assert (await dojo.stranger.get(target, range="bytes=0-1")).status == 410
        await dojo.stores.ending.purge_expired(10)
    assert [blob.key async for blob in dojo.stores.blobs.list_blobs()] == []


async def test_a_file_that_lies_no_longer_in_the_store_is_410_and_not_a_torn_answer(dojo: Dojo, target: str) -> None:
    await dojo.stores.blobs.delete([blob.key async for blob in dojo.stores.blobs.list_blobs()])
    reply = await dojo.stranger.get(target)
    assert (reply.status, reply.error["code"]) == (410, "expired")


async def test_a_file_is_handed_on_as_it_is_read(dojo: Dojo, target: str) -> None:
    """However long a file is, no more of it is in memory than a chunk that was read and not yet sent."""
    held = 0
    most_held = 0

    class Chunks(Blobs):
        def __init__(self) -> None:
            """It has nothing behind it."""

        async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            nonlocal held, most_held
            for place in range(start, end or 0, 64):
                held += 1
                most_held = max(most_held, held)
                yield CONTENT[place : place + 64]

    dojo.build(blobs=Chunks())
    app = dojo.app

    async def slow_server(scope: object, receive: object, send: object) -> None:
        async def sending(message: dict[str, object]) -> None:
            nonlocal held
            held -= bool(message.get("body"))
            await send(message)  # type: ignore[operator]  # ASGI's own callable

        await app(scope, receive, sending)  # type: ignore[arg-type]  # as above

    client = dojo.stranger
    client.app = slow_server
    assert is_whole(await client.get(target))
    assert most_held <= 2
