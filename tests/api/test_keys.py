"""/keys: listing, making, changing and revoking keys, by keys, none of which gets more than it was given."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select
from tests.api.asgi import Client, Reply
from tests.api.dojo import RUN, Caller, Dojo
from tests.stores import Stores

from pixeldojo.accounts import key_desk
from pixeldojo.accounts.key_desk import KeyDesk
from pixeldojo.accounts.keys import KeyMode, Scope, SpendCap, SpendCapPeriod, is_well_formed
from pixeldojo.accounts.service import AccountsService
from pixeldojo.api.app import build_app
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.db.tables import api_keys, idempotency_keys

KEYS: Final = "/api/v1/keys"
WANTED: Final[JsonObject] = {"name": "poster maker", "scopes": ["jobs:write", "jobs:read"]}
_JSON: Final = {"content-type": "application/json"}


async def made(caller: Caller, **changes: JsonValue) -> Any:
    reply = await caller.post(KEYS, {**WANTED, **changes})
    assert reply.status == 201, reply.body
    return reply.json


async def patch(caller: Caller, key_id: str, **changes: JsonValue) -> Reply:
    return await caller.patch(f"{KEYS}/{key_id}", changes)


async def with_key(dojo: Dojo, secret: str) -> Caller:
    """Return whoever was given a secret."""
    return Caller(dojo, await dojo.stores.accounts.authenticate(secret), secret)


def other_node(dojo: Dojo, key: str | None) -> Client:
    """Return a caller of another node on the same database, which remembers keys of its own."""
    stores = Stores(dojo.stores.database, dojo.clock, dojo.stores.blobs, dojo.stores.engine)
    app = build_app(replace(dojo.services, accounts=stores.accounts, keys=stores.keys))
    return Client(app, dojo.promises.check, key)


async def test_a_key_is_made_shown_once_and_works(dojo: Dojo, caller: Caller) -> None:
    # Two keys of one millisecond stand in either order in the list.
    dojo.clock.advance(1)
    reply = await caller.post(KEYS, WANTED)

    key = reply.json
    assert (reply.status, reply.header("cache-control")) == (201, "no-store")
    assert is_well_formed(key["secret"])
    assert key["secret"].startswith(key["prefix"])
    shown = {name: value for name, value in key.items() if name != "secret"}
    assert shown == {
        "keyId": key["keyId"],
        "prefix": key["prefix"],
        "name": "poster maker",
        "mode": "test",
        "scopes": ["jobs:read", "jobs:write"],
        "ratePerMinute": 1_000_000,
        "spendCap": None,
        "spent": {"today": 0, "total": 0},
        "createdAt": iso_utc(dojo.clock.now()),
        "expiresAt": None,
        "revokedAt": None,
    }
    location = (reply.header("location") or "").removeprefix("http://dojo.test")
    assert (await caller.get(location)).json == shown
    assert (await caller.get(KEYS)).json["keys"][0] == shown
    new = await with_key(dojo, key["secret"])
    await new.run()
    assert (await new.get(KEYS)).status == 403
    assert (await caller.get(location)).json["spent"] == {"today": 1, "total": 1}


async def test_the_list_is_paged_newest_first_with_revoked_and_expired_keys(dojo: Dojo, caller: Caller) -> None:
    ids = [caller.api_key.id]
    soon = iso_utc(dojo.clock.now() + timedelta(seconds=10))
    for number in range(4):
        dojo.clock.advance(1)
        ids.insert(0, (await made(caller, name=f"key {number}", expiresAt=soon if number == 1 else None))["keyId"])
    await caller.delete(f"{KEYS}/{ids[1]}")
    dojo.clock.advance(60)
    seen: list[Any] = []
    cursor = ""
    for _ in range(3):
        page = (await caller.get(f"{KEYS}?limit=2{cursor}")).json
        seen += page["keys"]
        cursor = f"&cursor={page['nextCursor']}"
    assert (page["nextCursor"], [key["keyId"] for key in seen]) == (None, ids)
    assert [key["revokedAt"] is not None for key in seen] == [False, True, False, False, False]
    assert [key["expiresAt"] for key in seen] == [None, None, soon, None, None]
    for query in ("limit=0", "limit=101", "cursor=job_1"):
        assert (await caller.get(f"{KEYS}?{query}")).status == 400


async def test_what_is_left_out_is_as_the_calling_key_has_it(dojo: Dojo, caller: Caller) -> None:
    until = dojo.clock.now() + timedelta(days=3)
    own = await made(caller, scopes=["keys", "jobs:read"], ratePerMinute=50, expiresAt=iso_utc(until))
    key = await made(await with_key(dojo, own["secret"]), scopes=["jobs:read"])
    assert (key["ratePerMinute"], key["expiresAt"], key["spendCap"]) == (50, iso_utc(until), None)


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        ({"scopes": ["jobs:read"]}, "name", "is missing"),
        ({"name": "a"}, "scopes", "is missing"),
        ({"scopes": []}, "scopes", "at least 1"),
        ({"scopes": ["jobs:reed"]}, "scopes.0", 'did you mean "jobs:read"?'),
        ({"scopes": ["jobs:read", "jobs:read"]}, "scopes", "names a scope twice"),
        ({"scopes": "jobs:read"}, "scopes", "must be a list"),
        ({"name": " "}, "name", "it is empty"),
        ({"name": "a\nb"}, "name", "line breaks"),
        ({"name": "x" * 101}, "name", "the most is 100"),
        ({"name": 7}, "name", "must be a string"),
        ({"ratePerMinute": 0}, "ratePerMinute", "must be 1 or more"),
        ({"ratePerMinute": 1_000_001}, "ratePerMinute", "must be 1000000 or less"),
        ({"ratePerMinute": 1.5}, "ratePerMinute", "must be a whole number"),
        ({"ratePerMinute": True}, "ratePerMinute", "must be a whole number"),
        ({"ratePerMinute": "60"}, "ratePerMinute", "must be a whole number"),
        ({"spendCap": 5}, "spendCap", "must be a table"),
        ({"spendCap": {"amount": 5}}, "spendCap.period", "is missing"),
        ({"spendCap": {"amount": 5, "period": "week"}}, "spendCap.period", "must be 'day' or 'total'"),
        ({"spendCap": {"amount": 0, "period": "day"}}, "spendCap.amount", "must be above 0"),
        ({"spendCap": {"amount": 0.0001, "period": "day"}}, "spendCap.amount", "at most three decimals"),
        ({"spendCap": {"amount": 10**13, "period": "day"}}, "spendCap.amount", "is more than"),
        ({"spendCap": {"amount": True, "period": "day"}}, "spendCap.amount", "must be a number of credits"),
        ({"spendCap": {"amount": "5", "period": "day"}}, "spendCap.amount", "must be a number of credits"),
        ({"expiresAt": "2026-05-04T12:00:00Z"}, "expiresAt", "must lie ahead"),
        ({"expiresAt": "2190-01-01T00:00:00Z"}, "expiresAt", "at most 100 years"),
        ({"expiresAt": "tomorrow"}, "expiresAt", "must be a time such as"),
        ({"mode": "life"}, "mode", 'did you mean "live"?'),
        ({"secret": "pd_test_mine"}, "secret", "is not known here"),
    ],
)
async def test_a_body_that_cannot_be_used_is_told_what_is_right(
    caller: Caller, body: JsonObject, path: str, says: str
) -> None:
    whole = body if path in {"name", "scopes"} and says == "is missing" else {**WANTED, **body}
    reply = await caller.post(KEYS, whole)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.member(path)
    assert len((await caller.get(KEYS)).json["keys"]) == 1


async def test_every_violation_is_told_at_once(caller: Caller) -> None:
    reply = await caller.post(KEYS, {"name": "", "scopes": [], "ratePerMinute": 0, "colour": "red"})
    assert {detail["path"] for detail in reply.error["details"]} == {"name", "scopes", "ratePerMinute", "colour"}


# What a key may give.


async def weak(dojo: Dojo, caller: Caller, **limits: Any) -> Caller:
    """Return a key of the same account that may manage keys, and has limits of its own."""
    new = await dojo.stores.accounts.create_key(
        caller.api_key.account_id, **{"name": "weak", "mode": KeyMode.TEST, **limits}
    )
    return Caller(dojo, new.key, new.secret)


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        ({"scopes": ["billing"]}, "scopes", "has jobs:read, keys itself"),
        ({"scopes": ["jobs:read", "jobs:write"]}, "scopes", "can give no others"),
        ({"ratePerMinute": 31}, "ratePerMinute", "has 30 requests a minute itself; that is the most"),
        ({"ratePerMinute": None}, "ratePerMinute", "30 requests"),
        ({"expiresAt": None}, "expiresAt", "must not be later than the calling key's own, 2026-05-05T12:00:00Z"),
        ({"expiresAt": "2026-05-05T12:00:01Z"}, "expiresAt", "must not be later"),
    ],
)
async def test_a_key_makes_none_that_has_more_than_itself(
    dojo: Dojo, caller: Caller, body: JsonObject, path: str, says: str
) -> None:
    own = await weak(
        dojo,
        caller,
        scopes=frozenset({Scope.KEYS, Scope.JOBS_READ}),
        rate_per_minute=30,
        expires_at=dojo.clock.now() + timedelta(days=1),
    )
    reply = await own.post(KEYS, {"name": "strong", "scopes": ["jobs:read"], **body})
    assert (reply.status, reply.error["code"]) == (403, "forbidden")
    assert says in reply.member(path)
    assert says in reply.error["message"]
    assert len((await caller.get(KEYS)).json["keys"]) == 2
    assert (await own.post(KEYS, {"name": "its like", "scopes": ["keys", "jobs:read"]})).status == 201


@pytest.mark.parametrize("cap", [None, {"amount": 1, "period": "total"}, {"amount": 0.001, "period": "day"}])
async def test_a_key_with_a_spend_cap_makes_none(dojo: Dojo, caller: Caller, cap: JsonValue) -> None:
    """Each of them would have a cap of its own, and together they would spend what the one may not."""
    own = await weak(dojo, caller, spend_cap=SpendCap(1_000, SpendCapPeriod.TOTAL))
    reply = await own.post(KEYS, {**WANTED, "spendCap": cap})
    assert reply.status == 403
    assert "together they could spend more" in reply.member("spendCap")


async def test_a_key_makes_keys_of_its_own_mode_and_sees_no_others(dojo: Dojo, caller: Caller) -> None:
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    refused = await caller.post(KEYS, {**WANTED, "mode": "live"})
    assert refused.status == 403
    assert "A test key makes test keys only" in refused.error["message"]
    assert (await made(live, mode="live"))["secret"].startswith("pd_live_")
    assert {key["mode"] for key in (await caller.get(KEYS)).json["keys"]} == {"test"}
    for method in ("GET", "PATCH", "DELETE"):
        reply = await caller.send(method, f"{KEYS}/{live.api_key.id}", body=b'{"name": "mine"}', headers=_JSON)
        assert reply.status == 404, method
    assert (await live.get(KEYS)).status == 200


# Changing.


async def test_a_change_holds_at_once_and_leaves_the_rest(dojo: Dojo, caller: Caller) -> None:
    key = await made(caller, ratePerMinute=100)
    new = await with_key(dojo, key["secret"])
    assert (await new.get("/api/v1/jobs")).header("x-ratelimit-limit") == "100"
    until = iso_utc(dojo.clock.now() + timedelta(days=1))

    for changes in (
        {"name": "renamed"},
        {"ratePerMinute": 7},
        {"spendCap": {"amount": 0.5, "period": "day"}},
        {"expiresAt": until},
        {"scopes": ["jobs:write"]},
    ):
        reply = await patch(caller, key["keyId"], **changes)
        expected = {**{name: value for name, value in key.items() if name != "secret"}, **changes}
        assert (reply.status, reply.json) == (200, expected)
        key = reply.json

    assert (await new.get("/api/v1/jobs")).status == 403
    refused = await new.post(RUN, {"prompt": "a"})
    assert (refused.status, refused.header("x-ratelimit-limit")) == (403, "7")
    assert "may spend 0.5 credits today" in refused.error["message"]
    lifted = await patch(caller, key["keyId"], spendCap=None, expiresAt=None, ratePerMinute=None)
    assert [lifted.json[name] for name in ("spendCap", "expiresAt", "ratePerMinute")] == [None, None, None]
    await new.run()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"scopes": ["jobs:read", "keys"]}, "scopes"),
        ({"ratePerMinute": 61}, "ratePerMinute"),
        ({"ratePerMinute": 1_000}, "ratePerMinute"),
        ({"expiresAt": None}, "expiresAt"),
        ({"expiresAt": "2026-05-06T12:00:01Z"}, "expiresAt"),
        ({"spendCap": None}, "spendCap"),
        ({"spendCap": {"amount": 2.001, "period": "total"}}, "spendCap"),
        ({"spendCap": {"amount": 1, "period": "day"}}, "spendCap"),
    ],
)
@pytest.mark.parametrize("whose", ["its own", "another's"])
async def test_a_key_widens_no_limit_beyond_its_own(
    dojo: Dojo, caller: Caller, changes: JsonObject, path: str, whose: str
) -> None:
    limits = {
        "scopes": frozenset({Scope.KEYS}) if whose == "another's" else frozenset({Scope.KEYS, Scope.JOBS_WRITE}),
        "expires_at": dojo.clock.now() + timedelta(days=2),
        "spend_cap": SpendCap(2_000, SpendCapPeriod.TOTAL),
    }
    own = await weak(dojo, caller, **limits)
    other = (
        own if whose == "its own" else await weak(dojo, caller, **{**limits, "scopes": frozenset({Scope.JOBS_READ})})
    )
    before = (await caller.get(f"{KEYS}/{other.api_key.id}")).json
    reply = await patch(own, other.api_key.id, **changes)
    assert reply.status == 403
    assert reply.member(path)
    assert (await caller.get(f"{KEYS}/{other.api_key.id}")).json == before
    for lesser in ({"spendCap": {"amount": 1, "period": "total"}}, {"ratePerMinute": 60}, {"name": "renamed"}):
        assert (await patch(own, other.api_key.id, **lesser)).status == 200


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_key_that_has_ended_is_not_brought_back(dojo: Dojo, caller: Caller, end: str) -> None:
    key = await made(caller, expiresAt=iso_utc(dojo.clock.now() + timedelta(seconds=5)))
    new = await with_key(dojo, key["secret"])
    if end == "revoked":
        await caller.delete(f"{KEYS}/{key['keyId']}")
    else:
        dojo.clock.advance(5)
    reply = await patch(caller, key["keyId"], expiresAt=None)
    assert (reply.status, reply.error["code"]) == (409, "conflict")
    assert f"{end} and stays so" in reply.error["message"]
    assert (await new.get("/api/v1/jobs")).status == 401


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "changes nothing"),
        ({"mode": "live"}, "mode: is not known here"),
        ({"name": None}, "name: must be a string"),
        ({"scopes": None}, "scopes: must be a list"),
    ],
)
async def test_a_change_that_cannot_be_is_told_what_can(caller: Caller, body: JsonObject, says: str) -> None:
    reply = await patch(caller, caller.api_key.id, **body)
    assert (reply.status, reply.error["code"]) == (400, "validation_error")
    assert says in reply.error["message"]


# Revoking.


async def test_a_revoked_key_stops_at_once_here_and_within_five_seconds_elsewhere(dojo: Dojo, caller: Caller) -> None:
    key = await made(caller)
    new, elsewhere = await with_key(dojo, key["secret"]), other_node(dojo, key["secret"])
    for node in (new, elsewhere):
        assert (await node.get("/api/v1/jobs")).status == 200

    reply = await caller.delete(f"{KEYS}/{key['keyId']}")

    assert (reply.status, reply.body) == (204, b"")
    assert (await new.get("/api/v1/jobs")).status == 401
    dojo.clock.advance(5)
    assert (await elsewhere.get("/api/v1/jobs")).status == 401
    assert (await caller.delete(f"{KEYS}/{key['keyId']}")).status == 204
    assert (await caller.get(f"{KEYS}/{key['keyId']}")).json["revokedAt"] == "2026-05-04T12:00:00.000Z"


async def test_a_key_can_revoke_itself(caller: Caller) -> None:
    assert (await caller.delete(f"{KEYS}/{caller.api_key.id}")).status == 204
    assert (await caller.get(KEYS)).status == 401


async def test_a_key_revoked_elsewhere_makes_and_changes_nothing_from_that_moment(dojo: Dojo, caller: Caller) -> None:
    """This node still remembers it for a moment; nothing that lasts longer may come of that."""
    assert (await caller.get(KEYS)).status == 200
    other = await weak(dojo, caller)
    assert (await other_node(dojo, other.key).delete(f"{KEYS}/{caller.api_key.id}")).status == 204

    assert (await caller.get(KEYS)).status == 200, "remembered"
    assert (await caller.post(KEYS, WANTED)).status == 401
    assert (await patch(caller, other.api_key.id, name="mine")).status == 401


async def test_nobody_sees_or_touches_anothers_key(dojo: Dojo, caller: Caller) -> None:
    stranger = await dojo.caller()
    for method in ("GET", "PATCH", "DELETE"):
        target = f"{KEYS}/{caller.api_key.id}"
        reply = await stranger.send(method, target, body=b'{"name": "mine"}', headers=_JSON)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
    # Not by its public prefix either, which operators' commands take.
    assert (await caller.delete(f"{KEYS}/{caller.api_key.prefix}")).status == 404
    assert [key["name"] for key in (await caller.get(KEYS)).json["keys"]] == ["a key"]


# Making a key once.


async def test_the_same_request_gets_the_same_key_and_the_secret_lies_nowhere(dojo: Dojo, caller: Caller) -> None:
    first = await caller.post(KEYS, WANTED, idempotency_key="order-1")
    key = first.json
    await (await with_key(dojo, key["secret"])).run()
    await patch(caller, key["keyId"], name="renamed")
    dojo.clock.advance(60)
    again = await caller.post(KEYS, WANTED, idempotency_key="order-1")

    assert (again.status, again.json, again.header("location")) == (201, key, first.header("location"))
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (None, "true")
    assert len((await caller.get(KEYS)).json["keys"]) == 2
    hidden = key["secret"].removeprefix(key["prefix"])
    async with dojo.stores.database.read() as connection:
        for table in (api_keys, idempotency_keys):
            assert hidden[1:] not in str((await connection.execute(select(table))).all())


async def test_requests_at_once_with_one_idempotency_key_make_one_key(dojo: Dojo, caller: Caller) -> None:
    replies = await asyncio.gather(*(caller.post(KEYS, WANTED, idempotency_key="order-1") for _ in range(8)))
    answered = [reply for reply in replies if reply.status == 201]
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.json["secret"] for reply in answered}) == 1
    assert len((await caller.get(KEYS)).json["keys"]) == 2


async def test_other_idempotency_keys_accounts_and_servers_get_other_secrets(dojo: Dojo, caller: Caller) -> None:
    other = await dojo.caller()
    secrets = {
        (await who.post(KEYS, WANTED, idempotency_key=key)).json["secret"]
        for who, key in ((caller, "a"), (caller, "b"), (other, "a"))
    }
    assert len(secrets) == 3
    stores = dojo.stores
    accounts = AccountsService(stores.database, stores.clock, b"the secret of another server")
    desk = KeyDesk(stores.database, stores.clock, b"the secret of another server", accounts, default_rate=60)
    dojo.build(keys=desk)
    assert (await caller.post(KEYS, WANTED, idempotency_key="a")).json["secret"] not in secrets


async def test_another_request_with_the_idempotency_key_is_422(dojo: Dojo, caller: Caller) -> None:
    await caller.run(idempotency_key="job")
    await made(caller)
    await caller.post(KEYS, WANTED, idempotency_key="order-1")
    until = iso_utc(dojo.clock.now() + timedelta(days=1))
    others: tuple[tuple[JsonObject, str], ...] = (
        ({"name": "another"}, "order-1"),
        ({"scopes": ["jobs:read"]}, "order-1"),
        ({"ratePerMinute": 5}, "order-1"),
        ({"spendCap": {"amount": 1, "period": "day"}}, "order-1"),
        ({"expiresAt": until}, "order-1"),
        ({}, "job"),
    )
    for changes, key in others:
        reply = await caller.post(KEYS, {**WANTED, **changes}, idempotency_key=key)
        assert (reply.status, reply.error["code"]) == (422, "idempotency_mismatch"), changes
    assert len((await caller.get(KEYS)).json["keys"]) == 3


async def test_a_weaker_key_gets_no_secret_out_of_a_stronger_ones_idempotency_key(dojo: Dojo, caller: Caller) -> None:
    await caller.post(KEYS, WANTED, idempotency_key="order-1")
    own = await weak(dojo, caller, scopes=frozenset({Scope.KEYS, Scope.JOBS_READ}))
    assert (await own.post(KEYS, WANTED, idempotency_key="order-1")).status == 403


async def test_a_weaker_key_gets_no_secret_of_a_key_that_was_given_more_since(dojo: Dojo, caller: Caller) -> None:
    limited = {**WANTED, "ratePerMinute": 10}
    first = await caller.post(KEYS, limited, idempotency_key="order-1")
    own = await weak(dojo, caller, rate_per_minute=10)
    assert (await own.post(KEYS, limited, idempotency_key="order-1")).json == first.json
    await patch(caller, first.json["keyId"], ratePerMinute=1_000)
    refused = await own.post(KEYS, limited, idempotency_key="order-1")
    assert (refused.status, refused.error["code"]) == (403, "forbidden")
    assert (await caller.post(KEYS, limited, idempotency_key="order-1")).json == first.json


async def test_a_refused_request_does_not_consume_the_idempotency_key(caller: Caller) -> None:
    assert (await caller.post(KEYS, {**WANTED, "scopes": ["all"]}, idempotency_key="order-1")).status == 400
    assert (await caller.post(KEYS, {**WANTED, "mode": "live"}, idempotency_key="order-1")).status == 403
    assert (await caller.post(KEYS, WANTED, idempotency_key="order-1")).header("idempotent-replayed") is None


async def test_an_account_has_only_so_many_valid_keys(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_desk, "MOST_KEYS", 3)
    key = await made(caller)
    await made(caller)
    refused = await caller.post(KEYS, WANTED, idempotency_key="order-1")
    assert (refused.status, refused.error["code"]) == (409, "conflict")
    assert re.search(r"has 3 valid keys, which is the most\. Revoke", refused.error["message"])
    await caller.delete(f"{KEYS}/{key['keyId']}")
    assert (await caller.post(KEYS, WANTED, idempotency_key="order-1")).status == 201
