"""Schemas of the answers of Google's methods for the OpenAPI document, made from the tables of messages."""

import re
from typing import Any, Final

from jobledger.infra.google.labeling.methods import API as LABELING
from jobledger.infra.google.ml.job_fields import API as ML
from jobledger.infra.google.vertex.resources import RESOURCES
from jobledger.infra.google.vertex.versions import V1, V1BETA1
from jobledger.infra.google.wire.calls import Method
from jobledger.infra.google.wire.messages import Api

APIS: Final = {
    "ml": (ML, "Ml"),
    "datalabeling": (LABELING, "Labeling"),
    "v1": (V1.api, "Vertex"),
    "v1beta1": (V1BETA1.api, "VertexBeta"),
    "v1beta": (V1BETA1.api, "VertexBeta"),
}
"""The messages of each API (of Vertex AI, of each version), and the prefix of their schemas' names."""
OPERATION: Final = {
    "type": "object",
    "description": "google.longrunning.Operation.",
    "required": ["name", "done"],
    "properties": {
        "name": {"type": "string"},
        "done": {"type": "boolean"},
        "metadata": {"type": "object", "additionalProperties": True},
        "response": {"type": "object", "additionalProperties": True},
        "error": {"type": "object", "additionalProperties": True},
    },
}
EMPTY: Final = {"type": "object", "description": "google.protobuf.Empty.", "properties": {}}
RECEIPT: Final = {
    "type": "object",
    "description": "A C2SP tlog-proof.",
    "required": ["receipt"],
    "properties": {"receipt": {"type": "string"}},
}
MESSAGES: Final = {
    "jobs": "Job",
    "evaluationJobs": "EvaluationJob",
    "evaluations": "Evaluation",
    "exampleComparisons": "ExampleComparison",
    "annotationSpecSets": "AnnotationSpecSet",
    "nasTrialDetails": "NasTrialDetail",
    **{resource.collection: resource.message for resource in RESOURCES.values()},
}
_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "double": {"type": "number"},
    "float": {"type": "number"},
    "int32": {"type": "integer", "format": "int32"},
    "uint32": {"type": "integer"},
    "int64": {"type": "string", "format": "int64"},
    "uint64": {"type": "string", "format": "uint64"},
    "timestamp": {"type": "string", "format": "date-time"},
    "value": {},
}
_SCALARS: Final = frozenset({*_FORMATS, "duration", "fieldMask", "string"})


class Answers:
    """The schemas of a document, which are added when a method needs them."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {
            "Operation": OPERATION,
            "Empty": EMPTY,
            "Receipt": RECEIPT,
        }

    def of(self, method: Method) -> dict[str, Any]:
        """Returns the schema of the method's answer."""
        *_, collection, verb = method.name.split(".")
        version = method.shape.partition("/")[0]
        if verb == "receipt":
            return _reference("Receipt")
        if verb in {"getIamPolicy", "setIamPolicy"}:
            return self._message(ML, "Ml", "Policy")
        if verb == "testIamPermissions":
            return {"type": "object", "properties": {"permissions": _list({"type": "string"})}}
        if collection == "operations":
            return self._operations(verb)
        if collection not in MESSAGES:
            return {"type": "object", "additionalProperties": True}
        if _is_operation(method, collection, verb):
            return _reference("Operation")
        if verb in {"cancel", "pause", "resume", "delete"}:
            return _reference("Empty")
        api, prefix = APIS.get(method.name.partition(".")[0]) or APIS[version]
        message = self._message(api, prefix, MESSAGES[collection])
        if verb in {"list", "search"}:
            return self._page(prefix, collection, message)
        return message

    def _operations(self, verb: str) -> dict[str, Any]:
        if verb in {"cancel", "delete"}:
            return _reference("Empty")
        if verb == "list":
            return self._page("", "operations", _reference("Operation"))
        return _reference("Operation")

    def _page(self, prefix: str, collection: str, item: dict[str, Any]) -> dict[str, Any]:
        name = f"{prefix}{collection[0].upper()}{collection[1:]}Page"
        self.schemas[name] = {
            "type": "object",
            "properties": {collection: _list(item), "nextPageToken": {"type": "string"}},
        }
        return _reference(name)

    def _message(self, api: Api, prefix: str, message: str) -> dict[str, Any]:
        """Returns the schema of a message with its fields; nested messages are plain objects."""
        name = f"{prefix}{message}"
        if name not in self.schemas:
            output = api.read_only(message)
            self.schemas[name] = {
                "type": "object",
                "description": f"Google's {message}; fields that hold nothing are left out.",
                "properties": {
                    field: _type(api, type_) | ({"readOnly": True} if field in output else {})
                    for field, type_ in api.fields(message).items()
                },
            }
        return _reference(name)


def _is_operation(method: Method, collection: str, verb: str) -> bool:
    """Whether the method answers with a long-running operation."""
    if not method.name.startswith("aiplatform.") or collection not in RESOURCES:
        return False
    made = verb == "create" and RESOURCES[collection].created_by_operation
    return made or verb in {"delete", "patch", "batchCancel", "batchDelete"}


def _type(api: Api, type_: str) -> dict[str, Any]:
    if type_.startswith("["):
        return _list(_type(api, type_[1:-1]))
    if type_.startswith("map<"):
        return {"type": "object", "additionalProperties": _type(api, type_[4:-1]) or True}
    if type_ in _SCALARS:
        return dict(_FORMATS.get(type_, {"type": "string"}))
    if api.is_enum(type_):
        return {"type": "string", "description": f"A {type_}, by name."}
    return {"type": "object", "description": re.sub(r"^any$", "google.protobuf.Any", type_)}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
