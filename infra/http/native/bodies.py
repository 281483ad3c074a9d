"""The bodies of native routes as pydantic models, made from the domain's events and commands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.events import DECIDED, MAX_ATTEMPT
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.times import parse_iso
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


def read_time(text: Any) -> datetime:
    """A time as JSON has it. A number is none: its unit would be a guess."""
    try:
        time = parse_iso(text)
    except (TypeError, ValueError):
        raise PydanticCustomError("time", "must be an RFC 3339 time in a string") from None
    if time.tzinfo is None:
        why = "{given} has no time zone; add Z or an offset"
        raise PydanticCustomError("time", why, {"given": shown(text)})
    return time


class About(BaseModel):
    """Fields of any event besides its data; the actor follows from the token."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    occurred_time: Annotated[AwareDatetime, BeforeValidator(read_time)] | None = Field(
        default=None, description="When it happened, from 1970 to a day ahead; by default now."
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


def as_given(value: Any, accept: ValidatorFunctionWrapHandler) -> Any:
    """The value as its field takes it, else as it came: a report is mended, and not refused."""
    try:
        return accept(value)
    except ValidationError:
        return value


class Further(About):
    """Fields of any report besides its data."""

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
    data: Annotated[JsonObject, WrapValidator(as_given)] = Field(
        default={}, description="Fields the ledger has no meaning for; kept as they are given."
    )


Body = TypeVar("Body", bound=About)


def body_model(name: str, cls: type[BaseModel], base: type[Body]) -> type[Body]:
    """Makes a model of `base` and the fields of an event's data or of a command."""
    return create_model(name, __base__=base, __doc__=cls.__doc__, **_fields_of(cls, base))


def report_model(name: str, cls: type[BaseModel]) -> type[Further]:
    """The same for a report: each field of the event's data is taken as it comes."""
    fields = _fields_of(cls, Further)
    taken: dict[str, Any] = (
        {"taken": field_validator(*fields, mode="wrap")(as_given)} if fields else {}
    )
    return create_model(name, __base__=Further, __doc__=cls.__doc__, __validators__=taken, **fields)


def _fields_of(cls: type[BaseModel], base: type[About]) -> dict[str, Any]:
    return {
        field: (info.annotation, info)
        for field, info in cls.model_fields.items()
        if field not in base.model_fields and not (field in DECIDED and issubclass(cls, Data))
    }


def load(body: bytes) -> Any:
    """The JSON in a body; raises InvalidFieldError."""
    try:
        return canonical.loads_given(body)
    except ValueError as error:
        raise InvalidFieldError("body", f"is not JSON: {error}") from error


def load_items(body: bytes, field: str) -> list[Any]:
    """The list that is the only field of a body; raises InvalidFieldError."""
    value = load(body)
    items = value.get(field) if isinstance(value, dict) else None
    if not isinstance(items, list) or len(value) > 1:
        raise InvalidFieldError("body", f'is not of the form {{"{field}": [...]}}')
    return items


def object_schema(
    properties: JsonObject, required: Sequence[str] = (), *, closed: bool = True
) -> JsonObject:
    """An object, for the OpenAPI document; if `closed`, it has no other properties."""
    only = {"additionalProperties": False} if closed else {}
    return {"type": "object", "required": list(required)} | only | {"properties": properties}


def body_schema(schema: JsonObject) -> JsonObject:
    """A body of JSON, for the OpenAPI document."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def batch_schema(verbs: list[str]) -> JsonObject:
    """The body of a batch, for the OpenAPI document."""
    text = {"type": "string"}
    properties = {
        "name": text | {"examples": ["projects/p/jobs/train_1"]},
        "report": {"enum": verbs},
        "occurredTime": text | {"format": "date-time"},
        "requestId": text,
        "traceParent": text,
        "attempt": {"type": "integer", "minimum": 1},
        "runId": text | {"minLength": 1, "maxLength": 256},
        "data": {"type": "object"},
    }
    report = object_schema(properties, ["name", "report"], closed=False)
    reports = {"type": "array", "maxItems": 1_000, "items": report}
    return body_schema(object_schema({"reports": reports}, ["reports"], closed=False))
