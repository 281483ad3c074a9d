"""The OpenAPI document: FastAPI's for the native API, and Google's methods from their tables."""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.google.wire.calls import Method
from jobledger.infra.http import google_routes as google
from jobledger.infra.http.google_answers import Answers
from jobledger.infra.http.native.answers import ERROR_SCHEMA

ERROR: Final = {
    "description": "google.rpc.Status",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorJson"}}},
}
SECURITY: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token that `jobledger token create` made; none is needed until there is one.",
    }
}
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
EXAMPLES: Final[dict[str, Any]] = {
    "create": {"labels": {"team": "vision"}, "spec": {"epochs": 9}, "requestId": "create-train-1"},
    "started": {"data": {"worker": "node-7"}, "occurredTime": "2026-11-22T10:00:00Z"},
    "failed": {"error": {"code": 8, "message": "out of memory"}},
    "succeeded": {"output": {"accuracy": 0.93}},
    "cancel": {"reason": "cheaper tonight"},
    "changeLabels": {"labels": {"team": "vision"}},
    "progressReported": {"output": {"step": 500}},
    "batch": {
        "reports": [
            {"name": "projects/demo/jobs/train_1", "report": "started"},
            {"name": "projects/demo/jobs/train_2", "report": "succeeded", "data": {"output": {}}},
        ]
    },
}
"""Bodies of native routes, by their verbs."""
NUMBERS: Final = frozenset({"pageSize", "options.requestedPolicyVersion"})


def with_google(app: FastAPI) -> dict[str, Any]:
    """Returns the whole document, which is made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        answers = Answers()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        for method in google.METHODS.all:
            path, parameters = _path(method)
            operation = _operation(method, parameters, answers)
            document["paths"].setdefault(path, {})[method.http.lower()] = operation
        components = document["components"]
        components["schemas"] = _without_titles(components["schemas"]) | answers.schemas
        for schema in components["schemas"].values():
            _describe_defaults(schema)
        components["schemas"] |= _error_schemas()
        components["schemas"].pop("HTTPValidationError", None)
        components["schemas"].pop("ValidationError", None)
        components["securitySchemes"] = SECURITY
        # A server without tokens accepts requests from anybody on its machine.
        document["security"] = [{"bearer": []}, {}]
        app.openapi_schema = document
    made: dict[str, Any] = app.openapi_schema
    return made


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Adds the parts of a native route that FastAPI leaves out."""
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = ERROR
    if path in OPEN_PATHS:
        operation["security"] = []
    if "requestBody" not in operation:
        return
    body = operation["requestBody"]["content"]["application/json"]
    match body["schema"]:
        case {"anyOf": [{"$ref": _} as schema, {"type": "null"}]}:
            # The field is optional and null means absent; generators mishandle the union with null.
            body["schema"] = schema
    verb = path.rpartition(":")[2]
    if verb in EXAMPLES:
        body["example"] = EXAMPLES[verb]


def _error_schemas() -> dict[str, Any]:
    schema = ERROR_SCHEMA.json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    return definitions | {"ErrorJson": schema}


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Moves defaults into descriptions, because generators require fields that have a `default`."""
    for field in schema.get("properties", {}).values():
        if "default" in field:
            default = encode(field.pop("default")).decode()
            description = field.get("description")
            field["description"] = (
                f"{description} " * bool(description) + f"If left out: `{default}`."
            )


def _without_titles(schema: Any, within: str = "") -> Any:
    """Removes FastAPI's titles, which repeat the field's name and make generators name types by it."""
    match schema:
        case dict():
            is_named = within in {"properties", "schemas"}
            return {
                key: _without_titles(value, key)
                for key, value in schema.items()
                if is_named or key != "title" or not isinstance(value, str)
            }
        case list():
            return [_without_titles(each) for each in schema]
    return schema


def _path(method: Method) -> tuple[str, list[dict[str, Any]]]:
    """`/v1/projects/{project}/jobs/{job}`, and its parameters."""
    names: list[str] = []

    def named(match: re.Match[str]) -> str:
        collection = match[1]
        names.append(re.sub(r"ies$", "y", collection).removesuffix("s"))
        return f"{collection}/{{{names[-1]}}}"

    path = "/" + re.sub(r"(\w+)/\*", named, method.shape)
    return path, [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    ]


def _operation(
    method: Method, parameters: list[dict[str, Any]], answers: Answers
) -> dict[str, Any]:
    number = {"type": "integer", "format": "int32"}
    query = [
        {"name": name, "in": "query", "schema": number if name in NUMBERS else {"type": "string"}}
        for name in sorted(method.query)
    ]
    operation: dict[str, Any] = {
        "operationId": f"{method.http}.{method.shape.partition('/')[0]}.{method.name}",
        "summary": method.name,
        "tags": [method.name.partition(".")[0]],
        "parameters": [*parameters, *query],
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": answers.of(method)}}},
            "default": ERROR,
        },
    }  # fmt: skip
    if method.body is not None:
        body = {"schema": {"type": "object"}, "example": {}}
        operation["requestBody"] = {
            "description": method.body,
            "content": {"application/json": body},
        }
    return operation
