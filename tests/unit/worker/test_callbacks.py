"""Whose keys are waited for, and by whom; what callbacks lead to is shown with every service in tests/providers."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.providers.scripted import Scripted
from tests.unit.worker.workshop import ScriptedProvider, Workshop

from pixeldojo.core.errors import ServiceUnavailable
from pixeldojo.providers.contract import Callback, HttpClient, UpstreamError, UpstreamErrorKind
from pixeldojo.worker.callbacks import CallbackDesk


class Caller(ScriptedProvider):
    """A service whose keys are given out when the test says so, or never."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Sequence[bytes]] = asyncio.get_running_loop().create_future()
        self.times_asked = 0

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        self.times_asked += 1
        self.asked.set()
        return await self.answer

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        assert list(keys) == [b"key"]


def _desk(shop: Workshop, *callers: Caller) -> CallbackDesk:
    return CallbackDesk(
        providers={caller.name: caller for caller in callers},
        clients={caller.name: Scripted() for caller in callers},
        claims=shop.stores.claims,
        engine=shop.stores.engine,
        clock=shop.clock,
        log=shop.log,
    )


async def test_a_service_whose_keys_do_not_come_holds_up_no_other(shop: Workshop) -> None:
    slow, quick = Caller("slow"), Caller("quick")
    desk = _desk(shop, slow, quick)
    waiting = asyncio.create_task(desk.take("slow", "job_1", {}, b"", ""))
    await slow.asked.wait()
    quick.answer.set_result([b"key"])
    await desk.take("quick", "job_2", {}, b"", "")
    assert not waiting.done()
    slow.answer.set_result([b"key"])
    await waiting


async def test_all_who_wait_for_keys_learn_at_once_that_they_cannot_be_had(shop: Workshop) -> None:
    caller = Caller("slow")
    desk = _desk(shop, caller)
    waiting = [asyncio.create_task(desk.take("slow", f"job_{number}", {}, b"", "")) for number in range(3)]
    await caller.asked.wait()
    caller.answer.set_exception(UpstreamError(UpstreamErrorKind.UNKNOWN, "no answer in time"))
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [ServiceUnavailable] * 3
    assert caller.times_asked == 1


async def test_whoever_hangs_up_does_not_take_the_keys_from_the_others(shop: Workshop) -> None:
    caller = Caller("slow")
    desk = _desk(shop, caller)
    first = asyncio.create_task(desk.take("slow", "job_1", {}, b"", ""))
    await caller.asked.wait()
    second = asyncio.create_task(desk.take("slow", "job_2", {}, b"", ""))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    caller.answer.set_result([b"key"])
    await second
    assert caller.times_asked == 1
