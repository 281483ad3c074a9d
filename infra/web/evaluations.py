"""Evaluation jobs on the reports page: mean average precision over time, curves, confusion matrices."""

from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.states import TERMINAL
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name
from jobledger.infra.evaluation.samples import reading
from jobledger.infra.evaluation.tasks.tasks import Task, open_tasks
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import Chart, Span, curves, lines
from jobledger.infra.web.fleet_page.job_list import Scope
from jobledger.infra.web.reports import ReportLink, read_moment

MAX_JOBS: Final = 100
MAX_CURVES: Final = 10
MAX_LABELS: Final = 40
SHADES: Final = 9


class Cell(NamedTuple):
    """How many items of the row's label were predicted as the column's; `shade` is its share of the row, 0 to 9."""

    items: int
    shade: int


class Run(NamedTuple):
    """One run, as a row of the table."""

    number: int
    time: Any
    items: str
    precision: float
    area: float


class Evaluations(NamedTuple):
    """The jobs to choose from, the runs of the chosen job, and the measures of the chosen run."""

    link: ReportLink
    jobs: list[str]
    runs: list[Run]
    over_time: Chart | None
    curve: Chart | None
    points: list[tuple[float, float, float]]
    """Points of the aggregate's curve: confidence threshold, recall, precision."""
    labels: list[str]
    matrix: list[tuple[str, list[Cell]]]
    tasks: list[Task]
    """The labeling tasks that wait for answers."""
    overall: JsonObject = {}
    """The metrics over all labels, whose matrix may have more than the shown labels."""

    @property
    def label_count(self) -> int:
        """How many labels the whole confusion matrix has."""
        return len(_rows(self.overall))


def read_evaluations(reader: Reader, link: ReportLink, scope: Scope) -> Evaluations:
    """Reads the page's data; raises InvalidFieldError for an unknown run, and JobNotFoundError."""
    moment = read_moment(reader, link)
    pinned = link._replace(ledger=reader.name, at=str(moment))
    wanted = 'kind = "evaluationJobs"'
    page = reader.page(scope(wanted), page_size=MAX_JOBS, as_of=moment)
    jobs = [job.name for job in page.jobs]
    name = link.job or next(iter(jobs), "")
    if not name:
        return Evaluations(pinned, [], [], None, None, [], [], [], [])
    if not reader.page(scope(f'name = "{parse_name(name)}"'), page_size=1, as_of=moment).jobs:
        raise JobNotFoundError(name)
    known = {
        int(event.json["run"])
        for event in reader.history(name)
        if event.type == "EvaluationCreated" and event.position <= moment.position
    }
    found = {
        run: results
        for run, results in reading.read_evaluated(reader, name).items()
        if run in known
    }
    live = (job.name for job in page.jobs if job.state not in TERMINAL)
    tasks = [task for each in live for task in _open_tasks(reader, each)]
    return _shown(pinned._replace(job=name), jobs, found)._replace(tasks=tasks)


def _open_tasks(reader: Reader, name: str) -> list[Task]:
    """The job's open tasks; none if it was deleted since the moment, or its plan cannot be read."""
    try:
        return open_tasks(reader, name)
    except (JobNotFoundError, InvalidFieldError):
        return []


def rows_of(shown: Evaluations, of: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Returns the columns and rows of the `curve`, the `runs`, or the `matrix`; raises InvalidFieldError."""
    match of:
        case "curve":
            return ["confidenceThreshold", "recall", "precision"], [*shown.points]
        case "runs":
            return ["run", "time", "items", "meanAveragePrecision", "areaUnderCurve"], [*shown.runs]
        case "matrix":
            labels, matrix = _matrix(_rows(shown.overall))
            rows = [(label, *(cell.items for cell in cells)) for label, cells in matrix]
            return ["true", *labels], rows
    raise InvalidFieldError("of", f"{of[:40]!r} is not curve, runs or matrix")


def _shown(link: ReportLink, jobs: list[str], found: dict[int, list[JsonObject]]) -> Evaluations:
    runs = [_run(number, result[0]) for number, result in sorted(found.items())]
    if not runs:
        return Evaluations(link, jobs, [], None, None, [], [], [], [])
    number = int(link.run) if link.run.isascii() and link.run.isdigit() else runs[-1].number
    if number not in found or (link.run and link.run != str(number)):
        raise InvalidFieldError("run", f"there is no evaluation of run {link.run[:20]!r}")
    link = link._replace(run=str(number))
    span = Span(runs[0].time, runs[-1].time)
    over_time = lines(span, {"mAP": [(run.time, run.precision) for run in runs]}, top=1)
    metrics = [reading.metrics_of(result) for result in found[number]]
    labels, matrix = _matrix(_rows(metrics[0])[:MAX_LABELS])
    points = _points(metrics[0]["prCurve"])
    curve = curves({_label(each): [(r, p) for _, r, p in _points(each["prCurve"])] for each in metrics[:MAX_CURVES]})  # fmt: skip
    return Evaluations(link, jobs, runs, over_time, curve, points, labels, matrix, [], metrics[0])


def _run(number: int, result: JsonObject) -> Run:
    area = float(reading.metrics_of(result)["prCurve"]["areaUnderCurve"])
    items = str(result["evaluatedItemCount"])
    return Run(number, reading.run_time_of(result), items, reading.precision_of(result), area)


def _label(metrics: JsonObject) -> str:
    spec = metrics["prCurve"].get("annotationSpec")
    return "all labels" if spec is None else str(spec["displayName"])


def _points(curve: JsonObject) -> list[tuple[float, float, float]]:
    return [
        (float(e.get("confidenceThreshold", 0)), float(e.get("recall", 0)), float(e.get("precision", 0)))
        for e in curve["confidenceMetricsEntries"]
    ]  # fmt: skip


def _rows(metrics: JsonObject) -> list[JsonObject]:
    """Returns the rows of the confusion matrix; none for boxes."""
    rows: list[JsonObject] = metrics.get("confusionMatrix", {}).get("row", [])
    return rows


def _matrix(rows: list[JsonObject]) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """Returns the labels of the columns, and one row for each label; both are empty if there is no matrix."""
    labels = [str(row["annotationSpec"]["displayName"]) for row in rows]
    return labels, [(label, _cells(row, labels)) for label, row in zip(labels, rows, strict=True)]


def _cells(row: JsonObject, labels: list[str]) -> list[Cell]:
    cells = {
        str(each["annotationSpec"]["displayName"]): int(each.get("itemCount", 0))
        for each in row.get("entries", [])
    }
    whole = sum(cells.values()) or 1
    counts = [cells.get(label, 0) for label in labels]
    return [Cell(count, round(SHADES * count / whole)) for count in counts]
