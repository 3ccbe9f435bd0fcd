"""The crash table: each way a job can be hurt, and the tests that prove what happens then.

The rows are the steps of a job's life and the parts that can be away; a row without a test, and a test that is not
there any more, both fail here. docs/operating.md says in words what was seen.
"""

import ast
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest
from tests.e2e.test_kill import POINTS


class Row(StrEnum):
    """What can happen."""

    ACCEPT = "a crash while a job is accepted: all of it or nothing"
    CLAIM = "a crash around a claim: the lease runs out, the fence keeps the dead out"
    SUBMIT = "a crash around the upstream's call: never a second one that might cost"
    HANDLE_KEPT = "a crash once the upstream's handle is kept: asking again is free"
    END = "a crash around the end: one settlement, at the price of the submit"
    ASSETS = "a crash around the copying: nothing is completed before its files are ours"
    WEBHOOK = "a crash around a webhook: it arrives, and verifies"
    EXPIRY = "a crash while expired jobs are purged: 410, and no file is left"
    CANCEL = "cancelled and completed at once: one of them"
    MESSAGE_LOST = "every message is lost"
    MESSAGE_TWICE = "every message comes again"
    TWO_WORKERS = "two workers hear of one job"
    WORKER_WAKES = "a worker suspended past its lease wakes"
    DATABASE_RESTARTED = "the database is restarted"
    BROKER_AWAY = "the broker is away"
    BLOBS_READ_ONLY = "the media store can only be read"
    BLOBS_FULL = "the media store is full"
    DISK_FULL = "the disk under SQLite is full"
    CLOCK_SET_BACK = "the clock is set back"
    ANY_ORDER = "all of it at random"


_KILL: Final = "e2e/test_kill.py::test_kill_and_restart"
_PARTS: Final = "e2e/test_parts_in_trouble.py"
_CLOCK: Final = "contract/test_clock_set_back.py"

TABLE: Final[Mapping[Row, tuple[str, ...]]] = {
    Row.ACCEPT: (_KILL, "contract/test_job_creation.py::test_a_job_that_cannot_be_stored_costs_nothing"),
    Row.CLAIM: (_KILL, "contract/test_job_claims.py::test_a_worker_whose_job_was_taken_over_cannot_move_it"),
    Row.SUBMIT: (_KILL, "contract/test_worker_never_twice.py::test_upstreams_charge_at_most_once_for_a_job"),
    Row.HANDLE_KEPT: (_KILL, "unit/worker/test_check.py::test_another_worker_goes_on_asking_with_the_same_handle"),
    Row.END: (_KILL, "contract/test_job_endings.py::test_of_several_ends_at_once_one_is_settled"),
    Row.ASSETS: (
        _KILL,
        "unit/worker/test_collect.py::test_a_worker_that_died_while_copying_leaves_the_outputs_to_the_next",
    ),
    Row.WEBHOOK: (
        _KILL,
        "contract/test_worker_deliveries.py::test_a_worker_that_was_paused_past_its_lease_records_nothing",
    ),
    Row.EXPIRY: ("e2e/test_kill.py::test_kill_during_the_sweep",),
    Row.CANCEL: ("contract/test_worker_cancel.py::test_cancelling_and_completing_have_one_winner",),
    Row.MESSAGE_LOST: (f"{_PARTS}::test_every_message_is_lost",),
    Row.MESSAGE_TWICE: (f"{_PARTS}::test_every_message_comes_three_times_to_two_workers",),
    Row.TWO_WORKERS: (
        f"{_PARTS}::test_every_message_comes_three_times_to_two_workers",
        "contract/test_worker_leases.py::test_of_many_workers_that_hear_of_a_job_one_carries_it",
    ),
    Row.WORKER_WAKES: (f"{_PARTS}::test_a_worker_wakes_after_its_lease",),
    Row.DATABASE_RESTARTED: (f"{_PARTS}::test_the_database_is_restarted",),
    Row.BROKER_AWAY: (f"{_PARTS}::test_the_broker_is_away",),
    Row.BLOBS_READ_ONLY: (f"{_PARTS}::test_the_media_store_takes_nothing",),
    Row.BLOBS_FULL: (f"{_PARTS}::test_the_media_store_takes_nothing",),
    Row.DISK_FULL: (
        f"{_PARTS}::test_the_disk_under_sqlite_is_full",
        "contract/test_sqlite_writer.py::test_a_full_disk_is_told_to_every_caller_and_the_writer_goes_on",
    ),
    Row.CLOCK_SET_BACK: (
        f"{_CLOCK}::test_a_worker_goes_on_with_the_job_it_has",
        f"{_CLOCK}::test_a_dead_workers_job_is_taken_over_once_the_clock_has_caught_up",
    ),
    Row.ANY_ORDER: ("chaos/test_chaos.py::test_whatever_is_killed_every_job_ends_once_and_is_paid_once",),
}

# A commit or a network call of each step; kill -9 comes before it, and after it.
CALLS_KILLED_AROUND: Final[Mapping[Row, tuple[str, ...]]] = {
    Row.ACCEPT: ("JobsService.create",),
    Row.CLAIM: ("JobClaims.claim",),
    Row.SUBMIT: ("JobClaims.begin_submit", "SandboxLedger.record"),
    Row.HANDLE_KEPT: ("JobClaims.accept",),
    Row.ASSETS: ("SandboxStudio.draw", "JobClaims.begin_collect", "Blobs.put"),
    Row.END: ("JobClaims.complete",),
    Row.WEBHOOK: ("WebhooksService.claim", "OutboundClient.post", "WebhooksService.record"),
}


def test_every_row_has_a_test() -> None:
    assert {row: tests for row in Row if not (tests := TABLE.get(row))} == {}


@pytest.mark.parametrize("row", TABLE)
def test_the_tests_of_a_row_are_there(row: Row) -> None:
    folder = Path(__file__).parents[1]
    for named in TABLE[row]:
        path, _, function = named.partition("::")
        tree = ast.parse((folder / path).read_text(encoding="utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in there, f"{named} is named for {row!r} and is gone"


def test_each_step_is_killed_before_and_after_its_calls() -> None:
    killed = {(target.partition(":")[2], moment) for target, moment in POINTS}
    missing = {
        (call, moment)
        for calls in CALLS_KILLED_AROUND.values()
        for call in calls
        for moment in ("before", "after")
        if (call, moment) not in killed
    }
    assert missing == set()
    kept = {row for row, tests in TABLE.items() if "e2e/test_kill.py::test_kill_and_restart" in tests}
    assert kept == CALLS_KILLED_AROUND.keys(), "a row that names the kills says around which calls they come"
