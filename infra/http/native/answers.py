"""The JSON of native answers, other than jobs, events and moments: schemas of the OpenAPI document."""

from typing import Annotated, Any, Literal, NotRequired

from jobledger.infra.eventstore.json_types import (
    EventJson,
    JobJson,
    MomentJson,
    Object,
    Time,
)
from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict


class StatusJson(TypedDict):
    """google.rpc.Status, as in the result of one item of a batch."""

    code: Annotated[int, Field(description="google.rpc.Code.")]
    message: str
    details: list[Object]


class HttpErrorJson(TypedDict):
    """google.rpc.Status with the HTTP status as its code."""

    code: Annotated[int, Field(examples=[404])]
    message: str
    status: Annotated[str, Field(examples=["NOT_FOUND"])]
    details: list[Object]


class ErrorJson(TypedDict):
    """The body of every refusal, with an ErrorInfo of domain `jobledger` in its details."""

    error: HttpErrorJson


class Health(TypedDict):
    """Whether the server is well."""

    status: Annotated[str, Field(examples=["ok"])]


class Nothing(TypedDict):
    """An empty answer."""


class RecordedJson(TypedDict):
    """The result of a command or a report: the job as it is now, and the events written for it."""

    job: JobJson
    events: list[EventJson]


class TreeJson(JobJson):
    """A job, and the jobs that name it as their parent, the oldest first."""

    children: "list[TreeJson]"


class TreeAtJson(MomentJson):
    """A tree of jobs, with the moment it is shown as of."""

    tree: TreeJson


class LineageJson(TypedDict):
    """The result of an OpenLineage event."""

    job: NotRequired[Annotated[str, Field(description="The job's resource name.")]]
    dataset: NotRequired[Annotated[str, Field(description="The stream of the dataset's facts.")]]
    events: Annotated[int, Field(description="How many events are recorded of it.")]


class DatasetJson(TypedDict):
    """A dataset, and its last DatasetEvent."""

    namespace: str
    name: str
    eventTime: str
    facets: dict[str, Any]
    position: int
    version: Annotated[int, Field(description="How many facts there are of it.")]
    recordedTime: str


class DatasetsJson(TypedDict):
    """Datasets by namespace and name."""

    datasets: list[DatasetJson]


class ForwardingJson(TypedDict):
    """What became of events that are sent on to another server, since this one started."""

    enabled: bool
    sent: int
    waiting: int
    retries: int
    refused: Annotated[int, Field(description="The other server does not take them.")]
    dropped: Annotated[int, Field(description="Too many waited.")]


class LineageSummaryJson(TypedDict):
    """How many events of a batch were recorded."""

    received: int
    successful: int
    failed: int
    retriable: int
    non_retriable: int


class LineageFailureJson(TypedDict):
    """An event of a batch that was refused."""

    index: int
    reason: str
    retriable: bool


class LineageBatchJson(TypedDict):
    """The result of a batch of OpenLineage events, as its specification defines it."""

    status: Literal["success", "partial_success"]
    summary: LineageSummaryJson
    failed_events: list[LineageFailureJson]


class ReportedJson(TypedDict):
    """The last event written for one report of a batch."""

    position: int
    name: str
    version: int
    type: str
    state: str | None


class RefusedJson(TypedDict):
    """Why nothing was written for one report of a batch."""

    error: StatusJson


class BatchJson(TypedDict):
    """The result of each report, in their order."""

    results: list[ReportedJson | RefusedJson]


class JobsJson(MomentJson):
    """A page of jobs."""

    jobs: list[JobJson]
    nextPageToken: Annotated[str, Field(description="Empty on the last page.")]


class CountJson(TypedDict):
    """How many jobs have a value."""

    value: str | None
    count: int


class CountsJson(MomentJson):
    """How many jobs there are of each value of a field."""

    by: str
    counts: list[CountJson]


class EventsJson(TypedDict):
    """A page of the feed."""

    events: list[EventJson]
    lastPosition: Annotated[int, Field(description="To ask for the next page with, as `after`.")]
    prunedPositions: NotRequired[
        Annotated[
            list[tuple[int, int]], Field(description="First and last of the positions pruned.")
        ]
    ]


class HistoryJson(TypedDict):
    """Events of a job, oldest first."""

    events: list[EventJson]
    nextAfter: NotRequired[Annotated[int, Field(description="There are more after this version.")]]


class HoldJson(TypedDict):
    """A legal hold or a pin that is in force."""

    name: Annotated[str, Field(description="The job's resource name.")]
    isPin: Annotated[bool, Field(description="A pin; else a legal hold.")]
    reason: str
    actor: str | None
    time: Annotated[Time, Field(description="When it was placed (transaction time).")]


class HoldsJson(TypedDict):
    """All legal holds and pins that the caller may see."""

    holds: list[HoldJson]


class RetentionRuleJson(TypedDict):
    """A retention rule: jobs that match all of it are pruned."""

    name: str
    keepSeconds: Annotated[float, Field(description="How long a job is kept after its end.")]
    states: Annotated[list[str], Field(description="Outcomes; none: all.")]
    kind: str
    filter: str


class RetentionRulesJson(TypedDict):
    """The retention rules that are in force."""

    rules: list[RetentionRuleJson]


class PositionJson(TypedDict):
    """The record of a change."""

    position: Annotated[int, Field(description="The position of the event that records it.")]


class LogJson(TypedDict):
    """The log's name, how many of its events are in the tree (`size`; `sealed` is its former name), and the public keys that sign it here."""

    origin: Annotated[str | None, Field(description="Null where the log was not named yet.")]
    events: int
    size: int
    sealed: int
    keys: list[str]


Kind = Literal["text/plain", "application/octet-stream", "text/event-stream"]


def of_content(kind: Kind, about: str) -> dict[int | str, dict[str, Any]]:
    """Returns FastAPI's `responses` for a route whose answer is not JSON."""
    schema = {"type": "string", **({"format": "binary"} if "octet" in kind else {})}
    return {200: {"description": about, "content": {kind: {"schema": schema}}}}


ERROR_SCHEMA = TypeAdapter(ErrorJson)
