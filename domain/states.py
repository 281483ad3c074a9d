"""The lifecycle of a job: which event is allowed in which state, and which state it leads to.

`LIFECYCLE`, and `EVALUATION` for evaluation jobs, are the only judges of legality, in Python and in
SQL. The states are those of Vertex AI's `JobState`, names and numbers; UNSPECIFIED is never
recorded.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple


class JobState(IntEnum):
    """The states of google.cloud.aiplatform.v1.JobState, without UNSPECIFIED (0)."""

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
    """The stages of a job without a state: before it was created, and after it was deleted."""

    ABSENT = "absent"
    DELETED = "deleted"


Stage = JobState | Outside
"""A state, or ABSENT before the job was created, or DELETED after it was deleted."""

S = JobState
ABSENT, DELETED = Outside.ABSENT, Outside.DELETED

TERMINAL: Final = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.EXPIRED, S.PARTIALLY_SUCCEEDED})
LIVE: Final = frozenset(S) - TERMINAL
ANY: Final = frozenset(S)
WAITING: Final = frozenset({S.QUEUED, S.PENDING})
EXECUTING: Final = frozenset({S.RUNNING, S.UPDATING})
ACTIVE: Final = WAITING | EXECUTING
"""States that are neither paused, being cancelled, nor terminal."""
MAY_EXECUTE: Final = ACTIVE | {S.PAUSED}
"""States from which the job may still execute."""
OCCUPIED: Final = EXECUTING | {S.CANCELLING}
"""States in which a worker may be busy with the job."""
UNSUCCESSFUL: Final = frozenset({S.FAILED, S.EXPIRED})
"""Terminal states without a result that were not asked for."""
RENEWABLE: Final = ANY - {S.CANCELLING}
"""States that allow a new attempt to begin."""
PRESUMED: Final = frozenset({S.EXPIRED})
"""The states of a lost job (its heartbeats stopped) until its end is reported."""


class RunRule(Enum):
    """The condition of an event on the open run of an evaluation job."""

    NEXT = "its number follows the last run's, and its cut is not before that run's"
    OPEN = "the run is open"
    CLOSES = "the run is open, and no longer after the event"


class Rule(NamedTuple):
    """The states that allow an event, and the state that it leads to.

    Attributes:
        after: The stages that allow it.
        to: The stage that it leads to; None if the stage stays as it was.
        run: What it requires of its run, for an evaluation job.
        again: Further states that allow a report which begins a new attempt.
        named: Further states that allow a report which begins a new attempt that it names.
        lost: Further states that allow it if the job's heartbeats had stopped.
    """

    after: frozenset[Stage]
    to: Stage | None
    run: RunRule | None = None
    again: frozenset[JobState] = frozenset()
    named: frozenset[JobState] = frozenset()
    lost: frozenset[JobState] = frozenset()


def _rule(
    after: frozenset[JobState] | set[JobState] | set[Outside],
    to: Stage | None,
    run: RunRule | None = None,
    again: frozenset[JobState] = frozenset(),
    named: frozenset[JobState] = frozenset(),
    lost: frozenset[JobState] = frozenset(),
) -> Rule:
    return Rule(frozenset[Stage](after), to, run, again, named, lost)


LIFECYCLE: Final[dict[str, Rule]] = {
    "Created": _rule({ABSENT}, S.QUEUED),
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
    "Contradicted": Rule(frozenset({*ANY, DELETED}), None),
    "Deleted": _rule(TERMINAL, DELETED),
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
"""The lifecycle of an evaluation job: SCHEDULED (QUEUED), RUNNING while a run is open, PAUSED, STOPPED (CANCELLED).

Its runs have their own numbers, so no report begins a new attempt.
"""

EVALUATION_JOBS: Final = "evaluationJobs"
"""The collection of evaluation jobs."""


def allowed(event: str, stage: Stage, kind: str = "jobs") -> bool:
    """Whether the stage allows the event, for a job of that collection."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and stage in rule.after


def states_allowing(event: str, kind: str = "jobs") -> list[JobState]:
    """Returns the states that allow the event, in the order of their numbers."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return [] if rule is None else [state for state in JobState if state in rule.after]


def begins_attempt(event: str, stage: Stage, kind: str = "jobs", *, named: bool) -> bool:
    """Whether the event may begin a new attempt in that stage; `named`: it names the attempt."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and stage in (rule.named if named else rule.again)


def ends_lost(event: str, stage: Stage, kind: str = "jobs") -> bool:
    """Whether the stage allows the event if the job's heartbeats had stopped."""
    rule = (EVALUATION if kind == EVALUATION_JOBS else LIFECYCLE).get(event)
    return rule is not None and stage in rule.lost


def state_after(event: str) -> JobState | None:
    """Returns the state that an event leads to; None if the state stays as it was.

    A deleted job keeps its state: `delete_time` says that it was deleted.
    """
    return _STATE_AFTER[event]


def leads_to(event: str) -> Stage | None:
    """Returns the stage that an event leads to; None if the job stays in its stage."""
    return EVALUATION[event].to


_STATE_AFTER: Final = {
    event: rule.to if isinstance(rule.to, JobState) else None for event, rule in EVALUATION.items()
}

ENDINGS: Final = frozenset(event for event, rule in EVALUATION.items() if rule.to in TERMINAL)
"""The events that lead to a terminal state."""
