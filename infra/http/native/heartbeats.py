"""Heartbeats of runs that report through a server: `POST /ledger/v1/{name}:heartbeat`."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Request
from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.domain.values.names import parse_name
from jobledger.infra.http.native import answers
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.programs.leases import end_lease_of, keep_lease_of
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_SECONDS: Final = 3_600


class Heartbeat(BaseModel):
    """A sign of life of one run, or, with 0 seconds, that none is to be expected any more."""

    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=to_camel, validate_by_alias=True
    )

    run_id: Annotated[str, Field(min_length=1, max_length=256, description="The run's own id.")]
    heartbeat_seconds: Annotated[
        float,
        Field(
            ge=0, le=MAX_SECONDS, description="Seconds until the next heartbeat; 0 ends the lease."
        ),
    ] = HEARTBEAT_SECONDS


def heartbeat_routes(routes: NativeRoutes) -> APIRouter:
    """The route of heartbeats."""
    router = APIRouter(prefix="/ledger/v1", tags=["reports"])

    async def heartbeat(request: Request, name: str, body: Heartbeat) -> Json:
        """Records a heartbeat of a run: a row, not an event.

        If no heartbeat comes for four times `heartbeatSeconds`, the job is marked as EXPIRED.
        """
        name = parse_name(name)
        await routes.admit(request, "heartbeat", name)
        if body.heartbeat_seconds:
            write = partial(keep_lease_of, routes.store, name, body.run_id, body.heartbeat_seconds)
        else:
            write = partial(end_lease_of, routes.store, name, body.run_id)
        await routes.ledger.run(write)
        return await routes.json({})

    router.post("/{name:path}:heartbeat", name="heartbeat", response_model=answers.Nothing)(
        heartbeat
    )
    return router
