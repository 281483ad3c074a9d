"""Routes of commands: `POST /ledger/v1/{name}:create`, `:cancel` and so on."""

from typing import Any, Final

from fastapi import APIRouter, Request
from jobledger.domain import commands
from jobledger.domain.commands import Command
from jobledger.domain.data import parse
from jobledger.domain.values.names import parse_name
from jobledger.infra.http.native import answers
from jobledger.infra.http.native.bodies import About, body_model
from jobledger.infra.http.native.routes import Json, NativeRoutes, about_of, recorded_json

COMMANDS: Final[dict[str, type[Command]]] = {
    "create": commands.CreateJob,
    "cancel": commands.CancelJob,
    "pause": commands.PauseJob,
    "resume": commands.ResumeJob,
    "update": commands.UpdateJob,
    "changeConfig": commands.ChangeConfig,
    "retry": commands.RetryJob,
    "changeLabels": commands.ChangeLabels,
    "changePolicy": commands.ChangePolicy,
    "delete": commands.DeleteJob,
}


def command_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of commands."""
    router = APIRouter(prefix="/ledger/v1", tags=["commands"])
    for verb, command in COMMANDS.items():
        _add(router, routes, verb, command)
    return router


def _add(router: APIRouter, routes: NativeRoutes, verb: str, cls: type[Command]) -> None:
    model = body_model(f"{cls.__name__}Request", cls, About)

    async def ask(request: Request, name: str, body: About | None = None) -> Json:
        name = parse_name(name)
        caller = await routes.admit(request, verb, name)
        asked, metadata = _taken_apart(body)
        command: Any = parse(cls, asked)
        about = about_of(caller, request, metadata)
        async with routes.writing:
            recorded = await routes.ledger.command(name, command, **about)
        return await routes.json(recorded_json(recorded))

    ask.__annotations__["body"] = model | None  # Each command has fields of its own.
    router.post(
        f"/{{name:path}}:{verb}",
        name=verb,
        description=cls.__doc__,
        response_model=answers.RecordedJson,
    )(ask)


def _taken_apart(body: About | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a body into the command and the event's metadata."""
    asked = {} if body is None else {f: getattr(body, f) for f in body.model_fields_set}
    metadata = {field: asked.pop(field) for field in About.model_fields if field in asked}
    return asked, metadata
