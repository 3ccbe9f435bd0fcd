"""GET /credits."""

from tests.api.dojo import Caller, Dojo

from pixeldojo.accounts.keys import KeyMode


async def test_it_shows_what_is_available_and_what_is_held_in_both_modes(dojo: Dojo, caller: Caller) -> None:
    await dojo.stores.credits.grant(caller.api_key.account_id, KeyMode.LIVE, 2_500, "for a test")
    await caller.run()
    reply = await caller.get("/api/v1/credits")
    assert reply.status == 200
    assert reply.json == {
        "mode": "test",
        "available": 99,
        "held": 1,
        "balances": {"test": {"available": 99, "held": 1}, "live": {"available": 2.5, "held": 0}},
    }
