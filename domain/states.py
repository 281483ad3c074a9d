"""The life of a job, on one screen: which event may follow which state, and where it leads.

`LIFECYCLE`, and `EVALUATION` for evaluation jobs, are the only judges of legality, in Python and in
SQL. The states are those of Vertex AI's `JobState`, names and numbers; UNSPECIFIED is never recorded.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple


class JobState(IntEnum):
    """google.cloud.aiplatform.v1.JobState, without UNSPECIFIED (0)."""

    QUEUED = 1
    PENDING = 2
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLING = 6
    CANCELLED = 7
    PAUSED = 8
    EXPIRED = 9
    UPDATING = 10
    PARTIALLY_SUCCEEDED = 11


class Outside(Enum):
    """Where a job is when it has no state: before its Created, and after its Deleted."""

    NOTHING = "nothing"
    GONE = "gone"


Standing = JobState | Outside
"""What an event can meet: a state, nothing yet, or a job that was deleted."""

S = JobState
NOTHING, GONE = Outside.NOTHING, Outside.GONE

TERMINAL: Final = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.EXPIRED, S.PARTIALLY_SUCCEEDED})
LIVE: Final = frozenset(S) - TERMINAL
ANY: Final = frozenset(S)
WAITING: Final = frozenset({S.QUEUED, S.PENDING})
EXECUTING: Final = frozenset({S.RUNNING, S.UPDATING})
ACTIVE: Final = WAITING | EXECUTING
"""Neither paused nor being cancelled."""
MAY_EXECUTE: Final = ACTIVE | {S.PAUSED}
"""Executing, or may still come to it."""
OCCUPIED: Final = EXECUTING | {S.CANCELLING}
"""A worker may still be busy with the job."""
UNSUCCESSFUL: Final = frozenset({S.FAILED, S.EXPIRED})
"""Ended without a result, though nobody asked for that."""
RENEWABLE: Final = ANY - {S.CANCELLING}
"""A new attempt may begin."""
PRESUMED: Final = frozenset({S.EXPIRED})
"""What a job whose heartbeats stopped is taken to be, until somebody reports how it ended."""


class RunRule(Enum):
    """What an event requires of the run of an evaluation job that it is about."""

    NEXT = "its number follows the last run's, and its cut is not before that run's"
    OPEN = "the run is open"
    CLOSES = "the run is open, and no longer after the event"


class Rule(NamedTuple):
    """What an event may follow, and the state it leads to (None: it stays as it was).

    A report that begins a new attempt may follow `again` too, and `named` if it names that attempt.
    It may follow `lost` if the job was only taken to have ended, because its heartbeats stopped.
    """

    after: frozenset[Standing]
    to: Standing | None
    run: RunRule | None = None
    again: frozenset[JobState] = frozenset()
    named: frozenset[JobState] = frozenset()
    lost: frozenset[JobState] = frozenset()


def _rule(
    after: frozenset[JobState] | set[JobState] | set[Outside],
    to: Standing | None,
    run: RunRule | None = None,
    again: frozenset[JobState] = frozenset(),
    named: frozenset[JobState] = frozenset(),
    lost: frozenset[JobState] = frozenset(),
) -> Rule:
    return Rule(frozenset[Standing](after), to, run, again, named, lost)


LIFECYCLE: Final[dict[str, Rule]] = {
    "Created": _rule({NOTHING}, S.QUEUED),
    "Queued": _rule(WAITING, S.QUEUED, again=EXECUTING, named=RENEWABLE),
    "Preparing": _rule({S.QUEUED}, S.PENDING, again=EXECUTING, named=RENEWABLE),
    "Started": _rule(WAITING, S.RUNNING, named=RENEWABLE),
    "Updating": _rule({S.RUNNING}, S.UPDATING),
    "Updated": _rule({S.UPDATING}, S.RUNNING),
    "Paused": _rule(WAITING | {S.RUNNING}, S.PAUSED),
    "Resumed": _rule({S.PAUSED}, S.QUEUED),
    "Cancelling": _rule(MAY_EXECUTE, S.CANCELLING),
    "Cancelled": _rule(LIVE, S.CANCELLED, lost=PRESUMED),
    "Succeeded": _rule(LIVE - {S.PAUSED}, S.SUCCEEDED, lost=PRESUMED),
    "PartiallySucceeded": _rule(ACTIVE, S.PARTIALLY_SUCCEEDED, lost=PRESUMED),
    "Failed": _rule(LIVE, S.FAILED, lost=PRESUMED),
    "Expired": _rule(MAY_EXECUTE, S.EXPIRED),
    "Retried": _rule(TERMINAL, S.QUEUED, again=EXECUTING, named=RENEWABLE),
    "ProgressReported": _rule(LIVE, None),
    "LabelsChanged": _rule(ANY, None),
    "ConfigChanged": _rule(LIVE, None),
    "PolicyChanged": _rule(ANY, None),
    "Commented": _rule(ANY, None),
    "Contradicted": Rule(frozenset({*ANY, GONE}), None),
    "Deleted": _rule(TERMINAL, GONE),
}


EVALUATION: Final[dict[str, Rule]] = {
    **{event: Rule(rule.after, rule.to) for event, rule in LIFECYCLE.items()},
    "RunStarted": _rule({S.QUEUED, S.RUNNING}, S.RUNNING, RunRule.NEXT),
    "DatasetCreated": _rule({S.RUNNING, S.PAUSED}, None, RunRule.OPEN),
    "LabelingRequested": _rule({S.RUNNING, S.PAUSED}, None, RunRule.OPEN),
    "LabelingCompleted": _rule({S.RUNNING, S.PAUSED}, None, RunRule.OPEN),
    "EvaluationCreated": _rule({S.RUNNING, S.PAUSED}, None, RunRule.CLOSES),
    "RunFailed": _rule({S.RUNNING, S.PAUSED}, None, RunRule.CLOSES),
    "AlertRaised": _rule(LIVE, None),
    "Scheduled": _rule({S.RUNNING}, S.QUEUED),
    "Stopped": _rule(LIVE, S.CANCELLED),
}
"""What may happen to an evaluation job: it is SCHEDULED (QUEUED), RUNNING while any run is open, PAUSED, or STOPPED (CANCELLED).

Its runs have numbers of their own, so that no report sends it back to begin a new attempt.
"""

EVALUATION_JOBS: Final = "evaluationJobs"
"""The collection whose jobs live by that table."""


def allowed(event: str, standing: Standing, kind: str = "jobs") -> bool:
    """Whether an event of that type may follow that state, in a job of that collection."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and standing in rule.after


def states_allowing(event: str, kind: str = "jobs") -> list[JobState]:
    """The states that an event of that type may follow, in the order of their numbers."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return [] if rule is None else [state for state in JobState if state in rule.after]


def begins_attempt(event: str, standing: Standing, kind: str = "jobs", *, named: bool) -> bool:
    """Whether a report of that type may begin a new attempt in that state; `named`: it names the attempt."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and standing in (rule.named if named else rule.again)


def ends_lost(event: str, standing: Standing, kind: str = "jobs") -> bool:
    """Whether a report of that type may follow that state if the job's heartbeats had stopped."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and standing in rule.lost


def state_after(event: str) -> JobState | None:
    """The state an event of that type leads to; None where the state stays as it was.

    A deleted job keeps the state it had; that it is gone is a time, not a state.
    """
    return _STATE_AFTER[event]


def leads_to(event: str) -> Standing | None:
    """The state an event of that type leads to, or GONE; None where the job stays as it was."""
    return EVALUATION[event].to


_STATE_AFTER: Final = {
    event: rule.to if isinstance(rule.to, JobState) else None for event, rule in EVALUATION.items()
}

ENDINGS: Final = frozenset(event for event, rule in EVALUATION.items() if rule.to in TERMINAL)
"""The events that lead to a terminal state."""
