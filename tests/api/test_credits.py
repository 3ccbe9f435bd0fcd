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


async def test_an_account_without_credits_has_none_and_a_settled_job_holds_none(dojo: Dojo) -> None:
    poor = await dojo.caller(granted=0)
    nothing = {"available": 0, "held": 0}
    assert (await poor.get("/api/v1/credits")).json["balances"] == {"test": nothing, "live": nothing}
    await dojo.stores.credits.grant(poor.api_key.account_id, KeyMode.TEST, 1_001, "for a test")
    job_id = await poor.run()
    assert (await poor.get("/api/v1/credits")).json["balances"]["test"] == {"available": 0.001, "held": 1}
    await dojo.completed(job_id, captured=400)
    assert (await poor.get("/api/v1/credits")).json["balances"]["test"] == {"available": 0.601, "held": 0}
