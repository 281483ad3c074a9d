"""A request's bytes as the ids, parameters and body of a call; and the JSON of its answer as bytes."""

import re
from functools import cached_property
from typing import Any, Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.grpc.rpcs import Rpc
from jobledger.infra.grpc.services import POOL

MASK: Final = FieldMask.DESCRIPTOR.full_name


class Asked(NamedTuple):
    """The fields of a request from which a Call is made."""

    ids: tuple[str, ...]
    query: dict[str, str]
    body: JsonObject | None


class Wire:
    """How one RPC's messages are read and written."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self._fields: dict[str, Any] = {
            field.json_name: field for field in rpc.types.request.DESCRIPTOR.fields
        }
        self._named = re.compile(re.escape(self.resource).replace(r"\*", "([^/]+)"))

    @cached_property
    def resource(self) -> str:
        """The shape of the resource name in the request: the resource's own or its parent's."""
        _, _, shape = self.rpc.method.shape.partition("/")  # without the version
        return shape[: shape.rindex("*") + 1]

    @cached_property
    def name_path(self) -> tuple[str, ...]:
        """The path of that name in the request: `name`, `parent`, or within the resource."""
        for field in ("name", "parent"):
            if field in self._fields:
                return (field,)
        first = next(iter(self._fields.values()))
        return (first.json_name, "name") if first.message_type else (first.json_name,)

    @cached_property
    def body_field(self) -> str | None:
        """Returns the field that holds the body; None if the request is the body or has none."""
        messages = {
            field.message_type.name: name
            for name, field in self._fields.items()
            if field.message_type
        }
        return messages.get(self.rpc.method.body)

    def read(self, data: bytes) -> Asked:
        """Raises InvalidFieldError for what cannot be read, or is not named as it must be."""
        request = _json(self.rpc.types.request, data)
        ids = self._ids(request)
        query = {name: str(request.pop(name)) for name in self.rpc.method.query if name in request}
        return Asked(ids, query, self._body(request))

    def write(self, body: JsonObject) -> bytes:
        """Encodes the answer, without fields that are newer than the descriptors."""
        answer = json_format.ParseDict(
            body, self.rpc.types.response(), ignore_unknown_fields=True, descriptor_pool=POOL
        )
        data: bytes = answer.SerializeToString()
        return data

    def _ids(self, request: JsonObject) -> tuple[str, ...]:
        name: Any = request
        for step in self.name_path:
            name = name.get(step, {})
        found = self._named.fullmatch(name or "")
        if found is None:
            field = ".".join(self.name_path)
            raise InvalidFieldError(field, f"{name or ''!r:.200} is not {self.resource}")
        if len(self.name_path) == 1:
            del request[self.name_path[0]]
        return found.groups()

    def _body(self, request: JsonObject) -> JsonObject | None:
        if self.rpc.method.body in {None, "Empty"}:
            return None
        if self.body_field is None:
            return request
        if self.body_field not in request:
            raise InvalidFieldError(self.body_field, "is missing; the method needs it")
        body: JsonObject = request[self.body_field]
        return body


def _json(message: type[Message], data: bytes) -> JsonObject:
    """The request as proto3 JSON, but for its masks: their paths stay as they were typed."""
    try:
        request = message.FromString(data)
        masks = {
            field.json_name: ",".join(mask.paths)
            for field, mask in request.ListFields()
            if field.message_type and field.message_type.full_name == MASK
        }
        for field in request.DESCRIPTOR.fields:
            if field.json_name in masks:
                request.ClearField(field.name)
        value: JsonObject = json_format.MessageToDict(request, descriptor_pool=POOL)
    # TypeError: an Any of an unknown type.
    except (DecodeError, json_format.Error, TypeError, ValueError) as error:
        raise InvalidFieldError("request", f"cannot be read: {str(error)[:200]}") from error
    return value | masks
