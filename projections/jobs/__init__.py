"""`jobs`: the current state of each job, one row a job."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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


class Change(NamedTuple):
    """What a job becomes, and the row `write_jobs` writes for it."""

    before: Job
    after: Job
    json: bytes
    """A JSON object whose end is left open: the place of the job's events is put there."""


def change(before: Job, after: Job) -> Change:
    """The change from one to the other; JSON that stays as it was is left out, and so is what is null."""
    row: dict[str, Any] = {
        "name": after.name,
        "state": None if after.state is None else after.state.name,
        "version": after.version,
        "attempt": after.attempt,
        "create_time": after.create_time,
        "update_time": after.update_time,
        "etag": after.etag,
    }
    for field in ("start_time", "end_time", "delete_time", "error_message"):
        if (value := getattr(after, field)) is not None:
            row[field] = value
    if after.error is not None:
        row["error"] = _json(after.error)
    new = before.version == 0
    if new or after.labels is not before.labels:
        row["labels"] = after.labels
    if new or after.spec is not before.spec:
        row["spec"] = _json(after.spec)
    if not new and after.output is before.output:
        row["keep_output"] = True
    elif after.output is not None:
        row["output"] = _json(after.output)
    return Change(before, after, orjson.dumps(row)[:-1])


def _json(value: JsonObject) -> orjson.Fragment:
    """The very text that stands in the event, so that a rebuild makes the same row."""
    return orjson.Fragment(canonical.encode(value))


STATES: Final[dict[str | None, JobState | None]] = {None: None, **{s.name: s for s in JobState}}
