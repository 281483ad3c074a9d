"""Batches of pipelines: `pipelineJobs:batchCancel` and `:batchDelete`, each of which is atomic."""

from functools import partial
from typing import Any, Final

from jobledger.domain.commands import CancelJob, DeleteJob, JobCommand
from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.google.ml.methods import cancelled_by
from jobledger.infra.google.vertex import operations
from jobledger.infra.google.vertex.jobs import parent_of
from jobledger.infra.google.vertex.versions import Version
from jobledger.infra.google.wire.calls import Call, Method

MAX_NAMES: Final = 32
"""The most names that the API takes at once."""


async def cancel(version: Version, call: Call) -> JsonObject:
    """Cancels several pipeline jobs; jobs that have ended are skipped."""
    command = CancelJob(reason=cancelled_by(call), unless_ended=True)
    return await _together(version, call, "BatchCancel", command)


async def delete(version: Version, call: Call) -> JsonObject:
    """Deletes several pipeline jobs (pipelineJobs.batchDelete)."""
    return await _together(version, call, "BatchDelete", DeleteJob())


async def _together(version: Version, call: Call, verb: str, command: JobCommand) -> JsonObject:
    names = _names(call)
    await call.ledger.command_all(names, command, **call.about)
    return await operations.without_event(call, verb, names, version)


def _names(call: Call) -> list[str]:
    """Returns the names in the body, which must be pipelines of the parent."""
    body: Any = call.body if isinstance(call.body, dict) else {}
    names = body.get("names")
    if set(body) - {"names", "parent"}:
        raise InvalidFieldError(
            min(set(body) - {"names", "parent"})[:80],
            "is not a field of the request; it has the field names",
        )
    if not isinstance(names, list) or not 0 < len(names) <= MAX_NAMES:
        raise InvalidFieldError(
            "names", f"must be a list of 1 to {MAX_NAMES} names of pipeline jobs"
        )
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.startswith(f"{parent_of(call)}/pipelineJobs/"):
            raise InvalidFieldError(
                f"names[{number}]",
                f"{shown(name)} is not the name of a pipeline job, such as {parent_of(call)}/pipelineJobs/ID",
            )
    return names


def methods(version: Version, root: str) -> list[Method]:
    """Returns the methods under `projects/*/locations/*`."""
    name, shape = "aiplatform.projects.locations.pipelineJobs", f"{root}/pipelineJobs"
    return [
        Method(f"{name}.{verb}", "POST", f"{shape}:{verb}", partial(answer, version), body="names")
        for verb, answer in (("batchCancel", cancel), ("batchDelete", delete))
    ]
