"""GET /usage: the figures as callers see them, and what may be asked."""

import pytest
from tests.api.dojo import Caller, Dojo

from pixeldojo.accounts.keys import KeyMode

USAGE = "/api/v1/usage"


async def test_days_and_totals(dojo: Dojo, caller: Caller) -> None:
    await dojo.completed(await caller.run(), captured=400)
    await dojo.failed(await caller.run())
    dojo.clock.advance(24 * 3_600)
    await caller.run()
    dojo.clock.advance(1)

    told = (await caller.get(USAGE)).json

    assert told == {
        "mode": "test",
        "createdAfter": "2026-04-05T12:00:01.000Z",
        "createdBefore": "2026-05-05T12:00:01.000Z",
        "groupBy": ["day"],
        "totals": {"count": 3, "credits": 0.4, "held": 1},
        "rows": [
            {"day": "2026-05-04", "count": 2, "credits": 0.4, "held": 0},
            {"day": "2026-05-05", "count": 1, "credits": 0, "held": 1},
        ],
    }
    # What was charged is what the ledger captured.
    entries = (await caller.get("/api/v1/credits/entries?kind=capture")).json["entries"]
    assert sum(entry["held"] for entry in entries) == -told["totals"]["credits"]


async def test_groups_are_named_by_their_members(dojo: Dojo, caller: Caller) -> None:
    await dojo.failed(await caller.run())
    dojo.clock.advance(1)
    asked = "&".join(f"group_by={one}" for one in ("status", "key", "model", "day", "status"))
    told = (await caller.get(f"{USAGE}?{asked}")).json
    assert told["groupBy"] == ["status", "key", "model", "day"]
    assert told["rows"] == [
        {
            "status": "failed",
            "keyId": caller.api_key.id,
            "model": "flux-1.1-pro",
            "day": "2026-05-04",
            "count": 1,
            "credits": 0,
            "held": 0,
        }
    ]


async def test_modes_are_apart(dojo: Dojo, caller: Caller) -> None:
    await caller.run()
    dojo.clock.advance(1)
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    told = (await live.get(USAGE)).json
    assert (told["mode"], told["rows"], told["totals"]["count"]) == ("live", [], 0)


@pytest.mark.parametrize(
    ("query", "path", "says"),
    [
        ("group_by=week", "group_by.0", "must be 'day', 'model', 'key' or 'status'"),
        ("group_by=day,model", "group_by.0", "must be 'day', 'model', 'key' or 'status'"),
        ("created_after=2026-01-01T00:00:00Z", "created_after", "at most 92 days"),
        ("created_before=yesterday", "created_before", "must be a time such as"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "created_after", "must be a time such as"),
    ],
)
async def test_a_wrong_question_is_told_what_is_right(caller: Caller, query: str, path: str, says: str) -> None:
    reply = await caller.get(f"{USAGE}?{query}")
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.member(path)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
async def test_the_ends_of_time_have_an_answer(caller: Caller, when: str) -> None:
    assert (await caller.get(f"{USAGE}?created_before={when}")).status in {200, 400}
    assert (await caller.get(f"/api/v1/credits/entries?created_before={when}&created_after={when}")).status == 200
