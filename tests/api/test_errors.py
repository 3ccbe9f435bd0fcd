"""Every code of the contract's table, made through HTTP: its status, a message that helps, and nothing of our insides.

`promises.py` checks the shape of every one of them. The ways to each code are in the files of their resources; here
is one of each, and what happens when something of ours breaks.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
from sqlalchemy import text
from tests.api.asgi import Reply
from tests.api.dojo import PROMPT, RUN, Caller, Dojo
from tests.api.promises import CANARY
from tests.stores import Stores

from pixeldojo.accounts.keys import KeyMode, Scope
from pixeldojo.blobs import Blobs, BlobsUnavailable
from pixeldojo.core.errors import PixelDojoError
from pixeldojo.limiter import Limiter, RateStatus

Way = Callable[[Dojo, Caller], Awaitable[Reply]]


class BrokenLimiter(Limiter):
    """Fails as a fault of ours does, and counts nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def hit(self, subject: str, per_minute: int) -> RateStatus:
        raise self._error


class AwayBlobs(Blobs):
    """A media store that does not answer."""

    def __init__(self) -> None:
        """It has nothing behind it."""

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        for host in ("10.0.0.7",):
            raise BlobsUnavailable(f"{CANARY}: no answer from {host}")
        yield b""


async def without_table(stores: Stores, name: str) -> None:
    """Break the database where that table is needed."""
    await stores.database.write(lambda connection: connection.execute(text(f"ALTER TABLE {name} RENAME TO {name}_x")))


async def _unauthorized(dojo: Dojo, _caller: Caller) -> Reply:
    return await dojo.stranger.get("/api/v1/credits")


async def _forbidden(dojo: Dojo, caller: Caller) -> Reply:
    reader = await dojo.caller(account_id=caller.api_key.account_id, scopes=frozenset({Scope.JOBS_READ}))
    return await reader.post(RUN, PROMPT)


async def _invalid_json(_dojo: Dojo, caller: Caller) -> Reply:
    return await caller.send("POST", RUN, body=b'{"prompt": ')


async def _validation_error(_dojo: Dojo, caller: Caller) -> Reply:
    return await caller.post(RUN, {})


async def _not_found(_dojo: Dojo, caller: Caller) -> Reply:
    return await caller.get("/api/v1/models/flux-1-pro")


async def _method_not_allowed(_dojo: Dojo, caller: Caller) -> Reply:
    return await caller.send("DELETE", "/api/v1/webhooks/secret")


async def _insufficient_credits(dojo: Dojo, _caller: Caller) -> Reply:
    return await (await dojo.caller(granted=250)).post(RUN, PROMPT)


async def _conflict(dojo: Dojo, caller: Caller) -> Reply:
    job_id = await caller.run()
    await dojo.completed(job_id)
    return await caller.post(f"/api/v1/jobs/{job_id}/cancel")


async def _expired(dojo: Dojo, caller: Caller) -> Reply:
    job_id = await caller.run()
    await dojo.completed(job_id)
    dojo.clock.advance(24 * 3_600)
    return await caller.get(f"/api/v1/jobs/{job_id}")


async def _payload_too_large(dojo: Dojo, caller: Caller) -> Reply:
    dojo.build(settings=dojo.services.settings.model_copy(update={"max_body_bytes": 1024}))
    return await caller.post(RUN, {"prompt": "x" * 1024})


async def _unsupported_media_type(_dojo: Dojo, caller: Caller) -> Reply:
    return await caller.post(RUN, PROMPT, content_type="text/plain")


async def _idempotency_mismatch(_dojo: Dojo, caller: Caller) -> Reply:
    await caller.run(idempotency_key="order-7")
    return await caller.post(RUN, {"prompt": "another"}, idempotency_key="order-7")


async def _rate_limit_exceeded(dojo: Dojo, _caller: Caller) -> Reply:
    slow = await dojo.caller(rate_per_minute=1)
    await slow.get("/api/v1/credits")
    return await slow.get("/api/v1/credits")


async def _credit_error(dojo: Dojo, caller: Caller) -> Reply:
    await without_table(dojo.stores, "entries")
    return await caller.post(RUN, PROMPT)


async def _submission_failed(dojo: Dojo, caller: Caller) -> Reply:
    await without_table(dojo.stores, "jobs")
    return await caller.post(RUN, PROMPT)


async def _internal_error(dojo: Dojo, caller: Caller) -> Reply:
    dojo.build(limiter=BrokenLimiter(RuntimeError(f"{CANARY} at /src/limiter.py")))
    return await caller.post(RUN, PROMPT)


async def _service_unavailable(dojo: Dojo, caller: Caller) -> Reply:
    live = await dojo.caller(account_id=caller.api_key.account_id, mode=KeyMode.LIVE)
    return await live.post(RUN, PROMPT)


WAYS: Final[dict[str, tuple[Way, str]]] = {
    "unauthorized": (_unauthorized, "Authorization: Bearer pd_"),
    "forbidden": (_forbidden, "lacks the scope jobs:write; it has jobs:read"),
    "invalid_json": (_invalid_json, "not JSON: Expecting value at line 1, column 12"),
    "validation_error": (_validation_error, "prompt is required"),
    "not_found": (_not_found, 'Did you mean "flux-1.1-pro"?'),
    "method_not_allowed": (_method_not_allowed, "Allow header"),
    "insufficient_credits": (_insufficient_credits, "costs 1 credits and 0.25 are available"),
    "conflict": (_conflict, "already ended: it is completed"),
    "expired": (_expired, "has expired or was deleted"),
    "payload_too_large": (_payload_too_large, "larger than 1,024 bytes"),
    "unsupported_media_type": (_unsupported_media_type, "not text/plain; send 'Content-Type: application/json'"),
    "idempotency_mismatch": (_idempotency_mismatch, "'order-7' was used for another request"),
    "rate_limit_exceeded": (_rate_limit_exceeded, "More than 1 requests in a minute"),
    "credit_error": (_credit_error, "nothing was charged"),
    "submission_failed": (_submission_failed, "nothing was charged"),
    "internal_error": (_internal_error, "request id"),
    "service_unavailable": (_service_unavailable, "No upstream of flux-1.1-pro is set up"),
}


def _every_error(kind: type[PixelDojoError] = PixelDojoError) -> list[type[PixelDojoError]]:
    children = kind.__subclasses__()
    return [kind] if not children else [below for child in children for below in _every_error(child)]


@pytest.mark.parametrize("kind", _every_error(), ids=lambda kind: kind.code)
async def test_every_code_of_the_table_is_answered_with_its_status_and_a_message_that_helps(
    dojo: Dojo, caller: Caller, kind: type[PixelDojoError]
) -> None:
    way, says = WAYS[kind.code]
    reply = await way(dojo, caller)
    assert (reply.status, reply.error["code"]) == (kind.status, kind.code)
    assert says in reply.error["message"]


@pytest.mark.parametrize(
    ("broken", "expected"), [("entries", "credit_error"), ("jobs", "submission_failed"), ("balances", "credit_error")]
)
async def test_a_database_that_refuses_charges_nothing_and_leaves_the_idempotency_key_free(
    dojo: Dojo, caller: Caller, broken: str, expected: str
) -> None:
    stores = dojo.stores
    await without_table(stores, broken)
    refused = await caller.post(RUN, PROMPT, idempotency_key="again")
    assert refused.error["code"] == expected
    await stores.database.write(
        lambda connection: connection.execute(text(f"ALTER TABLE {broken}_x RENAME TO {broken}"))
    )
    assert await caller.traces() == (100_000, 0, 0, 1, 0)
    accepted = await caller.post(RUN, PROMPT, idempotency_key="again")
    assert accepted.status == 202
    assert accepted.header("idempotent-replayed") is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError(f"{CANARY} SELECT * FROM jobs"), 500),
        (KeyError(f"{CANARY} /src/pixeldojo"), 500),
        (ConnectionRefusedError(f"{CANARY} 10.0.0.7:6379"), 503),
        (TimeoutError(CANARY), 503),
        (ExceptionGroup(CANARY, [ValueError(CANARY)]), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.parametrize("target", ["/api/v1/models", "/api/v1/jobs", "/assets/a.png", "/api/openapi"])
async def test_a_fault_of_ours_tells_nothing_but_the_request_id_that_finds_it_in_the_log(
    dojo: Dojo, caller: Caller, error: Exception, status: int, target: str
) -> None:
    dojo.build(limiter=BrokenLimiter(error))
    reply = await caller.get(target)
    assert reply.status == status
    assert reply.error["code"] == {500: "internal_error", 503: "service_unavailable"}[status]
    assert (reply.header("retry-after") is not None) == (status == 503)
    broke = next(entry for entry in dojo.log if entry["event"] == "request broke")
    assert broke["request_id"] == reply.error["requestId"]


@pytest.mark.parametrize("target", ["/api/v1/jobs", "/api/v1/credits", "/api/v1/webhooks/secret"])
async def test_a_database_that_is_away_is_503_and_not_a_fault(dojo: Dojo, caller: Caller, target: str) -> None:
    await caller.get(target)
    for name in ("jobs", "balances", "webhook_secrets"):
        await without_table(dojo.stores, name)
    reply = await caller.get(target)
    assert (reply.status, reply.error["code"]) == (503, "service_unavailable")
    assert int(reply.header("retry-after") or 0) > 0


async def test_a_media_store_that_is_away_is_503_for_the_file_and_nothing_else(dojo: Dojo, caller: Caller) -> None:
    job_id = await caller.run()
    await dojo.completed(job_id)
    url = (await caller.get(f"/api/v1/jobs/{job_id}")).json["assets"][0]["url"]
    dojo.build(blobs=AwayBlobs())
    reply = await dojo.stranger.get(url.removeprefix("http://dojo.test"))
    assert (reply.status, reply.error["code"]) == (503, "service_unavailable")
    assert (await caller.get(f"/api/v1/jobs/{job_id}")).status == 200


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/api/v1/models", "GET, HEAD"),
        ("PUT", "/api/v1/models/flux-1.1-pro/run", "POST"),
        ("GET", "/api/v1/models/flux-1.1-pro/run", "POST"),
        ("HEAD", "/api/v1/models/flux-1.1-pro/run", "POST"),
        ("OPTIONS", "/api/v1/webhooks/secret", "GET, HEAD, POST"),
        ("PATCH", "/api/v1/webhooks/secret", "GET, HEAD, POST"),
        ("POST", "/assets/asset_1.png", "GET, HEAD"),
        ("TRACE", "/healthz", "GET, HEAD"),
        ("BREW", "/api/openapi", "GET, HEAD"),
    ],
)
async def test_a_method_that_an_address_does_not_take_is_405_and_allow_lists_all_it_takes(
    dojo: Dojo, method: str, target: str, allow: str
) -> None:
    reply = await dojo.stranger.send(method, target)
    assert reply.status == 405
    assert reply.header("allow") == allow
    if method != "HEAD":
        assert reply.error["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        "/api/v1",
        "/api/v1/models/",
        "/api/v1/nothing",
        "/api/v1/models/flux-1.1-pro/run/",
        "/assets/",
        "/assets/a/b.png",
        "/%00",
        "/%ff%fe",
        "//api/v1/models",
        "/docs",
        "/openapi.json",
        "/redoc",
    ],
)
async def test_an_address_that_does_not_exist_is_404_and_says_where_the_list_is(dojo: Dojo, target: str) -> None:
    for method in ("GET", "POST"):
        reply = await dojo.stranger.send(method, target)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert "/api/openapi" in reply.error["message"]


@pytest.mark.parametrize(
    "target", ["/api/v1/models", "/api/v1/models/flux-1.1-pro", "/api/openapi", "/healthz", "/api/v1/jobs", "/nothing"]
)
async def test_head_answers_as_get_does_without_the_body(caller: Caller, target: str) -> None:
    got, looked = await caller.get(target), await caller.head(target)
    assert looked.status == got.status
    changing = {"x-request-id", "x-ratelimit-remaining"}
    assert {name for name, _ in looked.headers} == {name for name, _ in got.headers}
    for name, value in got.headers:
        assert name in changing or looked.header(name) == value


async def test_every_answer_has_a_request_id_of_its_own_and_a_log_line_with_it(dojo: Dojo, caller: Caller) -> None:
    replies = [await caller.get(target) for target in ("/api/v1/jobs", "/nothing", "/api/v1/jobs?limit=0", "/healthz")]
    ids = [reply.header("x-request-id") for reply in replies]
    assert len(set(ids)) == 4
    lines = {entry["request_id"]: entry for entry in dojo.log if entry["event"] == "request"}
    assert [lines[request_id or ""]["status"] for request_id in ids] == [200, 404, 400, 200]


async def test_the_log_line_of_a_run_names_its_job_and_the_job_its_request(dojo: Dojo, caller: Caller) -> None:
    """Whoever has the one finds the other: it is all that a caller in trouble can tell."""
    replies = [await caller.post(RUN, PROMPT, idempotency_key="order-1") for _ in range(2)]
    refused = await caller.post(RUN, {})
    lines = {entry["request_id"]: entry for entry in dojo.log if entry["event"] == "request"}
    job_id = replies[0].json["jobId"]
    named = [lines[reply.header("x-request-id") or ""].get("job_id") for reply in (*replies, refused)]
    assert named == [job_id, job_id, None]
    assert (await dojo.stores.jobs.get(caller.api_key, job_id)).request_id == replies[0].header("x-request-id")


async def test_a_caller_cannot_choose_the_request_id(caller: Caller) -> None:
    reply = await caller.get("/api/v1/models", x_request_id="mine")
    assert reply.header("x-request-id") != "mine"


async def test_a_fault_after_the_answer_began_does_not_begin_another_one(dojo: Dojo, caller: Caller) -> None:
    class TornBlobs(Blobs):
        def __init__(self) -> None:
            """It has nothing behind it."""

        async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            yield b"first"
            raise BlobsUnavailable(CANARY)

    job_id = await caller.run()
    await dojo.completed(job_id)
    url = (await caller.get(f"/api/v1/jobs/{job_id}")).json["assets"][0]["url"]
    dojo.build(blobs=TornBlobs())
    with pytest.raises(AssertionError, match="did not finish its answer"):
        await dojo.stranger.get(url.removeprefix("http://dojo.test"))
    assert any(entry["event"] == "request broke" for entry in dojo.log)


async def test_concurrent_requests_do_not_mix_their_ids(dojo: Dojo, caller: Caller) -> None:
    replies = await asyncio.gather(*(caller.get("/api/v1/nothing") for _ in range(20)))
    assert len({reply.error["requestId"] for reply in replies}) == 20
