"""Fairness of webhooks: places, turns and bounds, so that a dead receiver holds up nobody but itself."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.unit.net.loopback import answer as raw_answer
from tests.unit.net.loopback import answering, hang, outbound, serving
from tests.unit.worker.receivers import (
    HOOK,
    Gate,
    ScriptedReceivers,
    answer,
    deliverer,
    ended_job,
    many_due,
    now_of,
    until_idle,
)
from tests.unit.worker.workshop import Workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.providers.contract import HttpAnswer


@pytest.fixture
def receivers(shop: Workshop) -> ScriptedReceivers:
    return ScriptedReceivers(shop)


async def test_good_receivers_get_theirs_while_dead_ones_hang(shop: Workshop, key: ApiKey) -> None:
    """On real sockets: 20 receivers that never answer, with 20 webhooks each; 180 good ones with one."""
    arrived: asyncio.Queue[int] = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait(1)
        await answering(raw_answer(204, content_length=""))(reader, writer)

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(outbound())
        dead = [await stack.enter_async_context(serving(hang)) for _ in range(20)]
        good = [await stack.enter_async_context(serving(note)) for _ in range(180)]
        urls = [server.url() for server in dead for _ in range(20)] + [server.url() for server in good]
        ids = await many_due(shop, key, urls)
        worker = deliverer(shop, http)
        await asyncio.gather(*(worker.take(delivery_id) for delivery_id in ids))
        async with asyncio.timeout(10):
            for _ in good:
                await arrived.get()
        assert [server.connections for server in dead] == [1] * 20
        assert [server.connections for server in good] == [1] * 180
        await worker.stop(0)


async def test_a_silent_receiver_has_one_attempt_at_a_time(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate, gate, host="silent.test")
    worker = deliverer(shop, receivers)
    for delivery_id in await many_due(shop, key, [f"https://silent.test/hook?job={number}" for number in range(30)]):
        await worker.take(delivery_id)
    await gate.is_reached.wait()
    await worker.take((await ended_job(shop, key)).id)
    await receivers.until_received(2)
    assert receivers.count("silent.test") == 1
    await worker.stop(0)


async def test_a_silent_address_does_not_hold_up_its_neighbours_at_the_host(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate, host="hooks.test")
    worker = deliverer(shop, receivers)
    silent = ["https://hooks.test/silent"] * 30
    for delivery_id in await many_due(shop, key, [*silent, *["https://hooks.test/good"] * 10]):
        await worker.take(delivery_id)
    await receivers.until_received(11)
    assert [received.url for received in receivers.received].count("https://hooks.test/silent") == 1
    await worker.stop(0)


async def test_a_silent_host_has_few_attempts_however_many_its_addresses(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(*[gate] * 30, host="silent.test")
    worker = deliverer(shop, receivers)
    for delivery_id in await many_due(shop, key, [f"https://silent.test/{number}" for number in range(30)]):
        await worker.take(delivery_id)
    await worker.take((await ended_job(shop, key)).id)
    await receivers.until_received(5)
    assert receivers.count("silent.test") == 4
    await worker.stop(0)


async def test_what_waits_for_one_account_does_not_hold_up_another_at_the_same_address(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers)
    for delivery_id in await many_due(shop, key, [HOOK] * 30):
        await worker.take(delivery_id)
    await gate.is_reached.wait()
    for delivery_id in await many_due(shop, await shop.key(), [HOOK] * 10):
        await worker.take(delivery_id)
    await receivers.until_received(11)
    assert len(receivers.received) == 11
    await worker.stop(0)


async def test_a_quick_receiver_gets_more_at_a_time_up_to_a_bound(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    under_way = most = 0

    async def count() -> HttpAnswer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await shop.stores.database.check()
        under_way -= 1
        return answer()

    receivers.answer_next(*[count] * 60)
    worker = deliverer(shop, receivers)
    for delivery_id in await many_due(shop, key, [HOOK] * 60):
        await worker.take(delivery_id)
    await until_idle()
    assert receivers.count("receiver.test") == 60
    assert 2 <= most <= 8


async def test_a_slow_receiver_is_back_to_one(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    async def slow() -> HttpAnswer:
        shop.clock.advance(10)
        return answer()

    gates = [Gate() for _ in range(3)]
    receivers.answer_next(*[answer()] * 7, slow, *gates)
    worker = deliverer(shop, receivers)
    ids = await many_due(shop, key, [HOOK] * 12)
    for delivery_id in ids[:8]:
        await worker.take(delivery_id)
        await until_idle()
    for delivery_id in ids[8:]:
        await worker.take(delivery_id)
    await gates[0].is_reached.wait()
    assert receivers.count("receiver.test") == 9
    await worker.stop(0)


async def test_all_receivers_together_have_a_bound(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    gates = {f"receiver-{number}.test": Gate() for number in range(230)}
    for host, gate in gates.items():
        receivers.answer_next(gate, host=host)
    worker = deliverer(shop, receivers)
    ids = await many_due(shop, key, [f"https://{host}/" for host in gates])
    await asyncio.gather(*(worker.take(delivery_id) for delivery_id in ids))
    await receivers.until_received(200)
    await shop.stores.database.check()
    assert len(receivers.received) == 200
    for gate in gates.values():
        gate.may_answer.set()
    await until_idle()
    assert len(receivers.received) == 230


async def test_a_delivery_announced_often_is_sent_once(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers)
    first, second = await many_due(shop, key, [HOOK, HOOK])
    for _ in range(10):
        await asyncio.gather(*(worker.take(delivery_id) for delivery_id in (first, second, first, second)))
    await gate.is_reached.wait()
    gate.may_answer.set()
    await until_idle()
    assert len(receivers.received) == 2


async def test_hints_beyond_the_bound_of_a_receiver_are_left_to_the_sweep(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers, waiting=10)
    ids = await many_due(shop, key, [HOOK] * 25)
    for delivery_id in ids:
        await worker.take(delivery_id)
    gate.may_answer.set()
    await until_idle()
    assert len(receivers.received) == 11
    for _ in range(2):
        for delivery_id in await shop.stores.webhooks.due(500):
            await worker.take(delivery_id)
        await until_idle()
    assert len(receivers.received) == 25


async def test_silent_hosts_with_much_waiting_leave_room_for_others(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    silent = [f"silent-{number}.test" for number in range(30)]
    for host in silent:
        receivers.answer_next(gate, host=host)
    worker = deliverer(shop, receivers, in_hand=100)
    for delivery_id in await many_due(shop, key, [f"https://{host}/" for _ in range(10) for host in silent]):
        await worker.take(delivery_id)
    await receivers.until_received(30)
    await worker.take((await ended_job(shop, key)).id)
    await receivers.until_received(31)
    assert receivers.count("receiver.test") == 1
    await worker.stop(0)


async def test_the_overdue_of_one_account_do_not_hide_those_of_another(shop: Workshop, key: ApiKey) -> None:
    mine = await many_due(shop, key, ["https://dead.test/"] * 40)
    shop.clock.advance(3)
    other = await shop.key()
    theirs = await many_due(shop, other, [HOOK] * 3)
    found = await shop.stores.webhooks.due(10)
    assert set(theirs) <= set(found)
    assert len(set(found) & set(mine)) == 7


# Stopping


async def test_a_stopping_worker_lets_attempts_end_and_starts_none(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers)
    first, second, third = [await ended_job(shop, key) for _ in range(3)]
    await worker.take(first.id)
    await worker.take(second.id)
    await gate.is_reached.wait()
    stopping = asyncio.create_task(worker.stop(60))
    await worker.take(third.id)
    gate.may_answer.set()
    await stopping
    assert (await now_of(shop, first)).status == "delivered"
    for left in (second, third):
        now = await now_of(shop, left)
        assert (now.status, now.attempt_count, now.lease_owner) == ("pending", 0, None)
    assert len(receivers.received) == 1


async def test_an_attempt_that_takes_too_long_is_left_to_another_worker(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    gate = Gate()
    receivers.answer_next(gate)
    worker = deliverer(shop, receivers)
    delivery = await ended_job(shop, key)
    await worker.take(delivery.id)
    await gate.is_reached.wait()
    await worker.stop(0)
    await deliverer(shop, receivers, "worker_2").take(delivery.id)
    await until_idle()
    assert (await now_of(shop, delivery)).status == "delivered"
    assert len(receivers.received) == 2
