"""Parents of jobs: reported, moved by a later report, and found now and in the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from jobledger import Ledger
from jobledger.domain.events import Created, Retried, Started, read_data
from jobledger.domain.job import Job, fold
from jobledger.domain.reports import parse_report
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.eventstore.observing import observe_many
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.eventstore.write_path import ObservedEvent, ReportedEvent
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import JOBS

MONDAY, TUESDAY, STEP, OLD = (
    f"projects/p/jobs/{each}" for each in ("monday", "tuesday", "step", "old")
)
START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def moved(ledger: Ledger) -> Ledger:
    """A step of Monday's run that was retried within Tuesday's, and an older one that only its spec places."""
    ledger.create(MONDAY)
    ledger.create(TUESDAY)
    ledger.create(OLD, spec={"parents": [MONDAY], "root": MONDAY, "triggeredBy": "cron"})
    created = Created(parents=[MONDAY], root=MONDAY, triggered_by="ada")
    ledger.report_many([ReportedEvent(STEP, created), ReportedEvent(STEP, Started())])
    ledger.failed(STEP, "out of memory")
    ledger.report(STEP, Retried(parents=[TUESDAY], root=TUESDAY), run_id="again")
    return ledger


def names(ledger: Ledger, asked: str, **moment: str) -> list[str]:
    return sorted(job.name for job in ledger.scan(asked, **moment))  # type: ignore[arg-type]


def test_a_report_moves_a_job_to_its_new_parent(moved: Ledger) -> None:
    job = moved.get(STEP)
    assert (job.parents, job.root, job.triggered_by) == ([TUESDAY], TUESDAY, "ada")
    before = moved.get(STEP, as_of="@6")
    assert (before.parents, before.root) == ([MONDAY], MONDAY)
    assert fold(Job(name=STEP), [each.event for each in moved.history(STEP)]) == job
    shown = job_json(job)
    assert (shown["parents"], shown["root"], shown["triggeredBy"]) == ([TUESDAY], TUESDAY, "ada")
    assert "parents" not in job_json(moved.get(MONDAY))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "now", "then"),
    [
        (f'parent = "{MONDAY}"', [OLD], [OLD, STEP]),
        (f'parent = "{TUESDAY}"', [STEP], []),
        ('parent = "monday"', [OLD], [OLD, STEP]),
        ('parent = "mon*"', [OLD], [OLD, STEP]),
        (f'root = "{MONDAY}"', [OLD], [OLD, STEP]),
        (f'root = "{TUESDAY}"', [STEP], []),
        ("triggered_by = ada", [STEP], [STEP]),
        ("triggeredBy = cron", [OLD], [OLD]),
        (f'parent != "{MONDAY}"', [MONDAY, STEP, TUESDAY], [MONDAY, TUESDAY]),
        (f'ever(parent = "{MONDAY}")', [OLD, STEP], [OLD, STEP]),
        (f'ever(root = "{TUESDAY}")', [STEP], []),
        (f'ever(parent = "{MONDAY}" AND state = FAILED)', [STEP], [STEP]),
    ],
)
def test_jobs_are_found_by_what_they_belong_to(
    moved: Ledger, asked: str, now: list[str], then: list[str]
) -> None:
    assert names(moved, asked) == sorted(now)
    assert names(moved, asked, as_of="@6") == sorted(then)


def test_a_tree_has_each_job_where_it_was(moved: Ledger) -> None:
    def below(name: str, **moment: str) -> list[str]:
        return [child.job.name for child in moved.tree(name, **moment).children]  # type: ignore[arg-type]

    assert (below(MONDAY), below(TUESDAY)) == ([OLD], [STEP])
    assert (sorted(below(MONDAY, as_of="@6")), below(TUESDAY, as_of="@6")) == ([OLD, STEP], [])


@pytest.mark.slow
def test_the_fold_in_sql_agrees(moved: Ledger) -> None:
    late: About = {"occurred_time": START, "request_id": "late"}
    reports = [
        ObservedEvent(STEP, parse_report("Queued", {"triggeredBy": "eve"}), {"request_id": "q"}),
        ObservedEvent(OLD, parse_report("Started", {"parents": [], "runId": "1"}), late),
        *(
            ObservedEvent(
                f"projects/p/jobs/n{n}",
                parse_report("Created", {"parents": [STEP] if n % 2 else None, "root": OLD}),
                {"occurred_time": START + timedelta(minutes=n)},
            )
            for n in range(5)
        ),
    ]
    list(observe_many(moved.writer, reports))
    with moved.connection() as connection:
        assert verify(connection).ok
        rebuild(connection, JOBS)
        assert verify(connection).ok
    assert names(moved, f'parent = "{STEP}"') == ["projects/p/jobs/n1", "projects/p/jobs/n3"]
    assert moved.get(STEP).triggered_by == "eve"


def test_events_of_earlier_schemas_say_nothing_of_it() -> None:
    old = read_data("Started", 2, b'{"parents":"whatever","runId":"a"}')
    assert isinstance(old, Started)
    assert (old.parents, old.run_id) == (None, "a")
    assert old.json_object()["ofSchema1"] == {"parents": "whatever"}
    first = read_data("Started", 1, b'{"root":1,"runId":"a"}')
    assert first.json_object() == {"ofSchema1": {"root": 1, "runId": "a"}}


@pytest.mark.parametrize("report", [{"parents": "night"}, {"parents": [1]}, {"root": {"a": 1}}])
def test_invalid_parents_in_a_report_are_repaired(
    ledger: Ledger, report: dict[str, object]
) -> None:
    ledger.create(STEP)
    ledger.report_many([ReportedEvent(STEP, parse_report("Started", report))])
    last = ledger.history(STEP)[-1]
    assert last.type == "Started"
    assert last.json["@mended"]
    assert ledger.get(STEP).lineage is None


@pytest.mark.slow
@pytest.mark.unused_schema
def test_children_are_found_through_an_index(ledger: Ledger) -> None:
    created = Created(parents=[MONDAY])
    ledger.report_many(
        [
            ReportedEvent(f"projects/p/jobs/n{n}", created if n == 7 else Created())
            for n in range(3_000)
        ]
    )
    with ledger.connection() as connection:
        connection.execute("ANALYZE jobs")
        plan = connection.execute(
            "EXPLAIN SELECT name FROM jobs WHERE delete_time IS NULL AND"
            " (coalesce(lineage -> 'parents', (spec -> 'parents')::jsonb) @> '[\""
            + MONDAY
            + "\"]'::jsonb)"
        ).fetchall()
    assert any("jobs_parents" in line for (line,) in plan)
    assert names(ledger, f'parent = "{MONDAY}"') == ["projects/p/jobs/n7"]
