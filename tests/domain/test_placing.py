"""Places of late reports, written by hand, among the events of one job that occurred an hour apart."""

from __future__ import annotations

from typing import Any

import pytest
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, PastNeededError
from jobledger.domain.events import (
    Contradicted,
    Created,
    Deleted,
    Event,
    Failed,
    LabelsChanged,
    Paused,
    Placement,
    Preparing,
    ProgressReported,
    Queued,
    Resumed,
    Retried,
    Started,
    Succeeded,
    Updating,
    place,
    placement_of,
)
from jobledger.domain.job import Job, fold, judge, recorded
from jobledger.domain.order import effects, in_effect
from jobledger.domain.run_events import AlertRaised
from jobledger.domain.states import JobState

from tests.given import BEGIN, HOUR, NAME, lived

DONE = (Created(), Started(), Succeeded())


def named(report: type[Data], **fields: Any) -> Data:
    return report.model_validate(fields)


LABELS = LabelsChanged(labels={})
AS_RECORDED, CONTRADICTED = "as recorded", "contradicted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("past", "report", "hours", "expected"),
    [
        (DONE, ProgressReported(), 1.5, Placement(after=2)),
        (DONE, ProgressReported(), 1, Placement(after=2)),
        (DONE, ProgressReported(), 0.5, Placement(after=1)),
        (DONE, ProgressReported(), 2, Placement(after=2)),
        (DONE, ProgressReported(), 2.5, CONTRADICTED),
        (DONE, ProgressReported(), -0.5, CONTRADICTED),
        (DONE, Preparing(), 0.5, Placement(after=1)),
        (DONE, Preparing(), 0, Placement(after=1)),
        (DONE, Preparing(), 1, Placement(after=1)),
        (DONE, Preparing(), 1.5, CONTRADICTED),
        (DONE, named(Preparing, attempt=1), 0.5, Placement(after=1)),
        (DONE, named(Preparing, attempt=2), 0.5, AS_RECORDED),
        (DONE, Queued(), 0.5, Placement(after=1)),
        (DONE, Paused(), 1.5, CONTRADICTED),
        (DONE, Failed(), 1.5, CONTRADICTED),
        (DONE, Updating(), 1.5, Placement(after=2)),
        (DONE, Started(), 0.5, CONTRADICTED),
        (DONE, Created(), 1.5, CONTRADICTED),
        (DONE, AlertRaised(run=1), 1.5, CONTRADICTED),
        (DONE, LABELS, 1.5, Placement(after=2)),
        (DONE, LABELS, 2, AS_RECORDED),
        ((*DONE, LABELS), ProgressReported(), 1.5, Placement(after=2)),
        ((Created(), Started(), LABELS), Failed(), 1.5, Placement(after=2, latest=True)),
        ((Created(), Started(), LABELS), Failed(), 1, Placement(after=2, latest=True)),
        ((Created(), Started(), LABELS), Failed(), 0.5, AS_RECORDED),
        ((Created(), Started(), LABELS), Failed(), 2, AS_RECORDED),
        ((Created(), Started(), ProgressReported()), Failed(), 1.5, AS_RECORDED),
        ((Created(), LABELS), Started(), 0.5, Placement(after=1, latest=True)),
        ((Created(), Paused(), Resumed(), Started()), Started(), 0.5, Placement(after=1)),
        ((Created(), Paused(), Resumed(), Started()), Preparing(), 0.5, Placement(after=1)),
        ((Created(), Paused(), Resumed(), Started()), Preparing(), 2.5, Placement(after=3)),
        ((*DONE, Deleted()), ProgressReported(), 1.5, Placement(after=2)),
        ((*DONE, Deleted()), ProgressReported(), 2.5, CONTRADICTED),
    ],
)  # fmt: skip
def test_a_late_report_is_placed_where_it_fits(
    past: tuple[Data, ...], report: Data, hours: float, expected: Placement | str
) -> None:
    job, events = lived(*past)
    (fact,) = judge(report, job, BEGIN + hours * HOUR, events)
    if expected == CONTRADICTED:
        assert isinstance(fact, Contradicted)
        assert fact.report == type(report).__name__
    else:
        assert type(fact).__name__ == type(report).__name__
        assert placement_of(fact) == (None if expected == AS_RECORDED else expected)
    assert placement_of(judge(report, job)[0]) is None


ATTEMPTS = (
    Created(),
    Started(run_id="a"),
    Failed(),
    Retried(run_id="b"),
    Started(run_id="b"),
    Succeeded(),
)


@pytest.mark.parametrize(
    ("report", "hours", "expected"),
    [
        (named(ProgressReported, attempt=1), 1.5, Placement(after=2)),
        (named(ProgressReported, runId="a"), 1.5, Placement(after=2)),
        (named(ProgressReported, attempt=2), 1.5, None),
        (named(ProgressReported, runId="b"), 1.5, None),
        (named(ProgressReported, attempt=2), 3.5, Placement(after=4)),
        (named(ProgressReported, runId="b"), 4.5, Placement(after=5)),
        (named(ProgressReported, attempt=1), 3.5, None),
        (named(ProgressReported, runId="c"), 3.5, None),
        (named(Preparing, attempt=1), 3.5, None),
        (named(Preparing, attempt=2), 3.5, Placement(after=4)),
        (named(Preparing, attempt=1), 0.5, Placement(after=1)),
        (ProgressReported(), 1.5, Placement(after=2)),
        (ProgressReported(), 2.5, None),
    ],
)  # fmt: skip
def test_a_report_that_names_its_attempt_is_placed_within_it(
    report: Data, hours: float, expected: Placement | None
) -> None:
    job, events = lived(*ATTEMPTS)
    facts = judge(report, job, BEGIN + hours * HOUR, events)
    assert [placement_of(fact) for fact in facts if placement_of(fact)] == (
        [] if expected is None else [expected]
    )


def test_an_attempt_without_an_id_is_none_of_those_with_one() -> None:
    job, events = lived(Created(), Started(run_id="a"), Failed(), Retried(), Started(), Succeeded())
    report = named(ProgressReported, runId="a")
    for hours, placement in ((1.5, Placement(after=2)), (4.5, None)):
        (fact,) = judge(report, job, BEGIN + hours * HOUR, events)
        assert placement_of(fact) == placement


def test_what_begins_an_attempt_may_follow_a_late_report() -> None:
    again = Started(run_id="b", attempts_begun=1)
    job, events = lived(Created(), Started(run_id="a"), again, Failed())
    (fact,) = judge(Paused(), job, BEGIN + 1.5 * HOUR, events)
    assert placement_of(fact) == Placement(after=2)


def test_a_repeated_retry_is_not_placed_as_the_latest_state() -> None:
    retried = Retried(run_id="b")
    past = (
        Created(),
        Started(run_id="a"),
        Failed(),
        retried,
        Started(run_id="b"),
        Failed(),
        LABELS,
    )
    job, events = lived(*past)
    (fact,) = judge(retried, job, BEGIN + 5.5 * HOUR, events)
    assert isinstance(fact, Contradicted)


def test_among_events_of_one_time_a_report_is_placed_behind_those_that_came_before() -> None:
    job, events = lived(*DONE)
    at = BEGIN + HOUR
    (first,) = judge(ProgressReported(), job, at, events)
    assert placement_of(first) == Placement(after=2)
    events.append(Event(NAME, 4, first, at))
    (second,) = judge(Preparing(), fold(Job(name=NAME), events), at, events)
    assert placement_of(second) == Placement(after=1)


@pytest.mark.parametrize(
    ("past", "report", "hours"),
    [
        ((Created(), Started(), LABELS), Failed(), 0.5),
        ((Created(), Failed(), LABELS), Retried(), 0.5),
        ((Created(), LABELS), LABELS, 1.5),
        ((Created(), LABELS), Failed(), -1),
    ],
)
def test_a_report_that_keeps_its_order_needs_no_past(
    past: tuple[Data, ...], report: Data, hours: float
) -> None:
    assert judge(report, lived(*past)[0], BEGIN + hours * HOUR) == (report,)


def test_what_may_belong_to_a_later_attempt_is_looked_for_in_the_past() -> None:
    job, events = lived(Created(), Started(), Failed(), Retried(), Started(), LABELS)
    at = BEGIN + 3.5 * HOUR
    with pytest.raises(PastNeededError):
        judge(Paused(), job, at)
    assert judge(Paused(), job, at, events) == (Paused(),)


def test_nothing_is_placed_on_a_job_that_was_never_created() -> None:
    job, events = lived(Started(), Succeeded())
    (fact,) = judge(ProgressReported(), job, BEGIN + HOUR / 2, events)
    assert isinstance(fact, Contradicted)


def test_a_placed_report_takes_effect_where_it_was_placed() -> None:
    job, events = lived(*DONE)
    at = BEGIN + 0.5 * HOUR
    late = Event(NAME, 4, place(Preparing(), Placement(after=1)), at)
    after = recorded(job, late, events)
    assert (after.version, after.state, after.end_time) == (4, JobState.SUCCEEDED, job.end_time)
    assert [event.version for event in in_effect([*events, late])] == [1, 4, 2, 3]
    times = [effect.time - BEGIN for effect in effects([*events, late])]
    assert times == [0 * HOUR, 0.5 * HOUR, HOUR, 2 * HOUR]
    (second,) = judge(ProgressReported(), after, at, [*events, late])
    assert placement_of(second) == Placement(after=1)
    for past in (None, [], events[:-1]):
        with pytest.raises(PastNeededError) as caught:
            recorded(job, late, past)
        assert caught.value.name == NAME
        with pytest.raises(PastNeededError):
            judge(ProgressReported(), job, BEGIN + 1.5 * HOUR, past)
    with pytest.raises(PastNeededError) as caught:
        fold(job, [late])
    assert caught.value.name == NAME


def test_a_report_cannot_be_placed_if_it_has_a_field_of_that_name() -> None:
    job, events = lived(*DONE)
    report = named(ProgressReported, **{"@placed": 1})
    with pytest.raises(InvalidFieldError, match="@placed: is reserved"):
        judge(report, job, BEGIN + 1.5 * HOUR, events)


def test_events_take_effect_no_earlier_than_those_before_them() -> None:
    def event(version: int, hours: float, data: Data = LABELS) -> Event:
        return Event(NAME, version, data, BEGIN + hours * HOUR)

    contradicted = Contradicted(report="Started", state="FAILED", data={})
    events = [
        event(1, 1, Created()),
        event(2, 0.5),
        event(3, 5, contradicted),
        event(4, 2),
        event(5, 0.2, contradicted),
        event(6, 3, place(LABELS, Placement(after=4))),
        event(7, 3),
        event(8, 1.5, place(LABELS, Placement(after=2))),
    ]
    found = [
        (effect.event.version, (effect.time - BEGIN) / HOUR) for effect in effects(events[::-1])
    ]
    assert found == [(1, 1), (2, 1), (8, 1.5), (4, 2), (5, 2), (6, 3), (7, 3), (3, 5)]
    first = [event(1, 5, contradicted), event(2, 1)]
    assert [(effect.event.version, effect.time) for effect in effects(first)] == [
        (1, BEGIN + 5 * HOUR), (2, BEGIN + 5 * HOUR),
    ]  # fmt: skip


def test_evaluation_jobs_have_no_late_states() -> None:
    job, events = lived(Created(), LABELS, kind="evaluationJobs")
    (fact,) = judge(Paused(), job, BEGIN + HOUR / 2, events)
    assert fact == Paused()
    (fact,) = judge(LabelsChanged(labels={"a": "b"}), job, BEGIN + HOUR / 2, events)
    assert placement_of(fact) == Placement(after=1)
    (fact,) = judge(named(ProgressReported, attempt=7), job, BEGIN + HOUR / 2, events)
    assert placement_of(fact) == Placement(after=1)
