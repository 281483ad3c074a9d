"""The agreement of human labelers."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics.agreement import Rule, agree, read_kept
from jobledger.domain.metrics.evaluation import read_plan
from jobledger.domain.metrics.examples import Truth
from jobledger.infra.evaluation.tasks.tasks import Task
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, reading_again, translated
from jobledger.infra.read.reader import Reader

READ_ANSWERS: Final = sql.load(__package__, "read_answers")
READ_REQUESTED: Final = sql.load(__package__, "read_requested")


@reading_again
def agreed_truths(reader: Reader, task: Task) -> dict[int, Truth | None]:
    """The ground truth that labelers agreed on, by the number of the sample; None if they did not agree."""
    with translated(), reader.pool.connection() as connection:
        rule = Rule(task.aggregation, task.boxes, task.multi_label)
        return dict(_agreed(connection, task.job, task.run, rule))


def agreed(connection: Connection, job: Job, run: int) -> dict[int, Truth]:
    """The ground truth that labelers of a run agreed on; empty if the run has no labeling task."""
    row = connection.execute(READ_REQUESTED, (job.name, run)).fetchone()
    if row is None:
        return {}
    asked = orjson.loads(row[0])
    aggregation = asked.get("aggregation", "MAJORITY_VOTE")
    rule = Rule(aggregation, read_plan(job.spec).boxes, asked.get("multiLabel", False))
    found = _agreed(connection, job.name, run, rule)
    return {number: truth for number, truth in found if truth is not None}


def _agreed(
    connection: Connection, name: str, run: int, rule: Rule
) -> Iterator[tuple[int, Truth | None]]:
    rows = connection.execute(READ_ANSWERS, (name, run)).fetchall()
    for number, answers in groupby(rows, lambda row: int(row[0])):
        in_order = sorted(answers, key=lambda row: (row[3], row[1]))
        yield number, agree([read_kept(orjson.loads(row[2])) for row in in_order], rule)
