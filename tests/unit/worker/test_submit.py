"""Handing a job to an upstream: what each kind of refusal leads to, and what is written down."""

import pytest
from tests.unit.worker.workshop import ScriptedProvider, Workshop, finished, refused

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.jobs.states import JobStatus, Step
from pixeldojo.providers.contract import Operation, UpstreamErrorKind


async def test_a_job_is_submitted_once_checked_and_completed(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, num_outputs=2)
    shop.upstream.to_check = [finished() for _ in range(1)]
    await shop.carry(job_id)
    assert await shop.ending(key, job_id) == ("completed", None, 1500)
    assert len(shop.upstream.calls) == 1
    assert await shop.attempts(job_id) == [("sandbox", "finished")]
