"""A job's media inputs: gathered once, checked by content, and what is wrong with them said by name."""

import base64
from typing import Any

import pytest
from tests.stores import LINGER, RETENTION
from tests.unit.worker.faulty import Crash
from tests.unit.worker.workshop import (
    BROKEN,
    LARGEST_FILE,
    ScriptedProvider,
    Workshop,
    address,
    clip,
    finished,
    picture,
)

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.files.store import File, insert_file
from pixeldojo.net.fetch import FetchErrorKind, FetchFailed
from pixeldojo.providers.contract import InputFile, Running

DOWN = FetchFailed(FetchErrorKind.NETWORK, "the server did not accept a connection")


def status(number: int) -> FetchFailed:
    return FetchFailed(FetchErrorKind.HTTP_STATUS, f"the server answered {number}", status=number)


def inline(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


async def edit(shop: Workshop, key: ApiKey, *urls: str, **given: Any) -> str:
    return await shop.submit(key, "edit", image_urls=list(urls), **given)


async def error_message(shop: Workshop, job_id: str) -> str:
    return (await shop.job(job_id)).error_message or ""


def files_sent(provider: ScriptedProvider) -> tuple[InputFile, ...]:
    return provider.calls[-1].files


# Gathering


async def test_inputs_are_kept_and_handed_over_with_their_measures(shop: Workshop, key: ApiKey) -> None:
    first = shop.fetcher.put("1.png", picture(width=10, height=20))
    second = shop.fetcher.put("2.png", picture(width=30, height=40))
    sound = shop.fetcher.put("sound", clip(2.5, kind="audio", content_type="audio/mpeg", width=None, height=None))
    job_id = await edit(shop, key, first, second, audio_url=sound)
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "completed"
    files = files_sent(shop.upstream)
    named = [(file.parameter, file.index, file.source_url, file.width, file.duration_seconds) for file in files]
    assert named == [
        ("image_urls", 0, first, 10, None),
        ("image_urls", 1, second, 30, None),
        ("audio_url", 0, sound, None, 2.5),
    ]
    assert files[0].size_bytes == len(picture(width=10, height=20))
    kept = await shop.stores.blobs.read_whole(files[1].blob_key, max_bytes=LARGEST_FILE)
    assert kept == picture(width=30, height=40)
    assert shop.left_behind == []


async def test_inputs_are_fetched_once_also_when_another_worker_takes_over(shop: Workshop, key: ApiKey) -> None:
    shop.upstream.is_resubmit_safe = True
    shop.upstream.to_submit = [Crash(), Crash()]
    job_id = await edit(shop, key, shop.fetcher.put("1.png", picture()))
    await shop.crashed(job_id)
    await shop.crashed(job_id, "worker_2")
    await shop.carry(job_id, "worker_3")
    assert (await shop.job(job_id)).status == "completed"
    assert len(shop.fetcher.fetched) == 1
    assert shop.upstream.calls[0].files == shop.upstream.calls[1].files == shop.upstream.calls[2].files


async def test_what_is_no_media_goes_to_the_upstream_as_an_address(shop: Workshop, key: ApiKey) -> None:
    job_id = await edit(shop, key, shop.fetcher.put("1.png", picture()), lora_url=address("weights.safetensors"))
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "completed"
    assert shop.fetcher.fetched == [address("1.png")]
    assert shop.upstream.calls[0].input["lora_url"] == address("weights.safetensors")
    assert [file.parameter for file in files_sent(shop.upstream)] == ["image_urls"]


async def test_media_inside_the_request_are_found_where_they_were_kept(shop: Workshop, key: ApiKey) -> None:
    job_id = await edit(shop, key, inline(picture(width=7)), shop.fetcher.put("2.png", picture()))
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "completed"
    [file, _] = files_sent(shop.upstream)
    assert (file.source_url, file.width) == (None, 7)
    assert await shop.stores.blobs.read_whole(file.blob_key, max_bytes=LARGEST_FILE) == picture(width=7)
    assert shop.fetcher.fetched == [address("2.png")]


async def test_an_output_of_ours_is_an_input_without_a_download(shop: Workshop, key: ApiKey) -> None:
    made = await shop.submit(key)
    await shop.carry(made)
    [asset] = await shop.assets(made)
    job_id = await edit(shop, key, shop.stores.assets.url(asset))
    await shop.carry(job_id)
    assert (await shop.job(job_id)).status == "completed"
    [file] = files_sent(shop.upstream)
    assert file.source_url == shop.stores.assets.url(asset)
    assert file.blob_key.startswith(f"inputs/{job_id}/")
    assert shop.fetcher.fetched == []


async def upload(shop: Workshop, key: ApiKey, content: bytes, content_type: str = "image/png") -> str:
    """Put a file where uploads lie, under an address of ours."""
    now = shop.clock.now()
    file = File(
        id=(file_id := new_id(IdKind.FILE, now)),
        account_id=key.account_id,
        content_type=content_type,
        extension="png",
        size_bytes=len(content),
        sha256="0" * 64,
        blob_key=f"files/{file_id}.png",
        created_at=now,
        expires_at=now + RETENTION,
    )
    await shop.stores.blobs.put(file.blob_key, content)
    await shop.stores.database.write(lambda connection: insert_file(connection, file))
    return shop.stores.files.url(file)


async def test_an_upload_is_an_input_without_a_download_and_judged_by_its_content(shop: Workshop, key: ApiKey) -> None:
    url = await upload(shop, key, picture(width=7), content_type="video/mp4")
    stranger = await shop.stores.new_key(granted=100_000)
    for caller in (key, stranger):
        job_id = await edit(shop, caller, url)
        await shop.carry(job_id)
        assert (await shop.job(job_id)).status == "completed"
        [file] = files_sent(shop.upstream)
        assert (file.source_url, file.kind, file.width) == (url, "image", 7)
        assert file.blob_key == f"inputs/{job_id}/image_urls-0"
    assert shop.fetcher.fetched == []


async def test_a_job_has_its_files_although_they_expire_or_are_deleted_on_the_way(shop: Workshop, key: ApiKey) -> None:
    """It stands in line past the expiry of one, and runs on past the end of both."""
    uploaded = await upload(shop, key, picture(width=7))
    shop.clock.advance(RETENTION.total_seconds() - 60)
    made = await shop.submit(key)
    await shop.carry(made)
    [asset] = await shop.assets(made)
    job_id = await edit(shop, key, uploaded, shop.stores.assets.url(asset))
    shop.clock.advance(60)
    await shop.stores.files.purge_expired(10)

    async def all_gone() -> Running:
        await shop.stores.jobs.delete(key, made)
        shop.clock.advance(LINGER.total_seconds())
        assert await shop.stores.files.purge_expired(10) == 1
        return Running()

    shop.upstream.to_check = [all_gone]
    await shop.carry(job_id)
    files = files_sent(shop.upstream)
    assert [file.source_url for file in files] == [None, shop.stores.assets.url(asset)]
    assert [file.width for file in files] == [7, 64]
    for file in files:
        assert await shop.stores.blobs.read_whole(file.blob_key, max_bytes=LARGEST_FILE)
    late = await edit(shop, key, uploaded, shop.stores.assets.url(asset))
    await shop.carry(late)
    assert (await error_message(shop, late)).startswith("image_urls[0]: This file has expired")


async def test_a_file_that_lies_no_longer_in_the_store_is_said_to_be_deleted(shop: Workshop, key: ApiKey) -> None:
    url = await upload(shop, key, picture())
    await shop.stores.blobs.delete([f"files/{url.rpartition('/')[2]}"])
    job_id = await edit(shop, key, url)
    await shop.carry(job_id)
    assert await error_message(shop, job_id) == "image_urls[0]: the file was deleted; give another"


# What is wrong with them


async def test_an_output_of_ours_that_has_expired_is_the_callers_to_replace(shop: Workshop, key: ApiKey) -> None:
    made = await shop.submit(key)
    await shop.carry(made)
    [asset] = await shop.assets(made)
    shop.clock.advance(25 * 3600)
    job_id = await edit(shop, key, shop.stores.assets.url(asset))
    await shop.carry(job_id)
    assert (await shop.job(job_id)).error_code == "invalid_input"
    assert (await error_message(shop, job_id)).startswith("image_urls[0]: This asset has expired")


async def test_an_address_of_ours_under_which_there_is_nothing_is_refused(shop: Workshop, key: ApiKey) -> None:
    job_id = await edit(shop, key, "http://dojo.test/assets/asset_0.png")
    await shop.carry(job_id)
    assert (await shop.job(job_id)).error_code == "invalid_input"
    assert (await error_message(shop, job_id)).startswith("image_urls[0]: There is no such asset")


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (BROKEN, "it is HTML"),
        (clip(3.0), "this must be an image, but the file is a video (video/mp4)"),
        (picture(kind="model3d", content_type="model/gltf-binary"), "but the file is a 3D model"),
        (picture(content_type="x" * LARGEST_FILE), "the file is over the limit of 10,000 bytes"),
        (
            FetchFailed(FetchErrorKind.REFUSED, "its address is not on the public internet"),
            "not on the public internet",
        ),
        (status(404), "the server answered 404"),
        (status(403), "the server answered 403"),
    ],
    ids=["broken", "another kind", "a 3D model", "too large", "refused", "missing", "forbidden"],
)
async def test_an_input_that_cannot_be_used_ends_the_job_before_any_upstream_hears_of_it(
    shop: Workshop, key: ApiKey, turn: bytes | Exception, why: str
) -> None:
    job_id = await edit(shop, key, shop.fetcher.put("1.png", picture()), shop.fetcher.put("2.png", turn))
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "invalid_input", 0)
    message = await error_message(shop, job_id)
    assert message.startswith("image_urls[1]: ")
    assert why in message
    assert (shop.upstream.calls, await shop.attempts(job_id)) == ([], [])
    assert shop.left_behind == []


async def test_an_input_that_stands_alone_is_named_without_a_number(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, "clip", video_url=shop.fetcher.put("clip.mp4", BROKEN))
    await shop.carry(job_id)
    assert (await error_message(shop, job_id)) == "video_url: it is HTML"


# Lengths that callers state to have less held


@pytest.mark.parametrize(("stated", "seconds"), [(5, 5.2), (5, 29.0), (5, 40.0), (2.5, 3.0)])
async def test_a_source_longer_than_stated_is_refused_before_anything_is_paid(
    shop: Workshop, key: ApiKey, stated: float, seconds: float
) -> None:
    source = shop.fetcher.put("clip.mp4", clip(seconds))
    job_id = await shop.submit(key, "clip", video_url=source, video_duration=stated)
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "invalid_input", 0)
    assert (await error_message(shop, job_id)) == (
        f"video_url: it is {seconds:.1f} seconds long, and video_duration says {stated}. "
        "Give video_duration its real length, or leave video_duration out to have 30 seconds held."
    )
    assert (shop.upstream.calls, await shop.attempts(job_id)) == ([], [])


@pytest.mark.parametrize(
    ("stated", "seconds", "settled"),
    [
        (5, 5.0, 2_500),
        # A frame or a packet of sound over is no untruth, and not charged either.
        (5, 5.1, 2_500),
        (4.96, 5.04, 2_500),
        (5, 3.2, 1_600),
        (30, 40.0, 15_000),
        (None, 40.0, 15_000),
        (None, 3.2, 1_600),
    ],
)
async def test_a_length_that_is_true_or_lowers_nothing_is_taken(
    shop: Workshop, key: ApiKey, stated: float | None, seconds: float, settled: int
) -> None:
    given: dict[str, Any] = {} if stated is None else {"video_duration": stated}
    job_id = await shop.submit(key, "clip", video_url=shop.fetcher.put("clip.mp4", clip(seconds)), **given)
    shop.upstream.to_check = [finished(clip(seconds))]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, settled)


@pytest.mark.parametrize(
    ("seconds", "num_outputs", "is_taken"),
    [(1.8, 3, False), (1.95, 3, True), (10.4, 3, True), (10.6, 3, False), (1.8, 1, True), (12.0, 1, True)],
)
async def test_a_source_outside_the_model_s_limits_for_such_an_input_is_refused_uncharged(
    shop: Workshop, key: ApiKey, seconds: float, num_outputs: int, is_taken: bool
) -> None:
    source = shop.fetcher.put("clip.mp4", clip(seconds))
    job_id = await shop.submit(key, "clip", video_url=source, num_outputs=num_outputs)
    shop.upstream.to_check = [finished(*[clip(seconds)] * num_outputs)]
    await shop.carry(job_id)
    if is_taken:
        assert (await shop.ending(key, job_id))[0] == "completed"
        return
    assert await shop.ending(key, job_id) == ("failed", "invalid_input", 0)
    assert (await error_message(shop, job_id)) == (
        f"video_url: it is {seconds:.1f} seconds long, and must be 2 to 10 seconds when num_outputs is at least 3."
    )
    assert (shop.upstream.calls, await shop.attempts(job_id)) == ([], [])


# Servers in trouble


@pytest.mark.parametrize(
    "error",
    [DOWN, FetchFailed(FetchErrorKind.TIMEOUT, "too slow"), status(500), status(503), status(429), status(408)],
    ids=str,
)
async def test_an_input_is_fetched_again_when_its_server_was_in_trouble(
    shop: Workshop, key: ApiKey, error: FetchFailed
) -> None:
    job_id = await edit(shop, key, shop.fetcher.put("1.png", [error, error, picture()]))
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 2000)
    assert (len(shop.fetcher.fetched), shop.pauses) == (3, [0.5, 1.0])
    assert len(shop.upstream.calls) == 1


async def test_a_server_that_stays_in_trouble_ends_the_job(shop: Workshop, key: ApiKey) -> None:
    job_id = await edit(shop, key, shop.fetcher.put("1.png", DOWN))
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("failed", "invalid_input", 0)
    assert await error_message(shop, job_id) == "image_urls[0]: the server did not accept a connection"
    assert (len(shop.fetcher.fetched), shop.upstream.calls) == (4, [])


async def test_trouble_with_inputs_is_not_counted_against_upstreams(shop: Workshop, key: ApiKey) -> None:
    job_id = await edit(shop, key, shop.fetcher.put("1.png", [DOWN, DOWN, DOWN, picture()]))
    await shop.carry(job_id, pauses=3)
    shop.clock.advance(60)

    async def look() -> Any:
        assert (await shop.job(job_id)).failures == 0
        raise Crash

    shop.upstream.to_submit = [look]
    await shop.crashed(job_id)
    assert len(shop.upstream.calls) == 1
