"""The JSON of jobs, events and moments, which is the same in all interfaces: its types and schemas.

A type checker checks the code against these types, and pydantic makes the schemas of the OpenAPI
document from them. Neither takes time when an answer is made. Times are RFC 3339 in UTC
with microseconds.
"""

from typing import Annotated, Any, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

Json = Annotated[Any, WithJsonSchema({})]
"""Any JSON."""
Object = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]
Time = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time"}),
    Field(examples=["2026-11-22T10:00:00.000000Z"]),
]  # fmt: skip


class JobJson(TypedDict):
    """A job; fields that hold nothing are null."""

    name: Annotated[str, Field(examples=["projects/demo/jobs/train_1"])]
    project: str
    kind: Annotated[str, Field(description="The collection that it is in, such as `jobs`.")]
    state: Annotated[
        str | None, Field(description="Null of a job that was reported before it was created.")
    ]
    version: Annotated[int, Field(description="How many events it has.")]
    attempt: int
    createTime: Time | None
    startTime: Time | None
    endTime: Time | None
    updateTime: Time | None
    error: Annotated[Object | None, Field(description="google.rpc.Status.")]
    errorMessage: str | None
    labels: dict[str, str]
    etag: str
    spec: Object
    output: Object | None
    parents: NotRequired[
        Annotated[list[str], Field(description="The jobs that it is part of, if any are known.")]
    ]
    root: NotRequired[Annotated[str, Field(description="The first of its parents' parents.")]]
    triggeredBy: NotRequired[
        Annotated[str, Field(description="The job, person or program that began it.")]
    ]


class EventJson(TypedDict):
    """An event; `state` is the job's state after it."""

    position: Annotated[int, Field(description="Its place in the ledger, from 1.")]
    name: str
    version: Annotated[int, Field(description="Its place in its job, from 1.")]
    type: Annotated[str, Field(examples=["Started"])]
    occurredTime: Time | None
    recordedTime: Time
    actor: str | None
    requestId: str | None
    data: Annotated[
        Object | None, Field(description="Null of an event of another aggregate than a job.")
    ]
    state: str | None


class MomentJson(TypedDict):
    """The moment of an answer. In valid time, events up to `position` count."""

    asOf: Time
    clock: Annotated[str, Field(examples=["occurred", "recorded"])]
    position: int
    prunedBefore: NotRequired[
        Annotated[Time, Field(description="Jobs that were over by then may be missing: pruned.")]
    ]


class JobAtJson(JobJson):
    """A job, with the moment that it is shown as of, if one was requested."""

    asOf: NotRequired[Time]
    clock: NotRequired[str]
    position: NotRequired[int]
    prunedBefore: NotRequired[Time]
