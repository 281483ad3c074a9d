"""`jobs`: the current state of each job, one row a job."""

from __future__ import annotations

from typing import Any, Final

import orjson
from jobledger.domain import canonical
from jobledger.domain.canonical import JsonObject
from jobledger.domain.job import Job
from jobledger.domain.states import JobState

COLUMNS: Final = (
    "name",
    "state",
    "version",
    "attempt",
    "create_time",
    "start_time",
    "end_time",
    "update_time",
    "delete_time",
    "error",
    "error_message",
    "labels",
    "spec",
    "output",
)
"""The columns a Job is read from; project, kind and etag follow from the name and version."""


def job_of(row: tuple[Any, ...]) -> Job:
    """The job that a row of COLUMNS holds."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = STATES[values["state"]]
    # The row was made from a Job, so there is nothing to validate.
    return Job.model_construct(**values)


def row_of(before: Job, after: Job) -> dict[str, Any]:
    """The row `write_jobs` writes for `after`; JSON that stays as it was is left out."""
    row: dict[str, Any] = {
        "name": after.name,
        "state": None if after.state is None else after.state.name,
        "version": after.version,
        "attempt": after.attempt,
        "create_time": after.create_time,
        "start_time": after.start_time,
        "end_time": after.end_time,
        "update_time": after.update_time,
        "delete_time": after.delete_time,
        "error": _json(after.error),
        "error_message": after.error_message,
        "etag": after.etag,
    }
    new = before.version == 0
    if new or after.labels is not before.labels:
        row["labels"] = after.labels
    if new or after.spec is not before.spec:
        row["spec"] = _json(after.spec)
    if new or after.output is not before.output:
        row["output"] = _json(after.output)
    else:
        row["keep_output"] = True
    return row


def _json(value: JsonObject | None) -> orjson.Fragment | None:
    """The very text that stands in the event, so that a rebuild makes the same row."""
    return None if value is None else orjson.Fragment(canonical.encode(value))


STATES: Final[dict[str | None, JobState | None]] = {None: None, **{s.name: s for s in JobState}}
