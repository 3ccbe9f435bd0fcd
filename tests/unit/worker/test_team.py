"""All that works in the background of one process: started together, stopped in the right order."""

import asyncio

import pytest
from tests.stores import LEASE_SECONDS
from tests.unit.worker.faulty import Fault, away
from tests.unit.worker.receivers import HOOK, ScriptedReceivers, deliverer, of_job
from tests.unit.worker.workshop import Workshop, accepted

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.engine import Hint
from pixeldojo.providers.contract import Operation
from pixeldojo.worker.deliver import Deliverer
from pixeldojo.worker.loop import Worker
from pixeldojo.worker.team import WorkerTeam


class Staff:
    """A team and its members, wired to the workshop's engine."""

    def __init__(self, shop: Workshop) -> None:
        self.receivers = ScriptedReceivers(shop)
        self.worker: Worker = shop.worker()
        self.deliverer: Deliverer = deliverer(shop, self.receivers)
        self.team = WorkerTeam(
            worker=self.worker,
            deliverer=self.deliverer,
            sweep=shop.sweep(),
            engine=shop.stores.engine,
            claims=shop.stores.claims,
            webhooks=shop.stores.webhooks,
            pool=shop.media,
        )
        self.team.take_hints()


@pytest.fixture
async def staff(shop: Workshop) -> Staff:
    staff = Staff(shop)
    await shop.stores.engine.start()
    return staff


async def test_a_job_goes_from_its_hint_to_its_webhook(shop: Workshop, key: ApiKey, staff: Staff) -> None:
    staff.team.start()
    job_id = await shop.submit(key, webhook_url=HOOK)
    await staff.receivers.until_received(1)
    await staff.team.stop(10)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert (await of_job(shop, job_id)).status == "delivered"


async def test_a_new_start_takes_over_at_once_what_a_dead_one_held(shop: Workshop, key: ApiKey, staff: Staff) -> None:
    job_id = await shop.submit(key, webhook_url=HOOK)
    await shop.stores.claim(job_id, "worker_dead")
    await staff.team.take_over_everything()
    staff.team.start()
    await staff.receivers.until_received(1)
    await staff.team.stop(10)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)


async def test_calls_under_way_keep_their_leases_while_the_team_stops(
    shop: Workshop, key: ApiKey, staff: Staff
) -> None:
    is_reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def accept() -> Operation:
        is_reached.set()
        await may_go_on.wait()
        return accepted()

    shop.upstream.to_submit = [accept]
    staff.team.start()
    job_id = await shop.submit(key)
    await is_reached.wait()
    stopping = asyncio.create_task(staff.team.stop(60))
    for _ in range(6):
        await shop.clock.until_sleeping(1)
        shop.clock.advance(LEASE_SECONDS / 3)
    await shop.clock.until_sleeping(1)
    assert await shop.stores.claims.claim(job_id, "worker_2", LEASE_SECONDS) is None
    may_go_on.set()
    await stopping
    job = await shop.job(job_id)
    assert (job.lease_owner, (job.operation or {})["id"]) == (None, "up_1")


async def test_nothing_is_left_running(shop: Workshop, key: ApiKey, staff: Staff) -> None:
    before = asyncio.all_tasks()
    staff.team.start()
    await shop.clock.until_sleeping(6)
    await staff.team.stop(10)
    assert shop.clock.sleeper_count == 0
    assert {task.get_name() for task in asyncio.all_tasks() - before} <= {"sqlite-writer"}
    job_id = await shop.submit(key)
    await shop.stores.engine.announce(Hint.JOB, job_id)
    await asyncio.sleep(0)
    assert (await shop.job(job_id)).lease_owner is None


async def test_the_team_stops_also_when_the_database_is_away(shop: Workshop, key: ApiKey, staff: Staff) -> None:
    staff.team.start()
    await shop.clock.until_sleeping(6)
    shop.break_writes(*[Fault(away())] * 10)
    await staff.team.stop(10)
    assert shop.clock.sleeper_count == 0
