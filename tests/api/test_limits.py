"""Rate limits: by key, by address, and what callers are told of them."""

from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any

import pytest
from tests.api.asgi import Client, Reply
from tests.api.dojo import PROMPT, RUN, Caller, Dojo

from pixeldojo.accounts.keys import Scope
from pixeldojo.limiter import open_limiter


def figures(reply: Reply) -> tuple[int, int]:
    return int(reply.header("x-ratelimit-limit") or ""), int(reply.header("x-ratelimit-remaining") or "")


def limited(dojo: Dojo, **changes: Any) -> None:
    dojo.build(settings=dojo.services.settings.model_copy(update=changes))


async def test_a_key_has_60_requests_a_minute_over_all_endpoints(dojo: Dojo) -> None:
    caller = await dojo.caller(rate_per_minute=None)
    targets = ["/api/v1/jobs", "/api/v1/credits", "/api/v1/jobs/job_1", "/api/v1/jobs?limit=0"]
    for number in range(60):
        reply = await caller.get(targets[number % len(targets)])
        assert reply.status in {200, 400, 404}
        assert figures(reply) == (60, 59 - number)
    reply = await caller.get("/api/v1/jobs")
    assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
    assert figures(reply) == (60, 0)
    seconds = int(reply.header("retry-after") or "")
    assert 1 <= seconds <= 60
    assert f"More than 60 requests in a minute. The next one is welcome in {seconds} s" in reply.error["message"]
    assert int(reply.header("x-ratelimit-reset") or "") > 1_700_000_000


async def test_a_limited_run_is_not_charged_and_its_idempotency_key_stays_free(dojo: Dojo) -> None:
    caller = await dojo.caller(rate_per_minute=1)
    await caller.get("/api/v1/jobs")
    assert (await caller.post(RUN, PROMPT, idempotency_key="k")).status == 429
    assert await caller.traces() == (100_000, 0, 0, 1, 0)


async def test_each_key_has_its_own_limit(dojo: Dojo) -> None:
    first = await dojo.caller(rate_per_minute=2)
    second = await dojo.caller(rate_per_minute=5, account_id=first.api_key.account_id)
    assert [(await first.get("/api/v1/jobs")).status for _ in range(3)] == [200, 200, 429]
    assert figures(await second.get("/api/v1/jobs")) == (5, 4)


async def test_a_request_without_the_scope_counts_too(dojo: Dojo) -> None:
    caller = await dojo.caller(rate_per_minute=2, scopes=frozenset({Scope.BILLING}))
    assert [(await caller.get("/api/v1/jobs")).status for _ in range(3)] == [403, 403, 429]


async def test_discovery_and_assets_count_by_address_and_not_against_the_key(dojo: Dojo) -> None:
    limited(dojo, public_rate_per_minute=4)
    caller = await dojo.caller(rate_per_minute=1)
    targets = ["/api/v1/models", "/api/v1/models/flux-1.1-pro", "/assets/a.png", "/api/openapi", "/api/v1/models"]
    replies = [await caller.get(target) for target in targets]
    assert [reply.status for reply in replies] == [200, 200, 404, 200, 429]
    assert [figures(reply)[1] for reply in replies] == [3, 2, 1, 0, 0]
    assert (await caller.get("/api/v1/jobs")).status == 200
    elsewhere = Client(dojo._app, dojo._check, caller="198.51.100.8")
    assert (await elsewhere.get("/api/v1/models")).status == 200


async def test_addresses_that_lead_nowhere_and_wrong_methods_count_as_discovery_does(dojo: Dojo) -> None:
    limited(dojo, public_rate_per_minute=3)
    caller = await dojo.caller(rate_per_minute=1)
    sent = [("GET", "/nothing"), ("PUT", "/api/v1/jobs"), ("GET", "/api/v1/models"), ("GET", "/nothing")]
    replies = [await caller.send(method, target) for method, target in sent]
    assert [reply.status for reply in replies] == [404, 405, 200, 429]
    assert [figures(reply) for reply in replies] == [(3, 2), (3, 1), (3, 0), (3, 0)]
    assert replies[3].error["code"] == "rate_limit_exceeded"
    assert (await caller.get("/api/v1/jobs")).status == 200


async def test_health_is_not_limited(dojo: Dojo) -> None:
    limited(dojo, public_rate_per_minute=1)
    for _ in range(3):
        reply = await dojo.stranger.get("/healthz")
        assert (reply.status, reply.header("x-ratelimit-limit")) == (200, None)


async def test_wrong_keys_are_limited_by_address_and_good_keys_from_there_go_on(dojo: Dojo, caller: Caller) -> None:
    wrong = dojo.stranger
    statuses = [(await wrong.get("/api/v1/jobs", authorization="Bearer pd_test_x")).status for _ in range(61)]
    assert statuses == [401] * 60 + [429]
    assert (await caller.get("/api/v1/jobs")).status == 200
    assert (await wrong.get("/api/v1/models")).status == 200


async def test_limits_counted_in_valkey_are_shared_by_the_nodes(dojo: Dojo, valkey_address: str) -> None:
    caller = await dojo.caller(rate_per_minute=3)
    seen = []
    for _ in range(4):
        async with AsyncExitStack() as stack:
            limiter = open_limiter(valkey_address)
            stack.push_async_callback(limiter.close)
            dojo.build(limiter=limiter)
            reply = await caller.get("/api/v1/jobs")
        seen.append((reply.status, figures(reply)[1]))
    assert seen == [(200, 2), (200, 1), (200, 0), (429, 0)]


async def test_while_the_store_of_the_limits_is_away_requests_are_503_and_say_when_to_come_back(
    dojo: Dojo, caller: Caller
) -> None:
    async with AsyncExitStack() as stack:
        limiter = open_limiter("redis://127.0.0.1:1")
        stack.push_async_callback(limiter.close)
        dojo.build(limiter=limiter)
        for target in ("/api/v1/jobs", "/api/v1/models"):
            reply = await caller.get(target)
            assert (reply.status, reply.error["code"]) == (503, "service_unavailable")
            assert int(reply.header("retry-after") or "") > 0
        assert (await caller.post(RUN, PROMPT)).status == 503
    assert (await caller.traces())[2] == 0


# Behind proxies


async def subject_of(dojo: Dojo, peer: str | None, *forwarded: str) -> str:
    """Return whose limit a request is counted against."""
    counted: list[str] = []
    hit = dojo.services.limiter.hit

    class Watching:
        async def hit(self, subject: str, per_minute: int) -> Any:
            counted.append(subject)
            return await hit(subject, per_minute)

    dojo.build(limiter=Watching())
    client = Client(dojo._app, dojo._check, caller=peer)
    headers = [("x-forwarded-for", value) for value in forwarded]
    assert (await client.send("GET", "/api/v1/models", headers=headers)).status == 200
    return counted[0].removeprefix("address:")


@pytest.mark.parametrize("forwarded", ["1.2.3.4", "127.0.0.1", "10.0.0.1, 1.2.3.4"])
async def test_nobody_is_believed_who_is_no_trusted_proxy(dojo: Dojo, forwarded: str) -> None:
    assert await subject_of(dojo, "198.51.100.7", forwarded) == "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", (" , ,",), "10.0.0.1"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        ("10.0.0.1", ("6.6.6.6", "198.51.100.7"), "198.51.100.7"),
        ("10.0.0.1", ("10.0.0.9, 10.0.0.2",), "10.0.0.9"),
        ("10.0.0.1", ("10.0.0.9, nonsense",), "nonsense"),
        ("10.0.0.1", ("198.51.100.7:41233",), "198.51.100.7"),
        ("10.0.0.1", ("[2001:db8::1]:41233",), "2001:db8::/64"),
        ("10.0.0.1", ("2001:0db8:0000::0001",), "2001:db8::/64"),
        ("10.0.0.1", ("2001:db8::ffff:ffff:ffff:ffff",), "2001:db8::/64"),
        ("10.0.0.1", ("2001:db8:0:1::1",), "2001:db8:0:1::/64"),
        ("10.0.0.1", ("no:address",), "no:address"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("fd00::1", ("::ffff:198.51.100.7",), "198.51.100.7"),
        ("192.168.0.1", ("198.51.100.7",), "192.168.0.1"),
        (None, ("198.51.100.7",), "unknown"),
    ],
)
async def test_behind_a_trusted_proxy_the_address_it_saw_counts_and_not_what_callers_claim(
    dojo: Dojo, peer: str | None, forwarded: tuple[str, ...], expected: str
) -> None:
    limited(dojo, trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    assert await subject_of(dojo, peer, *forwarded) == expected
