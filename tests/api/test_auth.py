"""Who may call what: keys that are good, wrong, revoked and expired, and the scope that every route asks for."""

from datetime import timedelta
from typing import Final

import pytest
from tests.api.asgi import Reply
from tests.api.dojo import Caller, Dojo

from pixeldojo.accounts.keys import KeyMode, Scope, new_secret_key

PUBLIC: Final = "public"
SCOPES: Final[dict[tuple[str, str], Scope | str]] = {
    ("get", "/api/v1/models"): PUBLIC,
    ("get", "/api/v1/models/{apiId}"): PUBLIC,
    ("get", "/api/v1/models/{apiId}/schema"): PUBLIC,
    ("post", "/api/v1/models/{apiId}/run"): Scope.JOBS_WRITE,
    ("get", "/api/v1/jobs"): Scope.JOBS_READ,
    ("get", "/api/v1/jobs/{jobId}"): Scope.JOBS_READ,
    ("post", "/api/v1/jobs/{jobId}/cancel"): Scope.JOBS_WRITE,
    ("post", "/api/v1/jobs/{jobId}/webhook"): Scope.JOBS_WRITE,
    ("get", "/api/v1/credits"): Scope.BILLING,
    ("get", "/api/v1/webhooks/secret"): Scope.KEYS,
    ("post", "/api/v1/webhooks/secret"): Scope.KEYS,
    ("get", "/api/openapi"): PUBLIC,
    ("get", "/assets/{fileName}"): PUBLIC,
    ("head", "/assets/{fileName}"): PUBLIC,
    ("get", "/healthz"): PUBLIC,
    ("get", "/readyz"): PUBLIC,
}
_REFUSED: Final = {401, 403}


def operations(dojo: Dojo) -> dict[tuple[str, str], bool]:
    """Return every operation of the document, and whether it says that it needs a key."""
    return {
        (method, path): bool(operation["security"])
        for path, described in dojo.promises.document["paths"].items()
        for method, operation in described.items()
    }


async def call(caller: Caller, method: str, path: str) -> Reply:
    for name, value in (("{apiId}", "flux-1.1-pro"), ("{jobId}", f"job_{'0' * 32}"), ("{fileName}", "a.png")):
        path = path.replace(name, value)
    return await caller.send(method.upper(), path)


async def test_every_operation_has_its_scope_here_and_its_key_in_the_document(dojo: Dojo) -> None:
    assert operations(dojo) == {operation: scope != PUBLIC for operation, scope in SCOPES.items()}


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_with_one_scope_opens_what_needs_it_and_nothing_else(dojo: Dojo, scope: Scope) -> None:
    caller = await dojo.caller(scopes=frozenset({scope}))
    for (method, path), needed in SCOPES.items():
        reply = await call(caller, method, path)
        if needed in {PUBLIC, scope}:
            assert reply.status not in _REFUSED, (method, path)
        else:
            assert (reply.status, reply.error["code"]) == (403, "forbidden"), (method, path)
            assert f"lacks the scope {needed}; it has {scope}" in reply.error["message"]
            assert caller.api_key.prefix in reply.error["message"]


async def test_a_key_without_scopes_opens_what_is_public(dojo: Dojo) -> None:
    caller = await dojo.caller(scopes=frozenset())
    for (method, path), needed in SCOPES.items():
        reply = await call(caller, method, path)
        assert (reply.status == 403) == (needed != PUBLIC)
        if reply.status == 403:
            assert "it has none" in reply.error["message"]


async def test_without_a_key_everything_that_is_not_public_is_401_with_a_challenge(dojo: Dojo, caller: Caller) -> None:
    caller.key = None
    for (method, path), needed in SCOPES.items():
        reply = await call(caller, method, path)
        assert (reply.status == 401) == (needed != PUBLIC), (method, path)
        if reply.status == 401:
            assert reply.error["code"] == "unauthorized"
            assert reply.header("www-authenticate") == 'Bearer realm="PixelDojo"'


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
