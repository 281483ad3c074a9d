"""Data Labeling v1beta1 evaluations: the results of runs of evaluation jobs, which are only read here.

An evaluation exists from its run's EvaluationCreated on, and is kept when its job is deleted.
"""

from typing import Any, Final, NamedTuple

from jobledger.domain.errors import JobNotFoundError, LedgerError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name
from jobledger.infra.google.labeling.comparisons import Run, read_comparisons
from jobledger.infra.google.labeling.evaluation_filters import render
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.calls import Call, Method, in_thread
from jobledger.infra.google.wire.paging import cursor_of, token_of
from jobledger.infra.google.wire.resources import bare
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.lists.page_tokens import PageCursor
from psycopg.sql import Literal

API: Final = messages.load("datalabeling_v1beta1")
FIND_EVALUATED: Final = sql.load(__package__, "find_evaluated")
SEARCH_EVALUATIONS: Final = sql.template(__package__, "search_evaluations")
DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 100
"""The most evaluations in one page, because their curves are long."""
MAX_COMPARISONS: Final = 1_000


class EvaluationNotFoundError(JobNotFoundError):
    """The evaluation does not exist, or its run has not ended yet."""

    def __init__(self, name: str) -> None:
        LedgerError.__init__(self, f"there is no evaluation {name[:200]}")
        self.name = name


class Found(NamedTuple):
    """An evaluation and its run."""

    evaluation: JsonObject
    run: Run


def get(call: Call) -> JsonObject:
    """Gets one evaluation (evaluations.get)."""
    return _find(call).evaluation


def search(call: Call) -> JsonObject:
    """Searches evaluations over all labels, or of the labels that the filter names (evaluations.search)."""
    query = ("evaluations", call.project, call.query.get("filter", ""))
    size = call.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE)
    rows = _search(call, query[2], cursor_of(call, *query), size + 1)
    token = None
    if len(rows) > size:
        _, time, run, dataset, place = rows[size - 1]
        after = (time.isoformat(), f"{run} {dataset}")
        token = token_of(call, query, offset=place, after=after)
    return bare({"evaluations": [row[0] for row in rows[:size]], "nextPageToken": token})


def search_comparisons(call: Call) -> JsonObject:
    """Returns the run's examples with ground truth, in the order in which they were sampled (exampleComparisons.search)."""
    body = API.parse("SearchExampleComparisonsRequest", call.body or {})
    call = call._replace(query={field: str(value) for field, value in body.items()})
    size = call.page_size(DEFAULT_PAGE_SIZE, MAX_COMPARISONS)
    query = ("exampleComparisons", *call.ids)
    place = cursor_of(call, *query)
    run = _find(call).run
    shown, last = read_comparisons(call.reader, run, 0 if place is None else place.offset, size)
    token = None if last is None else token_of(call, query, offset=last)
    return bare({"exampleComparisons": shown, "nextPageToken": token})


@reading_again
def _find(call: Call) -> Found:
    dataset = f"{call.project}/datasets/{call.ids[1]}"
    name = f"{dataset}/evaluations/{call.ids[2]}"
    if "\0" in name:
        raise EvaluationNotFoundError(name)
    with translated(), call.reader.pool.connection() as connection:
        row = connection.execute(FIND_EVALUATED, (dataset,)).fetchone()
    job, number, evaluations = row or ("", 0, [])
    found = next((one for one in evaluations if one["name"] == name), None)
    if found is None:
        raise EvaluationNotFoundError(name)
    return Found(found, Run(job, number, dataset))


@reading_again
def _search(call: Call, filter: str, after: PageCursor | None, limit: int) -> list[tuple[Any, ...]]:
    """Returns rows: the evaluation, its create time, run and dataset, and its index in the run."""
    parse_name(f"{call.project}/evaluationJobs/1")
    listed, condition, parameters = render(filter)
    time, behind = (None, "") if after is None or after.after is None else after.after
    run, _, dataset = behind.partition(" ")
    given = {
        "parent": call.project,
        "time": time,
        "run": int(run or 0),
        "dataset": dataset,
        "place": 0 if after is None else after.offset,
    }
    statement = SEARCH_EVALUATIONS.format(listed=listed, condition=condition, limit=Literal(limit))
    with translated(), call.reader.pool.connection() as connection:
        return connection.execute(statement, given | parameters).fetchall()


_EVALUATIONS: Final = "v1beta1/projects/*/datasets/*/evaluations/*"
_SERVICE: Final = "datalabeling.projects"
METHODS: Final = (
    Method(f"{_SERVICE}.datasets.evaluations.get", "GET", _EVALUATIONS, in_thread(get)),
    Method(
        f"{_SERVICE}.evaluations.search", "GET", "v1beta1/projects/*/evaluations:search", in_thread(search),
        frozenset({"filter", "pageSize", "pageToken"}),
    ),
    Method(
        f"{_SERVICE}.datasets.evaluations.exampleComparisons.search", "POST",
        f"{_EVALUATIONS}/exampleComparisons:search", in_thread(search_comparisons),
        body="SearchExampleComparisonsRequest",
    ),
)  # fmt: skip
