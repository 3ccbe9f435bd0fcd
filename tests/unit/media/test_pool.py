"""Media processes: they answer, they are limited, they die alone, and none is left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.media import pool_tasks

from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.pool import MediaPool, MediaPoolClosed, MediaTaskFailed

SOON = 20.0
ENOUGH_MEMORY = 1024**3


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[MediaPool]:
    async with MediaPool(max_workers=1, memory_bytes=ENOUGH_MEMORY) as pool:
        yield pool


def has_ended(process_id: int, wait_seconds: float = SOON) -> bool:
    """Say whether a process is gone, or goes within the time."""
    try:
        handle = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], wait_seconds)[0])
    finally:
        os.close(handle)


async def test_a_function_runs_elsewhere_and_answers(pool: MediaPool) -> None:
    assert await pool.run(pool_tasks.add, 2, 3, timeout_seconds=SOON) == 5
    assert await pool.run(pool_tasks.facts, timeout_seconds=SOON) == MediaFacts("image", "image/png", 5, 1, 1)
    assert await pool.run(pool_tasks.process_id, timeout_seconds=SOON) != os.getpid()


async def test_a_process_is_used_again(pool: MediaPool) -> None:
    ids = [await pool.run(pool_tasks.process_id, timeout_seconds=SOON) for _ in range(3)]
    assert len(set(ids)) == 1


async def test_errors_come_back_as_they_were(pool: MediaPool) -> None:
    with pytest.raises(UnreadableMedia, match="the image is broken"):
        await pool.run(pool_tasks.fail_reading, timeout_seconds=SOON)
    with pytest.raises(ValueError, match="too wide"):
        await pool.run(pool_tasks.fail_with, "too wide", timeout_seconds=SOON)
    with pytest.raises(RuntimeError, match="PrivateError: only known here"):
        await pool.run(pool_tasks.fail_with_own_error, timeout_seconds=SOON)
    assert await pool.run(pool_tasks.add, 1, 1, timeout_seconds=SOON) == 2


async def test_the_event_loop_goes_on_while_a_task_waits(pool: MediaPool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = asyncio.create_task(pool.run(pool_tasks.read_pipe, str(pipe), timeout_seconds=SOON))
    await asyncio.to_thread(pipe.write_text, "from the loop")
    assert await task == "from the loop"


async def test_two_processes_work_at_once_and_a_third_task_waits(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with MediaPool(max_workers=2) as pool:
        # Reader and writer of a pipe wait for one another, so neither ends alone.
        tasks = asyncio.gather(
            pool.run(pool_tasks.read_pipe, str(pipe), timeout_seconds=SOON),
            pool.run(pool_tasks.write_pipe, str(pipe), "met", timeout_seconds=SOON),
            pool.run(pool_tasks.process_id, timeout_seconds=SOON),
        )
        read, _, third = await tasks
        assert read == "met"
        assert len(pool.process_ids) == 2
        assert third in pool.process_ids


async def test_a_task_past_its_time_is_stopped_and_its_process_replaced(pool: MediaPool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = await pool.run(pool_tasks.process_id, timeout_seconds=SOON)
    with pytest.raises(MediaTaskFailed, match=r"longer than 0\.05 seconds"):
        await pool.run(pool_tasks.read_pipe, str(pipe), timeout_seconds=0.05)
    assert has_ended(before)
    assert await pool.run(pool_tasks.process_id, timeout_seconds=SOON) != before


async def test_a_cancelled_task_leaves_no_process_at_work(pool: MediaPool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = await pool.run(pool_tasks.process_id, timeout_seconds=SOON)
    task = asyncio.create_task(pool.run(pool_tasks.read_pipe, str(pipe), timeout_seconds=SOON))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended(before)
    assert await pool.run(pool_tasks.add, 1, 2, timeout_seconds=SOON) == 3


async def test_a_file_that_kills_its_process_twice_is_given_up(pool: MediaPool, tmp_path: Path) -> None:
    with pytest.raises(MediaTaskFailed, match="made the program that reads it fail"):
        await pool.run(pool_tasks.die_after_noting, str(tmp_path / "marks"), timeout_seconds=SOON)
    assert (tmp_path / "marks").read_text() == "xx"
    assert await pool.run(pool_tasks.add, 1, 2, timeout_seconds=SOON) == 3


async def test_a_process_killed_for_reasons_of_its_own_costs_nobody_a_task(pool: MediaPool, tmp_path: Path) -> None:
    assert await pool.run(pool_tasks.die_the_first_time, str(tmp_path / "mark"), timeout_seconds=SOON) == "second time"


async def test_a_process_killed_between_tasks_is_replaced(pool: MediaPool) -> None:
    before = await pool.run(pool_tasks.process_id, timeout_seconds=SOON)
    os.kill(before, signal.SIGKILL)
    assert has_ended(before)
    assert await pool.run(pool_tasks.process_id, timeout_seconds=SOON) != before


async def test_a_task_that_takes_too_much_memory_fails_alone(pool: MediaPool) -> None:
    with pytest.raises(MediaTaskFailed, match="more memory"):
        await pool.run(pool_tasks.take_memory, 2 * ENOUGH_MEMORY, timeout_seconds=SOON)
    assert await pool.run(pool_tasks.take_memory, 1024, timeout_seconds=SOON) == 1024


async def test_what_libraries_print_does_not_disturb(pool: MediaPool) -> None:
    assert await pool.run(pool_tasks.print_noise, timeout_seconds=SOON) == "quiet"


async def test_an_answer_cannot_bring_code(pool: MediaPool) -> None:
    with pytest.raises(MediaTaskFailed):
        await pool.run(pool_tasks.smuggle_code, timeout_seconds=SOON)


async def test_processes_see_nothing_of_the_servers_environment(
    pool: MediaPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXELDOJO_SECRET_KEY", "not for decoders")
    seen = await pool.run(pool_tasks.environment, timeout_seconds=SOON)
    assert not [name for name in seen if name.startswith("PIXELDOJO")]


async def test_closing_ends_every_process_even_at_work(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pool = MediaPool(max_workers=2)
    ids = {await pool.run(pool_tasks.process_id, timeout_seconds=SOON)}
    busy = asyncio.create_task(pool.run(pool_tasks.read_pipe, str(pipe), timeout_seconds=SOON))
    await asyncio.sleep(0)
    ids.add(await pool.run(pool_tasks.process_id, timeout_seconds=SOON))
    await pool.close()
    with pytest.raises(MediaPoolClosed):
        await busy
    assert len(ids) == 2
    assert all(has_ended(process_id, 0) for process_id in ids)
    with pytest.raises(MediaPoolClosed):
        await pool.run(pool_tasks.add, 1, 2, timeout_seconds=SOON)


async def test_no_process_starts_before_it_is_needed() -> None:
    async with MediaPool(max_workers=4) as pool:
        counts = [len(pool.process_ids)]
        await pool.run(pool_tasks.add, 1, 2, timeout_seconds=SOON)
        counts.append(len(pool.process_ids))
        await pool.warm_up(pool_tasks.process_id)
        counts.append(len(pool.process_ids))
    assert counts == [0, 1, 4]


SERVER = """
import asyncio, sys
from pixeldojo.media.pool import MediaPool
from tests.unit.media import pool_tasks

async def serve():
    pool = MediaPool(max_workers=2)
    print(await pool.run(pool_tasks.process_id, timeout_seconds=20), flush=True)
    await pool.run(pool_tasks.read_pipe, sys.argv[1], timeout_seconds=20)

asyncio.run(serve())
"""


def test_processes_do_not_outlive_a_killed_server(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", SERVER, str(pipe)]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        assert not has_ended(worker, 0)
        server.kill()
    assert has_ended(worker)


LIGHT = """
import sys
import pixeldojo.media.pool, pixeldojo.media.probe, pixeldojo.media.render, pixeldojo.providers.sandbox
print(sorted({"numpy", "PIL", "av"} & set(sys.modules)))
"""


def test_the_server_itself_never_loads_the_media_libraries() -> None:
    found = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
