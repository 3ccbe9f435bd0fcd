"""Assets, on both databases: the address works until its time is over, and cannot be guessed into another one."""

from dataclasses import replace

import pytest
from tests.stores import BASE_URL, RETENTION, Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.assets.service import assets_folder, inputs_folder, sandbox_folder
from pixeldojo.assets.store import Asset
from pixeldojo.core.errors import Expired, NotFound
from pixeldojo.jobs.states import Step


@pytest.fixture
async def key(stores: Stores) -> ApiKey:
    return await stores.new_key(granted=100_000)


@pytest.fixture
async def asset(stores: Stores, key: ApiKey) -> Asset:
    job = await stores.at(key, Step.ENDED)
    return (await stores.assets.list_assets([job.id]))[job.id][0]


def file_name(stores: Stores, asset: Asset) -> str:
    return stores.assets.url(asset).removeprefix(f"{BASE_URL}/assets/")


async def test_an_address_leads_to_its_asset(stores: Stores, asset: Asset) -> None:
    assert await stores.assets.open_asset(file_name(stores, asset)) == asset
    assert stores.assets.own_file_name(stores.assets.url(asset)) == asset.file_name
    assert stores.assets.own_file_name("https://elsewhere.test/assets/asset_1.png") is None


@pytest.mark.parametrize("change", ["{id}", "{id}.jpg", "{id}.png.exe", "x{id}.png", "", ".png", "../{id}.png"])
async def test_any_other_name_is_not_found(stores: Stores, asset: Asset, change: str) -> None:
    with pytest.raises(NotFound):
        await stores.assets.open_asset(change.format(id=asset.id))


async def test_an_address_ends_with_its_job(stores: Stores, asset: Asset) -> None:
    stores.clock.advance(RETENTION.total_seconds() - 1)
    assert await stores.assets.open_asset(asset.file_name) == asset
    stores.clock.advance(1)

    with pytest.raises(Expired):
        await stores.assets.open_asset(asset.file_name)
    await stores.ending.purge_expired(10)
    with pytest.raises(Expired):
        await stores.assets.open_asset(asset.file_name)


async def test_assets_are_listed_by_job_in_output_order(stores: Stores, key: ApiKey) -> None:
    jobs = [await stores.at(key, Step.COLLECT) for _ in range(2)]
    for job in jobs:
        files = [stores.asset(job, position) for position in (2, 0, 1)]
        await stores.claims.complete(job, files, 0)
    empty = await stores.create(key)

    found = await stores.assets.list_assets([jobs[0].id, jobs[1].id, empty])

    assert {job_id: [asset.position for asset in assets] for job_id, assets in found.items()} == {
        jobs[0].id: [0, 1, 2],
        jobs[1].id: [0, 1, 2],
        empty: [],
    }
    assert await stores.assets.list_assets([]) == {}


async def test_deleting_the_files_of_jobs_takes_outputs_inputs_and_sandbox_books_and_nothing_else(
    stores: Stores,
) -> None:
    for folder in (assets_folder, inputs_folder, sandbox_folder):
        for job_id in ("job_1", "job_10", "job_2"):
            await stores.blobs.put(f"{folder(job_id)}/0.png", b"")

    await stores.assets.delete_files(["job_1"])
    await stores.assets.delete_files(["job_1"])

    left = {blob.key async for blob in stores.blobs.list_blobs()}
    folders = ("assets", "inputs", "sandbox")
    assert left == {f"{folder}/{job_id}/0.png" for folder in folders for job_id in ("job_10", "job_2")}


async def test_an_asset_keeps_its_facts(stores: Stores, key: ApiKey) -> None:
    job = await stores.at(key, Step.COLLECT)
    clip = replace(
        stores.asset(job, kind="video"),
        content_type="video/mp4",
        extension="mp4",
        size_bytes=5_000_000_000,
        duration_seconds=5.005,
    )

    ended = await stores.claims.complete(job, [clip], 0)

    assert await stores.assets.open_asset(clip.file_name) == replace(clip, expires_at=ended.expires_at)
