"""An evaluation job's runs, kept in the job's `output`.

`openRuns` are the numbers of the runs without an evaluation or failure, `lastRun` is the last one
started, and `attempts` are the failed ones (EvaluationJob.attempts).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain import run_events as r
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import EVALUATION, RunRule
from jobledger.domain.values.canonical import JsonObject

OWN: Final = ("attempts", "lastRun", "openRuns")
"""The part of the output that run events write."""


class LastRun(NamedTuple):
    """The run that was started last; number 0 before the first one."""

    run: int
    run_time: datetime | None
    cut: int


def last_run(output: JsonObject | None) -> LastRun:
    """Reads the last run from a job's output.

    Args:
        output: The job's output.

    Returns:
        The last run.

    Raises:
        InvalidFieldError: The output was not written by runs.
    """
    value = (output or {}).get("lastRun")
    if not isinstance(value, dict):
        return LastRun(0, None, 0)
    try:
        run, cut = value["run"], value["cut"]
        time = datetime.fromisoformat(value["runTime"])
    except (KeyError, TypeError, ValueError):
        raise InvalidFieldError(
            "output.lastRun",
            f"{str(value)[:80]} is not a run: a run has run, runTime with a zone, and cut",
        ) from None
    if type(run) is not int or type(cut) is not int or time.tzinfo is None:
        raise InvalidFieldError(
            "output.lastRun",
            f"{str(value)[:80]} is not a run: a run has run, runTime with a zone, and cut",
        )
    return LastRun(run, time, cut)


def open_runs(output: JsonObject | None) -> Sequence[int]:
    """Returns the numbers of the open runs, in the order in which they were started."""
    return [run for run in _list(output or {}, "openRuns") if type(run) is int]


def fold_run(output: JsonObject | None, data: Data) -> JsonObject:
    """The output once a run started, was evaluated, or failed."""
    fields = dict(output or {})
    runs = _list(fields, "openRuns")
    match data:
        case r.RunStarted(run=run):
            fields["lastRun"] = {"run": run, "runTime": data.run_time, "cut": data.cut}
            runs = [*runs, run]
        case r.EvaluationCreated(run=run):
            runs = [n for n in runs if n != run]
        case r.RunFailed(run=run):
            runs = [n for n in runs if n != run]
            failed = {"attemptTime": data.attempt_time, "partialFailures": data.partial_failures}
            fields["attempts"] = [*_list(fields, "attempts"), failed]
    fields["openRuns"] = runs
    return fields


def kept(output: JsonObject | None) -> JsonObject:
    """Returns the fields of the output that runs write; no report replaces them."""
    return {key: output[key] for key in OWN if key in output} if output else {}


def check_reported(report: Data) -> None:
    """Checks that a report's output has no field that only runs write.

    Args:
        report: The report.

    Raises:
        InvalidFieldError: The output has such a field.
    """
    output = getattr(report, "output", None)
    for field in OWN:
        if isinstance(output, dict) and field in output:
            raise InvalidFieldError(
                f"data.output.{field}",
                "is written by the job's runs only; leave it out of the report",
            )


def run_accepts(data: Data, output: JsonObject | None) -> bool:
    """Whether the event's run meets the event's rule (`Rule.run`)."""
    rule = EVALUATION[type(data).__name__].run
    if rule is None:
        return True
    assert isinstance(data, r.RunEvent)
    if rule is RunRule.NEXT:
        last = last_run(output)
        return data.run == last.run + 1 and getattr(data, "cut", last.cut) >= last.cut
    return data.run in open_runs(output)


def closes_last(data: Data, output: JsonObject | None) -> bool:
    """Whether the event closes a run, and no other run is open."""
    closes = EVALUATION[type(data).__name__].run is RunRule.CLOSES
    return closes and isinstance(data, r.RunEvent) and not set(open_runs(output)) - {data.run}


def _list(fields: JsonObject, field: str) -> list[Any]:
    found = fields.get(field)
    return found if isinstance(found, list) else []
