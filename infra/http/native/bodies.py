"""The bodies of native routes as pydantic models, made from what the domain says of events and commands."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from jobledger.domain.canonical import JsonObject
from jobledger.domain.data import Data
from jobledger.domain.events import DECIDED, MAX_ATTEMPT
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


def read_time(text: Any) -> datetime:
    """A time as JSON has it. A number is none: its unit would be a guess."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise PydanticCustomError("time", "must be an RFC 3339 time in a string") from None


class About(BaseModel):
    """What can be said of any event besides its data; who says so is known from the token."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    occurred_time: Annotated[AwareDatetime, BeforeValidator(read_time)] | None = Field(
        default=None, description="When it happened: from 1970 to a day ahead; now, if not said."
    )
    request_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The same request is answered again and never written twice (AIP-155).",
    )
    trace_parent: str | None = Field(
        default=None, description="W3C Trace Context; else the header `traceparent`."
    )


class Further(About):
    """What any report may say beside its fields."""

    attempt: int | None = Field(
        default=None,
        ge=1,
        le=MAX_ATTEMPT,
        description="The number of the attempt it speaks of, as the job shows it.",
    )
    run_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Or an id that the reporter gave to that attempt.",
    )
    data: JsonObject = Field(
        default={}, description="Fields the ledger has no meaning for; kept as they are given."
    )


Body = TypeVar("Body", bound=About)


def body_model(name: str, cls: type[BaseModel], base: type[Body]) -> type[Body]:
    """What `base` has, and the fields of an event's data or of a command."""
    fields: dict[str, Any] = {
        field: (info.annotation, info)
        for field, info in cls.model_fields.items()
        if field not in base.model_fields and not (field in DECIDED and issubclass(cls, Data))
    }
    return create_model(name, __base__=base, __doc__=cls.__doc__, **fields)


def verb_of(type_: str) -> str:
    """`partiallySucceeded`, of PartiallySucceeded."""
    return type_[0].lower() + type_[1:]


def batch_schema(verbs: list[str]) -> dict[str, Any]:
    """The body of a batch, for the OpenAPI document."""
    report = {
        "type": "object",
        "required": ["name", "report"],
        "properties": {
            "name": {"type": "string", "examples": ["projects/p/jobs/train_1"]},
            "report": {"enum": verbs},
            "occurredTime": {"type": "string", "format": "date-time"},
            "requestId": {"type": "string"},
            "traceParent": {"type": "string"},
            "attempt": {"type": "integer", "minimum": 1},
            "runId": {"type": "string", "minLength": 1, "maxLength": 256},
            "data": {"type": "object"},
        },
    }
    reports = {"type": "array", "maxItems": 1_000, "items": report}
    schema = {"type": "object", "required": ["reports"], "properties": {"reports": reports}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
