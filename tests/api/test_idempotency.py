"""`Idempotency-Key` on a run: the same key and request never make a second job, nor a second charge."""

import asyncio
import json

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.api.dojo import ALL_PROVIDERS, PROMPT, RUN, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.core.json_types import JsonValue


async def test_the_same_key_and_body_give_the_same_answer_and_say_so(caller: Caller) -> None:
    first = await caller.post(RUN, PROMPT, idempotency_key="order-1")
    again = await caller.post(RUN, PROMPT, idempotency_key="order-1")
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert again.header("location") == first.header("location")
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (None, "true")
    assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


async def test_another_spelling_of_the_same_request_is_the_same_request(caller: Caller) -> None:
    content = {"prompt": "a", "seed": 7, "aspect_ratio": "1:1", "webhook_url": HOOK}
    job_id = await caller.run(content, idempotency_key="order-1")
    for spelling in (
        json.dumps(dict(reversed(content.items()))),
        json.dumps(content, indent=4),
        f'{{"prompt":"\\u0061","seed":7.0,"aspectRatio":"1:1","webhook_url":"{HOOK}","output_format":"webp"}}',
    ):
        reply = await caller.send("POST", RUN, body=spelling.encode(), headers={"idempotency-key": "order-1"})
        assert (reply.status, reply.json["jobId"]) == (202, job_id)


@pytest.mark.parametrize(
    ("target", "content", "headers"),
    [
        (RUN, {"prompt": "another"}, {}),
        (RUN, {**PROMPT, "seed": 1}, {}),
        (RUN, {**PROMPT, "webhook_url": HOOK}, {}),
        (RUN, PROMPT, {"x_pixeldojo_sandbox": "slow=1"}),
        ("/api/v1/models/flux-2-pro/run", PROMPT, {}),
    ],
)
async def test_the_same_key_with_another_request_is_422_and_changes_nothing(
    caller: Caller, target: str, content: JsonValue, headers: dict[str, str]
) -> None:
    await caller.run(idempotency_key="order-1")
    before = await caller.traces()
    reply = await caller.post(target, content, idempotency_key="order-1", **headers)
    assert (reply.status, reply.error["code"]) == (422, "idempotency_mismatch")
    assert "'order-1' was used for another request" in reply.error["message"]
    assert await caller.traces() == before


async def test_keys_of_one_account_share_it_and_accounts_do_not(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run(idempotency_key="order-1")
    colleague = await dojo.caller(account_id=caller.api_key.account_id)
    assert await colleague.run(idempotency_key="order-1") == job_id
    stranger = await dojo.caller()
    assert await stranger.run(idempotency_key="order-1") != job_id


async def test_a_live_key_never_gets_the_answer_of_a_test_run(dojo: Dojo, caller: Caller) -> None:
    await caller.run(idempotency_key="order-1")
    dojo.build(live_providers=ALL_PROVIDERS)
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    assert (await live.post(RUN, PROMPT, idempotency_key="order-1")).error["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("key", ["a", "~" * 255, "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"])
async def test_any_visible_ascii_up_to_255_characters_is_a_key(caller: Caller, key: str) -> None:
    job_id = await caller.run(idempotency_key=key)
    assert await caller.run(idempotency_key=key) == job_id


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "caf\xe9", "tab\there"])
async def test_another_key_is_refused_with_what_would_be_right(caller: Caller, key: str) -> None:
    reply = await caller.post(RUN, PROMPT, idempotency_key=key)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert "1 to 255 visible ASCII characters" in reply.member("header.Idempotency-Key")
    assert reply.error["message"].startswith("The header Idempotency-Key cannot be used: must be 1 to 255 visible")
    assert (await caller.traces())[2] == 0


async def test_two_keys_are_refused(caller: Caller) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b"), ("content-type", "application/json")]
    reply = await caller.send("POST", RUN, body=json.dumps(PROMPT).encode(), headers=headers)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert reply.member("header.Idempotency-Key") == "was sent more than once; send one"
    assert (await caller.traces())[2] == 0


async def test_keys_differ_by_case(caller: Caller) -> None:
    assert await caller.run(idempotency_key="Order") != await caller.run(idempotency_key="order")


async def test_while_the_first_is_being_accepted_the_second_is_409_and_later_gets_its_answer(
    dojo: Dojo, caller: Caller
) -> None:
    held, release = asyncio.Event(), asyncio.Event()

    async def hold_the_writer(_connection: AsyncConnection) -> None:
        held.set()
        await release.wait()

    holding = asyncio.create_task(dojo.stores.database.write(hold_the_writer))
    await held.wait()
    first = asyncio.create_task(caller.post(RUN, PROMPT, idempotency_key="order-1"))
    async with asyncio.timeout(10):
        while not dojo.app.state.idempotency_in_flight:  # noqa: ASYNC110  the set is the server's own, without an event
            await asyncio.sleep(0)
    second = await caller.post(RUN, PROMPT, idempotency_key="order-1")
    other = asyncio.create_task(caller.post(RUN, PROMPT, idempotency_key="order-2"))
    release.set()
    await holding
    assert (second.status, second.error["code"]) == (409, "conflict")
    assert "still being accepted" in second.error["message"]
    assert int(second.header("retry-after") or 0) == 1
    assert (await first).status == (await other).status == 202
    third = await caller.post(RUN, PROMPT, idempotency_key="order-1")
    assert third.json == (await first).json
    assert not dojo.app.state.idempotency_in_flight


async def test_many_at_once_with_one_key_make_one_job_and_one_charge(caller: Caller) -> None:
    replies = await asyncio.gather(*(caller.post(RUN, PROMPT, idempotency_key="order-1") for _ in range(30)))
    assert {reply.status for reply in replies} <= {202, 409}
    assert len({reply.json["jobId"] for reply in replies if reply.status == 202}) == 1
    assert await caller.traces() == (99_000, 1_000, 1, 2, 1)


async def test_a_refused_run_leaves_the_key_for_the_next_one(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=500)
    assert (await poor.post(RUN, PROMPT, idempotency_key="order-1")).status == 402
    await dojo.stores.credits.grant(poor.api_key.account_id, "test", 500, "for a test")
    accepted = await poor.post(RUN, PROMPT, idempotency_key="order-1")
    assert accepted.status == 202
    assert accepted.header("idempotent-replayed") is None


async def test_a_failed_job_keeps_its_key_so_that_a_repeat_does_not_run_it_again(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run(idempotency_key="order-1")
    await dojo.failed(job_id)
    assert await caller.run(idempotency_key="order-1") == job_id


async def test_the_answer_is_kept_as_long_as_the_job(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run(idempotency_key="order-1")
    await dojo.completed(job_id)
    dojo.clock.advance(24 * 3_600 - 1)
    await dojo.stores.ending.forget_answers()
    assert await caller.run(idempotency_key="order-1") == job_id
    dojo.clock.advance(1)
    await dojo.stores.ending.forget_answers()
    assert await caller.run(idempotency_key="order-1") != job_id


async def test_without_a_key_every_run_is_a_new_job(caller: Caller) -> None:
    assert await caller.run() != await caller.run()
