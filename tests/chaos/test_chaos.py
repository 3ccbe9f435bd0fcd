"""Two short forms of `make chaos`, in which everything is hurt once or twice; and the plan itself."""

from pathlib import Path

import pytest
from tests.chaos.plan import Trouble, draw_plan
from tests.chaos.run import Size, run_chaos

SEED = 20260504
QUICK = 1629
"""A seed whose plan has five blows within three seconds, none of which lasts for two."""


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_a_worker_the_api_and_both_servers_are_killed_within_seconds_and_all_holds(tmp_path: Path) -> None:
    said: list[str] = []
    size = Size(jobs=20, seconds=5, workers=2, apis=1, drain_seconds=90)
    outcome = run_chaos(tmp_path, QUICK, size, said.append)
    assert [str(claim) for claim in outcome.claims if claim.wrong] == [], "\n".join(said)
    assert {(blow.trouble, blow.part) for blow in outcome.blows} >= {
        (Trouble.KILL, "worker"),
        (Trouble.SUSPEND, "worker"),
        (Trouble.KILL, "api"),
        (Trouble.CRASH, "database"),
        (Trouble.CRASH, "broker"),
    }


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_is_killed_every_job_ends_once_and_is_paid_once(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = run_chaos(tmp_path, SEED, Size(jobs=60, seconds=8, workers=2, drain_seconds=150), said.append)
    assert [str(claim) for claim in outcome.claims if claim.wrong] == [], "\n".join(said)
    assert {blow.part for blow in outcome.blows} == {"api", "worker", "database", "broker"}


def test_a_seed_always_gives_the_same_plan() -> None:
    plans = [draw_plan(SEED, seconds=180, workers=4, apis=2) for _ in range(2)]
    assert plans[0] == plans[1] != draw_plan(SEED + 1, seconds=180, workers=4, apis=2)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_hurts_every_part_and_none_that_is_still_hurt(seed: int) -> None:
    plan = draw_plan(seed, seconds=60, workers=4, apis=2)
    assert {blow.part for blow in plan} == {"api", "worker", "database", "broker"}
    free_at: dict[tuple[str, int], float] = {}
    for blow in plan:
        assert blow.at >= free_at.get((blow.part, blow.number), 0.0)
        free_at[blow.part, blow.number] = blow.at + blow.lasts
