"""The OpenAPI document: FastAPI's of the native surface, and Google's methods from their tables."""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from jobledger.infra.google.wire.calls import Method
from jobledger.infra.http import google_routes as google
from jobledger.infra.http.native.bodies import object_schema

_STATUS: Final = {
    "code": {"type": "integer"},
    "message": {"type": "string"},
    "status": {"type": "string"},
    "details": {"type": "array", "items": {"type": "object"}},
}
_ERROR: Final = object_schema(_STATUS, ["code", "message", "status"], closed=False)
ERROR: Final = {
    "description": "google.rpc.Status",
    "content": {
        "application/json": {"schema": object_schema({"error": _ERROR}, ["error"], closed=False)}
    },
}
NUMBERS: Final = frozenset({"pageSize", "options.requestedPolicyVersion"})


def with_google(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = ERROR
        for method in google.METHODS.all:
            path, parameters = _path(method)
            document["paths"].setdefault(path, {})[method.http.lower()] = _operation(
                method, parameters
            )
        app.openapi_schema = document
    return app.openapi_schema


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


def _operation(method: Method, parameters: list[dict[str, Any]]) -> dict[str, Any]:
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
            "200": {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}}},
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
