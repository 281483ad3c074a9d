"""Pipelines by the batch: `pipelineJobs:batchCancel` and `:batchDelete`, all of them or none."""

from typing import Any, Final

from jobledger.domain.commands import CancelJob, DeleteJob, JobCommand
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.google.ml.methods import cancelled_by
from jobledger.infra.google.vertex.jobs import parent_of
from jobledger.infra.google.vertex.operations import TYPE
from jobledger.infra.google.vertex.resources import RESOURCES, shown
from jobledger.infra.google.wire.calls import Call, Method

MOST: Final = 32
"""As many names as the API takes at once."""


async def cancel(call: Call) -> JsonObject:
    """Those that have ended are skipped."""
    command = CancelJob(reason=cancelled_by(call), unless_ended=True)
    return await _together(call, "Cancel", "BatchCancelPipelineJobsOperationMetadata", command)


async def delete(call: Call) -> JsonObject:
    return await _together(call, "Delete", "DeleteOperationMetadata", DeleteJob())


async def _together(call: Call, verb: str, metadata: str, command: JobCommand) -> JsonObject:
    names, pipelines = _names(call), RESOURCES["pipelineJobs"]
    jobs, position = await call.ledger.command_all(names, command, **call.about)
    return {
        "name": f"{parent_of(call)}/operations/{position}",
        "metadata": {"@type": TYPE + metadata},
        "done": True,
        "response": {
            "@type": f"{TYPE}Batch{verb}PipelineJobsResponse",
            "pipelineJobs": [shown(pipelines, await call.ledger.decrypted(job)) for job in jobs],
        },
    }


def _names(call: Call) -> list[str]:
    """The names in the body, all of them pipelines of the parent."""
    body: Any = call.body if isinstance(call.body, dict) else {}
    names = body.get("names")
    if set(body) - {"names", "parent"}:
        raise InvalidFieldError(min(set(body) - {"names", "parent"})[:80], "there is no such field")
    if not isinstance(names, list) or not 0 < len(names) <= MOST:
        raise InvalidFieldError("names", f"1 to {MOST} names of pipeline jobs")
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.startswith(f"{parent_of(call)}/pipelineJobs/"):
            raise InvalidFieldError(f"names[{number}]", f"is no pipeline job of {parent_of(call)}")
    return names


def methods(root: str) -> list[Method]:
    """Under `projects/*/locations/*`."""
    name, shape = "aiplatform.projects.locations.pipelineJobs", f"{root}/pipelineJobs"
    return [
        Method(f"{name}.batchCancel", "POST", f"{shape}:batchCancel", cancel, body="names"),
        Method(f"{name}.batchDelete", "POST", f"{shape}:batchDelete", delete, body="names"),
    ]  # fmt: skip
