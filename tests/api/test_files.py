"""POST /files and GET /files/{fileName}: what is taken and what is refused, the address it gets, and its end."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterable, Iterator, Mapping
from typing import Any, Final

import pytest
from tests.api.asgi import Exchange, Message, Reply, in_parts
from tests.api.dojo import PNG, PROMPT, RUN, Caller, Dojo
from tests.stores import BASE_URL, LARGEST_UPLOAD, LINGER, MOST_UPLOADED, RETENTION

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.blobs import Blobs
from pixeldojo.files.service import FilesService

FILES: Final = "/api/v1/files"
BOUNDARY: Final = "----a-boundary"
FORM: Final = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
OTHER: Final = b"\xff\xd8\xff" + b"a picture of another kind"


def field(content: bytes, *, name: str = "file", extra: str = '; filename="../../x.html"') -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\nContent-Type: text/html\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*fields: bytes) -> bytes:
    return b"".join(fields) + f"--{BOUNDARY}--\r\n".encode()


async def upload(caller: Caller, content: Any = PNG, **headers: str) -> Reply:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await caller.send("POST", FILES, body=content, headers=given)


async def target(caller: Caller, content: Any = PNG) -> str:
    """Upload a file and return its address without the host."""
    reply = await upload(caller, content)
    assert reply.status == 201, reply.body
    url: str = reply.json["url"]
    return url.removeprefix("http://dojo.test")


async def blobs(dojo: Dojo) -> list[str]:
    return [blob.key async for blob in dojo.stores.blobs.list_blobs("files")]


# Taking in


async def test_an_upload_is_answered_with_where_it_is_and_until_when(dojo: Dojo, caller: Caller) -> None:
    reply = await upload(caller, content_type="image/png")
    assert (reply.status, reply.header("idempotent-replayed")) == (201, None)
    file = reply.json
    assert file == {
        "fileId": file["fileId"],
        "url": f"http://dojo.test/files/{file['fileId']}.png",
        "contentType": "image/png",
        "sizeBytes": len(PNG),
        "expiresAt": "2026-05-05T12:00:00.000Z",
    }
    assert file["fileId"].startswith("file_")
    assert reply.header("location") == file["url"]


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
async def test_a_form_gives_the_same_file_however_it_is_cut(dojo: Dojo, caller: Caller, size: int) -> None:
    content = PNG + bytes(range(256)) * 64 + f"\r\n--{BOUNDARY[:-1]}\r\n--".encode()
    body = form(field(content)) + b"an epilogue, which means nothing"
    parts = in_parts(body[at : at + size] for at in range(0, len(body), size))
    reply = await upload(caller, parts, **{"content_type": FORM["content-type"]})
    assert (reply.status, reply.json["sizeBytes"]) == (201, len(content))
    assert (await dojo.stranger.get(reply.json["url"].removeprefix("http://dojo.test"))).body == content


@pytest.mark.parametrize(
    ("content", "content_type", "extension"),
    [
        (PNG, "image/png", "png"),
        (OTHER, "image/jpeg", "jpg"),
        (b"RIFF\0\0\0\0WEBP" + bytes(20), "image/webp", "webp"),
        (b"\0\0\0\x20ftypisom" + bytes(40), "video/mp4", "mp4"),
        (b"\0\0\0\x20ftypqt  " + bytes(40), "video/quicktime", "mov"),
        (b"\x1a\x45\xdf\xa3 webm" + bytes(40), "video/webm", "webm"),
        (b"ID3\x04" + bytes(40), "audio/mpeg", "mp3"),
        (b"RIFF\0\0\0\0WAVE" + bytes(20), "audio/wav", "wav"),
    ],
)
@pytest.mark.parametrize("claimed", ["text/html", "application/json", "image/x-made-up", ""])
async def test_its_type_is_that_of_its_content_whatever_it_is_called(
    dojo: Dojo, caller: Caller, content: bytes, content_type: str, extension: str, claimed: str
) -> None:
    reply = await upload(caller, content, content_type=claimed, content_disposition='attachment; filename="a.exe"')
    assert reply.json["contentType"] == content_type
    assert reply.json["url"].endswith(f".{extension}")
    got = await dojo.stranger.get(reply.json["url"].removeprefix("http://dojo.test"))
    assert (got.header("content-type"), got.body) == (content_type, content)


# What is refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!doctype html><script>alert(1)</script>", "HTML page, not media; send one of PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XML or SVG"),
        (b'{"prompt": "a"}', "the file is JSON, not media"),
        (b"%PDF-1.7", "no type known here; send one of PNG"),
        (b"MZ\x90\0", "no type known here"),
        (b"\0\0\0\x20ftypheic", "send the picture as JPEG or PNG"),
        (b"glTF\x02\0\0\0", "the file is model/gltf-binary; send one of"),
        (b"RIFF\0\0\0\0AVI ", "neither WebP nor WAV"),
    ],
)
async def test_what_is_no_image_video_or_audio_is_415_with_what_is_taken(
    dojo: Dojo, caller: Caller, content: bytes, says: str
) -> None:
    for body, headers in ((content, {"content_type": "image/png"}), (form(field(content)), _named(FORM))):
        reply = await upload(caller, body, **headers)
        assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
        assert says in reply.error["message"]
    assert await blobs(dojo) == []


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"", {}, "empty; send the bytes of an image"),
        (form(field(b"")), FORM, "empty; send the bytes of an image"),
        (form(), FORM, "empty"),
        (form(field(PNG), field(PNG)), FORM, "several fields; send one, `file`"),
        (form(field(b"a", name="note", extra=""), field(PNG)), FORM, "several fields"),
        (form(field(PNG))[:-6], FORM, "cut short: its last boundary is missing"),
        (field(PNG)[:60], FORM, "cut short"),
        (PNG, FORM, "cannot be read; send it as `curl -F file=@picture.png` does"),
        (b"", FORM, "cut short"),
        (form(field(PNG)), {"content-type": "multipart/form-data"}, "names no boundary"),
        (form(field(PNG)), {"content-type": "multipart/form-data; boundary="}, "names no boundary"),
        (form(field(PNG)), {"content-type": f"multipart/form-data; boundary={'b' * 300}"}, "boundary"),
        (f"--{BOUNDARY}\r\n{'x' * 20_000}: y\r\n\r\n".encode(), FORM, "cannot be read"),
        (PNG, {"idempotency-key": "two words"}, "The header Idempotency-Key cannot be used"),
    ],
)
async def test_what_cannot_be_read_is_400_and_leaves_nothing(
    dojo: Dojo, caller: Caller, body: bytes, headers: Mapping[str, str], says: str
) -> None:
    reply = await caller.send("POST", FILES, body=body, headers=headers)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.error["message"]
    assert await blobs(dojo) == []


def long(size: int) -> bytes:
    return PNG + bytes(size - len(PNG))


async def test_the_bound_is_the_file_s_own_and_not_that_of_other_bodies(dojo: Dojo, caller: Caller) -> None:
    settings = dojo.services.settings.model_copy(update={"max_body_bytes": 1024, "max_file_bytes": LARGEST_UPLOAD})
    dojo.build(settings=settings)
    assert (await caller.post(RUN, {"prompt": "x" * 1024})).status == 413
    whole, more = long(LARGEST_UPLOAD), long(LARGEST_UPLOAD + 1)
    for body in (whole, in_parts([whole[:5], whole[5:]])):
        assert (await upload(caller, body)).json["sizeBytes"] == LARGEST_UPLOAD
    dojo.clock.advance(86_400)
    assert (await upload(caller, form(field(whole)), **_named(FORM))).json["sizeBytes"] == LARGEST_UPLOAD
    kept = await blobs(dojo)
    for body, headers in (
        (more, {}),
        (in_parts([more]), {}),
        (in_parts([more[:-1], b"", more[-1:]]), {}),
        (form(field(more)), FORM),
        (long(LARGEST_UPLOAD * 10), {}),
        (form(field(long(LARGEST_UPLOAD * 10))), FORM),
    ):
        reply = await caller.send("POST", FILES, body=body, headers=headers)
        assert (reply.status, reply.error["code"]) == (413, "payload_too_large")
        assert "larger than 100,000 bytes" in reply.error["message"]
        assert "https" in reply.error["message"]
    assert await blobs(dojo) == kept


async def test_a_body_declared_too_long_is_refused_unread(dojo: Dojo, caller: Caller) -> None:
    dojo.build(settings=dojo.services.settings.model_copy(update={"max_file_bytes": LARGEST_UPLOAD}))
    exchange = Exchange(caller._scope("POST", FILES, [("content-length", "9" * 12)], b""), in_parts([PNG]))
    exchange.hang_up()
    await exchange.run(dojo.app)
    assert (exchange.reply().status, exchange.parts_before_answer) == (413, 0)
    assert exchange.reply().header("connection") == "close"


async def test_an_account_may_keep_so_much_and_is_told_when_there_is_room_again(dojo: Dojo, caller: Caller) -> None:
    for _ in range(2):
        await target(caller, long(LARGEST_UPLOAD))
        dojo.clock.advance(60)
    left = MOST_UPLOADED - 2 * LARGEST_UPLOAD
    refused = await upload(caller, long(left + 1), idempotency_key="k")
    assert (refused.status, refused.error["code"]) == (409, "conflict")
    for told in ("have 200,000 bytes", "may have 250,000", "expires at 2026-05-05T12:00:00.000Z", "https address"):
        assert told in refused.error["message"]
    assert (await upload(caller, long(left), idempotency_key="k")).status == 201, "a refusal leaves the key free"
    full = Exchange(caller._scope("POST", FILES, [], b""), in_parts([PNG]))
    await full.run(dojo.app)
    assert (full.reply().status, full.parts_before_answer) == (409, 0), "refused before anything is read"
    other_key = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    assert (await upload(other_key)).status == 409
    assert (await upload(await dojo.caller())).status == 201
    assert len(await blobs(dojo)) == 4
    dojo.clock.advance(86_400 - 120)
    assert (await upload(caller, long(LARGEST_UPLOAD))).status == 201


async def test_uploads_at_once_stay_within_the_bound_together(dojo: Dojo, caller: Caller) -> None:
    replies = await asyncio.gather(*(upload(caller, in_parts([long(LARGEST_UPLOAD)])) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [201] * 2 + [409] * 4
    assert len(await blobs(dojo)) == 2


async def test_a_caller_that_hangs_up_leaves_nothing(dojo: Dojo, caller: Caller) -> None:
    said: Iterator[Message] = iter(
        [{"type": "http.request", "body": long(50_000), "more_body": True}, {"type": "http.disconnect"}]
    )
    exchange = Exchange(caller._scope("POST", FILES, [("content-length", "90000")], b""))

    async def receive() -> Message:
        return next(said)

    await dojo.app(exchange.scope, receive, exchange._send)
    assert await blobs(dojo) == []
    assert [entry["status"] for entry in dojo.log if entry.get("path") == FILES] == [499]


async def test_memory_does_not_grow_with_the_file(dojo: Dojo, caller: Caller) -> None:
    """Through the form, the digest and the count; the media store's own part is in its own tests."""
    part, count = bytes(64 * 1024), 400

    class Gone(Blobs):
        def __init__(self) -> None:
            """It keeps nothing."""

        async def put(self, key: str, content: object) -> None:
            assert isinstance(content, AsyncIterable)
            async for _ in content:
                """It is gone."""

    files = FilesService(
        database=dojo.stores.database,
        blobs=Gone(),
        clock=dojo.clock,
        base_url=BASE_URL,
        retention=RETENTION,
        linger=LINGER,
        max_file_bytes=10**9,
        max_account_bytes=10**9,
    )
    dojo.build(files=files)
    head, tail = form(field(PNG)).split(PNG)
    body = in_parts([head, PNG, *([part] * count), tail])
    tracemalloc.start()
    try:
        reply = await upload(caller, body, **_named(FORM))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reply.json["sizeBytes"] == len(PNG) + count * len(part)
    assert peak < 2_000_000


# Idempotency


async def test_the_same_file_under_one_key_is_one_file(dojo: Dojo, caller: Caller) -> None:
    first = await upload(caller, idempotency_key="k")
    for body, headers in ((PNG, {}), (form(field(PNG)), FORM), (in_parts([PNG[:9], PNG[9:]]), {})):
        again = await upload(caller, body, idempotency_key="k", **_named(headers))
        assert (again.status, again.json, again.header("idempotent-replayed")) == (201, first.json, "true")
        assert again.header("location") == first.header("location")
    assert len(await blobs(dojo)) == 1
    assert (await upload(caller)).json["fileId"] != first.json["fileId"]


async def test_another_file_or_another_request_under_one_key_is_422(dojo: Dojo, caller: Caller) -> None:
    await upload(caller, idempotency_key="k")
    await caller.run(idempotency_key="job")
    for content, key in ((OTHER, "k"), (b"", "k"), (PNG, "job")):
        refused = await upload(caller, content, idempotency_key=key)
        assert (refused.status, refused.error["code"]) == (422, "idempotency_mismatch")
        assert "Send the same file, or a new key" in refused.error["message"]
    assert (await caller.post(RUN, PROMPT, idempotency_key="k")).status == 422
    assert len(await blobs(dojo)) == 1
    assert (await upload(await dojo.caller(), OTHER, idempotency_key="k")).status == 201, "keys are an account's own"


async def test_many_at_once_under_one_key_are_one_file(dojo: Dojo, caller: Caller) -> None:
    replies = await asyncio.gather(*(upload(caller, in_parts([PNG]), idempotency_key="k") for _ in range(8)))
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.json["fileId"] for reply in replies if reply.status == 201}) == 1
    assert len(await blobs(dojo)) == 1


async def test_a_replay_is_answered_where_there_is_no_room_for_more(caller: Caller) -> None:
    whole = long(LARGEST_UPLOAD)
    first = await upload(caller, whole, idempotency_key="k")
    await target(caller, whole)
    await target(caller, long(MOST_UPLOADED - 2 * LARGEST_UPLOAD))
    assert (await upload(caller, whole, idempotency_key="k")).json == first.json


# Giving out, and the end


async def test_a_file_is_given_out_as_assets_are(dojo: Dojo, caller: Caller) -> None:
    address = await target(caller)
    reply = await dojo.stranger.get(address)
    expected = {
        "content-type": "image/png",
        "content-length": str(len(PNG)),
        "content-disposition": f'inline; filename="{address.rpartition("/")[2]}"',
        "accept-ranges": "bytes",
        "etag": f'"{hashlib.sha256(PNG).hexdigest()}"',
        "cache-control": "private, max-age=86400, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-ratelimit-limit": "600",
    }
    assert {name: reply.header(name) for name in expected} == expected
    assert reply.body == PNG
    head = await dojo.stranger.head(address)
    assert (head.status, head.sent_bytes, head.header("content-length")) == (200, 0, str(len(PNG)))
    part = await dojo.stranger.get(address, range="bytes=1-3")
    assert (part.status, part.body, part.header("content-range")) == (206, PNG[1:4], f"bytes 1-3/{len(PNG)}")
    assert (await dojo.stranger.get(address, range="bytes=9999-")).status == 416
    assert (await dojo.stranger.get(address, if_none_match=expected["etag"])).status == 304


@pytest.mark.parametrize(
    "name", ["file_1.png", "..%2f..%2fpixeldojo.db", "%00.png", ".png", "x" * 5_000, "{id}.jpg", "{id}"]
)
async def test_a_name_that_is_no_file_is_404(dojo: Dojo, caller: Caller, name: str) -> None:
    own = (await target(caller)).rpartition("/")[2].partition(".")[0]
    reply = await dojo.stranger.get(f"/files/{name.format(id=own)}")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert (await dojo.stranger.head(f"/files/{name.format(id=own)}")).status == 404
    assert (await dojo.stranger.get(f"/assets/{own}.png")).status == 404


async def test_at_its_expiry_a_file_is_410_and_then_swept(dojo: Dojo, caller: Caller) -> None:
    address = await target(caller)
    dojo.clock.advance(86_399)
    assert (await dojo.stranger.get(address)).header("cache-control") == "private, max-age=1, immutable"
    dojo.clock.advance(1)
    for purged in (0, 1, 0):
        assert await dojo.stores.files.purge_expired(10) == purged
        reply = await dojo.stranger.get(address)
        assert (reply.status, reply.error["code"]) == (410, "expired")
        assert "Upload it again" in reply.error["message"]
        assert (await dojo.stranger.head(address)).status == 410
        dojo.clock.advance(LINGER.total_seconds() if not purged else 0)
    assert await blobs(dojo) == []


# As an input


async def test_an_upload_of_anyone_is_an_input_where_other_addresses_of_this_host_are_not(
    dojo: Dojo, caller: Caller
) -> None:
    url = f"http://dojo.test{await target(await dojo.caller())}"
    job = (await caller.get(f"/api/v1/jobs/{await caller.run({**PROMPT, 'image_url': url})}")).json
    assert job["input"]["image_url"] == url
    refused = await caller.post(RUN, {**PROMPT, "image_url": "http://dojo.test/healthz"})
    assert (refused.status, refused.error["details"][0]["path"]) == (400, "image_url")
