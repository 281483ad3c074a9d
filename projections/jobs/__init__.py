"""`jobs`: the current state of each job, one row per job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.job import Job, job_with
from jobledger.domain.states import JobState
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.projections.template import Template, read

COLUMNS: Final = (
    "name",
    "state",
    "version",
    "attempt",
    "create_time",
    "start_time",
    "end_time",
    "update_time",
    "effective_time",
    "delete_time",
    "error",
    "error_message",
    "labels",
    "spec",
    "output",
    "run_ids",
    "lineage",
)
"""The columns a Job is read from; project, kind and etag follow from the name and version."""


def job_of(row: tuple[Any, ...]) -> Job:
    """Makes the Job of a row with COLUMNS."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = STATES[values["state"]]
    values["run_ids"] = tuple(values["run_ids"] or ())
    # The row was made from a Job, so there is nothing to validate.
    return job_with(values)


class Change(NamedTuple):
    """The job after an event, and the row that `write_jobs` writes for it."""

    before: Job
    after: Job
    json: bytes
    """A JSON object whose end is left open: the place of the job's events is put there."""


def change(before: Job, after: Job) -> Change:
    """Makes the change between two jobs; unchanged JSON and null values are left out of the row."""
    # A dict of fields is read in half the time that attributes of a pydantic model take.
    was, now = before.__dict__, after.__dict__
    row: dict[str, Any] = {
        "name": now["name"],
        "state": None if now["state"] is None else now["state"].name,
        "version": now["version"],
        "attempt": now["attempt"],
        "create_time": now["create_time"],
        "update_time": now["update_time"],
        "etag": after.etag,
    }
    for field in ("start_time", "end_time", "effective_time", "delete_time", "error_message"):
        if (value := now[field]) is not None:
            row[field] = value
    if now["error"] is not None:
        row["error"] = _json(now["error"])
    new = was["version"] == 0
    if new or now["labels"] is not was["labels"]:
        row["labels"] = now["labels"]
    if new or now["spec"] is not was["spec"]:
        row["spec"] = _json(now["spec"])
    if not new and now["output"] is was["output"]:
        row["keep_output"] = True
    elif now["output"] is not None:
        row["output"] = _json(now["output"])
    if now["run_ids"] and now["run_ids"] is not was["run_ids"]:
        row["run_ids"] = now["run_ids"]
    if now["lineage"] is not None and now["lineage"] is not was["lineage"]:
        row["lineage"] = now["lineage"]
    return Change(before, after, orjson.dumps(row)[:-1])


def _json(value: JsonObject) -> orjson.Fragment:
    """Returns the exact text that the event stores, so that a rebuild makes the same row."""
    return orjson.Fragment(canonical.encode(value))


def functions() -> tuple[Template, ...]:
    """Returns the SQL functions of this projection; present and past share one fold."""
    pasts = [Template(read(__name__, "past"), {**past, "folded": _fold(past)}) for past in PASTS]
    folds: dict[str, str | Template] = {
        "folded": _fold(PRESENT),
        "replaced": _fold(REPLACED),
        "effective": EFFECTIVE,
    }
    fold = Template(read(__name__, "fold"), folds)
    landed = [Template(read(__name__, "landed"), past) for past in PASTS]
    return (fold, Template(read(__name__, "write")), *pasts, *landed)


def _fold(parts: Mapping[str, str]) -> Template:
    """Returns the fold of some events, without its leading comment."""
    return Template("WITH " + read(__name__, "folded").split("\nWITH ", 1)[1].strip(), parts)


EFFECTIVE: Final = (
    "CASE WHEN is_placed(schema) THEN occurred_time ELSE greatest(least(occurred_time, recorded_time),"
    " max(least(occurred_time, recorded_time)) FILTER (WHERE type <> 'Contradicted' OR version = 1) OVER versions) END"
)
"""When events take effect, as domain/order.py says, in a window of a job's versions."""
_TIMED: Final = "(SELECT *, {effective} AS effective FROM events WHERE {which} AND schema > 0"
_IN_EFFECT: Final = "row_number() OVER (PARTITION BY name ORDER BY effective, least(placed_after(version, schema, data), version), version)"

# Which events each function folds, in which order, onto what.
PRESENT: Final = {
    "events": "events",
    "which": "position BETWEEN first AND last AND name <> ALL (replaced)",
    "place": "version",
    # A job that begins here has no row yet, so none is read.
    "before": "old.name = CASE WHEN first_version > 1 THEN delta.name END",
    "kept": "MATERIALIZED",
    "sorted": "",
    "named": "name",
    "grouped": "GROUP BY name",
}
REPLACED: Final = PRESENT | {
    "events": _TIMED.format(effective=EFFECTIVE, which="name = ANY (replaced) AND position <= last")
    + " WINDOW versions AS (PARTITION BY name ORDER BY version)) AS timed",
    "which": "true",
    "place": _IN_EFFECT,
    "before": "false",
}
AT: Final = {
    "function": "job_row_at",
    "landed": "job_at",
    "arguments": "of text, until bigint",
    "values": "of, until",
    "types": "text, bigint",
    "meaning": "as the ledger knew it at a position",
    # `+ 0`: found by name, and not by position, of which nearly all are before `until`.
    "events": _TIMED.format(effective=EFFECTIVE, which="name = of AND position + 0 <= until")
    + " WINDOW versions AS (ORDER BY version)) AS timed",
    "which": "true",
    "place": _IN_EFFECT,
    "before": "false",
    "kept": "",
    "sorted": "",
    # One job's events are one group: to sort them by its name would take longer than to fold them.
    "named": "of AS name",
    "grouped": "HAVING count(*) > 0",
}
IN_ORDER: Final = AT | {
    "function": "job_row_in_order",
    "landed": "job_in_order",
    "arguments": "of text, until bigint, at timestamptz",
    "values": "of, until, at",
    "types": "text, bigint, timestamptz",
    "meaning": "the same as it happened, if each of its events took effect when it occurred",
    "events": "events",
    "which": "name = of AND position + 0 <= until AND occurred_time <= at",
    "place": "version",
    "sorted": "ORDER BY version DESC",
}
AS_IT_HAPPENED: Final = AT | {
    "function": "job_row_as_it_happened",
    "landed": "job_as_it_happened",
    "arguments": "of text, until bigint, at timestamptz",
    "values": "of, until, at",
    "types": "text, bigint, timestamptz",
    "meaning": "as it happened up to a time, as far as that was known at a position: the events that"
    " took effect by then",
    "which": "effective <= at",
}
PASTS: Final = (AT, IN_ORDER, AS_IT_HAPPENED)

STATES: Final[dict[str | None, JobState | None]] = {None: None, **{s.name: s for s in JobState}}
