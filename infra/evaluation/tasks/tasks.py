"""Labeling tasks: the questions to annotators about a run's samples.

A task is open from its LabelingRequested until it is answered, or its run is over.
"""

from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain import run_events as r
from jobledger.domain.metrics.evaluation import ANNOTATIONS, Plan, read_plan
from jobledger.domain.metrics.showing import Display, show
from jobledger.domain.runs import open_runs
from jobledger.domain.states import EVALUATION_JOBS, allowed
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.evaluation.errors import TaskNotFoundError
from jobledger.infra.evaluation.samples.of_run import run_range
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, reading_again, translated
from jobledger.infra.read.reader import Reader
from pydantic.alias_generators import to_camel

MAX_PAGE: Final = 4 * 1024 * 1024
"""Characters of the questions in one answer."""
READ_QUESTIONS: Final = sql.load(__package__, "read_questions")
COUNT_ANSWERS: Final = sql.load(__package__, "count_answers")
COUNT_FOR: Final = sql.load(__package__, "count_for")


class Task(NamedTuple):
    """The labeling task of a run, with the instruction of the time it was opened."""

    job: str
    run: int
    instruction: str
    labels: tuple[str, ...]
    """The allowed labels, in the order of the annotation spec set; empty if that is not known."""
    multi_label: bool
    boxes: bool
    data_type: str
    """IMAGE, TEXT or GENERAL_DATA."""
    replica_count: int
    """How many annotators answer each question."""
    aggregation: str
    question_count: int
    answer_count: int
    """Answers of all labelers; question_count times replica_count at the end."""
    is_open: bool


class Question(NamedTuple):
    """A sample to label, without the model's prediction."""

    number: int
    data: Any
    """The prediction's input, JSON."""
    shown: Display


class Progress(NamedTuple):
    """Answers of one labeler."""

    answered: int
    remaining: int
    """Questions that they may answer still."""


def open_tasks(reader: Reader, name: str) -> list[Task]:
    """The tasks of a job that wait for answers, by their runs; raises JobNotFoundError."""
    return [task for task in _tasks(reader, name).values() if task.is_open]


def find_task(reader: Reader, name: str, run: int) -> Task:
    """The task of a run, open or not; raises JobNotFoundError and TaskNotFoundError."""
    task = _tasks(reader, name).get(run)
    if task is None:
        raise TaskNotFoundError(name, run)
    return task


@reading_again
def questions(
    reader: Reader, task: Task, annotator: str | None = None, after: int = 0, limit: int = 100
) -> list[Question]:
    """Samples after a number that want an answer still; none that the annotator answered."""
    plan = read_plan(reader.get(task.job).spec)
    with translated(), reader.pool.connection() as connection:
        asked = _asked(connection, task, annotator) | {"most": limit, "size": MAX_PAGE}
        asked["first"] = max(asked["first"], after + 1)
        rows = connection.execute(READ_QUESTIONS, asked).fetchall() if task.is_open else []
    given = ((number, orjson.loads(raw)) for number, raw in rows)
    return [Question(number, data, show(plan, data)) for number, data in given]


@reading_again
def progress(reader: Reader, task: Task, annotator: str | None) -> Progress:
    """How many questions an annotator has answered; without an annotator, how many are open at all."""
    with translated(), reader.pool.connection() as connection:
        asked = _asked(connection, task, annotator)
        answered, remaining = connection.execute(COUNT_FOR, asked).fetchall()[0]
    return Progress(answered, remaining if task.is_open else 0)


def task_json(task: Task) -> JsonObject:
    """Returns a task as JSON."""
    return {to_camel(field): value for field, value in task._asdict().items()}


def count_answers(connection: Connection, name: str) -> dict[int, int]:
    """How many answers each run of a job has."""
    return dict(connection.execute(COUNT_ANSWERS, (name,)).fetchall())


def _asked(connection: Connection, task: Task, annotator: str | None) -> dict[str, Any]:
    first, last = run_range(connection, task.job, task.run)
    return {
        "job": task.job, "run": task.run, "first": first, "last": last,
        "replicas": task.replica_count, "annotator": annotator,
    }  # fmt: skip


@reading_again
def _tasks(reader: Reader, name: str) -> dict[int, Task]:
    job = reader.get(name)
    asked, done = dict[int, r.LabelingRequested](), set[int]()
    for event in reader.history(name):
        match event.data if event.schema else None:
            case r.LabelingRequested() as data:
                asked[data.run] = data
            case r.LabelingCompleted(run=run):
                done.add(run)
    if not asked:
        return {}
    plan = read_plan(job.spec)
    with translated(), reader.pool.connection() as connection:
        counts = count_answers(connection, name)
    # Where a task cannot be completed, it takes no answers.
    may = job.state is not None and allowed("LabelingCompleted", job.state, EVALUATION_JOBS)
    waiting = set(open_runs(job.output)) - done if may else set[int]()
    return {
        run: _task(name, plan, data, counts.get(run, 0), is_open=run in waiting)
        for run, data in asked.items()
    }


def _task(
    name: str, plan: Plan, asked: r.LabelingRequested, answer_count: int, *, is_open: bool
) -> Task:
    return Task(
        job=name,
        run=asked.run,
        instruction=asked.instruction,
        labels=tuple(asked.labels),
        multi_label=asked.multi_label,
        boxes=plan.boxes,
        data_type=ANNOTATIONS[plan.annotation],
        replica_count=asked.replica_count,
        aggregation=asked.aggregation,
        question_count=asked.question_count,
        answer_count=answer_count,
        is_open=is_open,
    )
