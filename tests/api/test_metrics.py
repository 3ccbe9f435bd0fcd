"""GET /metrics: who may read it, what it tells, and that no caller can make it grow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.api.asgi import Client, Reply
from tests.api.dojo import RUN, Caller, Dojo
from tests.api.promises import CANARY
from tests.stores import HOOK

from pixeldojo.core.settings import Settings, read_settings
from pixeldojo.db.engine import Database
from pixeldojo.jobs.totals.backlog import Backlog

METRICS: Final = "/metrics"
TOKEN: Final = "a token that only the operator has"
Figures = dict[str, float]


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Of a server that has no public address."""
    return read_settings(host="127.0.0.1")


def from_here(dojo: Dojo) -> Client:
    return Client(dojo.stranger.app, dojo.promises.check, caller="127.0.0.1")


def read(reply: Reply) -> Figures:
    """Return every figure as `name{label=value,…}`."""
    assert reply.status == 200, reply.body
    return {
        sample.name + "".join(f"{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}")
        if sample.labels
        else sample.name: sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


async def figures(dojo: Dojo) -> Figures:
    """Return the figures as they are now, not those of a moment ago."""
    dojo.clock.advance(5)
    return read(await from_here(dojo).get(METRICS))


# Who may read.


async def test_this_machine_may_read_where_no_public_address_is_set(dojo: Dojo) -> None:
    reply = await from_here(dojo).get(METRICS)
    assert (reply.status, reply.header("cache-control")) == (200, "no-store")
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert (await Client(dojo.stranger.app, dojo.promises.check, caller="::1").get(METRICS)).status == 200
    assert (await Client(dojo.stranger.app, dojo.promises.check, caller="::ffff:127.0.0.1").get(METRICS)).status == 200


@pytest.mark.parametrize("caller", ["198.51.100.7", "10.0.0.1", "::2", "localhost", None])
async def test_nobody_else_may(dojo: Dojo, caller: str | None) -> None:
    reply = await Client(dojo.stranger.app, dojo.promises.check, caller=caller).get(METRICS)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert b"pixeldojo_" not in reply.body


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"])
async def test_a_proxy_on_this_machine_makes_nobody_local(dojo: Dojo, header: str) -> None:
    reply = await from_here(dojo).send("GET", METRICS, headers={header: "127.0.0.1"})
    assert reply.status == 404


async def test_where_a_public_address_is_set_not_even_this_machine_may_without_the_token(dojo: Dojo) -> None:
    dojo.build(settings=read_settings(public_url="https://dojo.example.com"))
    assert (await from_here(dojo).get(METRICS)).status == 404


async def test_the_token_opens_from_everywhere_and_an_api_key_does_not(dojo: Dojo, caller: Caller) -> None:
    changes = {"metrics_token": SecretStr(TOKEN), "public_url": "https://dojo.example.com"}
    dojo.build(settings=dojo.services.settings.model_copy(update=changes))
    assert (await dojo.stranger.get(METRICS, authorization=f"Bearer {TOKEN}")).status == 200
    assert (await dojo.stranger.get(METRICS, authorization=f"bearer {TOKEN}")).status == 200
    for given in (None, "", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"):
        headers = {} if given is None else {"authorization": given}
        reply = await from_here(dojo).get(METRICS, **headers)
        assert (reply.status, reply.error["code"]) == (401, "unauthorized"), given
        assert reply.header("www-authenticate")
    assert (await caller.get(METRICS)).status == 401


async def test_who_guesses_tokens_has_to_wait(dojo: Dojo) -> None:
    dojo.build(settings=dojo.services.settings.model_copy(update={"metrics_token": SecretStr(TOKEN)}))
    statuses = [(await dojo.stranger.get(METRICS, authorization="Bearer guess")).status for _ in range(61)]
    assert statuses == [401] * 60 + [429]


# What it tells.


async def test_requests_are_counted_by_template_method_and_status(dojo: Dojo, caller: Caller) -> None:
    for _ in range(2):
        await caller.get("/api/v1/jobs/job_nothing")
    await caller.post(RUN, {"prompt": "a"})
    await caller.head("/api/v1/credits")
    await dojo.stranger.get("/api/v1/credits")
    told = await figures(dojo)
    count = "pixeldojo_http_request_duration_seconds_count"
    assert told[f"{count}{{method=GET,route=/api/v1/jobs/{{jobId}},status=404}}"] == 2
    assert told[f"{count}{{method=POST,route=/api/v1/models/{{apiId}}/run,status=202}}"] == 1
    assert told[f"{count}{{method=HEAD,route=/api/v1/credits,status=200}}"] == 1
    assert told[f"{count}{{method=GET,route=/api/v1/credits,status=401}}"] == 1


async def test_no_caller_can_make_up_a_label(dojo: Dojo, caller: Caller) -> None:
    await figures(dojo)
    before = set(await figures(dojo))
    for number in range(20):
        await caller.get(f"/api/v1/{CANARY}{number}")
        await caller.send(f"{CANARY.upper()}{number}", "/api/v1/jobs")
        await caller.get(f"/api/v1/jobs/{CANARY}{number}")
        await caller.get(f"/assets/{CANARY}{number}.png")
        await caller.get(f"/static/{CANARY}{number}")
    new = set(await figures(dojo)) - before
    assert not [name for name in new if CANARY in name.lower()]
    routes = {name.partition("route=")[2].partition(",status")[0] for name in new}
    assert routes == {"none", "/api/v1/jobs", "/api/v1/jobs/{jobId}", "/assets/{fileName}"}
    assert any("method=other" in name for name in new)


async def test_it_tells_what_waits(dojo: Dojo, caller: Caller) -> None:
    waiting = await caller.run()
    dojo.clock.advance(10)
    running = await caller.run({"prompt": "a", "webhook_url": HOOK})
    await dojo.accepted(running)
    ended = await caller.run({"prompt": "a", "webhook_url": HOOK})
    await dojo.failed(ended)
    dojo.clock.advance(90)

    told = await figures(dojo)

    assert told["pixeldojo_database_up"] == 1
    assert {name: value for name, value in told.items() if name.startswith("pixeldojo_jobs_open")} == {
        "pixeldojo_jobs_open{mode=test,status=pending}": 1,
        "pixeldojo_jobs_open{mode=test,status=processing}": 1,
        "pixeldojo_jobs_open{mode=live,status=pending}": 0,
        "pixeldojo_jobs_open{mode=live,status=processing}": 0,
    }
    assert told["pixeldojo_jobs_oldest_pending_seconds{mode=test}"] == 105
    assert told["pixeldojo_jobs_oldest_pending_seconds{mode=live}"] == 0
    # Its hint was taken for lost five seconds after it was submitted.
    assert told["pixeldojo_job_steps_overdue_seconds"] == 100
    assert told["pixeldojo_webhooks_pending"] == 1
    assert told["pixeldojo_webhooks_overdue_seconds"] == 95
    await dojo.stores.claim(waiting)
    delivery = (await dojo.stores.webhooks.find_deliveries([ended]))[ended]
    await dojo.stores.webhooks.claim(delivery.id, "worker_1", 60)
    told = await figures(dojo)
    # What a living worker holds does not wait; the lease of the other job's worker ran out after 15 seconds.
    assert told["pixeldojo_job_steps_overdue_seconds"] == 85
    assert told["pixeldojo_webhooks_overdue_seconds"] == 0


async def test_many_who_ask_at_once_are_one_question_to_the_database(dojo: Dojo, statements: list[str]) -> None:
    here = from_here(dojo)
    await asyncio.gather(*(here.get(METRICS) for _ in range(20)))
    assert 1 <= len(statements) <= 4
    await here.get(METRICS)
    assert len(statements) <= 4


async def test_without_the_database_the_process_still_tells_of_itself(dojo: Dojo, caller: Caller) -> None:
    await caller.get("/api/v1/credits")
    dojo.build(backlog=Backlog(_Away(dojo.stores.database), dojo.clock))
    told = await figures(dojo)
    assert told["pixeldojo_database_up"] == 0
    assert not [name for name in told if name.startswith("pixeldojo_jobs_open")]
    assert told["pixeldojo_http_request_duration_seconds_count{method=GET,route=/api/v1/credits,status=200}"] == 1


class _Away(Database):
    """A database that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        connections: list[AsyncConnection] = []
        if not connections:
            raise ConnectionRefusedError(CANARY)
        yield connections[0]
