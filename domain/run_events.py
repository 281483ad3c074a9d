"""What can happen to an evaluation job beside what happens to any: runs, their datasets, labels and evaluations.

A run is numbered within its job, from 1 without gaps. It takes the samples after the previous
run's cut up to its own, so that its start alone says which dataset each sample is in.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from jobledger.domain.data import Data
from pydantic import AfterValidator, Field


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError("is no moment in UTC")
    return text


Utc = Annotated[str, AfterValidator(_utc)]
"""RFC 3339, in UTC."""
Run = Annotated[int, Field(strict=True, ge=1)]
Count = Annotated[int, Field(strict=True, ge=0)]


class RunEvent(Data):
    """An event about one run of an evaluation job."""

    run: Run


class RunStarted(RunEvent):
    """A run is open: it takes the samples after the last run's cut, up to number `cut`.

    `run_time` is the moment it was due.
    """

    run_time: Utc
    cut: Count = 0


class DatasetCreated(RunEvent):
    """A run's samples are a dataset: `digest` is the SHA-256, in hex, of what they said then."""

    dataset: str = ""
    example_count: Count = 0
    digest: str | None = None


class LabelingRequested(RunEvent):
    """People are asked for what is true of the samples that nobody told of: a labelling task is open.

    All that the task says stays as it was then, whatever becomes of the job's configuration.
    """

    question_count: Count = 0
    replica_count: Run = 1
    aggregation: str = "MAJORITY_VOTE"
    instruction: str = ""
    labels: list[str] = []
    multi_label: bool = Field(default=False, strict=True)


class LabelingCompleted(RunEvent):
    """Every question of the task has its answers: `digest` is the SHA-256, in hex, of them."""

    answer_count: Count = 0
    digest: str | None = None


class EvaluationCreated(RunEvent):
    """A run is over, and this is what it found: `digest` is the SHA-256 of the evaluations, in hex."""

    evaluation: str = ""
    evaluated_item_count: Count = 0
    mean_average_precision: float | None = None
    area_under_curve: float | None = None
    digest: str | None = None


class RunFailed(RunEvent):
    """A run is over, and there is no evaluation; it becomes an Attempt of the job."""

    attempt_time: Utc
    partial_failures: list[Any] = []


class AlertRaised(RunEvent):
    """An evaluation fell short of evaluationJobAlertConfig.minAcceptableMeanAveragePrecision."""

    evaluation: str = ""
    mean_average_precision: float = 0.0
    min_acceptable_mean_average_precision: float = 0.0
    email: str = ""


class Scheduled(Data):
    """No run is open any more: it waits for the next interval."""


class Stopped(Data):
    """It neither samples nor runs any more, and is about to be deleted."""

    reason: str | None = None


RUN_EVENTS: Final[tuple[type[Data], ...]] = (
    RunStarted,
    DatasetCreated,
    LabelingRequested,
    LabelingCompleted,
    EvaluationCreated,
    RunFailed,
    AlertRaised,
    Scheduled,
    Stopped,
)
