"""GET /credits/entries: the ledger as its owner sees it, complete, paged, and adding up."""

from fractions import Fraction
from typing import Any

import pytest
from tests.api.dojo import Caller, Dojo

from pixeldojo.accounts.keys import KeyMode

ENTRIES = "/api/v1/credits/entries"


async def everything(caller: Caller, query: str = "", limit: int = 2) -> list[Any]:
    """Follow the pages to their end."""
    found: list[Any] = []
    cursor = ""
    while True:
        reply = await caller.get(f"{ENTRIES}?limit={limit}{query}{cursor}")
        assert reply.status == 200, reply.body
        found += reply.json["entries"]
        if reply.json["nextCursor"] is None:
            return found
        assert len(reply.json["entries"]) == limit
        cursor = f"&cursor={reply.json['nextCursor']}"


def total(entries: list[Any], member: str) -> Fraction:
    return sum((Fraction(str(entry[member])) for entry in entries), Fraction(0))


async def busy(dojo: Dojo, caller: Caller) -> list[str]:
    """Leave a grant, a part charged, all given back, and a job under way, a second between any two."""
    jobs = []
    for captured in (333, 0, None):
        dojo.clock.advance(1)
        jobs.append(await caller.run())
        dojo.clock.advance(1)
        if captured is not None:
            await dojo.completed(jobs[-1], captured=captured)
    return jobs


async def test_every_movement_is_told_newest_first_and_adds_up_to_the_balance(dojo: Dojo, caller: Caller) -> None:
    part, free, open_one = await busy(dojo, caller)
    told = await everything(caller)
    balance = (await caller.get("/api/v1/credits")).json

    # Two entries of one settlement have one time, and stand in either order.
    assert sorted(
        (entry["kind"], entry["jobId"], entry["amount"], entry["held"]) for entry in told if entry["jobId"]
    ) == [
        ("capture", part, 0, -0.333),
        ("hold", part, -1, 1),
        ("hold", free, -1, 1),
        ("hold", open_one, -1, 1),
        ("release", part, 0.667, -0.667),
        ("release", free, 1, -1),
    ]
    assert told[-1] | {"entryId": ""} == {
        "entryId": "",
        "kind": "grant",
        "amount": 100,
        "held": 0,
        "jobId": None,
        "note": "for a test",
        "createdAt": "2026-05-04T12:00:00.000Z",
    }
    times = [entry["createdAt"] for entry in told]
    assert times == sorted(times, reverse=True)
    assert len({entry["entryId"] for entry in told}) == len(told) == 7
    assert (total(told, "amount"), total(told, "held")) == (
        Fraction(str(balance["available"])),
        Fraction(str(balance["held"])),
    )


async def test_kinds_and_times_filter(dojo: Dojo, caller: Caller) -> None:
    await busy(dojo, caller)
    told = await everything(caller)
    for kind in ("grant", "hold", "capture", "release"):
        assert await everything(caller, f"&kind={kind}") == [entry for entry in told if entry["kind"] == kind]
    for moment in sorted({entry["createdAt"] for entry in told}):
        after = await everything(caller, f"&created_after={moment}")
        before = await everything(caller, f"&created_before={moment}")
        assert after == [entry for entry in told if entry["createdAt"] > moment]
        assert before == [entry for entry in told if entry["createdAt"] < moment]


async def test_new_entries_do_not_move_the_pages(dojo: Dojo, caller: Caller) -> None:
    await busy(dojo, caller)
    told = await everything(caller)
    first = (await caller.get(f"{ENTRIES}?limit=3")).json
    dojo.clock.advance(1)
    await caller.run()
    second = (await caller.get(f"{ENTRIES}?limit=4&cursor={first['nextCursor']}")).json
    assert first["entries"] + second["entries"] == told


async def test_accounts_and_modes_are_apart(dojo: Dojo, caller: Caller) -> None:
    await busy(dojo, caller)
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE, granted=7_000)
    other = await dojo.caller(granted=0)
    assert [(entry["kind"], entry["amount"]) for entry in await everything(live)] == [("grant", 7)]
    assert await everything(other) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=job_1", "kind=gift", "created_after=now"])
async def test_a_wrong_question_is_told_what_is_right(caller: Caller, query: str) -> None:
    reply = await caller.get(f"{ENTRIES}?{query}")
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert reply.member(query.partition("=")[0])
