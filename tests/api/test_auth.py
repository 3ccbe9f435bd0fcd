"""Who is let in: keys that are good, wrong, revoked and expired. What each may do is in `test_tenants.py`."""

from datetime import timedelta

import pytest
from tests.api.dojo import Caller, Dojo

from pixeldojo.accounts.keys import KeyMode, new_secret_key


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "send 'Authorization: Bearer pd_"),
        ("Bearer", "send 'Authorization: Bearer pd_"),
        ("Bearer ", "send 'Authorization: Bearer pd_"),
        ("Basic cGQ6", "send 'Authorization: Bearer pd_"),
        ("pd_test_abc", "send 'Authorization: Bearer pd_"),
        ("Bearer sk-12345", "begin with pd_test_ or pd_live_"),
        ("Bearer pd_test_abcdefgh_" + "0" * 40, "check that it was copied whole"),
        ("Bearer pd_test_\xe9", "check that it was copied whole"),
        ("Bearer " + "x" * 100_000, "check that it was copied whole"),
        ("Bearer ' OR 1=1 --", "check that it was copied whole"),
    ],
    ids=lambda value: value[:30],
)
async def test_what_is_no_key_is_told_how_a_key_is_sent(dojo: Dojo, header: str, says: str) -> None:
    reply = await dojo.stranger.get("/api/v1/jobs", authorization=header)
    assert (reply.status, reply.error["code"]) == (401, "unauthorized")
    assert says in reply.error["message"]
    assert "sk-12345" not in reply.error["message"]


async def test_a_well_formed_key_of_another_server_is_not_known(dojo: Dojo) -> None:
    secret = new_secret_key(KeyMode.TEST)
    reply = await dojo.stranger.get("/api/v1/jobs", authorization=f"Bearer {secret}")
    assert reply.status == 401
    assert "not known here" in reply.error["message"]
    assert secret not in reply.body.decode()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(caller: Caller, scheme: str) -> None:
    assert (await caller.get("/api/v1/jobs", authorization=f"{scheme} {caller.key}")).status == 200


async def test_a_key_in_the_query_is_no_key(dojo: Dojo, caller: Caller) -> None:
    assert (await dojo.stranger.get(f"/api/v1/jobs?api_key={caller.key}&key={caller.key}")).status == 401


async def test_a_revoked_key_stops_at_once_and_is_named_by_its_prefix(dojo: Dojo, caller: Caller) -> None:
    assert (await caller.get("/api/v1/jobs")).status == 200
    await dojo.stores.accounts.revoke_key(caller.api_key.id)
    reply = await caller.get("/api/v1/jobs")
    assert reply.status == 401
    assert f"{caller.api_key.prefix}… was revoked" in reply.error["message"]
    assert str(caller.key) not in reply.body.decode()


async def test_a_key_ends_at_its_expiry(dojo: Dojo, caller: Caller) -> None:
    new = await dojo.stores.accounts.create_key(
        caller.api_key.account_id,
        name="short",
        mode=KeyMode.TEST,
        expires_at=dojo.clock.now() + timedelta(seconds=10),
    )
    caller.key = new.secret
    dojo.clock.advance(9)
    assert (await caller.get("/api/v1/jobs")).status == 200
    dojo.clock.advance(1)
    reply = await caller.get("/api/v1/jobs")
    assert reply.status == 401
    assert "has expired" in reply.error["message"]


async def test_the_answer_to_a_wrong_key_does_not_depend_on_the_body(dojo: Dojo) -> None:
    reply = await dojo.stranger.send("POST", "/api/v1/models/nothing/run", body=b"{", headers={"content-type": "x"})
    assert reply.status == 401
