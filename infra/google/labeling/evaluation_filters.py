"""The filter of SearchEvaluations, in SQL.

    evaluation_job.evaluation_job_id                the last part of EvaluationJob.name
    evaluation_job.model_id                         M, of EvaluationJob.modelVersion projects/P/models/M/versions/V
    evaluation_job.evaluation_job_run_time_start    Evaluation.evaluationJobRunTime from then on
    evaluation_job.evaluation_job_run_time_end      and up to then, with any comparator
    evaluation_job.job_state                        EvaluationJob.state, as it is now
    annotation_spec.display_name                    the label that the evaluation is about

Names may be in camel case, too. A filter that names a label finds evaluations of labels;
any other filter finds those over all labels, one for each run.

Source: the parameter `filter` of datalabeling.projects.evaluations.search.
"""

import re
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filters import All, Filter, Restriction, parts_of
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.google.wire.dialects import EVALUATION_STATES, in_states, read_filter
from jobledger.infra.google.wire.masks import camel
from jobledger.infra.google.wire.scalars import Refused, timestamp
from jobledger.infra.read.lists.filter_fields import Column
from jobledger.infra.read.lists.filter_sql import Rendering
from psycopg.sql import SQL, Composable

_TIME: Final = re.compile(
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"""
)
"""A quoted text, or an unquoted time as in the example of the API's reference."""
_NANOSECONDS: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
_EQUAL: Final = frozenset({"=", ":", "!="})
_BOUND: Final = frozenset({"=", ":", "<", "<=", ">", ">="})

FIELDS: Final = (
    "evaluation_job.evaluation_job_id",
    "evaluation_job.model_id",
    "evaluation_job.evaluation_job_run_time_start",
    "evaluation_job.evaluation_job_run_time_end",
    "evaluation_job.job_state",
    "annotation_spec.display_name",
)
"""Fields of filters, in camel or snake case."""

EVERYTHING: Final = All(())

OVERALL: Final = SQL("SELECT 0 AS place, runs.evaluations::json -> 0 AS evaluation")
BY_LABEL: Final = SQL(
    "SELECT n::integer AS place, one AS evaluation"
    " FROM json_array_elements(runs.evaluations::json) WITH ORDINALITY AS ones (one, n) WHERE n > 1"
)
"""Which evaluations of a run a filter is about: the one over all labels, or those of each label."""


class Found(NamedTuple):
    """A filter in SQL: its rows, its condition, and its parameters."""

    listed: SQL
    condition: Composable
    parameters: dict[str, Any]


def render(text: str) -> Found:
    """Renders a filter; raises InvalidFieldError for one that cannot be parsed, or for an unknown field or value."""
    quoted = _TIME.sub(lambda match: match[1] or f'"{match[2]}"', text)
    tree = read_filter(quoted, EVERYTHING, _translate)
    rendering = _Rendering()
    by_label = any(isinstance(part, Restriction) and part.field == LABEL for part in parts_of(tree))
    condition = rendering.condition(tree)
    return Found(BY_LABEL if by_label else OVERALL, condition, rendering.parameters)


def of_model(restriction: Restriction) -> Restriction:
    """Returns a comparison with a model's id as a comparison of model versions; raises InvalidFieldError."""
    if restriction.comparator not in _EQUAL:
        raise InvalidFieldError("filter", "model ids cannot be ordered; compare them with =")
    begins, ends = restriction.wildcards
    model = restriction.value[begins : len(restriction.value) - ends]
    versions = f"{'*' if begins else '*/models/'}{model}{'*' if ends else '/versions/*'}"
    return Restriction(("spec", "modelVersion"), restriction.comparator, versions, (True, True))


LABEL: Final = ("annotation_spec",)
JOB_ID: Final = ("job_id",)
RUN_TIME: Final = ("run_time",)


def _as_it_is(_: str, text: str) -> str:
    return text


def _as_time(_: str, text: str) -> str:
    try:
        # Truncated to microseconds, because PostgreSQL would round.
        return _NANOSECONDS.sub(r"\1", str(timestamp(text, 0)))
    except Refused as refused:
        raise InvalidFieldError("filter", f"{text[:80]!r} {refused.why}") from None


COLUMNS: Final[dict[tuple[str, ...], Column]] = {
    LABEL: Column(
        "coalesce(evaluation #>> '{evaluationMetrics,classificationMetrics,prCurve,annotationSpec,displayName}',"
        " evaluation #>> '{evaluationMetrics,objectDetectionMetrics,prCurve,annotationSpec,displayName}')",
        _as_it_is,
    ),
    JOB_ID: Column("split_part(name, '/', -1)", _as_it_is),
    # All evaluations of a run have the same. It is near the beginning of a long text, so only text that may be
    # written differently is parsed as JSON.
    RUN_TIME: Column(
        'coalesce(substring(left(evaluations, 500) from \'"evaluationJobRunTime":"([^"]*)"\'),'
        " evaluations::json -> 0 ->> 'evaluationJobRunTime')::timestamptz",
        _as_time,
    ),
}
"""Columns in addition to those of jobs."""


class _Rendering(Rendering):
    """Renders conditions on jobs, and on their evaluations."""

    def field(self, field: tuple[str, ...], asked_by: str = "filter") -> tuple[Composable, Column]:
        column = COLUMNS.get(field)
        if column is None:
            return super().field(field, asked_by)
        return SQL("({})").format(SQL(column.expression)), column

    def _ever(self, _: Filter) -> Composable:
        raise InvalidFieldError("filter", "ever() is not supported: evaluations never change")


def _translate(restriction: Restriction) -> Filter:
    match [*map(camel, restriction.field)]:
        case ["evaluationJob", "evaluationJobId"]:
            return _compared(restriction, JOB_ID)
        case ["evaluationJob", "modelId"]:
            return of_model(restriction)
        case ["evaluationJob", "evaluationJobRunTimeStart"]:
            return _bound(restriction, ">=")
        case ["evaluationJob", "evaluationJobRunTimeEnd"]:
            return _bound(restriction, "<=")
        case ["evaluationJob", "jobState"]:
            return in_states(restriction, EVALUATION_STATES)
        case ["annotationSpec", "displayName"]:
            return _compared(restriction, LABEL)
    asked = ".".join(restriction.field)
    raise InvalidFieldError("filter", f"there is no field {asked!r}{did_you_mean(asked, FIELDS)}")


def _compared(restriction: Restriction, field: tuple[str, ...]) -> Filter:
    if restriction.comparator not in _EQUAL:
        raise InvalidFieldError(
            "filter", f"{'.'.join(restriction.field)} cannot be ordered; compare it with ="
        )
    return restriction._replace(field=field)


def _bound(restriction: Restriction, comparator: str) -> Filter:
    """Returns the bound: `start = T`, as the API has it, means the same as `start >= T`."""
    if restriction.comparator not in _BOUND:
        raise InvalidFieldError(
            "filter", f"{'.'.join(restriction.field)} is a bound already; compare it with ="
        )
    return Restriction(RUN_TIME, comparator, restriction.value)
