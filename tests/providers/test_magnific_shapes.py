"""Magnific has no client of its own: the shapes recorded from its documents and from public clients, and our adapter.

What is expected of every service is tried by the neighbours; here is what only Magnific does.
"""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.emulators.magnific import ASKED_ELSEWHERE, MagnificEmulator
from tests.providers.pairs import PAIRS
from tests.providers.scripted import Scripted
from tests.providers.stand import CALLBACKS, LOOPBACK, Stand, open_stand

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.net.client import OutboundClient
from pixeldojo.providers.contract import (
    Call,
    Callback,
    Finished,
    ForgedCallback,
    HttpAnswer,
    HttpClient,
    InputFile,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.magnific import MagnificProvider

PAIR = next(pair for pair in PAIRS if pair.name == "magnific")
PROVIDER = MagnificProvider("key", webhook_secret="c2VjcmV0IG9mIHRoZSBkb2pv")
OPERATION = Operation("abc", {"kind": "image", "path": "mystic"})
FILE = "https://files.test/a.png"
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
PICTURE = InputFile("image_url", 0, None, "inputs/1", "image", "image/png", 3, 1, 1)


def _call(endpoint: str, callback_url: str | None = None, **arguments: JsonValue) -> Call:
    return Call(
        job_id="job_1",
        attempt_id="att_1",
        model_id="m",
        task="image-to-video",
        endpoint=endpoint,
        arguments=arguments,
        input={},
        output={"kind": "video"},
        callback_url=callback_url,
    )


def _answer(body: JsonObject, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


@pytest.fixture
async def emulator() -> AsyncIterator[MagnificEmulator]:
    async with MagnificEmulator({**dict.fromkeys(ASKED_ELSEWHERE, "video"), "mystic": "image"}) as emulator:
        assert isinstance(emulator, MagnificEmulator)
        yield emulator


@pytest.fixture
async def http(emulator: MagnificEmulator) -> AsyncIterator[HttpClient]:
    client = OutboundClient(LOOPBACK)
    yield client.for_upstream(emulator.url)
    await client.close()


# Tasks


@pytest.mark.parametrize("endpoint", [*ASKED_ELSEWHERE, "mystic"])
async def test_a_task_is_asked_about_where_it_is_known(
    emulator: MagnificEmulator, http: HttpClient, endpoint: str
) -> None:
    provider = MagnificProvider(emulator.key, f"{emulator.url}/v1")
    operation = await provider.submit(_call(endpoint, prompt="a lantern"), http)
    assert isinstance(operation, Operation)
    assert isinstance(await provider.check(operation, http), Running)


def _in_data(task: JsonObject) -> JsonObject:
    return {"data": task}


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        (_in_data({"task_id": "abc", "status": "COMPLETED", "generated": [FILE]}), [FILE]),
        (
            _in_data({"task_id": "abc", "status": "COMPLETED", "generated": [{"url": FILE}], "has_nsfw": [False]}),
            [FILE],
        ),
        # Style transfer, by its page.
        ({"task_id": "abc", "task_status": "COMPLETED", "generated": [FILE]}, [FILE]),
        # The filter struck one of two.
        (
            _in_data({"status": "COMPLETED", "generated": ["https://files.test/b", FILE], "has_nsfw": [True, False]}),
            [FILE],
        ),
        (_in_data({"status": "COMPLETED", "generated": []}), []),
    ],
)
async def test_outputs_are_found(body: JsonObject, urls: list[str]) -> None:
    done = await PROVIDER.check(OPERATION, Scripted(_answer(body)))
    assert isinstance(done, Finished)
    assert [file.url for file in done.outputs] == urls


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ({"status": "COMPLETED", "generated": [FILE], "has_nsfw": [True]}, UpstreamErrorKind.REFUSED_CONTENT),
        ({"status": "COMPLETED", "generated": [], "has_nsfw": True}, UpstreamErrorKind.REFUSED_CONTENT),
        ({"status": "FAILED", "generated": [], "has_nsfw": [True]}, UpstreamErrorKind.REFUSED_CONTENT),
        ({"status": "FAILED", "error": "Prompt flagged by moderation"}, UpstreamErrorKind.REFUSED_CONTENT),
        ({"status": "FAILED", "error": None}, UpstreamErrorKind.UNAVAILABLE),
        ({"status": "FAILED", "error": "GPU lost"}, UpstreamErrorKind.UNAVAILABLE),
    ],
)
async def test_a_task_that_ended_badly(task: JsonObject, kind: UpstreamErrorKind) -> None:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.check(OPERATION, Scripted(_answer({"data": task})))
    assert (raised.value.kind, raised.value.is_final) == (kind, True)


INVALID: JsonObject = {"message": "Validation error", "invalid_params": [{"name": "body.image", "reason": "too small"}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, INVALID, UpstreamErrorKind.REJECTED_INPUT, "body.image: too small"),
        (400, {"problem": INVALID}, UpstreamErrorKind.REJECTED_INPUT, "body.image: too small"),
        (400, {"error": "bad_request", "message": "no image"}, UpstreamErrorKind.REJECTED_INPUT, "no image"),
        (400, {"message": "Error consuming credits"}, UpstreamErrorKind.OVER_LIMIT, "consuming credits"),
        (402, {"message": "Not enough credits"}, UpstreamErrorKind.OVER_LIMIT, "Not enough credits"),
        (500, {"message": "Error consuming credits"}, UpstreamErrorKind.OVER_LIMIT, "consuming credits"),
        (400, {"message": "NSFW content detected in the image"}, UpstreamErrorKind.REFUSED_CONTENT, "NSFW"),
        (403, {"message": "key key is blocked"}, UpstreamErrorKind.UNAUTHORIZED, "credentials"),
        (500, {"message": "Internal server error"}, UpstreamErrorKind.UNKNOWN, "500"),
    ],
)
async def test_a_submit_that_was_turned_away(status: int, body: JsonObject, kind: UpstreamErrorKind, said: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.submit(_call("mystic"), Scripted(_answer(body, status)))
    assert (raised.value.kind, raised.value.is_final) == (kind, False)
    assert said in raised.value.message


async def test_freepiks_address_wants_its_own_header() -> None:
    async with MagnificEmulator({"mystic": "image"}, key_header="x-freepik-api-key") as emulator:
        client = OutboundClient(LOOPBACK)
        http, base = client.for_upstream(emulator.url), f"{emulator.url}/v1"
        operation = await MagnificProvider(emulator.key, base, key_header="x-freepik-api-key").submit(
            _call("mystic"), http
        )
        assert isinstance(operation, Operation)
        with pytest.raises(UpstreamError, match="credentials"):
            await MagnificProvider(emulator.key, base).submit(_call("mystic"), http)
        await client.close()


# Files


async def test_a_file_goes_to_storage_elsewhere_and_the_key_does_not(
    emulator: MagnificEmulator, http: HttpClient
) -> None:
    async with MagnificEmulator({}) as storage:
        emulator.named_url = storage.url
        address = await MagnificProvider(emulator.key, f"{emulator.url}/v1").upload(PICTURE, b"abc", "mystic", http)
        [(file_id, content)] = storage.uploads.items()
        assert content == b"abc"
        assert file_id in address
        assert emulator.key not in str([seen.headers for seen in storage.log])


async def test_a_file_of_a_type_that_is_not_taken_is_no_fault_of_the_input(
    emulator: MagnificEmulator, http: HttpClient
) -> None:
    provider = MagnificProvider(emulator.key, f"{emulator.url}/v1")
    drawing = InputFile("image_url", 0, None, "inputs/1", "image", "image/gif", 3, 1, 1)
    assert not provider.wants_upload(drawing)
    for attempt in (
        provider.upload(drawing, b"abc", "mystic", http),
        provider.submit(_call("mystic", image="data:image/gif;base64,AAAA"), http),
        provider.submit(_call("mystic", image_urls=["data:image/gif;base64,AAAA"]), http),
    ):
        with pytest.raises(UpstreamError) as raised:
            await attempt
        assert raised.value.kind == UpstreamErrorKind.UNAVAILABLE
    assert emulator.paid == []


@pytest.mark.parametrize(
    "ticket",
    [{}, {"files": []}, {"files": [{"upload_url": FILE}]}, {"files": [{"upload_url": FILE, "asset_url": "file:///x"}]}],
)
async def test_an_upload_without_a_place_is_none(ticket: JsonObject) -> None:
    with pytest.raises(UpstreamError) as raised:
        await PROVIDER.upload(PICTURE, b"abc", "mystic", Scripted(_answer(ticket)))
    assert raised.value.kind == UpstreamErrorKind.UNAVAILABLE


# Callbacks

BODY = b'{"task_id":"t"}'
# Signed with openssl: with the secret's text, as the documents say, and with what it is base64 of, as some clients do.
BY_TEXT = "nSM4v6YTtrktcrzjofEeD0yGy2q9ylucYoFrzv0Ynqc="
BY_CONTENT = "9MW/fcFmPdgIW19ANTQtnWwxIhQ7QRI7n3eF+Won3B8="


def _signed(signature: str) -> Mapping[str, str]:
    return {"webhook-id": "msg_1", "webhook-timestamp": "1777896000", "webhook-signature": signature}


@pytest.mark.parametrize("signature", [f"v1,{BY_TEXT}", f"v1,AAAA v2,{BY_TEXT}", f"v1,{BY_CONTENT}"])
async def test_one_good_signature_of_several_is_enough(signature: str) -> None:
    keys = await PROVIDER.callback_keys(Scripted())
    PROVIDER.verify_callback(Callback(_signed(signature), BODY, AT), keys)
    with pytest.raises(ForgedCallback):
        PROVIDER.verify_callback(Callback(_signed(signature), BODY + b" ", AT), keys)


@pytest.mark.parametrize("signature", [BY_TEXT, f"v,{BY_TEXT}", "v1,", f"x1,{BY_TEXT}"])
async def test_a_signature_in_another_form_is_none(signature: str) -> None:
    keys = await PROVIDER.callback_keys(Scripted())
    with pytest.raises(ForgedCallback):
        PROVIDER.verify_callback(Callback(_signed(signature), BODY, AT), keys)


async def test_without_the_secret_no_callback_is_asked_for_and_none_believed(
    emulator: MagnificEmulator, http: HttpClient
) -> None:
    provider = MagnificProvider(emulator.key, f"{emulator.url}/v1")
    operation = await provider.submit(_call("mystic", "https://dojo.test/back"), http)
    assert isinstance(operation, Operation)
    assert not operation.calls_back
    assert emulator.paid[0].callback_url is None
    with pytest.raises(ForgedCallback):
        provider.verify_callback(Callback(_signed(f"v1,{BY_TEXT}"), BODY, AT), await provider.callback_keys(http))


async def test_a_call_for_every_change_of_status_ends_the_job_only_at_the_end(
    sqlite_address: str, clock: FakeClock, tmp_path: Path
) -> None:
    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        return await stand.post(url, headers, body)

    stand: Stand
    async with open_stand([PAIR], sqlite_address, clock, tmp_path, post=post) as stand:
        stand.callback_base = CALLBACKS
        emulator = stand.emulators[PAIR.name]
        job_id, key = await stand.order(PAIR)
        await stand.carry(job_id, pauses=1)
        await emulator.call_back(emulator.paid[0])
        await stand.stores.claims.release_leases(None)
        await stand.carry(job_id, "worker_2", pauses=1)
        assert (await stand.job(job_id)).status == "processing"
        await emulator.finish_and_call_back(emulator.paid[0])
        await stand.stores.claims.release_leases(None)
        await stand.carry(job_id, "worker_3")
        assert (await stand.ending(key, job_id))[0] == "completed"
        assert emulator.callback_statuses == [204, 204]
