"""The life of a job as a table of moves: what callers see (status), what the worker does next (step). Pure.

    status      pending ──► processing ──► completed
                   │             └───────► failed
                   └─────────────────────► failed

    step        submit ──► submitting ──► check ──► collect ──► ended
                  ▲            │ │                     ▲
                  └────────────┘ └─────────────────────┘
                  refused, again   answered at once

`submitting` means that an upstream may have the work although no answer came: whoever finds a job there after a
crash must not simply submit again. Every step can also go straight to `ended`: failed, cancelled, out of time.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    """What callers see; no other word is ever shown (contract, section 4)."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED}


class Step(StrEnum):
    """What a worker does with the job next."""

    SUBMIT = "submit"
    SUBMITTING = "submitting"
    CHECK = "check"
    COLLECT = "collect"
    ENDED = "ended"


MOVES: dict[Step, frozenset[Step]] = {
    Step.SUBMIT: frozenset({Step.SUBMITTING, Step.ENDED}),
    Step.SUBMITTING: frozenset({Step.SUBMIT, Step.SUBMITTING, Step.CHECK, Step.COLLECT, Step.ENDED}),
    Step.CHECK: frozenset({Step.CHECK, Step.COLLECT, Step.ENDED}),
    # A worker that finds a job it did not itself bring here asks the upstream again.
    Step.COLLECT: frozenset({Step.CHECK, Step.COLLECT, Step.ENDED}),
    Step.ENDED: frozenset(),
}


def can_move(now: Step, to: Step) -> bool:
    """Whether a job at step `now` may go to step `to`."""
    return to in MOVES[now]


def sources_of(to: Step) -> frozenset[Step]:
    """Return the steps from which a job may go to `to`."""
    return frozenset(step for step, targets in MOVES.items() if to in targets)
