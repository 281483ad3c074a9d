"""The events of evaluation jobs' runs: their datasets, labels and evaluations.

A run is numbered within its job, from 1 without gaps. It takes the samples after the cut of the run
before it, up to its own cut; so the event that starts it also says which samples it takes.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from jobledger.domain.data import Data
from pydantic import AfterValidator, Field


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError("is not a time in UTC")
    return text


Utc = Annotated[str, AfterValidator(_utc)]
"""RFC 3339, in UTC."""
Run = Annotated[int, Field(strict=True, ge=1)]
Count = Annotated[int, Field(strict=True, ge=0)]


class RunEvent(Data):
    """An event about one run of an evaluation job."""

    run: Run


class RunStarted(RunEvent):
    """A run began: it takes the samples after the last run's cut, up to number `cut`.

    `run_time` is the time at which it was due (UTC).
    """

    run_time: Utc
    cut: Count = 0


class DatasetCreated(RunEvent):
    """A run's samples became a dataset; `digest` is the SHA-256 of their content, in hex."""

    dataset: str = ""
    example_count: Count = 0
    digest: str | None = None


class LabelingRequested(RunEvent):
    """A labeling task was opened: people label the samples without ground truth.

    The task keeps the configuration that it was opened with.
    """

    question_count: Count = 0
    replica_count: Run = 1
    aggregation: str = "MAJORITY_VOTE"
    instruction: str = ""
    labels: list[str] = []
    multi_label: bool = Field(default=False, strict=True)


class LabelingCompleted(RunEvent):
    """Each question of the labeling task has its answers; `digest` is their SHA-256, in hex."""

    answer_count: Count = 0
    digest: str | None = None


class EvaluationCreated(RunEvent):
    """A run ended with these results; `digest` is the SHA-256 of the evaluations, in hex."""

    evaluation: str = ""
    evaluated_item_count: Count = 0
    mean_average_precision: float | None = None
    area_under_curve: float | None = None
    digest: str | None = None


class RunFailed(RunEvent):
    """A run ended without an evaluation; it becomes an Attempt of the job."""

    attempt_time: Utc
    partial_failures: list[Any] = []


class AlertRaised(RunEvent):
    """The mean average precision of a run was below evaluationJobAlertConfig.minAcceptableMeanAveragePrecision."""

    evaluation: str = ""
    mean_average_precision: float = 0.0
    min_acceptable_mean_average_precision: float = 0.0
    email: str = ""


class Scheduled(Data):
    """No run is open any more: the job waits for the next interval."""


class Stopped(Data):
    """The job takes no more samples and starts no more runs; its deletion follows."""

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
