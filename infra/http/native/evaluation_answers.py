"""The JSON of answers about samples, labeling tasks and evaluations: schemas of the OpenAPI document."""

from typing import NotRequired

from jobledger.infra.eventstore.json_types import (
    Json,
    Object,
    Time,
)
from typing_extensions import TypedDict


class RejectedJson(TypedDict):
    """A prediction that could not be sampled: its place in the request, and why."""

    index: int
    why: str


class SamplingJson(TypedDict):
    """How many predictions became what; `spoilt` is the former name of `rejected`."""

    sampled: int
    repeated: int
    passedOver: int
    beyondCount: int
    rejected: int
    spoilt: int


class SampledJson(TypedDict):
    """How many of a request's predictions became what; `spoilt` is the former name of `rejected`."""

    sampled: int
    repeated: int
    passedOver: int
    beyondCount: int
    rejected: list[RejectedJson]
    spoilt: list[RejectedJson]


class OutcomesJson(TypedDict):
    """The outcome of each ground truth: told (recorded), repeated, unknown, taken or differs."""

    outcomes: list[str]


class SampleJson(TypedDict):
    """A sampled prediction."""

    number: int
    modelVersion: str
    time: Time
    input: Json
    output: Json
    groundTruth: NotRequired[Json]


class SamplesJson(TypedDict):
    """Samples after a number."""

    samples: list[SampleJson]


class RejectedPredictionJson(TypedDict):
    """A prediction that could not be sampled, with the reason."""

    number: int
    why: str
    time: Time
    input: Json
    output: Json
    groundTruth: NotRequired[Json]


class RejectedPredictionsJson(TypedDict):
    """Predictions that could not be sampled, after a number."""

    rejectedPredictions: list[RejectedPredictionJson]


class SpoiltPredictionsJson(TypedDict):
    """Rejected predictions under their former name."""

    spoiltPredictions: list[RejectedPredictionJson]


class TaskOfRunJson(TypedDict):
    """The labeling task of a run, with its configuration when it was opened."""

    job: str
    run: int
    instruction: str
    labels: list[str]
    multiLabel: bool
    boxes: bool
    dataType: str
    replicaCount: int
    aggregation: str
    questionCount: int
    answerCount: int
    isOpen: bool


class TasksJson(TypedDict):
    """The labeling tasks that wait for answers."""

    tasks: list[TaskOfRunJson]


class ShownJson(TypedDict):
    """What a question shows to the annotator."""

    kind: str
    value: Json


class QuestionJson(TypedDict):
    """A sample that needs a ground truth."""

    sample: int
    data: Json
    shown: ShownJson


class TaskJson(TypedDict):
    """A task, and what the annotator has to answer still."""

    task: TaskOfRunJson
    annotator: str | None
    answeredCount: int
    remainingCount: int
    questions: list[QuestionJson]


class AnsweredJson(TypedDict):
    """What became of answers."""

    kept: int
    repeated: int
    isOpen: bool


class LabelStudioTask(TypedDict):
    """A question as one of Label Studio's tasks."""

    id: int
    data: Object
    predictions: list[Object]


class LabelStudioJson(TypedDict):
    """Label Studio's labeling configuration, and its tasks."""

    config: str
    tasks: list[LabelStudioTask]
