"""Reports, compared with counts of the events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import TERMINAL, JobState, state_after
from jobledger.infra import Ledger
from jobledger.infra.analytics.analysis import report
from jobledger.infra.analytics.buckets import ORIGIN, floor_of
from jobledger.infra.analytics.statistics import DURATIONS, REPORTS
from psycopg.sql import SQL

from tests.clocks import taken

DAY = timedelta(days=1)
WAITING = {JobState.QUEUED, JobState.PENDING}
RUN = {JobState.RUNNING, JobState.UPDATING}
Step = tuple[datetime, JobState | None]


def histories(ledger: Ledger) -> dict[str, list[Step]]:
    """The states that each job entered, with times (valid time); None is deleted."""
    events = defaultdict(list)
    for time, event in taken(ledger.events(follow=False)):
        if event.type == "Deleted" or state_after(event.type) is not None:
            events[event.name].append((time, event.type))
    steps: dict[str, list[Step]] = {}
    for name, happened in events.items():
        gone = False
        steps[name] = []
        for time, type_ in happened:
            gone = gone or type_ == "Deleted"
            steps[name].append((time, None if gone else state_after(type_)))
    return steps


def stretches(steps: list[Step], within: set[JobState]) -> Iterator[tuple[Step, timedelta]]:
    """The length of each interval within some states, and the state after it."""
    began: datetime | None = None
    for time, state in steps:
        if state in within:
            began = began or time
        elif began is not None:
            yield (time, state), time - began
            began = None


def percentile(values: list[float], share: int) -> float:
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return cuts[share - 1]


def figures(durations: list[float]) -> tuple[Any, ...]:
    return (
        len(durations),
        *(pytest.approx(percentile(durations, p), abs=1e-5) for p in (50, 90, 99)),
    )


def test_throughput_is_the_ends_in_each_bucket(busy: Ledger) -> None:
    counted: dict[datetime, Counter[JobState]] = defaultdict(Counter)
    for steps in histories(busy).values():
        for time, state in steps:
            if state in TERMINAL:
                assert state is not None
                counted[floor_of(time, DAY)][state] += 1
    answer = report(busy.reader, "throughput", bucket="1d")
    order = [
        JobState[s] for s in ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
    ]
    assert answer.columns[1:] == (
        "ended",
        "succeeded",
        "partiallySucceeded",
        "failed",
        "cancelled",
        "expired",
    )
    assert answer.rows == [
        (day, states.total(), *(states[state] for state in order))
        for day, states in sorted(counted.items())
    ]  # fmt: skip
    assert answer.moment.position == busy.size()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "within"), [("queue-time", WAITING), ("run-time", RUN)])
def test_durations_are_measured_for_each_interval(
    busy: Ledger, name: str, within: set[JobState]
) -> None:
    by_day: dict[datetime, list[float]] = defaultdict(list)
    for steps in histories(busy).values():
        for (time, state), took in stretches(steps, within):
            if name == "run-time" or state is JobState.RUNNING:
                by_day[floor_of(time, DAY)].append(took.total_seconds())
    answer = report(busy.reader, name, bucket="1d")
    assert answer.columns == ("time", "count", "p50Seconds", "p90Seconds", "p99Seconds")
    assert answer.rows == [(day, *figures(took)) for day, took in sorted(by_day.items())]
    begin, end = "2026-06-02T03:00:00Z", "2026-06-02T15:00:00Z"
    part = report(busy.reader, name, bucket="1w", begin=begin, end=end)
    inside = [
        took.total_seconds()
        for steps in histories(busy).values()
        for (time, state), took in stretches(steps, within)
        if datetime.fromisoformat(begin) <= time < datetime.fromisoformat(end)
        and (name == "run-time" or state is JobState.RUNNING)
    ]
    assert part.rows == [(datetime(2026, 6, 1, tzinfo=UTC), *figures(inside))]


def test_queue_times_are_read_from_an_index_alone(busy: Ledger) -> None:
    values = REPORTS["queue-time"].parameters | {
        "bucket": DAY, "origin": ORIGIN, "begin": ORIGIN, "end": datetime.now(UTC),
    }  # fmt: skip
    statement = DURATIONS.format(group=SQL("NULL::text"), of_jobs=SQL(""))
    with busy.connection() as connection:
        connection.execute("SET enable_seqscan = off")
        explained = SQL("EXPLAIN {}").format(statement)
        plan = connection.execute(explained, values, prepare=False).fetchall()
    assert "Index Only Scan using intervals_ran" in str(plan)


def test_run_time_by_state_is_grouped_by_the_state_after_the_run(busy: Ledger) -> None:
    counted = Counter(
        "DELETED" if state is None else state.name
        for steps in histories(busy).values()
        for (_, state), _ in stretches(steps, RUN)
    )
    rows = report(busy.reader, "run-time", by="state", bucket="52w").rows
    assert {row[1]: row[2] for row in rows} == counted


@pytest.mark.slow
@pytest.mark.parametrize("by", ["", "state", "labels.team"])
def test_concurrency_is_exact_at_each_instant(busy: Ledger, by: str) -> None:
    answer = report(busy.reader, "concurrency", by=by, bucket="3h")
    teams = {job.name: job.labels.get("team") for job in busy.list()}
    # Deleted jobs keep their labels.
    teams["projects/p/jobs/deleted"] = "odd"
    found: Counter[tuple[datetime, Any]] = Counter()
    times = sorted({row[0] for row in answer.rows})
    for name, steps in histories(busy).items():
        for time in times:
            states = [state for since, state in steps if since <= time]
            state = states[-1] if states else None
            if state is JobState.RUNNING or (by == "state" and state and state not in TERMINAL):
                group = {"": "", "state": state.name, "labels.team": teams[name]}[by]
                found[time, group] += 1
    body = {(row[0], row[1] if by else ""): row[-1] for row in answer.rows}
    assert {key: jobs for key, jobs in body.items() if jobs} == found
    assert times == [times[0] + n * timedelta(hours=3) for n in range(len(times))]


@pytest.mark.slow
def test_failures_are_counted_by_message_with_the_latest_job(busy: Ledger) -> None:
    content: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for time, event in taken(busy.events(follow=False)):
        if event.type in ("Failed", "Expired"):
            body = event.json
            message = body.get("error", {}).get("message") or body.get("reason") or ""
            content[event.type.upper(), message].append((time, event.name))
    rows = report(busy.reader, "failures").rows
    assert {row[:2]: row[2:] for row in rows} == {
        key: (len(seen), *max(seen)) for key, seen in content.items()
    }
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    assert report(busy.reader, "failures", top=2).rows == rows[:2]
    teams = report(busy.reader, "failures", by="labels.team", filter="labels.team = odd").rows
    assert {row[0] for row in teams} == {"odd"}
    assert sum(row[3] for row in teams) == 2


@pytest.mark.slow
def test_attempts_are_those_of_jobs_that_ended(busy: Ledger) -> None:
    counted: Counter[tuple[int, str]] = Counter()
    retries = Counter(e.name for e in busy.events(follow=False) if e.type == "Retried")
    for name, steps in histories(busy).items():
        last = [state for _, state in steps if state is not None][-1]
        if last in TERMINAL:
            counted[retries[name] + 1, last.name] += 1
    rows = report(busy.reader, "attempts").rows
    assert {row[:2]: row[2] for row in rows} == counted
    grouped = report(busy.reader, "attempts", by="labels.team").rows
    assert sum(row[3] for row in grouped) == counted.total()


def test_a_job_that_ended_by_a_clock_that_is_behind_has_its_attempts(ledger: Ledger) -> None:
    made = datetime(2026, 6, 1, tzinfo=UTC)
    ledger.create("projects/p/jobs/behind", occurred_time=made)
    ledger.failed("projects/p/jobs/behind", occurred_time=made - timedelta(minutes=5))
    assert report(ledger.reader, "attempts").rows == [(1, "FAILED", 1)]


def test_reporters_of_what_changes_no_state_are_measured(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/long")
    for _ in range(3):
        ledger.progress_reported("projects/p/jobs/long", actor="node-7")
    ((actor, worker, count, *_),) = report(ledger.reader, "reporters").rows
    assert (actor, worker, count) == ("node-7", "", 3)


@pytest.mark.slow
def test_an_empty_ledger_has_empty_reports(ledger: Ledger, tmp_path: Path) -> None:
    for name in REPORTS:
        assert report(ledger.reader, name).rows == []
        assert report(ledger.reader, name, by="kind").rows == []


def test_a_report_counts_only_jobs_that_match_the_filter(busy: Ledger) -> None:
    whole = report(busy.reader, "throughput", bucket="52w").rows
    parts = [
        report(busy.reader, "throughput", bucket="52w", filter=f).rows
        for f in ("labels.team = ads", "NOT labels.team = ads")
    ]
    assert sum(rows[0][1] for rows in parts) == whole[0][1]
    [failed] = report(busy.reader, "throughput", bucket="52w", filter="error.code = *").rows
    assert 0 < failed[1] < whole[0][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (dict(name="nothing"), "report: unknown report 'nothing'; reports: throughput"),
        (dict(name="throughput", bucket="often"), "bucket: 'often' is not like"),
        (dict(name="throughput", bucket="0h"), "bucket: '0h' is not like"),
        (dict(name="throughput", bucket="99999w"), "is longer than"),
        (dict(name="throughput", bucket="1s", begin="2026-01-01", end="2026-02-01"), "more than 10,000"),
        (dict(name="throughput", bucket="520w", begin="0001-01-01"), "from: 0001-01-01T.* is too early"),
        (dict(name="failures", bucket="1h"), "failures has no buckets"),
        (dict(name="throughput", begin="2026-02-01", end="2026-01-01"), "from: 2026-02-01T.* is not before"),
        (dict(name="throughput", begin="2026-02-01", end="2026-02-01"), "from: .* is not before"),
        (dict(name="throughput", begin="2999-01-01"), "from: 2999-.* is in the future"),
        (dict(name="throughput", end="@7"), "to: '@7' is not a time"),
        (dict(name="throughput", end="soon"), "to: 'soon' is not a moment"),
        (dict(name="throughput", by="colour"), "by: there is no field 'colour'"),
        (dict(name="throughput", by="state"), "by: throughput cannot be grouped by state"),
        (dict(name="queue-time", filter="state ="), "filter: "),
        (dict(name="queue-time", filter="x = 1"), "filter: there is no field 'x'"),
        (dict(name="queue-time", state="RUNNING"), "state: is allowed for"),
        (dict(name="concurrency", state="FLYING"), "state: unknown state 'FLYING'"),
        (dict(name="failures", top=0), r"top: \d for \w+: it is a number from 1"),
        (dict(name="attempts", top=3), r"top: \d for \w+: it is a number from 1"),
    ],
)  # fmt: skip
def test_an_invalid_report_is_refused_with_the_field(
    ledger: Ledger, asked: dict[str, Any], sentence: str
) -> None:
    ledger.create("projects/p/jobs/x")
    with pytest.raises(InvalidFieldError, match=sentence):
        report(ledger.reader, **asked)


def test_by_and_filter_are_never_part_of_a_statement(busy: Ledger) -> None:
    for text in ("labels.a'b", 'spec.a"b%s{x}', "labels.x); DROP TABLE jobs; --"):
        assert report(busy.reader, "throughput", by=text, bucket="52w").rows[0][1] is None


@pytest.mark.slow
def test_reports_on_the_trace_equal_a_count_of_its_events(trace: Ledger) -> None:
    ledger = trace
    lives = histories(ledger)
    took = [
        span.total_seconds()
        for steps in lives.values()
        for (_, state), span in stretches(steps, WAITING)
        if state is JobState.RUNNING
    ]
    [row] = report(ledger.reader, "queue-time", bucket="52w").rows
    assert row[1:] == figures(took)
    running = sum(steps[-1][1] is JobState.RUNNING for steps in lives.values())
    last = max(steps[-1][0] for steps in lives.values())
    rows = report(
        ledger.reader, "concurrency", bucket="1m", end=(last + timedelta(minutes=1)).isoformat()
    ).rows
    assert rows[-1][1] == running
