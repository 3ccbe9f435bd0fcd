"""Nobody in where they do not belong: every operation of the OpenAPI document, every method, scope and kind of key.

A new operation has to find its place in `NEEDED`, a new path parameter its place in `World.ids`, or tests here fail.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select
from tests.api.asgi import Client, Reply
from tests.api.dojo import PNG, PROMPT, Caller, Dojo
from tests.stores import HOOK

from pixeldojo.accounts.keys import KeyMode, Scope
from pixeldojo.core.clock import iso_utc
from pixeldojo.db.tables import metadata

PUBLIC: Final = "public"
BY_ADDRESS: Final = "whoever knows the address, which cannot be guessed"
PROVEN: Final = "whoever proves to be the upstream"
OPERATOR: Final = "the operator, from the server's machine or with a token"

NEEDED: Final[Mapping[str, Scope | str]] = {
    "listModels": PUBLIC,
    "getModel": PUBLIC,
    "getModelSchema": PUBLIC,
    "runModel": Scope.JOBS_WRITE,
    "estimateRun": Scope.JOBS_WRITE,
    "uploadFile": Scope.JOBS_WRITE,
    "listJobs": Scope.JOBS_READ,
    "getJob": Scope.JOBS_READ,
    "deleteJob": Scope.JOBS_WRITE,
    "cancelJob": Scope.JOBS_WRITE,
    "replayWebhook": Scope.JOBS_WRITE,
    "followJob": Scope.JOBS_READ,
    "getCredits": Scope.BILLING,
    "listEntries": Scope.BILLING,
    "getUsage": Scope.BILLING,
    "listKeys": Scope.KEYS,
    "createKey": Scope.KEYS,
    "getKey": Scope.KEYS,
    "changeKey": Scope.KEYS,
    "revokeKey": Scope.KEYS,
    "getWebhookSecret": Scope.KEYS,
    "rotateWebhookSecret": Scope.KEYS,
    "listDeliveries": Scope.JOBS_READ,
    "getDelivery": Scope.JOBS_READ,
    "retryDelivery": Scope.JOBS_WRITE,
    "takeCallback": PROVEN,
    "getOpenApi": PUBLIC,
    "getLlmText": PUBLIC,
    "getLlmsText": PUBLIC,
    "getModelText": PUBLIC,
    "getApiCatalog": PUBLIC,
    "getAsset": BY_ADDRESS,
    "headAsset": BY_ADDRESS,
    "getFile": BY_ADDRESS,
    "headFile": BY_ADDRESS,
    "getHealth": PUBLIC,
    "getReadiness": PUBLIC,
    "getMetrics": OPERATOR,
}
_BODIES: Final[Mapping[str, Any]] = {
    "runModel": PROMPT,
    "estimateRun": PROMPT,
    "createKey": {"name": "a key", "scopes": ["keys"]},
    "changeKey": {"name": "taken over"},
}
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What an owner's things are full of, so that whoever gets to see one of them shows it.
_MARK: Final = "only-the-owner-7f3a"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    template: str
    scope: str | None
    takes_idempotency_key: bool


def operations(dojo: Dojo) -> Iterator[Operation]:
    for template, described in dojo.promises.document["paths"].items():
        for method, operation in described.items():
            scopes = [scope for needed in operation["security"] for scope in needed["apiKey"]]
            headers = [dojo.promises.resolved(one)["name"] for one in operation.get("parameters", [])]
            scope = scopes[0] if scopes else None
            takes = "Idempotency-Key" in headers
            yield Operation(operation["operationId"], method.upper(), template, scope, takes)


@dataclass(slots=True)
class World:
    """An owner with one of everything, and what it is called.

    Attributes:
        ids: What stands for each path parameter, one or several; `mine` are those of them that are somebody's.
        marks: Texts that are the owner's alone.
    """

    owner: Caller
    ids: dict[str, list[str]] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)

    @property
    def mine(self) -> set[str]:
        public = {"apiId", "provider"}
        return {one for name, ids in self.ids.items() if name not in public for one in ids}

    def paths(self, template: str) -> list[str]:
        """Return the addresses of a template with the owner's ids."""
        found = [template]
        for name, ids in self.ids.items():
            found = [path.replace(f"{{{name}}}", one) for path in found for one in ids]
        assert all("{" not in path for path in found), f"World.ids has no id for a parameter of {template}"
        return sorted(set(found))


async def world_of(dojo: Dojo, owner: Caller) -> World:
    stores, key = dojo.stores, owner.api_key
    hook = f"{HOOK}/{_MARK}"
    await stores.credits.grant(key.account_id, key.mode, 50_000, _MARK)
    content = {"prompt": _MARK}
    waiting, running, done, failed = [await stores.create(key, input=content, webhook_url=hook) for _ in range(4)]
    await dojo.accepted(running)
    job = await dojo.completed(done)
    await dojo.failed(failed)
    found = await stores.webhooks.find_deliveries([done, failed])
    upload = (await owner.send("POST", "/api/v1/files", body=PNG)).json
    (asset,) = (await stores.assets.list_assets([done]))[done]
    asset_name = stores.assets.url(asset).rpartition("/")[2]
    extra = await stores.accounts.create_key(key.account_id, name=_MARK, mode=key.mode)
    world = World(owner)
    world.ids = {
        "jobId": [waiting, running, job.id, failed],
        "deliveryId": [delivery.id for delivery in found.values()],
        "keyId": [key.id, extra.key.id],
        "fileName": [asset_name, str(upload["url"]).rpartition("/")[2]],
        "apiId": ["flux-1.1-pro"],
        "provider": ["fal"],
    }
    secret = (await stores.accounts.webhook_secrets(key.account_id))[0]
    world.marks = {_MARK, key.account_id, extra.key.prefix, key.prefix, secret, upload["fileId"], *world.mine}
    return world


async def call(client: Client, operation: Operation, path: str, method: str | None = None, **headers: str) -> Reply:
    body, given = b"", {}
    if (method or operation.method) == operation.method:
        given = {"content-type": "application/json"} if operation.id in _BODIES else {}
        body = json.dumps(_BODIES[operation.id]).encode() if operation.id in _BODIES else b""
        body = PNG if operation.id == "uploadFile" else body
    return await client.send(method or operation.method, path, body=body, headers={**given, **headers})


# The matrix of scopes.


async def test_every_operation_has_its_place_here(dojo: Dojo) -> None:
    """The document tells of the routes as they are; what they should be stands above."""
    told = {operation.id: operation.scope for operation in operations(dojo)}
    needed = {name: str(scope) if isinstance(scope, Scope) else None for name, scope in NEEDED.items()}
    runs = {name: str(Scope.JOBS_WRITE) for name in told if name.startswith("run_")}
    assert told == needed | runs


def paths_of_nobody(operation: Operation) -> str:
    """Return the operation's address with ids that nobody has."""
    nobody = {"jobId": "job_0", "deliveryId": "whd_0", "keyId": "key_0", "fileName": "a.png", "provider": "fal"}
    path = operation.template.replace("{apiId}", "flux-1.1-pro")
    for name, one in nobody.items():
        path = path.replace(f"{{{name}}}", one)
    assert "{" not in path
    return path


@pytest.mark.parametrize("scopes", [frozenset({scope}) for scope in Scope] + [frozenset[Scope]()], ids=str)
async def test_a_key_opens_what_its_scopes_open_and_nothing_else(dojo: Dojo, scopes: frozenset[Scope]) -> None:
    caller = await dojo.caller(scopes=scopes)
    for operation in operations(dojo):
        reply = await call(caller, operation, paths_of_nobody(operation))
        if operation.scope is None or operation.scope in scopes:
            assert reply.status not in {401, 403}, operation
            continue
        assert (reply.status, reply.error["code"]) == (403, "forbidden"), operation
        has = ", ".join(sorted(scopes)) or "none"
        assert f"{caller.api_key.prefix}… lacks the scope {operation.scope}; it has {has}" in reply.error["message"]


@pytest.mark.parametrize("key", ["none", "revoked", "expired"])
async def test_without_a_valid_key_all_that_is_not_public_is_401(dojo: Dojo, key: str) -> None:
    caller = await dojo.caller()
    if key == "revoked":
        await dojo.stores.accounts.revoke_key(caller.api_key.id)
    elif key == "expired":
        soon = iso_utc(dojo.clock.now() + timedelta(seconds=5))
        assert (await caller.patch(f"/api/v1/keys/{caller.api_key.id}", {"expiresAt": soon})).status == 200
        dojo.clock.advance(5)
    else:
        caller.key = None
    for operation in operations(dojo):
        # A new address each: one that is refused often has to wait.
        caller.caller = f"198.51.100.{len(operation.template)}"
        reply = await call(caller, operation, paths_of_nobody(operation))
        assert (reply.status == 401) == (operation.scope is not None), operation
        if reply.status == 401:
            assert reply.error["code"] == "unauthorized"
            assert reply.header("www-authenticate") == 'Bearer realm="PixelDojo"'


# Two tenants.


async def stranger_to(dojo: Dojo, owner: Caller, whose: str) -> Caller:
    """Return a key of another account, or of the same account's other mode, with credits and all scopes."""
    if whose == "another account":
        return await dojo.caller(mode=owner.api_key.mode)
    other = KeyMode.LIVE if owner.api_key.mode == KeyMode.TEST else KeyMode.TEST
    return await dojo.caller(account_id=owner.api_key.account_id, mode=other)


async def rows_of(dojo: Dojo, world: World) -> dict[str, list[str]]:
    """Return all that the database holds of the owner's things."""
    found = {}
    async with dojo.stores.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = [str(row) for row in await connection.execute(select(table))]
            found[table.name] = sorted(row for row in rows if any(one in row for one in {*world.mine, _MARK}))
    return found


@pytest.mark.parametrize("mode", list(KeyMode))
@pytest.mark.parametrize("whose", ["another account", "the other mode"])
async def test_nobody_gets_at_anothers_things_by_any_route_or_method(dojo: Dojo, mode: KeyMode, whose: str) -> None:
    owner = await dojo.caller(mode=mode)
    stranger = await stranger_to(dojo, owner, whose)
    world = await world_of(dojo, owner)
    before = await rows_of(dojo, world)
    balance = await dojo.stores.credits.balance(owner.api_key.account_id, mode)
    # An account has one webhook secret for both modes, and its balances tell of both.
    shared = {"getCredits", "getWebhookSecret", "rotateWebhookSecret"} if whose == "the other mode" else set()
    documented = {(operation.method, operation.template) for operation in operations(dojo)}
    tried = 0
    for operation in operations(dojo):
        for number, path in enumerate(world.paths(operation.template)):
            for method in _METHODS:
                is_documented = (method, operation.template) in documented
                if method != operation.method and (is_documented or number > 0):
                    continue
                reply = await call(stranger, operation, path, method)
                tried += 1
                names_a_thing = path != operation.template and any(one in path for one in world.mine)
                if NEEDED.get(operation.id) == BY_ADDRESS or operation.id in shared:
                    continue
                seen = reply.body.decode()
                assert not [mark for mark in world.marks if mark in seen], (method, path)
                if is_documented and names_a_thing:
                    assert (reply.status, reply.error["code"]) == (404, "not_found"), (method, path)
                elif method != "HEAD" and not is_documented:
                    assert reply.status == 405, (method, path)
    assert tried > 200
    assert await rows_of(dojo, world) == before
    assert await dojo.stores.credits.balance(owner.api_key.account_id, mode) == balance


async def test_the_owner_gets_at_all_of_it(dojo: Dojo) -> None:
    """What strangers are refused is there: the ids are right, and the marks are in the answers."""
    owner = await dojo.caller()
    world = await world_of(dojo, owner)
    marked = set()
    for operation in operations(dojo):
        if operation.method == "GET" and (operation.scope is not None or NEEDED[operation.id] == BY_ADDRESS):
            for path in world.paths(operation.template):
                if NEEDED[operation.id] == BY_ADDRESS and path.startswith("/files/") != ("/file_" in path):
                    continue  # assets are not uploads
                if operation.id == "followJob" and world.ids["jobId"].index(path.split("/")[-2]) < 2:
                    continue  # it has not ended, and nor would the stream
                reply = await call(owner, operation, path)
                assert reply.status == 200, path
                if any(mark in reply.body.decode(errors="replace") for mark in world.marks):
                    marked.add(operation.id)
    expected = {
        *("listJobs", "getJob", "followJob", "listEntries", "listKeys", "getKey"),
        *("listDeliveries", "getDelivery", "getWebhookSecret"),
    }
    assert marked == expected


async def test_ids_of_others_in_a_query_open_nothing(dojo: Dojo) -> None:
    owner = await dojo.caller()
    world = await world_of(dojo, owner)
    dojo.clock.advance(1)
    stranger = await dojo.caller()
    entries = (await owner.get("/api/v1/credits/entries")).json["entries"]
    cursors = {"jobId": world.ids["jobId"], "entryId": [entries[0]["entryId"]], "deliveryId": world.ids["deliveryId"]}
    lists = {"/api/v1/jobs": "jobId", "/api/v1/credits/entries": "entryId", "/api/v1/webhooks/deliveries": "deliveryId"}
    for target, name in {**lists, "/api/v1/keys": "keyId"}.items():
        for one in {**world.ids, **cursors}[name]:
            reply = await stranger.get(f"{target}?cursor={one}&limit=100")
            assert reply.status == 200
            assert not [mark for mark in world.marks if mark in reply.body.decode()]


async def test_an_idempotency_key_of_others_is_as_good_as_new(dojo: Dojo) -> None:
    owner, stranger = await dojo.caller(), await dojo.caller()
    kept = [operation for operation in operations(dojo) if operation.takes_idempotency_key]
    assert {"runModel", "uploadFile", "createKey", "rotateWebhookSecret"} <= {operation.id for operation in kept}
    for operation in kept:
        if operation.id.startswith("run_"):
            continue
        replies = [
            await call(who, operation, paths_of_nobody(operation), **{"idempotency-key": f"mine-{operation.id}"})
            for who in (owner, stranger, owner)
        ]
        statuses = [reply.status for reply in replies]
        assert statuses == [statuses[0]] * 3, operation
        assert statuses[0] in {201, 202}, operation
        assert [reply.header("idempotent-replayed") for reply in replies] == [None, None, "true"]
        assert replies[0].json == replies[2].json
        assert replies[0].json != replies[1].json
