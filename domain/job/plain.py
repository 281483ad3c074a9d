"""Plain reports: those whose data have no meaning to the ledger, but for the run that they name and its output.

Most of what other systems report is plain. Where the lifecycle table allows its type, such a report
is recorded as it is, and changes a job in one way; both are worked out here without the data's
class, in a tenth of the time. All else is decided by `observe`, which decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from jobledger.domain.attempts import BEGINNINGS
from jobledger.domain.data import PLACED_KEY, UNKNOWN
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES, LINEAGE_KEYS, MAX_PARENTS, MAX_RELATIVE, MAX_RUN_ID
from jobledger.domain.states import ENDINGS, LIFECYCLE, JobState, state_after
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.labels import parse_labels

RUN_ID: Final = "runId"
OUTPUT: Final = "output"
_TYPES: Final = (
    "Queued", "Preparing", "Started", "Paused", "Resumed", "Succeeded", "PartiallySucceeded", "Failed",
    "ProgressReported",
)  # fmt: skip
_WITH_OUTPUT: Final = frozenset({"Succeeded", "PartiallySucceeded", "ProgressReported"})
_WITH_MEANING: Final[Mapping[str, frozenset[str]]] = {
    type_: frozenset(
        {"attempt", "run_id", PLACED_KEY}
        | {name for field in EVENT_TYPES[type_].model_fields.items() for name in (field[0], str(field[1].alias))}
    ) - {RUN_ID, OUTPUT}
    for type_ in _TYPES
}  # fmt: skip
"""The keys of data by which a report of that type is not plain."""
_AFTER: Final = {type_: frozenset(LIFECYCLE[type_].after) for type_ in _TYPES}
_NAMES_RUNS: Final = frozenset(cls.__name__ for cls in BEGINNINGS)
_CREATED: Final = frozenset({"labels", "spec", *LINEAGE_KEYS})
_EMPTY: Final = frozenset({"labels", "spec"})
"""What is not stored of Created if it is empty."""


def is_plain(type_: str, data: Mapping[str, Any]) -> bool:
    """Whether a report of that type and data is plain.

    Args:
        type_: The event type.
        data: The data as JSON.

    Returns:
        The answer; False for what has to be mended.

    Examples:
        >>> from jobledger.domain.job.plain import is_plain
        >>> is_plain("Started", {"worker": "node-7"}), is_plain("Started", {"attempt": 2})
        (True, False)
    """
    if (with_meaning := _WITH_MEANING.get(type_)) is None:
        return type_ == "Created" and _is_plain_creation(data)
    if not with_meaning.isdisjoint(data):
        return False
    if OUTPUT in data and type_ in _WITH_OUTPUT and type(data[OUTPUT]) is not dict:
        return False
    if RUN_ID not in data:
        return True
    run_id = data[RUN_ID]
    return type(run_id) is str and 0 < len(run_id) <= MAX_RUN_ID


def _is_plain_creation(data: Mapping[str, Any]) -> bool:
    parents, labels = data.get("parents", []), data.get("labels", {})
    if not (_CREATED.issuperset(data) and type(labels) is type(data.get("spec", {})) is dict):
        return False
    related = [data[key] for key in LINEAGE_KEYS[1:] if key in data]
    if type(parents) is not list or len(parents) > MAX_PARENTS:
        return False
    if not all(map(_is_relative, (*parents, *related))):
        return False
    try:
        parse_labels(labels)
    except InvalidFieldError:
        return False
    return True


def _is_relative(name: object) -> bool:
    return type(name) is str and 0 < len(name) <= MAX_RELATIVE


def stored_fields(type_: str, data: JsonObject) -> JsonObject:
    """Returns what is stored of a plain report's data: an empty field of Created is left out."""
    if type_ != "Created":
        return data
    return {key: value for key, value in data.items() if value or key not in _EMPTY}


def add_plain(fields: dict[str, Any], type_: str, data: Mapping[str, Any], at: datetime) -> bool:
    """Applies a plain report to the fields of a job that is no evaluation job, if it is recorded as it is.

    Args:
        fields: The fields of the job; changed only if the report is recorded as it is.
        type_: The event type.
        data: The data of the report.
        at: When it occurred (UTC).

    Returns:
        Whether it is; False if `observe` or `introduce` has to decide.
    """
    if type_ == "Created":
        return _create(fields, data, at)
    state, to = fields["state"], state_after(type_)
    output = data.get(OUTPUT) if type_ in _WITH_OUTPUT else None
    if (
        state not in _AFTER[type_]
        or fields["delete_time"] is not None
        or _may_be_placed(fields, at, enters=to is not None)
        or _may_be_merged(output, fields[OUTPUT])
        or not _name_run(fields, type_, data.get(RUN_ID))
    ):
        return False
    _take_effect(fields, at)
    fields["version"] += 1
    if output is not None:
        fields[OUTPUT] = output
    if to is not None:
        fields["state"] = to
        fields["end_time"] = at if type_ in ENDINGS else None
        fields["error"], fields["error_message"] = None, None
        if to is JobState.RUNNING and fields["start_time"] is None:
            fields["start_time"] = at
        elif to is JobState.FAILED:
            fields["error"], fields["error_message"] = {"code": UNKNOWN, "message": ""}, ""
    return True


def _may_be_placed(fields: Mapping[str, Any], at: datetime, *, enters: bool) -> bool:
    """Whether it may take effect before others, as placing.py finds out; `enters`: it leads to a state."""
    last, created = fields["effective_time"] or fields["update_time"], fields["create_time"]
    if at >= last or created is None or at < created:
        return False
    is_first_run = fields["state"] is JobState.RUNNING and fields["attempt"] == 1
    entered = fields["start_time"] if is_first_run else fields["end_time"]
    return not (enters and entered is not None and at < entered)


def _may_be_merged(output: JsonObject | None, before: JsonObject | None) -> bool:
    """Whether what decides may add an output to the one before, which is another."""
    return output is not None and bool(before) and output != before


def _take_effect(fields: dict[str, Any], at: datetime) -> None:
    update = fields["update_time"]
    if at >= update:
        fields["update_time"], fields["effective_time"] = at, None
    elif (last := fields["effective_time"]) is not None and at > last:
        fields["effective_time"] = at


def _name_run(fields: dict[str, Any], type_: str, run_id: str | None) -> bool:
    """Whether the report is on the current attempt; notes how that is called."""
    if run_id is None:
        return True
    if run_ids := fields["run_ids"]:
        return bool(run_ids[-1] == run_id)
    if type_ in _NAMES_RUNS:
        fields["run_ids"] = (run_id,)
    # Progress of a run that was not heard of may be taken for its start.
    return type_ != "ProgressReported"


def _create(fields: dict[str, Any], data: Mapping[str, Any], at: datetime) -> bool:
    if fields["version"]:
        return False
    fields["version"], fields["state"] = 1, JobState.QUEUED
    fields["create_time"] = fields["update_time"] = at
    fields["labels"], fields["spec"] = data.get("labels", {}), data.get("spec", {})
    fields["lineage"] = {key: data[key] for key in LINEAGE_KEYS if key in data} or None
    return True
