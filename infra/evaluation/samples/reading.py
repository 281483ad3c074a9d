"""Samples, rejected predictions and evaluations of evaluation jobs, as JSON."""

from datetime import datetime
from typing import Any, Final

import orjson
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader

MAX_PAGE: Final = 4 * 1024 * 1024
"""Characters of JSON in one answer."""
READ_PAGE: Final = sql.load(__package__, "read_page")
READ_REJECTED: Final = sql.load(__package__, "read_rejected")
READ_EVALUATED: Final = sql.load(__package__, "read_evaluated")


def read_page(reader: Reader, name: str, after: int, most: int) -> list[JsonObject]:
    """Reads a job's samples after a number; JSON is as recorded."""
    rows = _rows(reader, READ_PAGE, (name, after, most, MAX_PAGE))
    return [
        {"number": number, "modelVersion": f"{model}/{version}", "time": time_text(time)}
        | _said(*value)
        for number, model, version, time, *value in rows
    ]


def read_rejected(reader: Reader, name: str, after: int, most: int) -> list[JsonObject]:
    """A job's predictions that could not be sampled, after a number."""
    rows = _rows(reader, READ_REJECTED, (name, after, most, MAX_PAGE))
    return [
        {"number": number, "why": why, "time": time_text(time)} | _said(*value)
        for number, why, time, *value in rows
    ]


def read_evaluated(reader: Reader, name: str) -> dict[int, list[JsonObject]]:
    """The Evaluation messages of a job, by the number of their run."""
    rows = _rows(reader, READ_EVALUATED, (name,))
    return {run: orjson.loads(evaluations) for run, evaluations in rows}


def metrics_of(evaluation: JsonObject) -> JsonObject:
    """The one kind of metrics that an Evaluation has."""
    (metrics,) = evaluation["evaluationMetrics"].values()
    assert isinstance(metrics, dict)
    return metrics


def precision_of(evaluation: JsonObject) -> float:
    """Its mean average precision."""
    return float(metrics_of(evaluation)["prCurve"]["meanAveragePrecision"])


def run_time_of(evaluation: JsonObject) -> datetime:
    """The time at which the run of this evaluation began."""
    return datetime.fromisoformat(evaluation["evaluationJobRunTime"])


@reading_again
def _rows(reader: Reader, statement: bytes, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with translated(), reader.pool.connection() as connection:
        return connection.execute(statement, parameters).fetchall()


def _said(data: str, prediction: str, truth: str | None) -> JsonObject:
    fields = {"input": orjson.loads(data), "output": orjson.loads(prediction)}
    return fields if truth is None else fields | {"groundTruth": orjson.loads(truth)}
