"""The fields of ml v1's Job: one table defines how the API and the view `google_ml_jobs` show a job.

Migrations contain the generated view; a test compares the newest one with `view_query`. To change a
field, change the table, and add a migration that replaces the function `google_ml_job_rows`.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.labels import google_labels
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.dialects import ML_RENAMED, ML_STATES
from jobledger.infra.google.wire.resources import (
    bare,
    given_fields,
    made_fields,
    reported_fields,
    time_text,
)
from jobledger.infra.postgres import sql
from psycopg.sql import SQL, Composed, Identifier

API: Final = messages.load("ml_v1")
EXPLAINED: Final = tuple(
    state.name
    for state, shown in ML_STATES.items()
    if shown in {"FAILED", "CANCELLING", "CANCELLED"}
)
"""The states whose reason is in errorMessage."""
OUTPUTS: Final = {"trainingInput": "trainingOutput", "predictionInput": "predictionOutput"}
VIEW: Final = sql.template(__package__, "google_ml_jobs")


class Shown(NamedTuple):
    """A job, and the values that several of its fields are made from."""

    job: Job
    state: JobState
    position: int | None
    """Its position in the queue."""
    spec: JsonObject
    output: JsonObject


class JobField(NamedTuple):
    """One field of the message, and one column of the view."""

    name: str
    type: str
    """The column's type in SQL."""
    shown: Callable[[Shown], Any]
    """The field's value; None leaves it out."""
    column: str
    """The expression in SQL: `j` is the row of the job, `p` its place, `i` which inputs and outputs it has."""


def resource(job: Job, position: int | None = None) -> JsonObject:
    """Returns the Job message.

    Args:
        job: The job.
        position: Its position in the queue; None if it does not wait.

    Returns:
        The message as JSON.
    """
    assert job.state is not None
    spec = given_fields(API, "Job", job.spec)
    shown = Shown(job, job.state, position, spec, _output(job, spec))
    return bare({field.name: field.shown(shown) for field in FIELDS})


def view_query(schema: str) -> Composed:
    """Returns the query of the function `google_ml_job_rows`, on which the view `google_ml_jobs` is based."""
    columns = SQL(", ").join(SQL(field.column).format(s=Identifier(schema)) for field in COLUMNS)
    return VIEW.format(columns=columns, s=Identifier(schema))


def _output(job: Job, spec: JsonObject) -> JsonObject:
    """Returns the reported output: one of the two fields, or the content of the one that fits the input."""
    output = job.output or {}
    reported = made_fields(API, "Job", {k: output[k] for k in OUTPUTS.values() if k in output})
    fitting = next((OUTPUTS[field] for field in OUTPUTS if field in spec), None)
    if reported or fitting is None:
        return reported
    message = API.fields("Job")[fitting]
    within = reported_fields(API, message, output)
    return {fitting: within} if within else {}


def _state_column() -> str:
    cases = " ".join(f"WHEN '{state.name}' THEN '{shown}'" for state, shown in ML_RENAMED.items())
    return f"CASE j.state {cases} ELSE coalesce(j.state, 'STATE_UNSPECIFIED') END"


def _output_column(field: str, fits: str) -> str:
    known = ",".join(sorted(API.fields(API.fields("Job")[field])))
    return f"{{s}}.google_ml_output( j.output, '{field}', {fits}, '{{{{{known}}}}}' )"


def _error_column() -> str:
    states = ", ".join(f"'{name}'" for name in EXPLAINED)
    return f"CASE WHEN j.state IN ({states}) THEN j.error_message END"


FIELDS: Final = (
    JobField("createTime", "timestamptz", lambda s: time_text(s.job.create_time), "j.create_time"),
    JobField("endTime", "timestamptz", lambda s: time_text(s.job.end_time), "j.end_time"),
    JobField(
        "errorMessage",
        "text",
        lambda s: s.job.error_message if s.state.name in EXPLAINED else None,
        _error_column(),
    ),
    JobField("etag", "text", lambda s: s.job.etag, "j.etag"),
    JobField(
        "jobId", "text", lambda s: s.job.name.rpartition("/")[2], "split_part(j.name, '/', 4)"
    ),
    JobField(
        "jobPosition",
        "bigint",
        lambda s: None if s.position is None else str(s.position),
        "p.place",
    ),
    JobField(
        "labels", "jsonb", lambda s: google_labels(s.job.labels), "{s}.google_labels(j.labels)"
    ),
    JobField(
        "predictionInput",
        "json",
        lambda s: s.spec.get("predictionInput"),
        "{s}.google_field(j.spec, 'predictionInput')",
    ),
    JobField(
        "predictionOutput",
        "json",
        lambda s: s.output.get("predictionOutput"),
        _output_column("predictionOutput", "NOT i.trains AND i.predicts"),
    ),
    JobField("startTime", "timestamptz", lambda s: time_text(s.job.start_time), "j.start_time"),
    JobField("state", "text", lambda s: ML_STATES[s.state], _state_column()),
    JobField(
        "trainingInput",
        "json",
        lambda s: s.spec.get("trainingInput"),
        "CASE WHEN NOT i.predicts THEN {s}.google_field(j.spec, 'trainingInput') END",
    ),
    JobField(
        "trainingOutput",
        "json",
        lambda s: s.output.get("trainingOutput"),
        f"CASE WHEN NOT i.predicted THEN {_output_column('trainingOutput', 'i.trains')} END",
    ),
)
COLUMNS: Final = (*FIELDS, JobField("projectsId", "text", lambda s: None, "j.project"))
"""The fields, and the project for filtering the view."""
