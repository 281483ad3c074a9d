"""Reports of other systems, which come more than once and in any order.

A system that knows nothing of the ledger reports what it sees: that a run started, is running,
and ended. `observe` records the first of such reports as it is. One that adds nothing new about
the run is kept as a comment, so that the history stays right and nothing that was reported is lost.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from jobledger.domain import events as e
from jobledger.domain.attempts import BEGINNINGS, UNNAMED, attempts_ahead, is_late, named_attempt
from jobledger.domain.data import Data
from jobledger.domain.errors import PastNeededError
from jobledger.domain.job import Job, judge, recorded
from jobledger.domain.job.following import with_ended_run
from jobledger.domain.reports import Unreadable, parse_report
from jobledger.domain.states import (
    ABSENT,
    ENDINGS,
    EVALUATION_JOBS,
    TERMINAL,
    WAITING,
    JobState,
    allowed,
    state_after,
)
from jobledger.domain.values.times import utc_text

ENDS_PAUSE: Final = (e.Queued, e.Preparing, e.Started, e.Succeeded, e.PartiallySucceeded)
"""The reports which show that a paused job continues, or continued."""


def introduce(created: Data, job: Job, **_: object) -> tuple[Data, ...]:
    """Makes the job, unless it exists or existed."""
    return (created,) if job.stage is ABSENT else ()


def introduce_or_complete(
    created: Data, job: Job, *, past: Sequence[e.Event] | None = None, **_: object
) -> tuple[Data, ...]:
    """Makes the job, or adds the labels and the fields of its configuration that it never had.

    Not every record of a job says everything about it.

    Args:
        created: The data of the report.
        job: The job before it.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; none if the job has had all of that.

    Raises:
        PastNeededError: `past` is needed, and is None.
    """
    if not isinstance(created, e.Created) or job.stage is ABSENT:
        return introduce(created, job)
    facts: list[Data] = []
    if labels := _never_had("labels", created.labels, job, past):
        facts.append(e.LabelsChanged(labels=labels | job.labels))
    if spec := _never_had("spec", created.spec, job, past):
        facts.append(e.ConfigChanged(spec=spec | job.spec))
    return tuple(fact for fact in facts if allowed(type(fact).__name__, job.stage, job.kind))


def _never_had(
    field: str, given: dict[str, Any], job: Job, past: Sequence[e.Event] | None
) -> dict[str, Any]:
    """Returns the entries whose keys that field of the job never had."""
    if given.keys() <= getattr(job, field).keys():
        return {}
    if past is None:
        raise PastNeededError(job.name)
    had = {key for event in past for key in getattr(event.data, field, None) or ()}
    return {key: value for key, value in given.items() if key not in had}


def observe(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides how another system's report is recorded; a repetition is recorded as Commented.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events.
    """
    job = with_ended_run(report, job, past)
    if not is_known(report, job, at):
        facts = judge(report, job, at, past)
        repeats = isinstance(facts[0], e.Contradicted) and _repeats_end(report, job)
        return (as_comment(report),) if repeats else facts
    if isinstance(report, e.Started) and _begins_earlier(job, at):
        facts = judge(report, job, at, past)
        if not isinstance(facts[0], e.Contradicted):
            return facts
    return (as_comment(report),)


def since_creation(
    report: Data, job: Job, at: datetime, past: Sequence[e.Event] | None
) -> tuple[Data, datetime]:
    """Returns a report and its time: the create time, if it is about a run whose end created the job.

    Nothing exists before its creation, so what was reported of the run before takes effect then. It keeps
    its own time as `reportedTime`.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC).
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        Both as they were given, or the report with `reportedTime` and the job's create time.

    Raises:
        PastNeededError: `past` is needed, and is None.
    """
    type_, created = type(report).__name__, job.create_time
    if created is None or at >= created or job.state not in TERMINAL or type_ in ENDINGS:
        return report, at
    if isinstance(report, Unreadable) or not is_current(report, with_ended_run(report, job, past)):
        return report, at
    return parse_report(type_, report.json_object() | {"reportedTime": utc_text(at)}), created


def observe_unordered(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides as `observe` on a report of a source that is not in the order of time.

    A run that began before the current attempt did is no later attempt; what is reported of it is
    kept as comments.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events.

    Raises:
        PastNeededError: `past` is needed, and is None.
    """
    if not _is_of_earlier_run(report, job, at, past):
        return observe(report, job, at, past)
    return (as_comment(report, "of a run that began before the current attempt"),)


def _is_of_earlier_run(
    report: Data, job: Job, at: datetime | None, past: Sequence[e.Event] | None
) -> bool:
    """Whether the report names a run that is not known, and that began before the current one."""
    number, run_id = named_attempt(report)
    if number is not None or run_id is None or run_id in job.run_ids:
        return False
    if job.run_ids[-1:] in ((), (None,)) or job.kind == EVALUATION_JOBS:
        return False
    late = is_late(job, at)
    if isinstance(report, BEGINNINGS) and not late:
        return False
    if past is None:
        raise PastNeededError(job.name)
    if late and at is not None and _has_begun_later(job, past, at):
        return True
    return any(_kept_run(event.data) == run_id for event in past)


def _has_begun_later(job: Job, past: Sequence[e.Event], at: datetime) -> bool:
    """Whether the current attempt, which a run id names, began after that time."""
    current = job.run_ids[-1]
    return all(
        event.occurred_time > at
        for event in past
        if isinstance(event.data, BEGINNINGS) and event.data.run_id == current
    )


def _kept_run(data: Data) -> Any:
    """Returns the run of a report that is kept as a comment; None if there is none."""
    kept = data.json_object().get("reported") if isinstance(data, e.Commented) else None
    return kept.get("runId") if isinstance(kept, dict) else None


def _repeats_end(report: Data, job: Job) -> bool:
    """Whether the report names no attempt, and the job has ended so already."""
    is_unnamed = named_attempt(report) == UNNAMED and not isinstance(report, Unreadable)
    return is_unnamed and job.state in TERMINAL and state_after(type(report).__name__) is job.state


def observe_in_order(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides as `observe` on a change of a system whose changes come in their order.

    Such a system can start a job again, or change its end, without a name for the new attempt. So a
    state that the current attempt cannot have is one of the next attempt, a state that follows a pause
    ends the pause, and one that is reported again is a comment.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events.

    Raises:
        PastNeededError: `past` is needed, and is None.
    """
    late = is_late(job, at)
    if job.state is JobState.PAUSED and isinstance(report, ENDS_PAUSE):
        # A start can be stamped before the pause that it ended; the order of the changes counts.
        return _after_pause(report, job, None if late else at, past)
    if late:
        return _late_in_order(report, job, at, past)
    facts = observe(report, job, at, past)
    if not isinstance(facts[0], e.Contradicted) or isinstance(report, Unreadable):
        return facts
    if _repeats(report, job):
        return (as_comment(report),)
    again = observe(_of_next_attempt(report, job), job, at, past)
    return facts if isinstance(again[0], e.Contradicted) else again


def _repeats(report: Data, job: Job) -> bool:
    """Whether the job is in the reported state already; a retry of its first attempt is new."""
    is_first_retry = isinstance(report, e.Retried) and job.attempt == 1
    return state_after(type(report).__name__) is job.state and not is_first_retry


def _late_in_order(
    report: Data, job: Job, at: datetime | None, past: Sequence[e.Event] | None
) -> tuple[Data, ...]:
    facts = observe(report, job, at, past)
    if not isinstance(facts[0], e.Contradicted):
        return facts
    if past is None:
        raise PastNeededError(job.name)
    repeats = any(type(event.data) is type(report) for event in past)
    return (as_comment(report),) if repeats else facts


def _after_pause(
    report: Data, job: Job, at: datetime | None, past: Sequence[e.Event] | None
) -> tuple[Data, ...]:
    """Decides on a report of a job whose pause ended without a report."""
    facts = judge(e.Resumed(), job, at, past)
    for fact in facts:
        event = e.Event(job.name, job.version + 1, fact, at or datetime.now(UTC))
        job, past = recorded(job, event, past), None if past is None else [*past, event]
    return (*facts, *observe_in_order(report, job, at, past))


def _of_next_attempt(report: Data, job: Job) -> Data:
    """Returns the report with the number of the next attempt, unless it names its attempt."""
    if named_attempt(report) != UNNAMED:
        return report
    data = report.json_object() | {"attempt": job.attempt + 1}
    return parse_report(type(report).__name__, data)


def catch_up(
    report: Data,
    job: Job,
    at: datetime | None = None,
    past: Sequence[e.Event] | None = None,
    *,
    decide: Callable[..., tuple[Data, ...]] = observe,
) -> tuple[Data, ...]:
    """Decides on a row that was found in another system after changes of it were seen.

    What the history says already is left out, and so is what it does not allow, except an end: one
    that changed while nobody saw it is kept as Contradicted.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.
        decide: Decides on a change of that system.

    Returns:
        The data of the events; none if the history says so already.

    Raises:
        JobNotFoundError: The job was never created.
        PastNeededError: `past` is needed, and is None.
    """
    if job.stage is ABSENT:
        return decide(report, job, at, past)
    if isinstance(report, Unreadable):
        return ()
    if state_after(type(report).__name__) is job.state and attempts_ahead(report, job, at) == 0:
        return ()
    if is_late(job, at):
        if past is None:
            raise PastNeededError(job.name)
        if any(event.occurred_time == at and _is_same(event.data, report) for event in past):
            return ()
    facts = decide(report, job, at, past)
    if isinstance(facts[0], e.Contradicted):
        return facts if _changes_end(facts[0], report, job, at, past) else ()
    return () if isinstance(facts[0], e.Commented) else facts


catch_up_in_order: Final = partial(catch_up, decide=observe_in_order)
"""Decides as `catch_up` on a row of a system that does not name attempts."""


def end_unless_ended(
    report: Data, job: Job, at: datetime | None = None, past: Sequence[e.Event] | None = None
) -> tuple[Data, ...]:
    """Decides on the end of a job that another system no longer has: only a live job ends.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.
        past: All events of the job, in the order of versions; None if they were not read.

    Returns:
        The data of the events; none if the history says so already.

    Raises:
        JobNotFoundError: The job was never created.
        PastNeededError: `past` is needed, and is None.
    """
    return () if job.state in TERMINAL else observe(report, job, at, past)


def _changes_end(
    fact: e.Contradicted,
    report: Data,
    job: Job,
    at: datetime | None,
    past: Sequence[e.Event] | None,
) -> bool:
    """Whether the report is another end of the last attempt, which was not kept before."""
    if fact.report not in ENDINGS or job.state not in TERMINAL or is_late(job, at):
        return False
    if named_attempt(report) != UNNAMED and not is_current(report, job):
        return False
    if past is None:
        raise PastNeededError(job.name)
    return not any(event.data == fact and event.occurred_time == at for event in past)


def _is_same(data: Data, report: Data) -> bool:
    """Whether a recorded event is of the report's type and names the same run."""
    run_ids = (each.json_object().get("runId") for each in (data, report))
    return type(data).__name__ == type(report).__name__ and next(run_ids) == next(run_ids)


def is_known(report: Data, job: Job, at: datetime | None) -> bool:
    """Whether a report on the current attempt repeats what is recorded already.

    Args:
        report: The data of the report.
        job: The job before it.
        at: When it occurred (UTC); None is now.

    Returns:
        Whether it is the start of a running attempt, the end that the attempt had, or progress
        or a cancellation after its end.
    """
    if not is_current(report, job):
        return False
    if isinstance(report, e.Started):
        return job.state not in WAITING
    if job.state not in TERMINAL:
        return False
    if isinstance(report, e.Cancelling):
        return True
    if isinstance(report, e.ProgressReported):
        return at is None or job.end_time is None or at > job.end_time
    return state_after(type(report).__name__) is job.state


def _begins_earlier(job: Job, at: datetime | None) -> bool:
    """Whether a start at that time is earlier than the job's start, which may be inferred."""
    return at is not None and (job.start_time is None or at < job.start_time)


def is_current(report: Data, job: Job) -> bool:
    """Whether the report names the job's current attempt, by its number or its run id."""
    number, run_id = named_attempt(report)
    if number is not None:
        return number == job.attempt
    return run_id is not None and job.run_ids[-1:] == (run_id,)


def as_comment(report: Data, why: str = "was reported again") -> e.Commented:
    """Returns the report as a comment that keeps all that it says; `why` follows the type of the report."""
    content: dict[str, Any] = report.json_object()
    note = f"{type(report).__name__} {why}"
    return e.Commented.model_validate({"note": note, "reported": content})
