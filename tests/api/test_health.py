"""GET /healthz and /readyz."""

import asyncio

import pytest
from tests.api.dojo import Dojo
from tests.api.promises import CANARY


async def away() -> None:
    raise ConnectionError(f"{CANARY} 10.0.0.7")


async def broken() -> None:
    raise RuntimeError(CANARY)


async def well() -> None:
    """Answer."""


async def test_a_process_that_answers_is_alive_whatever_else_is_broken(dojo: Dojo) -> None:
    dojo.build(readiness={"database": away})
    dojo.app.state.stopping.set()
    reply = await dojo.stranger.get("/healthz")
    assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_a_node_is_ready_when_every_part_answers(dojo: Dojo) -> None:
    reply = await dojo.stranger.get("/readyz")
    assert reply.status == 200
    assert reply.json == {"status": "ok", "checks": {"database": "ok", "blobs": "ok"}}
    assert reply.header("retry-after") is None


@pytest.mark.parametrize("fault", [away, broken])
async def test_a_part_that_does_not_answer_is_named_and_nothing_more_is_told(dojo: Dojo, fault: object) -> None:
    dojo.build(readiness={"database": well, "blobs": fault, "broker": well})
    reply = await dojo.stranger.get("/readyz")
    assert reply.status == 503
    assert reply.json == {
        "status": "unavailable",
        "checks": {"database": "ok", "blobs": "unavailable", "broker": "ok"},
    }
    assert int(reply.header("retry-after") or "") > 0
    (line,) = (entry for entry in dojo.log if entry["event"] == "not ready")
    assert (line["part"], CANARY in line["why"]) == ("blobs", True)


async def test_a_part_that_never_answers_does_not_hold_up_the_others(
    dojo: Dojo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixeldojo.api.health._CHECK_SECONDS", 0.01)
    dojo.build(readiness={"database": well, "broker": asyncio.Event().wait})
    reply = await dojo.stranger.get("/readyz")
    assert (reply.status, reply.json["checks"]) == (503, {"database": "ok", "broker": "unavailable"})


async def test_a_server_that_goes_asks_for_no_more_traffic_and_says_why(dojo: Dojo) -> None:
    dojo.app.state.draining.set()
    reply = await dojo.stranger.get("/readyz")
    assert reply.status == 503
    assert reply.json == {"status": "unavailable", "checks": {"database": "ok", "blobs": "ok", "server": "stopping"}}


async def test_neither_needs_a_key_nor_says_anything_to_caches(dojo: Dojo) -> None:
    for target in ("/healthz", "/readyz"):
        reply = await dojo.stranger.get(target, authorization="Bearer nonsense")
        assert (reply.status, reply.header("cache-control")) == (200, "no-store")


async def test_asking_often_asks_the_parts_once_a_second(dojo: Dojo) -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    dojo.build(readiness={"database": count})
    await asyncio.gather(*(dojo.stranger.get("/readyz") for _ in range(20)))
    assert asked == 1
    dojo.clock.advance(1)
    await dojo.stranger.get("/readyz")
    assert asked == 2
