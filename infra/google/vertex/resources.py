"""Vertex AI's job resources: their names, their methods, and the message of a job."""

from typing import Final, NamedTuple

from jobledger.domain.errors import IllegalTransitionError
from jobledger.domain.job import Job
from jobledger.domain.states import LIVE, JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.labels import google_labels
from jobledger.infra.google.vertex.versions import V1, Version
from jobledger.infra.google.wire.dialects import JOB_STATES, PIPELINE_STATES, States
from jobledger.infra.google.wire.resources import (
    bare,
    error_of,
    given_fields,
    made_fields,
    time_text,
)

ENDED_BADLY: Final = frozenset({"FAILED", "CANCELLED"})


class Resource(NamedTuple):
    """One collection under `projects/*/locations/*`."""

    collection: str
    message: str
    methods: str
    """The methods in addition to create, get and list."""
    states: States = JOB_STATES
    state_field: str = "state"
    error_field: str = "error"
    left_out_of_lists: frozenset[str] = frozenset()
    list_parameters: frozenset[str] = frozenset({"filter", "pageSize", "pageToken", "readMask"})
    create_parameter: str | None = None
    """The parameter that names the job; if the resource has none, the ledger chooses the id."""
    deleted_live: bool = False
    """Whether a job that has not ended can be deleted; it is stopped first."""
    created_pending: bool = False
    created_by_operation: bool = False
    """Whether create answers with an operation."""
    has_operations: bool = True
    """Whether the API lists operations under its jobs."""

    @property
    def service(self) -> str:
        """The prefix of the ids of the resource's methods."""
        return f"aiplatform.projects.locations.{self.collection}"


_ORDERED: Final = frozenset({"filter", "pageSize", "pageToken", "readMask", "orderBy"})

RESOURCES: Final = {
    resource.collection: resource
    for resource in (
        Resource("customJobs", "CustomJob", "cancel delete"),
        Resource(
            "hyperparameterTuningJobs", "HyperparameterTuningJob", "cancel delete",
            left_out_of_lists=frozenset({"trials"}),
        ),
        Resource("batchPredictionJobs", "BatchPredictionJob", "cancel delete", has_operations=False),
        Resource(
            "dataLabelingJobs", "DataLabelingJob", "cancel delete", list_parameters=_ORDERED
        ),
        Resource(
            "nasJobs", "NasJob", "cancel delete", left_out_of_lists=frozenset({"nasJobOutput"}),
            has_operations=False,
        ),
        Resource(
            "modelDeploymentMonitoringJobs", "ModelDeploymentMonitoringJob",
            "delete pause resume patch", deleted_live=True, created_pending=True,
        ),
        Resource(
            "tuningJobs", "TuningJob", "cancel",
            list_parameters=frozenset({"filter", "pageSize", "pageToken"}),
        ),
        Resource(
            "notebookExecutionJobs", "NotebookExecutionJob", "delete",
            state_field="jobState", error_field="status", create_parameter="notebookExecutionJobId", created_by_operation=True,
            list_parameters=frozenset({"filter", "pageSize", "pageToken", "orderBy", "view"}),
        ),
        Resource(
            "pipelineJobs", "PipelineJob", "cancel delete", PIPELINE_STATES,
            left_out_of_lists=frozenset({"jobDetail"}), list_parameters=_ORDERED,
            create_parameter="pipelineJobId",
        ),
        Resource("trainingPipelines", "TrainingPipeline", "cancel delete", PIPELINE_STATES),
    )
}  # fmt: skip
"""The resources by collection."""


def shown(
    resource: Resource, job: Job, version: Version = V1, *, listed: bool = False
) -> JsonObject:
    """Returns the job as the resource's message in a version of the API."""
    assert job.state is not None
    state = resource.states[job.state]
    ended_badly = state.rpartition("STATE_")[2] in ENDED_BADLY
    api = version.api
    fields = api.fields(resource.message)
    whole = {
        **made_fields(api, resource.message, job.output),
        **given_fields(api, resource.message, job.spec),
        "name": job.name,
        resource.state_field: state,
        "createTime": time_text(job.create_time),
        "startTime": time_text(job.start_time),
        "endTime": time_text(job.end_time),
        "updateTime": time_text(job.update_time),
        "labels": google_labels(job.labels),
        resource.error_field: error_of(job) if ended_badly else None,
    }
    hidden = resource.left_out_of_lists if listed else frozenset[str]()
    return bare({key: whole[key] for key in whole if key in fields and key not in hidden})


def check_running(job: Job, event: str) -> None:
    """Raises IllegalTransitionError: monitoring jobs are paused and changed only while they run."""
    if job.state is not JobState.RUNNING and job.state in LIVE:
        raise IllegalTransitionError(job.name, job.state.name, event)
