"""Google's cluster-usage traces, version 2 (clusterdata-2011-2): the events of each row.

A row is a scheduler's report on a job, or on a task, which becomes a job of its own.
import_trace.py keeps track of files.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from jobledger.domain import events as e
from jobledger.domain.data import UNKNOWN, Data
from jobledger.domain.job import Job
from jobledger.domain.states import ABSENT, JobState, Outside, allowed
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import display_name, job_name, parse_time

TRACE_BEGIN: Final = datetime(2011, 5, 1, 22, 50, tzinfo=UTC)
"""Timestamp 0: 600 s before the trace begins, and so any time before it."""
AFTER_THE_TRACE: Final = 2**63 - 1
MAX_LINE: Final = 16 * 1024
LOST_DATA: Final = 15


class Kind(StrEnum):
    """The trace's table that a file is part of."""

    JOB = "job"
    TASK = "task"


class Report(IntEnum):
    """The trace's event types."""

    SUBMIT = 0
    SCHEDULE = 1
    EVICT = 2
    FAIL = 3
    FINISH = 4
    KILL = 5
    LOST = 6
    UPDATE_PENDING = 7
    UPDATE_RUNNING = 8


_JOB: Final = "time missingInfo jobId eventType user schedulingClass jobName logicalJobName"
_TASK: Final = (
    "time missingInfo jobId taskIndex machineId eventType user schedulingClass priority"
    " cpuRequest memoryRequest diskRequest differentMachines"
)
COLUMNS: Final = {Kind.JOB: _JOB.split(), Kind.TASK: _TASK.split()}
OF_THE_REPORT: Final = ("missingInfo", "machineId")
"""Columns that describe one report; all others, but the time and type, describe the job."""


class Row(NamedTuple):
    """One report of the trace."""

    name: str
    report: Report
    time: datetime
    spec: JsonObject
    data: JsonObject


class BadRowError(ValueError):
    """A row cannot be read; the message says why."""


def read_row(kind: Kind, project: str, line: bytes) -> Row | None:
    """Parses a line; None for a row after the trace's end. Raises BadRowError."""
    if len(line) > MAX_LINE or b"\0" in line:
        raise BadRowError(f"holds a NUL character or more than {MAX_LINE} bytes")
    try:
        fields = next(csv.reader([line.decode()]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRowError(f"is not CSV in UTF-8 ({error})") from None
    columns = COLUMNS[kind]
    if len(fields) != len(columns):
        raise BadRowError(f"has {len(fields)} columns, not {len(columns)}")
    row = {column: field for column, field in zip(columns, fields, strict=True) if field != ""}
    try:
        microseconds, report = int(row.pop("time")), Report(int(row.pop("eventType")))
        if microseconds == AFTER_THE_TRACE:
            return None
        time = TRACE_BEGIN + timedelta(microseconds=microseconds)
        original = _job_id(kind, row)
        name = job_name(project, original)
    except (KeyError, ValueError, OverflowError) as error:
        raise BadRowError(f"has no valid time, job or event type ({error})") from None
    values: JsonObject = {column: row.pop(column) for column in OF_THE_REPORT if column in row}
    spec = {**row, **display_name(original)}
    return Row(name, report, parse_time(time, datetime.now(UTC)), spec, values)


def _job_id(kind: Kind, row: dict[str, str]) -> str:
    job = int(row["jobId"])
    return f"job-{job}" if kind is Kind.JOB else f"task-{job}-{int(row['taskIndex'])}"


def facts(row: Row, job: Job) -> Iterator[Data]:
    """Returns the data of the events that the row causes, at least one."""
    stage = job.stage
    if stage is ABSENT:
        inferred = row.report is not Report.SUBMIT
        value = {} if inferred else row.data
        yield e.parse_data("Created", {"spec": row.spec, "inferred": inferred, **value})
        if not inferred:
            return
        stage = JobState.QUEUED
    meant = _meaning(row, stage)
    if meant and allowed(meant[0], stage):
        # The job's description is in Created; here it is only if it changed.
        changed = {} if row.spec == (job.spec or row.spec) else {"spec": row.spec}
        first, *more = meant
        yield e.parse_data(first, _details(row.report) | row.data | changed)
        for event in more:
            yield e.parse_data(event, row.data | changed)
    else:
        met = "DELETED" if isinstance(stage, Outside) else stage.name
        yield e.Contradicted(report=row.report.name, state=met, data=row.spec | row.data)


def _meaning(row: Row, stage: JobState | Outside) -> tuple[str, ...]:
    """Returns the events that a report means in that state; none if it cannot be true."""
    match row.report:
        case Report.SUBMIT:
            return tuple(event for event in ("Resumed", "Retried") if allowed(event, stage))
        case Report.SCHEDULE:
            return ("Started",)
        case Report.EVICT:
            return ("Paused",)
        case Report.FAIL | Report.LOST:
            return ("Failed",)
        case Report.FINISH:
            return ("Succeeded",)
        case Report.KILL:
            return ("Cancelled",)
        case Report.UPDATE_PENDING:
            return ()  # Only a running job can be updated.
        case Report.UPDATE_RUNNING:
            return ("Updating", "Updated")


def report_of(type_: str, data: JsonObject) -> str | None:
    """Returns the trace's report that an imported event was recorded for.

    None if it only accompanies another event. It is the reverse of `facts`, so that an imported row
    can be recognized.
    """
    match type_:
        case "Created":
            return None if data.get("inferred") else Report.SUBMIT.name
        case "Contradicted":
            return str(data.get("report"))
        case "Failed":
            lost = data.get("error", {}).get("code") == LOST_DATA
            return Report.LOST.name if lost else Report.FAIL.name
    report = _REPORTS.get(type_)
    return None if report is None else report.name


_REPORTS: Final = {
    "Resumed": Report.SUBMIT,
    "Retried": Report.SUBMIT,
    "Started": Report.SCHEDULE,
    "Paused": Report.EVICT,
    "Succeeded": Report.FINISH,
    "Cancelled": Report.KILL,
    "Updating": Report.UPDATE_RUNNING,
}


def _details(report: Report) -> JsonObject:
    """Returns the event's own fields."""
    match report:
        case Report.EVICT:
            return {"reason": "evicted"}
        case Report.FAIL:
            return {"error": {"code": UNKNOWN, "message": "the trace says FAIL"}}
        case Report.LOST:
            return {"error": {"code": LOST_DATA, "message": "the trace says LOST"}}
        case Report.KILL:
            return {"reason": "killed"}
    return {}
