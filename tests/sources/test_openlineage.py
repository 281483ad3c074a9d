"""OpenLineage events as histories: one right history whatever their order, and what is refused."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job, fold
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.sources.openlineage.event import JobKey, parse_event
from jobledger.infra.sources.openlineage.history import ledger_id, ledger_name, reports_of
from jobledger.infra.sources.openlineage.writing import LineageWrite, late_writes, observed

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
START = datetime(2026, 11, 27, 10, tzinfo=UTC)
KEY = JobKey("airflow", "etl.load")
NAME = ledger_name(KEY, "p")
RUN = "0190aaaa-0000-7000-8000-000000000001"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
PARENT = {
    "run": {"runId": "0190aaaa-0000-7000-8000-00000000000f"},
    "job": {"namespace": "airflow", "name": "etl"},
    "root": {
        "run": {"runId": "0190aaaa-0000-7000-8000-0000000000ff"},
        "job": {"namespace": "airflow", "name": "nightly"},
    },
}


def event(
    type_: str | None, seconds: float = 0, run: str = RUN, key: JobKey = KEY, **more: Any
) -> dict[str, Any]:
    """An event of a run, `seconds` after START."""
    entries: dict[str, Any] = {
        "eventTime": (START + timedelta(seconds=seconds)).isoformat(),
        "producer": "https://example.com/scheduler",
        "schemaURL": SPEC,
        "run": {"runId": run, "facets": more.pop("run_facets", {})},
        "job": {**key._asdict(), "facets": more.pop("job_facets", {})},
    }
    return entries | more | ({} if type_ is None else {"eventType": type_})


def record(ledger: Ledger, *events: dict[str, Any]) -> None:
    committer = ledger.writer.committer
    for given_ in events:
        write = LineageWrite(reports_of(parse_event(given_, NOW), "p"), committer.cache.find)
        committer.submit([write])
        committer.submit(late_writes([write]))
        assert write.error is None, write.error


def types(ledger: Ledger, name: str = NAME) -> list[str]:
    return [each.type for each in ledger.history(name)]


def test_a_failed_test_of_a_dataset_is_the_error(ledger: Ledger) -> None:
    """dbt's FAIL events have no error message, but the assertions that failed."""
    failed = {"assertion": "unique", "column": "id", "success": False}
    counted = {**failed, "name": "unique_orders_id", "expected": "0", "actual": "2"}
    facets = {
        "dataQualityAssertions": {"assertions": [{**failed, "success": True}, counted, failed, 7]}
    }
    datasets = [{"namespace": "db", "name": "orders", "inputFacets": facets, "facets": facets}]
    record(ledger, event("START"), event("FAIL", 5, inputs=datasets))
    wanted = "unique_orders_id failed: expected 0, found 2; unique of id failed"
    assert ledger.get(NAME).error_message == wanted


def test_a_run_is_an_attempt_of_a_job(ledger: Ledger) -> None:
    record(ledger, event("START"), event("RUNNING", 5), event("COMPLETE", 60))
    job = ledger.get(NAME)
    assert (job.state, job.attempt, job.run_ids) == (JobState.SUCCEEDED, 1, (RUN,))
    assert (job.start_time, job.end_time) == (START, START + timedelta(seconds=60))
    assert types(ledger) == ["Created", "Started", "ProgressReported", "Succeeded"]

    second = RUN[:-1] + "2"
    record(ledger, event("START", 100, second))
    error = {"message": "no such table", "programmingLanguage": "PYTHON", "stackTrace": "at line 1"}
    record(ledger, event("FAIL", 110, second, run_facets={"errorMessage": error}))
    job = ledger.get(NAME)
    assert (job.state, job.attempt, job.error_message) == (JobState.FAILED, 2, "no such table")
    assert job.error == {"code": 2, "message": "no such table", "stackTrace": "at line 1"}


STORY = [event("START"), event("RUNNING", 5), event("OTHER", 30), event("COMPLETE", 60)]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    order=st.permutations(range(len(STORY))),
    again=st.lists(st.integers(0, len(STORY) - 1), max_size=3),
    number=st.uuids(),
)
def test_events_in_any_order_give_one_history(
    ledger: Ledger, order: list[int], again: list[int], number: Any
) -> None:
    key = JobKey("airflow", str(number))
    name = ledger_name(key, "p")
    story = [each | {"job": key._asdict()} for each in STORY]
    record(ledger, *(story[n] for n in (*order, *again)))
    job = ledger.get(name)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert job.end_time == START + timedelta(seconds=60)
    assert job.start_time == START
    assert "Contradicted" not in types(ledger, name)
    assert fold(Job(name=name), [each.event for each in ledger.history(name)]) == job


@pytest.mark.parametrize("order", [(2, 0), (2, 1, 0), (2, 0, 1)])
def test_a_start_after_the_end_fits_though_its_run_id_has_no_time(
    ledger: Ledger, order: tuple[int, ...]
) -> None:
    """The end created the job, so the ledger cannot show it before."""
    run = "12345678-0000-4000-8000-000000000001"
    story = [event("START", 0, run), event("RUNNING", 5, run), event("COMPLETE", 60, run)]
    record(ledger, *(story[n] for n in order))
    job, end = ledger.get(NAME), START + timedelta(seconds=60)
    assert (job.state, job.attempt, job.run_ids) == (JobState.SUCCEEDED, 1, (run,))
    assert job.create_time == job.start_time == job.end_time == end
    history = ledger.history(NAME)
    assert "Contradicted" not in [each.type for each in history]
    [started] = [each for each in history if each.type == "Started"]
    assert json.loads(started.stored)["reportedTime"] < end.isoformat()
    assert fold(Job(name=NAME), [each.event for each in history]) == job
    record(ledger, *(story[n] for n in order))
    assert ledger.history(NAME) == history


def test_an_end_stamped_before_the_start_keeps_its_time(ledger: Ledger) -> None:
    """Reporters' clocks differ; the end was recorded after the start, so the job has ended."""
    record(ledger, event("START", 60), event("COMPLETE", 59))
    assert ledger.get(NAME).state is JobState.SUCCEEDED
    ended = ledger.history(NAME)[-1]
    assert ended.occurred_time == START + timedelta(seconds=59)
    assert "reportedTime" not in json.loads(ended.stored)


def test_the_same_event_is_recorded_once_and_another_of_its_kind_is_a_comment(
    ledger: Ledger,
) -> None:
    record(ledger, event("START"), event("START"), event("START", 1))
    assert types(ledger) == ["Created", "Started", "Commented"]
    record(ledger, event("COMPLETE", 60), event("COMPLETE", 60), event("COMPLETE", 61))
    assert types(ledger)[3:] == ["Succeeded", "Commented"]
    record(ledger, event("RUNNING", 62), event(None, 63))
    assert types(ledger)[5:] == ["Commented", "Commented"]
    assert ledger.get(NAME).end_time == START + timedelta(seconds=60)


@pytest.mark.parametrize("part", [slice(0, 3), slice(1, 2)])
def test_an_event_whose_reports_were_recorded_one_by_one_adds_nothing(
    ledger: Ledger, part: slice
) -> None:
    begun = event("START", inputs=[{"namespace": "pg", "name": "orders"}])
    reports = observed(reports_of(parse_event(begun, NOW), "p"))
    ledger.report_many(reports[:1])
    ledger.report_many(reports[part])
    size = ledger.size()
    record(ledger, begun)
    assert ledger.size() == size


def test_datasets_of_a_start_that_comes_after_the_end_are_kept(ledger: Ledger) -> None:
    sets: dict[str, Any] = {"inputs": [{"namespace": "pg", "name": "orders"}]}
    record(ledger, event("RUNNING", 5), event("START", **sets), event("COMPLETE", 60))
    job = ledger.get(NAME)
    assert (job.start_time, job.state, job.output) == (START, JobState.SUCCEEDED, sets)
    assert "Contradicted" not in types(ledger)


def test_an_end_without_a_start(ledger: Ledger) -> None:
    record(ledger, event("ABORT", 60))
    job = ledger.get(NAME)
    assert (job.state, job.error_message) == (JobState.CANCELLED, "aborted")


def test_ids_of_runs_that_differ_only_in_case_are_of_one_run(ledger: Ledger) -> None:
    record(ledger, event("START", run=RUN.upper()), event("COMPLETE", 20))
    job = ledger.get(NAME)
    assert (job.state, job.attempt, job.run_ids) == (JobState.SUCCEEDED, 1, (RUN,))


def test_a_job_is_not_its_own_parent(ledger: Ledger) -> None:
    itself = {"job": KEY._asdict(), "root": {"job": KEY._asdict()}}
    record(ledger, event("START", run_facets={"parent": itself}))
    job = ledger.get(NAME)
    assert (job.parents, job.root) == ([], None)


def test_runs_that_overlap_keep_their_reports_apart(ledger: Ledger) -> None:
    second = RUN[:-1] + "2"
    record(ledger, event("START"), event("START", 10, second), event("COMPLETE", 20))
    assert ledger.get(NAME).state is JobState.RUNNING
    assert ledger.get(NAME).attempt == 2
    record(ledger, event("FAIL", 30, second))
    assert ledger.get(NAME).state is JobState.FAILED


def test_a_run_that_arrives_after_a_later_one_changes_nothing(ledger: Ledger) -> None:
    second = RUN[:-1] + "2"
    record(ledger, event("START", 100, second), event("START", 10), event("FAIL", 20))
    record(ledger, event("COMPLETE", 200, second), event("OTHER", 300), event("FAIL", 301))
    job = ledger.get(NAME)
    assert (job.state, job.attempt, job.run_ids) == (JobState.SUCCEEDED, 1, (second,))
    assert types(ledger).count("Commented") == 4
    record(ledger, event("START", 400, RUN[:-1] + "3"))
    assert ledger.get(NAME).attempt == 2


DAILY = {"namespace": "s3://lake", "name": "daily/orders"}
ENGINE = {"name": "spark", "version": "4.0"}
OUTER, OUTERMOST = (ledger_name(JobKey("airflow", name), "p") for name in ("etl", "nightly"))


@pytest.fixture
def faceted(ledger: Ledger) -> Ledger:
    """A ledger with a run that has facets, inputs and outputs."""
    orders = {"namespace": "postgres://db:5432", "name": "shop.public.orders", "facets": {}}
    facets = {
        "jobType": {"processingType": "BATCH", "integration": "AIRFLOW", "jobType": "TASK"},
        "tags": {
            "tags": [
                {"key": "Team", "value": "Data Platform", "source": "CONFIG"},
                {"key": "raw", "value": None},
            ]
        },
        "documentation": {"description": "Loads orders."},
        "ownership": {"owners": [{"name": "team:data", "type": "OWNER"}]},
    }
    record(
        ledger,
        event(
            "START",
            inputs=[orders],
            job_facets=facets,
            run_facets={
                "parent": PARENT,
                "processing_engine": ENGINE,
                "nominalTime": {"nominalStartTime": "2026-11-27T00:00:00Z"},
            },
        ),
        event("COMPLETE", 60, outputs=[DAILY]),
    )
    return ledger


def test_facets_are_kept(faceted: Ledger) -> None:
    job = faceted.get(NAME)
    assert job.labels == {
        "source": "openlineage",
        "integration": "AIRFLOW",
        "job_type": "TASK",
        "processing_type": "BATCH",
        "team": "Data_Platform",
        "raw": "",
    }
    assert job.spec["displayName"] == "etl.load"
    assert job.spec["description"] == "Loads orders."
    assert job.spec["owners"] == [{"name": "team:data", "type": "OWNER"}]
    assert (job.parents, job.root) == ([OUTER], OUTERMOST)
    assert job.output == {
        "inputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders"}],
        "outputs": [DAILY],
    }
    started = faceted.history(NAME)[1].json
    assert started["openLineage"]["run"]["processing_engine"] == ENGINE
    assert started["nominalStartTime"] == "2026-11-27T00:00:00Z"


def test_datasets_and_parents_are_searched(faceted: Ledger) -> None:
    for found in (
        'inputs : "shop.public.orders"',
        'inputs : "*orders"',
        'inputs = "postgres://db:5432/shop.public.orders"',
        'outputs : "daily/orders"',
        'inputs : "orders"',
        'outputs : "orders"',
        f'parent = "{OUTER}"',
        f'root = "{OUTERMOST}"',
        "inputs : *",
    ):
        assert [each.name for each in faceted.list(found)] == [NAME], found
    for missing in ('inputs : "orders2"', f'parent = "{OUTERMOST}"', 'outputs != "daily/orders"'):
        assert faceted.list(missing) == [], missing
    with pytest.raises(InvalidFieldError, match="has no order"):
        faceted.list('inputs < "a"')


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"run": {}}, "run.runId", "is not the id of a run"),
        ({"run": None, "job": None}, "job", "is missing"),
        ({"job": {"namespace": "a"}}, "job.name", "is not a name"),
        ({"job": 7}, "job", "is not a JSON object"),
        ({"eventTime": "2026-11-27T10:00:00"}, "eventTime", "has no zone"),
        ({"eventTime": 5}, "eventTime", "is not an RFC 3339 time"),
        ({"eventType": "DONE"}, "eventType", "START, RUNNING, COMPLETE, ABORT, FAIL, OTHER"),
        ({"schemaURL": "https://openlineage.io/spec/9-0-0/OpenLineage.json"}, "schemaURL", "known"),
    ],
)
def test_an_invalid_event_is_refused_with_its_field(
    change: dict[str, Any], field: str, why: str
) -> None:
    with pytest.raises(InvalidFieldError, match=why) as caught:
        parse_event(event("START") | change, NOW)
    assert caught.value.field == field


def test_a_time_with_lower_case_letters_is_of_rfc_3339() -> None:
    assert parse_event(event("START", eventTime="2026-11-27t10:00:00z"), NOW).time == START


def test_a_part_that_is_null_is_as_one_that_is_absent() -> None:
    of_job = parse_event(event(None) | {"run": None}, NOW)
    assert (of_job.job, of_job.type, of_job.run_id) == (KEY, None, None)
    of_dataset = parse_event(
        event(None) | {"run": None, "job": None, "dataset": KEY._asdict()}, NOW
    )
    assert (of_dataset.job, of_dataset.dataset) == (None, KEY)


@pytest.mark.slow
@given(
    st.lists(
        st.builds(JobKey, *[st.text(st.sampled_from("ab/|%:. "), min_size=1, max_size=6)] * 2),
        min_size=2, max_size=30,
    )
)  # fmt: skip
def test_two_jobs_have_two_ids(keys: list[JobKey]) -> None:
    assert len({ledger_id(key) for key in keys}) == len(set(keys))


def test_bodies_that_are_compressed() -> None:
    from jobledger.infra.http.request_body import BodyTooLargeError, decompressed

    body = json.dumps(event("START")).encode()
    packed = gzip.compress(body)
    assert decompressed(packed, b"gzip", 10_000) == body
    assert decompressed(body, b"", 10_000) == body
    with pytest.raises(InvalidFieldError, match="ends early"):
        decompressed(packed[: len(packed) // 2], b"gzip", 10_000)
    with pytest.raises(InvalidFieldError, match="is not gzip"):
        decompressed(body, b"gzip", 10_000)
    with pytest.raises(InvalidFieldError, match="is not supported; use gzip"):
        decompressed(body, b"br", 10_000)
    with pytest.raises(BodyTooLargeError):
        decompressed(gzip.compress(bytes(1_000_000)), b"gzip", 10_000)


def test_a_run_id_that_two_jobs_use_is_a_run_of_each(ledger: Ledger) -> None:
    other = JobKey("airflow", "etl.other")
    record(ledger, event("START"), event("START", 1, key=other), event("FAIL", 5, key=other))
    record(ledger, event("COMPLETE", 9))
    assert ledger.get(NAME).state is JobState.SUCCEEDED
    second = ledger.get(ledger_name(other, "p"))
    assert (second.state, second.run_ids) == (JobState.FAILED, (RUN,))
