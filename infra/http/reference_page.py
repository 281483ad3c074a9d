"""`/docs`: the OpenAPI document as a page, rendered here, without scripts or files of other servers."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from fastapi import APIRouter
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.web.rendering import render
from starlette.requests import Request
from starlette.responses import Response

PATHS: Final = ("/docs", "/redoc")
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Field(NamedTuple):
    """A parameter, or a field of a body."""

    name: str
    place: str
    type: str
    about: str


class Operation(NamedTuple):
    """One method of one path."""

    id: str
    method: str
    path: str
    about: list[str]
    parameters: list[Field]
    fields: list[Field]


class Section(NamedTuple):
    """The operations of one tag."""

    id: str
    name: str
    operations: list[Operation]


def reference_page(document: Callable[[], JsonObject]) -> APIRouter:
    """Returns the page's routes; `document` returns the OpenAPI document."""
    router = APIRouter()
    made: list[bytes] = []

    async def page(_: Request) -> Response:
        if not made:
            made.append(_render(document()).encode())
        return Response(made[0], media_type="text/html", headers=HEADERS)

    for path in PATHS:
        router.add_route(path, page, ["GET"], include_in_schema=False)
    return router


def _render(document: JsonObject) -> str:
    info = document["info"]
    about = _paragraphs(info.get("description", ""))
    sections: dict[str, Section] = {}
    for operation, tag in _operations(document):
        section = Section(f"section-{len(sections)}", tag, [])
        sections.setdefault(tag, section).operations.append(operation)
    return render(
        "reference.html",
        title=info["title"],
        version=info["version"],
        about=about,
        sections=list(sections.values()),
    )


def _operations(document: JsonObject) -> Iterator[tuple[Operation, str]]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            text = described.get("description") or described.get("summary", "")
            operation = Operation(
                described["operationId"],
                method.upper(),
                path,
                _paragraphs(text),
                [_parameter(document, each) for each in described.get("parameters", ())],
                _fields(document, described.get("requestBody")),
            )
            yield operation, described["tags"][0]


def _parameter(document: JsonObject, parameter: JsonObject) -> Field:
    schema = parameter.get("schema", {})
    about = parameter.get("description") or schema.get("description", "")
    return Field(parameter["name"], parameter["in"], _type(document, schema), about)


def _fields(document: JsonObject, body: JsonObject | None) -> list[Field]:
    """Returns the fields of a JSON body, including those of the items of a list."""
    schema = ((body or {}).get("content", {}).get("application/json") or {}).get("schema", {})
    for option in schema.get("anyOf", ()):
        if "$ref" in option:
            schema = option
    return list(_properties(document, _resolved(document, schema), ""))


def _properties(document: JsonObject, schema: JsonObject, prefix: str) -> Iterator[Field]:
    for name, field in schema.get("properties", {}).items():
        yield Field(prefix + name, "body", _type(document, field), field.get("description", ""))
        if field.get("type") == "array":
            items = _resolved(document, field.get("items", {}))
            yield from _properties(document, items, f"{prefix}{name}[].")


def _type(document: JsonObject, schema: JsonObject) -> str:
    """Returns `string`, `integer or null`, or the accepted values."""
    schema = _resolved(document, schema)
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(document, each) for each in schema["anyOf"]))
    kind = schema.get("format") or schema.get("type", "any")
    return f"list of {_type(document, schema['items'])}" if "items" in schema else str(kind)


def _resolved(document: JsonObject, schema: JsonObject) -> JsonObject:
    found: Any = schema
    if "$ref" in schema:
        found = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return dict(found)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
