"""Legal holds, pins and retention rules: which jobs are kept, and how long."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.required import READ
from jobledger.infra.access.tokens import Caller
from jobledger.infra.errors import PermissionDeniedError
from jobledger.infra.http.native import answers
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.retention.rules import RetentionRule
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

RequestId = Annotated[
    str | None, Field(description="An id of the request (AIP-155): a repetition is recorded once.")
]


HeldName = Annotated[str | None, Query(description="A job's resource name; all jobs without it.")]


class _Body(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=to_camel, validate_by_alias=True
    )


class HoldBody(_Body):
    """A legal hold or a pin to place."""

    reason: Annotated[str, Field(description="Why: 1 to 256 printable characters.")]
    pin: Annotated[bool, Field(description="A pin; else a legal hold.")] = False
    request_id: RequestId = None


class ReleaseBody(_Body):
    """A legal hold or a pin to release."""

    reason: Annotated[str, Field(description="Why: up to 256 printable characters.")] = ""
    pin: Annotated[bool, Field(description="A pin; else a legal hold.")] = False
    request_id: RequestId = None


class RuleBody(_Body):
    """A retention rule; jobs that match all of it are pruned."""

    name: Annotated[str, Field(description="Lowercase letters, digits, _ and -.")]
    keep_seconds: Annotated[float, Field(description="How long a job is kept after its end.")]
    states: Annotated[list[str], Field(description="Outcomes, such as FAILED; none: all.")] = []
    kind: Annotated[str, Field(description="The kind of the jobs; empty: all.")] = ""
    filter: Annotated[str, Field(description="AIP-160; empty: all jobs.")] = ""
    request_id: RequestId = None


class RuleNameBody(_Body):
    """A retention rule to drop."""

    name: Annotated[str, Field(description="The rule's name.")]
    request_id: RequestId = None


def retention_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of holds, pins and retention rules."""
    router = APIRouter(prefix="/ledger/v1", tags=["retention"])
    _add_holds(router, routes)
    _add_rules(router, routes)
    return router


def _add_holds(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/holds", response_model=answers.HoldsJson)
    async def holds(request: Request, name: HeldName = None) -> Json:
        """Lists the legal holds and pins that are in force, by the names of jobs."""
        caller = await routes.admit(request, READ, name and parse_name(name))
        found = await routes.ledger.holds(name)
        seen = [each.json() for each in found if caller.sees(each.name)]
        return await routes.json({"holds": seen})

    @router.post("/{name:path}:hold", response_model=answers.PositionJson)
    async def hold(request: Request, name: str, body: HoldBody) -> Json:
        """Places a legal hold on a job, or pins it: it is not pruned until that is released."""
        name = parse_name(name)
        caller = await routes.admit(request, "hold", name)
        position = await routes.ledger.hold(
            name, body.reason, pin=body.pin, actor=caller.name, request_id=body.request_id
        )
        return await routes.json({"position": position})

    @router.post("/{name:path}:release", response_model=answers.PositionJson)
    async def release(request: Request, name: str, body: ReleaseBody) -> Json:
        """Releases a job's legal hold, or its pin."""
        name = parse_name(name)
        caller = await routes.admit(request, "release", name)
        position = await routes.ledger.release(
            name, body.reason, pin=body.pin, actor=caller.name, request_id=body.request_id
        )
        return await routes.json({"position": position})


def _add_rules(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/retentionRules", response_model=answers.RetentionRulesJson)
    async def rules(request: Request) -> Json:
        """Lists the retention rules that are in force, by name; they are of all projects."""
        _check_all_projects(await routes.admit(request, READ))
        found = await routes.ledger.retention_rules()
        return await routes.json({"rules": [rule.json() for rule in found]})

    @router.post("/retentionRules:set", response_model=answers.PositionJson)
    async def set_rule(request: Request, body: RuleBody) -> Json:
        """Makes a retention rule, or replaces the one of the same name; the scheduler applies it."""
        caller = await routes.admit(request, "set")
        _check_all_projects(caller)
        rule = RetentionRule(
            body.name, body.keep_seconds, tuple(body.states), body.kind, body.filter
        )
        position = await routes.ledger.set_retention_rule(
            rule, caller.name, request_id=body.request_id
        )
        return await routes.json({"position": position})

    @router.post("/retentionRules:drop", response_model=answers.PositionJson)
    async def drop_rule(request: Request, body: RuleNameBody) -> Json:
        """Drops a retention rule: it is not applied any more."""
        caller = await routes.admit(request, "drop")
        _check_all_projects(caller)
        position = await routes.ledger.drop_retention_rule(
            body.name, caller.name, request_id=body.request_id
        )
        return await routes.json({"position": position})


def _check_all_projects(caller: Caller) -> None:
    """Raises PermissionDeniedError for a token of one project: rules apply to all of them."""
    if caller.project is not None:
        raise PermissionDeniedError(caller.name, project=caller.project)
